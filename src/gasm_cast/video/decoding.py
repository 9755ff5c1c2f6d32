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
import errno
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
class OpenVideo:
    """An open file and its video stream; tells after decoding what was wrong with them."""

    path: Path
    container: av.container.InputContainer
    stream: VideoStream
    num_refused: int = 0
    """Packets that the decoder refused, and breaks in the file."""
    num_corrupt: int = 0
    """Shown frames that the decoder marked as corrupt."""
    _last_error: av.error.FFmpegError | None = None
    _end: int = -1
    """Where the frames decoded end, in the stream's time base."""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the stream."""
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:  # the last is empty
                    yield packet
        except av.error.FFmpegError as error:  # the file breaks off; what came before is good
            self._refuse(error)

    def frames(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[VideoFrame]:
        """Frames that `packets` show, in order."""
        for packet in itertools.chain(packets, [None]):  # None drains the decoder
            try:
                shown = self.stream.codec_context.decode(packet)
            except av.error.FFmpegError as error:
                self._refuse(error)
                continue
            for frame in shown:
                self.num_corrupt += frame.is_corrupt
                if frame.pts is not None:
                    self._end = max(self._end, frame.pts + frame.duration)
                yield frame

    @property
    def num_damaged(self) -> int:
        """Defects met while decoding."""
        return self.num_refused + self.num_corrupt

    @property
    def missing_sec(self) -> float:
        """How much earlier the frames decoded end than the file states; 0 if it states nothing.

        Known after all frames are decoded. Less than a quarter of a second or three
        frames is no defect: last frames have a vague duration.
        """
        stated = self._stated_end_sec()
        if stated is None or self._end < 0:
            return 0.0
        missing = stated - float(self._end * (self.stream.time_base or 0))
        rate = self.stream.average_rate
        return missing if missing > max(0.25, float(3 / rate) if rate else 0.0) else 0.0

    def nothing_decoded(self) -> VideoError:
        """The error of a video that shows no frame."""
        if self._last_error is None:
            return VideoError(self.path, "no frame could be decoded")
        codec = self.stream.codec_context.name
        if self._last_error.errno == errno.ENOSYS:  # a decoder that needs hardware which is not there
            return VideoError(self.path, f"codec {codec} not supported by this build of FFmpeg")
        return VideoError(self.path, f"no frame could be decoded ({codec}: {self._last_error.strerror})")

    def _refuse(self, error: av.error.FFmpegError) -> None:
        self.num_refused += 1
        self._last_error = error

    def _stated_end_sec(self) -> float | None:
        stream = self.stream
        if stream.duration is not None and stream.time_base is not None:
            return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
        if self.container.duration is not None and not self.container.streams.audio:
            return self.container.duration / av.time_base
        return None  # the file's duration may be that of its sound


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
        container = _open_container(path)
    except av.error.InvalidDataError:
        raise VideoError(path, _unreadable(path)) from None
    except av.error.FFmpegError as error:
        raise VideoError(path, f"cannot be read: {error.strerror}") from None
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
            raise video.nothing_decoded()
    return num_frames


def _open_container(path: Path) -> av.container.InputContainer:
    """Open a file; decode ahead to learn about it only where that is needed.

    FFmpeg decodes the first pictures of a stream to learn how far they may come out of
    order, up to a tenth of the time that a short clip takes in all. Where the order is
    known without, that trial decoding is turned off.
    """
    url = f"file:{path}"  # else "12:30.mp4" would be read as a protocol
    container = av.open(url, options={"codec_whitelist": "none"}, metadata_errors="replace")
    if all(_order_is_known(stream) for stream in container.streams.video):
        return container
    container.close()
    return av.open(url, metadata_errors="replace")  # titles are in any encoding


def _order_is_known(stream: VideoStream) -> bool:
    decoder = stream.codec_context  # None for a codec that this build does not know
    match decoder and decoder.codec.canonical_name:
        case "vp8" | "vp9" | "av1" | "hevc":  # in order, or the stream's own header says how far out of it
            return True
        case "h264":  # its header may say nothing, but the tables of an MP4 file do
            return "mp4" in stream.container.format.name
        case _:
            return False


def _unreadable(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp":  # an MP4 or MOV file, whose index comes last unless it was moved
        return "truncated: the index of the file is missing"
    return "not a video"


def _video_stream(path: Path, container: av.container.InputContainer) -> VideoStream:
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:  # audio only, with a cover picture at most
        raise VideoError(path, "no video stream")
    stream = moving[0]
    if stream.codec_context is None:
        raise VideoError(path, "codec not supported by this build of FFmpeg")
    return stream
