"""What a worker does with a video: decode it once, cut the views of both streams, run numpy backbones.

Imports no torch: a worker starts in half a second and takes some tens of megabytes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from gasm_cast.backbones import Backbone
from gasm_cast.extraction.workers import Failed
from gasm_cast.video import Sampling, VideoError, sample_views


@dataclass(frozen=True)
class Source:
    """One clip to extract: its id and where it comes from."""

    name: str
    path: Path | None
    """None where the annotations name a clip without a file."""


@dataclass(frozen=True)
class StreamReader:
    """How one stream sees a video."""

    samplings: tuple[Sampling, ...]
    """One a view."""
    backbone: Backbone | None
    """Runs here if it is numpy code; None leaves the frames to the main process."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What a worker makes of a video: tokens, or the frames to make them from."""

    semantic: Shaped[np.ndarray, "views ..."]
    """`[views, tokens, width]` float32, or `[views, frames, size, size, 3]` uint8."""
    motion: Shaped[np.ndarray, "views ..."]
    flaws: tuple[str, ...]
    """What is wrong with the file although it gave frames."""
    decode_sec: float
    compute_sec: float


@dataclass(frozen=True)
class VideoReader:
    """A function of a :class:`Source` that can be sent to a worker."""

    semantic: StreamReader
    motion: StreamReader

    @property
    def samplings(self) -> tuple[Sampling, ...]:
        """The views of both streams; those that both share are decoded once."""
        return tuple(dict.fromkeys((*self.semantic.samplings, *self.motion.samplings)))

    def __call__(self, source: Source) -> Reading | Failed:
        """Read one video; one that gives no frames is :class:`Failed` with the decoder's reason."""
        if source.path is None:
            return Failed("no such file")
        start = time.perf_counter()
        try:
            clips = sample_views(source.path, self.samplings)
        except VideoError as error:
            return Failed(error.reason)
        frames = {sampling: clip.frames for sampling, clip in zip(self.samplings, clips, strict=True)}
        decoded = time.perf_counter()
        return replace(self.compute(frames), flaws=clips[0].flaws, decode_sec=decoded - start)

    def compute(self, frames: Mapping[Sampling, UInt8[np.ndarray, "frames size size 3"]]) -> Reading:
        """Stack the views and run the numpy backbones."""
        start = time.perf_counter()
        # One array for streams that see the same: it is then sent to the main process once.
        stacks = {
            samplings: np.stack([frames[sampling] for sampling in samplings])
            for samplings in {self.semantic.samplings, self.motion.samplings}
        }
        semantic, motion = (
            stacks[stream.samplings]
            if stream.backbone is None
            else stream.backbone.forward(stacks[stream.samplings])
            for stream in (self.semantic, self.motion)
        )
        return Reading(semantic, motion, flaws=(), decode_sec=0.0, compute_sec=time.perf_counter() - start)
