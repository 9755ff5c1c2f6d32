"""What a worker does with a video: decode it once, cut the views of both streams, run numpy backbones.

Imports no torch: a worker starts in half a second and takes some tens of megabytes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from gasm_cast.backbones import Backbone
from gasm_cast.extraction.workers import Failed
from gasm_cast.video import Sampling, VideoError, sample_views

WHOLE_VIDEO = (0.0, float("inf"))


@dataclass(frozen=True)
class Source:
    """One clip to extract: its id and where it comes from."""

    name: str
    path: Path | None
    """None where the annotations name a clip without a file."""
    span_sec: tuple[float, float] = WHOLE_VIDEO
    """Part of the video, from its first frame on."""


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
    num_damaged: int
    """Packets and frames that could not be decoded and were passed over."""
    decode_sec: float
    compute_sec: float


@dataclass(frozen=True)
class VideoReader:
    """A function of a :class:`Source` that can be sent to a worker."""

    semantic: StreamReader
    motion: StreamReader

    def __call__(self, source: Source) -> Reading | Failed:
        """Read one video; one that gives no frames is :class:`Failed` with the decoder's reason."""
        if source.path is None:
            return Failed("no such file")
        start = time.perf_counter()
        # Views that both streams share are decoded, and sent to the main process, once.
        wanted = list(dict.fromkeys((*self.semantic.samplings, *self.motion.samplings)))
        try:
            clips = sample_views(source.path, wanted, source.span_sec)
        except VideoError as error:
            return Failed(error.reason)
        frames = {sampling: clip.frames for sampling, clip in zip(wanted, clips, strict=True)}
        stacks = {
            samplings: np.stack([frames[sampling] for sampling in samplings])
            for samplings in {self.semantic.samplings, self.motion.samplings}
        }
        decoded = time.perf_counter()
        return Reading(
            semantic=_computed(self.semantic, stacks),
            motion=_computed(self.motion, stacks),
            num_damaged=clips[0].num_damaged,
            decode_sec=decoded - start,
            compute_sec=time.perf_counter() - decoded,
        )


def _computed(
    stream: StreamReader, stacks: dict[tuple[Sampling, ...], np.ndarray]
) -> Shaped[np.ndarray, "views ..."]:
    frames = stacks[stream.samplings]
    return frames if stream.backbone is None else stream.backbone.forward(frames)
