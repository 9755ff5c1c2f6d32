"""From a name to a backbone."""

from __future__ import annotations

from pathlib import Path

from gasm_cast.backbones.contract import Backbone, SemanticFrames, Stream
from gasm_cast.errors import InputError


def load_backbone(
    name: str,
    *,
    stream: Stream,
    weights: str | Path | None = None,
    semantic_frames: SemanticFrames = "mean",
    device: str = "auto",
    precision: str = "auto",
) -> Backbone:
    """Build a backbone and load its weights.

    Each branch imports its own family only: a decoding process that runs `classic` must
    not load torch, nor a motion backbone all of transformers.

    Args:
        name: One of the known names, such as `classic`; an unknown one is answered by their list.
        stream: The stream that the tokens are for.
        weights: A file, a local folder or a hub id; None takes the name's own hub id where it has one.
        semantic_frames: How the frames of a clip become semantic tokens; unused for motion.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; unused by `classic`.
        precision: `auto`, `fp32`, `bf16` or `fp16`; unused by `classic`.

    Raises:
        InputError: if the name is unknown or not of this stream, or the weights cannot be read.
    """
    match name, stream:
        case "classic", "semantic":
            from gasm_cast.backbones.classic_semantic import ClassicSemantic

            return ClassicSemantic(semantic_frames)
        case "classic", "motion":
            from gasm_cast.backbones.classic_motion import ClassicMotion

            return ClassicMotion()
        case _:
            raise InputError(f"unknown {stream} backbone {name!r}; known: classic")
