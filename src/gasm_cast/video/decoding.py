"""Opening a video file and decoding the frames that a viewer would see.

A frame counts if the decoder shows it: the order is the decoder's output order, never a
sort by time stamp (stamps are missing in raw streams and wrong in AVI files with
B-frames), and the number in the container's header is only a hint (files are cut off,
hidden frames precede the first shown one).

A packet that the decoder refuses is counted as damage and passed over, so that a few
flipped bytes cost a few frames and not the clip. The decoder uses one thread and belongs
to the process that opened it: open files inside the worker that reads them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import av.container
import av.error
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from gasm_cast.errors import InputError


class VideoError(InputError):
    """A video file that gives no clip.

    Attributes:
        path: The file.
        reason: A short phrase, the same for the same defect.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # the default would lose an argument between processes


@dataclass
class Damage:
    """Tally of what a decoder could not use."""

    num_packets: int = 0
    """Packets refused, and breaks in the file itself."""
    num_frames: int = 0
    """Shown frames that the decoder itself marked as corrupt."""

    @property
    def total(self) -> int:
        """All defects met."""
        return self.num_packets + self.num_frames


@dataclass
class OpenVideo:
    """An open file, its video stream, and the tally of damage."""

    path: Path
    container: av.container.InputContainer
    stream: VideoStream
    damage: Damage = field(default_factory=Damage)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the stream."""
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:  # the last is empty
                    yield packet
        except av.error.FFmpegError:  # the file breaks off; what came before is good
            self.damage.num_packets += 1

    def frames(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[VideoFrame]:
        """Frames that `packets` show, in order."""
        for packet in itertools.chain(packets, [None]):  # None drains the decoder
            try:
                shown = self.stream.codec_context.decode(packet)
            except av.error.FFmpegError:
                self.damage.num_packets += 1
                continue
            for frame in shown:
                self.damage.num_frames += frame.is_corrupt
                yield frame


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[OpenVideo]:
    """Open a file for decoding with one thread.

    Raises:
        VideoError: if the file is missing, empty, not a video, or of a codec that this
            build of FFmpeg does not decode.
    """
    if not path.exists():
        raise VideoError(path, "no such file")
    if not path.is_file():
        raise VideoError(path, "not a file")
    if not path.stat().st_size:
        raise VideoError(path, "empty file")
    try:
        container = av.open(f"file:{path}")  # else "12:30.mp4" would be read as a protocol
    except av.error.FFmpegError as error:
        raise VideoError(path, f"not a video: {error.strerror or error}") from None
    with container:
        stream = _video_stream(path, container)
        stream.thread_count = 1
        yield OpenVideo(path, container, stream)


def count_frames(path: Path) -> int:
    """Number of frames that a viewer sees, counted by decoding them.

    Raises:
        VideoError: as :func:`open_video`, and if no frame can be decoded.
    """
    with open_video(path) as video:
        num_frames = sum(1 for _ in video.frames(video.packets()))
    if not num_frames:
        raise VideoError(path, "no frame could be decoded")
    return num_frames


def _video_stream(path: Path, container: av.container.InputContainer) -> VideoStream:
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:  # audio only, with a cover picture at most
        raise VideoError(path, "no video stream")
    stream = moving[0]
    if stream.codec_context is None:
        raise VideoError(path, f"codec {stream.codec_tag or 'unknown'} not supported by this build")
    return stream
