"""Clips: the sampled frames of a video, decoded once, in memory bounded by the frames kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av.error
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float, Int, UInt8

from gasm_cast.video.decoding import OpenVideo, VideoError, open_video
from gasm_cast.video.pixels import PixelReader
from gasm_cast.video.sampling import Sampling
from gasm_cast.video.survey import Clock, Survey, survey

WHOLE = (0.0, math.inf)
"""Span of a whole video."""

_MAX_PASSES = 4


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of one view of a video."""

    frames: UInt8[np.ndarray, "frames size size 3"]
    """RGB."""
    indices: Int[np.ndarray, " frames"]
    """Place of each frame among the shown frames of the video (of the span, if one was asked for)."""
    times_sec: Float[np.ndarray, " frames"]
    """When each frame is shown, from the first frame of the video on."""
    num_total: int
    """Shown frames of the video (of the span)."""
    num_damaged: int
    """Packets that could not be decoded and frames marked corrupt; 0 for a sound file."""
    missing_sec: float
    """How much earlier the frames end than the file states, as in a download cut off; 0 if it is whole."""

    @property
    def flaws(self) -> tuple[str, ...]:
        """What is wrong with the file although it gave a clip, in words."""
        return describe_flaws(self.num_damaged, self.missing_sec)


def describe_flaws(num_damaged: int, missing_sec: float) -> tuple[str, ...]:
    """Damage in words; empty for a sound file."""
    flaws = []
    if num_damaged:
        flaws.append(f"damaged: {num_damaged} packets or frames could not be decoded properly")
    if missing_sec:
        flaws.append(f"truncated: frames end {missing_sec:.1f} s early")
    return tuple(flaws)


def sample_clip(path: Path, sampling: Sampling, span_sec: tuple[float, float] = WHOLE) -> Clip:
    """Decode one view of a video.

    Args:
        path: The file.
        sampling: Frames and crop.
        span_sec: Use only the frames shown in [start, end), from the first frame of the video on.

    Raises:
        VideoError: if the file is missing or gives no frame.
    """
    return sample_views(path, [sampling], span_sec)[0]


def sample_views(
    path: Path, samplings: Sequence[Sampling], span_sec: tuple[float, float] = WHOLE
) -> list[Clip]:
    """Decode several views of a video from one pass over it.

    The frames to keep depend on the number of shown frames, which is known only at the
    end. So packets are counted first, without decoding, which nearly always gives that
    number. If decoding finds another one (damage, hidden frames), the file is decoded
    again with the number found: the result is always that of counting by decoding.

    Args:
        path: The file.
        samplings: Frames and crop of each view.
        span_sec: Use only the frames shown in [start, end), from the first frame of the video on.

    Raises:
        VideoError: if the file is missing or gives no frame.
    """
    known: Survey | None = None
    for _ in range(_MAX_PASSES):
        with open_video(path) as video:
            packets: Iterable[Packet[VideoStream]] = video.packets()
            if known is None:
                known = survey(video, span_sec)
                expected = known.num_expected
                if known.packets is None:  # too large to keep: read it again
                    continue
                packets = known.packets
            views = _Views(samplings, expected)
            num_total = _decode(video, packets, known.clock, span_sec, views)
            if not num_total:
                raise video.nothing_decoded() if span_sec == WHOLE else _outside(path, span_sec)
            if num_total == expected:
                return views.clips(video.num_damaged, video.missing_sec if span_sec[1] == math.inf else 0.0)
        expected = num_total
    raise VideoError(path, "changes while it is read")


class _Views:
    """The frames that several samplings take of a video of `num_total` frames, filled as they are met."""

    def __init__(self, samplings: Sequence[Sampling], num_total: int) -> None:
        self._samplings = samplings
        self._num_total = num_total
        self._indices = [sampling.indices(max(num_total, 1)) for sampling in samplings]
        self._frames = [np.empty((s.num_frames, s.size_px, s.size_px, 3), np.uint8) for s in samplings]
        self._times_sec = [np.zeros(sampling.num_frames) for sampling in samplings]
        self._readers = {sampling.size_px: PixelReader(sampling.size_px) for sampling in samplings}
        self._slots: dict[int, list[tuple[int, int]]] = {}
        for view, indices in enumerate(self._indices):
            for slot, place in enumerate(indices.tolist()):
                self._slots.setdefault(place, []).append((view, slot))

    def take(self, place: int, time_sec: float, frame: VideoFrame) -> None:
        """Keep what is wanted of the frame at `place`: most frames are never converted."""
        slots = self._slots.get(place, ())
        for size_px, reader in self._readers.items() if slots else ():
            reader.read(
                frame,
                (
                    (self._samplings[view].crop, self._frames[view][slot])
                    for view, slot in slots
                    if self._samplings[view].size_px == size_px
                ),
            )
        for view, slot in slots:
            self._times_sec[view][slot] = time_sec

    def clips(self, num_damaged: int, missing_sec: float) -> list[Clip]:
        """One clip a sampling, once all frames have been met."""
        return [
            Clip(frames, indices, times_sec, self._num_total, num_damaged, missing_sec)
            for frames, indices, times_sec in zip(self._frames, self._indices, self._times_sec, strict=True)
        ]


def _decode(
    video: OpenVideo,
    packets: Iterable[Packet[VideoStream]],
    clock: Clock,
    span_sec: tuple[float, float],
    views: _Views,
) -> int:
    """Decode all of the span, since only that tells its length; returns its number of frames."""
    start, end = span_sec
    num_total = 0
    time_sec = 0.0
    for position, frame in enumerate(video.frames(packets)):
        time_sec = max(time_sec, clock.time_sec(frame.pts, position))  # stamps of some AVI files go back
        if time_sec >= end:
            break
        if time_sec >= start:
            try:
                views.take(num_total, time_sec, frame)
            except av.error.FFmpegError:
                picture = f"{frame.format.name} picture of {frame.width}x{frame.height}"
                raise VideoError(video.path, f"{picture} cannot be converted") from None
            num_total += 1
    return num_total


def _outside(path: Path, span_sec: tuple[float, float]) -> VideoError:
    return VideoError(path, f"no frame from {span_sec[0]:g} to {span_sec[1]:g} s")
