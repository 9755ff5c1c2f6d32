"""What a whole decode tells about a file, for an audit before anything is spent on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from gasm_cast.video.clips import describe_flaws
from gasm_cast.video.decoding import open_video
from gasm_cast.video.pixels import Orientation, orientation


@dataclass(frozen=True)
class VideoInfo:
    """Facts found by decoding every frame."""

    num_frames: int
    """Shown frames."""
    frames_per_sec: float | None
    """Mean rate between the first and the last frame; the header's where frames have no times."""
    width_px: int
    """As shown, after turning."""
    height_px: int
    codec: str
    turned: bool
    """Whether metadata turns or mirrors the picture."""
    num_damaged: int
    missing_sec: float

    @property
    def flaws(self) -> tuple[str, ...]:
        """Damage in words; empty for a sound file."""
        return describe_flaws(self.num_damaged, self.missing_sec)


def inspect_video(path: Path) -> VideoInfo:
    """Decode all frames of a video, keep none, and report.

    Raises:
        VideoError: if the file is missing or gives no frame.
    """
    with open_video(path) as video:
        num_frames = 0
        first = last = None
        for frame in video.frames(video.packets()):
            first, last = first or frame, frame
            num_frames += 1
        if first is None or last is None:
            raise video.nothing_decoded()
        upright = orientation(first)
        sides = (first.width, first.height)
        width_px, height_px = sides[::-1] if upright.transposed else sides
        return VideoInfo(
            num_frames=num_frames,
            frames_per_sec=_rate(video.stream, first, last, num_frames),
            width_px=width_px,
            height_px=height_px,
            codec=video.stream.codec_context.codec.canonical_name,
            turned=upright != Orientation(),
            num_damaged=video.num_damaged,
            missing_sec=video.missing_sec,
        )


def _rate(stream: VideoStream, first: VideoFrame, last: VideoFrame, num_frames: int) -> float | None:
    if first.pts is not None and last.pts is not None and stream.time_base and last.pts > first.pts:
        return float((num_frames - 1) / ((last.pts - first.pts) * stream.time_base))
    return float(stream.average_rate) if stream.average_rate else None
