"""What every backbone answers, and the rules about frames that all of them share.

A backbone turns clips into the tokens of one stream. Frames go in as the decoder gives
them, uint8 RGB; each backbone scales and normalises them itself, once, and says how in
:meth:`Backbone.describe`. Features leave as float32 numpy arrays wherever they were
computed, so that the store and the extraction know nothing of devices.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Shaped

from gasm_cast.errors import InputError
from gasm_cast.geometry import StreamSpec

Stream = Literal["semantic", "motion"]
"""The two streams of the method."""

SemanticFrames = Literal["mean", "middle", 8, 16]
"""How a clip's frames become semantic tokens: averaged, one of them, or time is kept."""

CLIP_FRAMES = 16
"""Frames of a clip."""

SEGMENTS = 8
"""Motion tokens of a clip; segment t covers frames 2t and 2t + 1."""


@runtime_checkable
class Backbone(Protocol):
    """Clips in, tokens of one stream out."""

    @property
    def name(self) -> str:
        """The name that :func:`gasm_cast.backbones.load_backbone` knows it by."""
        ...

    @property
    def stream(self) -> Stream:
        """The stream that its tokens belong to."""
        ...

    @property
    def spec(self) -> StreamSpec:
        """Grid and width of its tokens."""
        ...

    @property
    def input_size_px(self) -> int:
        """Height and width of the frames it takes."""
        ...

    @property
    def num_frames(self) -> int:
        """Frames of the clips it takes."""
        ...

    @property
    def in_worker(self) -> bool:
        """True for numpy code meant for the decoding process; False for torch, in batches, on a device."""
        ...

    def describe(self) -> dict[str, Any]:
        """All that its features depend on, as JSON: weights, pixel range, normalisation, tokens dropped.

        Two backbones with equal descriptions give the same features, so a store's
        fingerprint is made from it. It names files and their content, never folders.
        """
        ...

    def forward(
        self, frames: Shaped[np.ndarray, "batch frames height width 3"]
    ) -> Float[np.ndarray, "batch tokens channels"]:
        """Tokens of a batch of clips.

        Args:
            frames: RGB, uint8, `num_frames` of `input_size_px` squared.

        Raises:
            InputError: if the frames are not uint8 or of another shape.
        """
        ...


def check_frames(
    frames: Shaped[np.ndarray, "batch frames height width 3"], *, num_frames: int, size_px: int
) -> None:
    """Refuse frames that a backbone would misread.

    Floating-point frames are refused whatever their range: whether 1.0 means white or
    almost black cannot be told from the numbers, and a clip scaled twice gives features
    that look well and are wrong.

    Raises:
        InputError: if the frames are not uint8 or of another shape.
    """
    if frames.dtype != np.uint8:
        raise InputError(f"frames must be uint8 RGB in 0..255, got {frames.dtype}; do not scale them before")
    expected = (num_frames, size_px, size_px, 3)
    if frames.shape[1:] != expected:
        raise InputError(f"a clip must be of shape {expected}, got {tuple(frames.shape[1:])}")


def middle_frame(part: int, num_parts: int) -> int:
    """Frame at the middle of one of equal parts of a clip (the later one of two)."""
    return (2 * part + 1) * CLIP_FRAMES // (2 * num_parts)


def kept_frames(semantic_frames: SemanticFrames) -> list[int]:
    """Indices of the clip's frames that a semantic backbone looks at, in order.

    The clip is cut into as many equal segments as are kept, and the frame at the
    middle of each is taken (the later one of two): frame 8 for `middle`, frames 1, 3, 5,
    ... for 8. `mean` looks at all of them.
    """
    match semantic_frames:
        case "mean":
            num_kept = CLIP_FRAMES
        case "middle":
            num_kept = 1
        case 8 | 16:
            num_kept = semantic_frames
    return [middle_frame(part, num_kept) for part in range(num_kept)]


def num_maps(semantic_frames: SemanticFrames) -> int:
    """Maps of patches that a clip gives: one for each kept frame, or one for their mean."""
    return 1 if semantic_frames == "mean" else len(kept_frames(semantic_frames))


def join_frames(
    tokens: Float[np.ndarray, "batch frames patches channels"], semantic_frames: SemanticFrames
) -> Float[np.ndarray, "batch tokens channels"]:
    """Tokens of the clip from those of its kept frames: their mean, or all, frame by frame."""
    if semantic_frames == "mean":
        mean: Float[np.ndarray, "batch tokens channels"] = tokens.mean(axis=1)
        return mean
    return tokens.reshape(len(tokens), -1, tokens.shape[-1])
