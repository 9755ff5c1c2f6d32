"""Long untrimmed videos: overlapping windows, cut in one pass over the file, each read like a clip.

A window [start, end) gives exactly the frames that a clip of that span of the video gives.
Memory is bounded by the frames of one window, whatever the length of the video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gasm_cast.errors import InputError
from gasm_cast.video import WHOLE, Crop, Sampling
from gasm_cast.video.clips import describe_flaws
from gasm_cast.video.decoding import open_video
from gasm_cast.video.pixels import PixelReader
from gasm_cast.video.survey import survey

Squares = Mapping[tuple[int, Crop], UInt8[np.ndarray, "size size 3"]]
"""One frame as the samplings see it, by size and crop."""


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a video, with its frames for each sampling asked for."""

    start_sec: float
    end_sec: float
    frames: Mapping[Sampling, UInt8[np.ndarray, "frames size size 3"]]
    """Empty for a part in which no frame is shown."""
    flaws: tuple[str, ...]
    """What is wrong with this part of the file; that the file ends early is said of windows at its end."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """One frame, decoded."""

    time_sec: float
    squares: Squares
    num_damaged: int
    """Defects met between the frame before and this one."""


def cut_windows(
    path: Path, samplings: tuple[Sampling, ...], *, window_sec: float, stride_sec: float
) -> Iterator[Window]:
    """Windows of a video, in order of time.

    They start at 0, stride, 2 * stride ... as long as they fit into the video. If its end is
    then not covered, one more window ends with it; a video shorter than a window gives one.
    Windows in a row in which no frame is shown are given as one, without frames.

    Args:
        path: The video.
        samplings: Views of each window.
        window_sec: Length of a window.
        stride_sec: From one start to the next.

    Raises:
        InputError: if window or stride are not positive, or a stride would skip frames.
        VideoError: if the video gives no frames.
    """
    if not 0 < stride_sec <= window_sec:
        raise InputError(
            "windows need a stride above 0 and at most their length, got "
            f"{window_sec=:g}, {stride_sec=:g}; otherwise parts of the video would not be seen"
        )
    wanted: dict[int, set[Crop]] = {}
    for sampling in samplings:
        wanted.setdefault(sampling.size_px, set()).add(sampling.crop)
    readers = {size_px: PixelReader(size_px) for size_px in wanted}
    with open_video(path) as video:
        clock = survey(video, WHOLE).clock
    recent: deque[_Shown] = deque()
    start = time = covered = 0.0
    num_damaged = 0
    with open_video(path) as video:
        for position, frame in enumerate(video.frames(video.packets())):
            time = max(time, clock.time_sec(frame.pts, position))
            lost, num_damaged = video.num_damaged - num_damaged, video.num_damaged
            while time >= start + window_sec:
                if recent and recent[-1].time_sec >= start:
                    yield _window(recent, samplings, (start, start + window_sec), lost)
                    start, covered = start + stride_sec, start + window_sec
                else:  # one part for all windows without a frame: a jump of the clock would give millions
                    last = start + stride_sec * ((time - window_sec - start) // stride_sec)
                    flaws = ("no frame in this part of the file", *describe_flaws(lost, 0.0))
                    yield Window(start, last + window_sec, {}, flaws)
                    start = last + stride_sec
            while recent and recent[0].time_sec < min(start, time - window_sec):
                recent.popleft()
            squares: dict[tuple[int, Crop], np.ndarray] = {}
            for size_px, reader in readers.items():
                own = {crop: np.empty((size_px, size_px, 3), np.uint8) for crop in wanted[size_px]}
                reader.read(frame, own.items())
                squares |= {(size_px, crop): square for crop, square in own.items()}
            recent.append(_Shown(time, squares, lost))
        if not recent:
            raise video.nothing_decoded()
        lost, missing_sec = video.num_damaged - num_damaged, video.missing_sec
    end = time + clock.frame_sec
    # Half a frame of tolerance: 4 s of frames at 12 a second end at 3.99 or 4.01 s.
    while start + window_sec <= end + clock.frame_sec / 2:
        yield _window(recent, samplings, (start, start + window_sec), lost, missing_sec)
        start, covered = start + stride_sec, start + window_sec
    if covered < end - clock.frame_sec / 2:
        yield _window(recent, samplings, (max(0.0, end - window_sec), end), lost, missing_sec)


def _window(
    recent: deque[_Shown],
    samplings: tuple[Sampling, ...],
    span_sec: tuple[float, float],
    lost: int,
    missing_sec: float = 0.0,
) -> Window:
    """A window; `lost` are defects after its last frame, which may have cost frames of it or of the next."""
    start, end = span_sec
    inside = [shown for shown in recent if start <= shown.time_sec < end]
    frames = {
        sampling: np.stack(
            [
                inside[index].squares[sampling.size_px, sampling.crop]
                for index in sampling.indices(len(inside))
            ]
        )
        for sampling in samplings
    }
    num_damaged = lost + sum(shown.num_damaged for shown in inside)
    return Window(start, end, frames, describe_flaws(num_damaged, missing_sec))
