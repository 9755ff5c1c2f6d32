"""What a person may choose about an extraction; imports no torch, since the command line shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gasm_cast.backbones import SemanticFrames
from gasm_cast.video import Crop

Crops = Literal["centre", "three", "squash"]
"""Parts of the frame that a clip is seen through: its middle; also both ends; all, squashed to a square."""

CROPS: Mapping[Crops, tuple[Crop, ...]] = {
    "centre": ("centre",),
    "three": ("centre", "left", "right"),
    "squash": ("squash",),
}


@dataclass(frozen=True, kw_only=True)
class ExtractorOptions:
    """Which backbones see which views of a video."""

    semantic: str = "classic"
    """Backbone of the semantic stream; an unknown name is answered by the list."""
    motion: str = "classic"
    """Backbone of the motion stream."""
    semantic_weights: str | None = None
    """Hub id, folder or file of its weights; by default the name's own hub id."""
    motion_weights: str | None = None
    """The same for the motion stream."""
    semantic_frames: SemanticFrames = "mean"
    """Average the frames' tokens, take the middle frame, or keep 8 or 16 frames."""
    views: int = 1
    """Temporal views of each clip: the same segments, other frames in them."""
    crops: Crops = "centre"
    """Part of the frame to see; `three` makes three views (middle and both ends) of each temporal view."""
    device: str = "auto"
    """Where torch backbones run: auto, cpu, cuda, cuda:N."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of torch backbones; auto is bf16 on GPUs that have it and fp32 elsewhere."""

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ValueError(f"views must be positive, got {self.views}")


@dataclass(frozen=True, kw_only=True)
class PipelineOptions:
    """How the work is spread; none of it changes a feature."""

    workers: int = 0
    """Decoding processes; 0 takes one a core."""
    time_limit_sec: float = 120.0
    """Time that one video may take before it is given up and listed as failed."""
    batch_size: int = 0
    """Views that torch backbones take at once; 0 takes 16 on a GPU and 1 on a processor."""

    def __post_init__(self) -> None:
        if self.workers < 0 or self.batch_size < 0 or self.time_limit_sec <= 0:
            raise ValueError(
                "workers and batch_size must be at least 0, time_limit_sec above 0, got "
                f"{self.workers}, {self.batch_size}, {self.time_limit_sec}"
            )
