"""From a name to a backbone."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Final, get_args

from gasm_cast.backbones.contract import Backbone, SemanticFrames, Stream
from gasm_cast.backbones.names import IMAGE_HUB_IDS, VIDEO_HUB_IDS, I3DName, is_i3d
from gasm_cast.errors import InputError

KNOWN: Final[dict[Stream, tuple[str, ...]]] = {
    "semantic": ("classic", *IMAGE_HUB_IDS, *VIDEO_HUB_IDS),
    "motion": ("classic", *get_args(I3DName), *VIDEO_HUB_IDS),
}
"""Names of each stream's backbones."""


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
        case "classic", _ if weights is not None:
            raise InputError(f"classic has no weights, got {weights}")
        case "classic", "semantic":
            from gasm_cast.backbones.classic_semantic import ClassicSemantic

            return ClassicSemantic(semantic_frames)
        case "classic", "motion":
            from gasm_cast.backbones.classic_motion import ClassicMotion

            return ClassicMotion()
        case _ if is_i3d(name) and stream == "motion":
            from gasm_cast.backbones.i3d import load_i3d
            from gasm_cast.backbones.placement import Placement

            return load_i3d(name, weights=weights, placement=Placement.choose(device, precision))
        case _ if name in IMAGE_HUB_IDS and stream == "semantic":
            from gasm_cast.backbones.dino_loading import load_image_backbone
            from gasm_cast.backbones.placement import Placement

            return load_image_backbone(
                name,
                weights=weights,
                semantic_frames=semantic_frames,
                placement=Placement.choose(device, precision),
            )
        case _ if name in VIDEO_HUB_IDS:
            from gasm_cast.backbones.placement import Placement
            from gasm_cast.backbones.video_transformer import load_video_backbone

            return load_video_backbone(
                name,
                stream=stream,
                weights=weights,
                semantic_frames=semantic_frames,
                placement=Placement.choose(device, precision),
            )
        case _:
            close = get_close_matches(name, KNOWN[stream], n=1)
            hint = f"did you mean {close[0]}? known" if close else "known"
            raise InputError(f"no {stream} backbone {name!r}; {hint}: {', '.join(KNOWN[stream])}")
