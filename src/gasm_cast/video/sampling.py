"""Which frames of a video become a clip, and which part of a frame.

One rule for every length: the video's n shown frames are cut into F equal segments and
one frame is taken from each,

    index_i = floor((i + p) * n / F),   i = 0 .. F - 1,   0 <= p < 1,

so that 0 <= index < n for every n >= 1, the whole video is covered, and the indices never
go down. A video shorter than F frames repeats frames; it is never looped, because a loop
jumps back, which is a motion that did not happen.

The place p inside the segments is 0.5 for evaluation (the centre). View v of V takes
p = (v + 0.5) / V, so that each view spans the whole clip and no two views are the same
frames (as long as n >= F * V). A training view draws p for each segment by itself.

Source: the segment rule of temporal segment networks (Wang et al., ECCV 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

Crop = Literal["centre", "left", "right", "squash"]
"""Part of a frame that is kept; `left` and `right` are the top and bottom of a tall video."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """One view of a video: its frames and its crop. Never a mirror image."""

    num_frames: int = 16
    """Frames a clip."""
    mode: Literal["centre", "random"] = "centre"
    """Take a fixed place of each segment, or a random one."""
    view: int = 0
    """Which of `num_views` temporal views, for mode `centre`."""
    num_views: int = 1
    """Temporal views that share a video."""
    seed: int = 0
    """Seed of mode `random`; derive it from the clip's id and the epoch."""
    crop: Crop = "centre"
    """Square cut out of the frame whose short side is `size_px`; `squash` keeps everything instead."""
    size_px: int = 224
    """Side of the square frames."""

    def __post_init__(self) -> None:
        if min(self.num_frames, self.num_views, self.size_px) < 1:
            raise ValueError(
                f"num_frames, num_views and size_px must be positive, got "
                f"{self.num_frames}, {self.num_views}, {self.size_px}"
            )
        if not 0 <= self.view < self.num_views:
            raise ValueError(f"view must lie in [0, {self.num_views}), got {self.view}")

    def indices(self, num_total: int) -> Int[np.ndarray, " frames"]:
        """Frames to take from a video of `num_total` shown frames.

        Raises:
            ValueError: if `num_total` is not positive.
        """
        if self.mode == "random":
            within = np.random.default_rng(self.seed).random(self.num_frames)
            return _floor_indices(num_total, self.num_frames, within)
        return segment_indices(num_total, self.num_frames, view=self.view, num_views=self.num_views)


def segment_indices(
    num_total: int, num_frames: int, *, view: int = 0, num_views: int = 1
) -> Int[np.ndarray, " frames"]:
    """Indices at the place `(view + 0.5) / num_views` of each of `num_frames` equal segments.

    Computed in integers, so that no rounding moves a frame.

    Raises:
        ValueError: if `num_total` is not positive.
    """
    _require_frames(num_total)
    segment = np.arange(num_frames, dtype=np.int64)
    return (2 * (segment * num_views + view) + 1) * num_total // (2 * num_views * num_frames)


def spread_views(
    num_views: int, crops: Sequence[Crop] = ("centre",), *, num_frames: int = 16, size_px: int = 224
) -> tuple[Sampling, ...]:
    """All `num_views * len(crops)` views of a video, crops changing fastest."""
    return tuple(
        Sampling(num_frames=num_frames, view=view, num_views=num_views, crop=crop, size_px=size_px)
        for view in range(num_views)
        for crop in crops
    )


def _floor_indices(num_total: int, num_frames: int, within: np.ndarray) -> np.ndarray:
    _require_frames(num_total)
    place = (np.arange(num_frames) + within) * (num_total / num_frames)
    indices: np.ndarray = np.minimum(place.astype(np.int64), num_total - 1)
    return indices


def _require_frames(num_total: int) -> None:
    if num_total < 1:
        raise ValueError(f"a video needs at least one frame, got {num_total=}")
