"""Clips: the sampled frames of a video, decoded once, in memory bounded by the frames kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from jaxtyping import Float, Int, UInt8

from gasm_cast.video.decoding import OpenVideo, VideoError, open_video
from gasm_cast.video.pixels import PixelReader
from gasm_cast.video.sampling import Crop, Sampling

_READ_AHEAD_BYTES = 32 * 2**20
_MAX_PASSES = 3

WHOLE = (0.0, math.inf)


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
    with open_video(path) as video:
        survey = _survey(video, span_sec)
        expected = survey.num_expected
        found = None
        if survey.packets is not None:
            found = _decode(
                video, survey, survey.packets, samplings=samplings, num_expected=expected, span_sec=span_sec
            )
    for _ in range(_MAX_PASSES):
        if found is not None:
            if not found.num_total:
                start, end = span_sec
                where = "" if span_sec == WHOLE else f" in {start:g} to {end:g} s"
                raise VideoError(path, f"no frame could be decoded{where}")
            if found.num_total == expected:
                return [found.clip(sampling) for sampling in samplings]
            expected = found.num_total
        with open_video(path) as video:
            found = _decode(
                video, survey, video.packets(), samplings=samplings, num_expected=expected, span_sec=span_sec
            )
    raise VideoError(path, "changes while it is read")


@dataclass(frozen=True)
class _Survey:
    """What the packets tell before any is decoded."""

    num_expected: int
    """Frames in the span, if each packet shows one."""
    clock: _Clock
    packets: list[Packet[VideoStream]] | None
    """The packets themselves, if they fit `_READ_AHEAD_BYTES`."""


@dataclass(frozen=True)
class _Clock:
    """When a frame is shown, in seconds from the first frame on."""

    first_stamp: int
    time_base_sec: float
    frame_sec: float
    """Mean duration of a frame: places frames evenly where time stamps are missing."""
    stamped: bool
    """Whether every packet has a time stamp."""

    def time_sec(self, stamp: int | None, position: int) -> float:
        if stamp is None or not self.stamped:
            return position * self.frame_sec
        return (stamp - self.first_stamp) * self.time_base_sec


def _survey(video: OpenVideo, span_sec: tuple[float, float]) -> _Survey:
    packets: list[Packet[VideoStream]] | None = []
    num_bytes = 0
    stamps: list[int | None] = []
    for packet in video.packets():
        num_bytes += packet.size
        if num_bytes > _READ_AHEAD_BYTES:
            packets = None
        if packets is not None:
            packets.append(packet)
        if not packet.is_discard:
            stamps.append(packet.pts)
    rate = video.stream.average_rate or video.stream.guessed_rate
    clock = _Clock(
        first_stamp=min((stamp for stamp in stamps if stamp is not None), default=0),
        time_base_sec=float(video.stream.time_base or 0),
        frame_sec=float(1 / rate) if rate else 0.0,
        stamped=None not in stamps,
    )
    start, end = span_sec
    times = (clock.time_sec(stamp, position) for position, stamp in enumerate(stamps))
    return _Survey(sum(start <= time < end for time in times), clock, packets)


@dataclass(frozen=True)
class _Decoded:
    """What one pass over a file kept."""

    images: dict[tuple[int, int, Crop], np.ndarray]
    """Squares by place, size and crop."""
    times_sec: dict[int, float]
    num_total: int
    num_damaged: int

    def clip(self, sampling: Sampling) -> Clip:
        indices = sampling.indices(self.num_total)
        return Clip(
            frames=np.stack(
                [self.images[index, sampling.size_px, sampling.crop] for index in indices.tolist()]
            ),
            indices=indices,
            times_sec=np.array([self.times_sec[index] for index in indices.tolist()]),
            num_total=self.num_total,
            num_damaged=self.num_damaged,
        )


def _decode(
    video: OpenVideo,
    survey: _Survey,
    packets: Iterable[Packet[VideoStream]],
    *,
    samplings: Sequence[Sampling],
    num_expected: int,
    span_sec: tuple[float, float],
) -> _Decoded:
    """Decode all of the span, keeping what `samplings` take of `num_expected` frames."""
    readers = {sampling.size_px: PixelReader(sampling.size_px) for sampling in samplings}
    wanted: dict[int, dict[int, set[Crop]]] = {}
    for sampling in samplings:
        for index in sampling.indices(max(num_expected, 1)).tolist():
            wanted.setdefault(index, {}).setdefault(sampling.size_px, set()).add(sampling.crop)
    images: dict[tuple[int, int, Crop], np.ndarray] = {}
    times_sec: dict[int, float] = {}
    num_total = 0
    start, end = span_sec
    for position, frame in enumerate(video.frames(packets)):
        time = survey.clock.time_sec(frame.pts, position)
        if time >= end:
            break
        if time < start:
            continue
        for size_px, crops in wanted.get(num_total, {}).items():
            for crop, image in readers[size_px].read(frame, crops).items():
                images[num_total, size_px, crop] = image
            times_sec[num_total] = time
        num_total += 1
    return _Decoded(images, times_sec, num_total, video.damage.total)
