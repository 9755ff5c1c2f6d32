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
            decoded = _decode(video, packets, known.clock, wanted=_wanted(samplings, expected), span=span_sec)
            if not decoded.num_total:
                raise video.nothing_decoded() if span_sec == WHOLE else _outside(path, span_sec)
        if decoded.num_total == expected:
            return [decoded.clip(sampling) for sampling in samplings]
        expected = decoded.num_total
    raise VideoError(path, "changes while it is read")


_Wanted = dict[int, dict[int, set[Crop]]]
"""Crops by place and size."""


def _wanted(samplings: Sequence[Sampling], num_total: int) -> _Wanted:
    wanted: _Wanted = {}
    for sampling in samplings if num_total else ():
        for index in sampling.indices(num_total).tolist():
            wanted.setdefault(index, {}).setdefault(sampling.size_px, set()).add(sampling.crop)
    return wanted


@dataclass(frozen=True)
class _Decoded:
    """What one pass over a file kept."""

    squares: dict[tuple[int, int, Crop], np.ndarray]
    """By place, size and crop."""
    times_sec: dict[int, float]
    num_total: int
    num_damaged: int
    missing_sec: float

    def clip(self, sampling: Sampling) -> Clip:
        indices = sampling.indices(self.num_total)
        places = indices.tolist()
        return Clip(
            frames=np.stack([self.squares[place, sampling.size_px, sampling.crop] for place in places]),
            indices=indices,
            times_sec=np.array([self.times_sec[place] for place in places]),
            num_total=self.num_total,
            num_damaged=self.num_damaged,
            missing_sec=self.missing_sec,
        )


def _decode(
    video: OpenVideo,
    packets: Iterable[Packet[VideoStream]],
    clock: Clock,
    *,
    wanted: _Wanted,
    span: tuple[float, float],
) -> _Decoded:
    """Decode all of the span, since only that tells its length, but convert only what is wanted."""
    readers: dict[int, PixelReader] = {}
    squares: dict[tuple[int, int, Crop], np.ndarray] = {}
    times_sec: dict[int, float] = {}
    num_total = 0
    time = 0.0
    for position, frame in enumerate(video.frames(packets)):
        time = max(time, clock.time_sec(frame.pts, position))  # stamps of some AVI files go back
        if time >= span[1]:
            break
        if time < span[0]:
            continue
        for size_px, crops in wanted.get(num_total, {}).items():
            if size_px not in readers:
                readers[size_px] = PixelReader(size_px)
            for crop, square in readers[size_px].read(frame, crops).items():
                squares[num_total, size_px, crop] = square
            times_sec[num_total] = time
        num_total += 1
    missing_sec = video.missing_sec if span[1] == math.inf else 0.0
    return _Decoded(squares, times_sec, num_total, video.num_damaged, missing_sec)


def _outside(path: Path, span_sec: tuple[float, float]) -> VideoError:
    return VideoError(path, f"no frame from {span_sec[0]:g} to {span_sec[1]:g} s")
