"""Encoded video files of every odd kind that people meet, each made in a fraction of a second.

`GOOD` files give a clip, `BAD` files give a reason. Frame i of every numbered file shows i
as eight black or white bars, most significant first, so that a test can read from the
pixels which frame it got, whatever was done to size and colour.
"""

import os
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.stream import Disposition
from av.video.stream import VideoStream

os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder is talkative

WIDTH, HEIGHT, RATE = 128, 96, 12

_FAST = {
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"},
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libsvtav1": {"preset": "10", "crf": "20"},
}


def numbered(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A grey picture whose bars show `index` in binary."""
    bits = (index >> np.arange(7, -1, -1)) & 1
    bars = np.where(bits[np.arange(width) * 8 // width], 220, 30).astype(np.uint8)
    return np.broadcast_to(bars[None, :, None], (height, width, 3)).copy()


def numbered_pictures(count: int) -> list[np.ndarray]:
    return [numbered(index) for index in range(count)]


def read_number(square: np.ndarray) -> int:
    """The number on a squashed frame."""
    centres = (np.arange(8) * 2 + 1) * square.shape[1] // 16
    bits = square[:, centres].mean((0, 2)) > 125
    return int((bits << np.arange(7, -1, -1)).sum())


def encode(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    codec: str = "libvpx-vp9",
    pixel_format: str = "yuv420p",
    source_format: str = "rgb24",
    rate: int = RATE,
    options: Mapping[str, str] | None = None,
    stamp: Callable[[int], int] = lambda index: index,
    rotation_degrees: float = 0,
    mirrored: bool = False,
) -> Path:
    """Encode arrays of `source_format`; `stamp` gives a frame's time in units of 1 / rate."""
    with av.open(path, "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=rate))
        stream.pix_fmt = pixel_format
        stream.options = {**_FAST.get(codec, {}), **(options or {})}
        if rotation_degrees or mirrored:
            stream.set_display_rotation(rotation_degrees, hflip=mirrored)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, source_format)
            if not index:
                stream.height, stream.width = frame.height, frame.width
            frame.pts = stamp(index)
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def textured_pictures(count: int = 40) -> list[np.ndarray]:
    """Noise that drifts: costs bits, so that damage hits pictures and not headers."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return [np.roll(noise, index, axis=1) // 2 + numbered(index) // 2 for index in range(count)]


def flip_bytes(path: Path, count: int = 200) -> Path:
    """Invert `count` bytes in the middle fifth of a file."""
    content = bytearray(path.read_bytes())
    for place in random.Random(0).sample(range(len(content) * 2 // 5, len(content) * 3 // 5), count):
        content[place] ^= 0xFF
    path.write_bytes(content)
    return path


def cut(path: Path, fraction: float) -> Path:
    """Drop the end of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return path


def sound_only(path: Path, *, cover: bool = False) -> Path:
    """A second of silence, with a cover picture if asked."""
    with av.open(path, "w") as container:
        sound = container.add_stream("aac" if path.suffix == ".mp4" else "libopus", rate=48000)
        if cover:
            picture = container.add_stream("png", rate=1)
            picture.width, picture.height, picture.pix_fmt = 64, 64, "rgb24"
            picture.disposition = Disposition.attached_pic
        samples = np.zeros((1, 48000), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, "fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        if cover:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(numbered(1, 64, 64), "rgb24")))
            container.mux(picture.encode())
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


@dataclass(frozen=True)
class Good:
    """A file that gives a clip."""

    name: str
    make: Callable[[Path], Path]
    shown: range
    """Numbers of the frames that a viewer sees."""


@dataclass(frozen=True)
class Bad:
    """A file that gives none."""

    name: str
    make: Callable[[Path], Path]
    reason: str


def _numbered_file(count: int, **options: Any) -> Callable[[Path], Path]:
    return lambda path: encode(path, numbered_pictures(count), **options)


def _alpha(path: Path) -> Path:
    pictures = [np.dstack([numbered(i), np.full((HEIGHT, WIDTH), 90, np.uint8)]) for i in range(20)]
    return encode(path, pictures, pixel_format="yuva420p", source_format="rgba")


def _odd_size(path: Path) -> Path:
    return encode(path, [numbered(index, 127, 95) for index in range(20)])


_B_FRAMES = {"preset": "fast", "bf": "2", "b-pyramid": "none", "b_strategy": "0"}

GOOD = (
    Good("one-frame.webm", _numbered_file(1), range(1)),
    Good("five-frames.webm", _numbered_file(5), range(5)),
    Good("nine-frames.webm", _numbered_file(9), range(9)),
    Good("fifteen-frames.webm", _numbered_file(15), range(15)),
    Good("plain.webm", _numbered_file(40), range(40)),
    Good("av1.mp4", _numbered_file(20, codec="libsvtav1"), range(20)),
    Good("hevc-10-bit.mp4", _numbered_file(20, codec="libx265", pixel_format="yuv420p10le"), range(20)),
    Good("no-stamps.h264", _numbered_file(40, codec="libx264", options=_B_FRAMES), range(40)),
    Good("b-frames.avi", _numbered_file(40, codec="libx264", options=_B_FRAMES), range(40)),
    Good(
        "b-pyramid.mp4",
        _numbered_file(40, codec="libx264", options={"preset": "slow", "bf": "4", "b_strategy": "0"}),
        range(40),
    ),
    Good(
        "hevc-b-frames.mkv",
        _numbered_file(40, codec="libx265", options={"x265-params": "log-level=none:bframes=4:b-adapt=0"}),
        range(40),
    ),
    # Frames before time 0 are decoded but not shown: 40 packets, 27 pictures.
    Good("hidden-start.mp4", _numbered_file(40, codec="libx264", stamp=lambda i: i - 13), range(13, 40)),
    Good(
        "hidden-start-b-frames.mp4",
        _numbered_file(40, codec="libx264", stamp=lambda i: i - 13, options=_B_FRAMES),
        range(13, 40),
    ),
    Good("alpha.webm", _alpha, range(20)),
    Good("odd-size.webm", _odd_size, range(20)),
    Good("variable-rate.webm", _numbered_file(20, stamp=lambda i: i * i + 3), range(20)),
    Good("full-range.mkv", _numbered_file(20, codec="mjpeg", pixel_format="yuvj420p"), range(20)),
    Good("animated.gif", _numbered_file(20, codec="gif", pixel_format="rgb8"), range(20)),
    Good(
        "tags-not-in-utf-8.webm",
        lambda path: _replace(_numbered_file(20)(path), b"Lavf", b"Lav\xe9"),
        range(20),
    ),
    Good("12:30 %d.webm", _numbered_file(20), range(20)),
)

BAD = (
    Bad("empty.webm", lambda path: _write(path, b""), "empty file"),
    Bad("text.mp4", lambda path: _write(path, b"<html>404 Not Found</html>\n" * 50), "not a video"),
    Bad("zeros.webm", lambda path: _write(path, bytes(5000)), "not a video"),
    Bad("sound.webm", sound_only, "no video stream"),
    Bad("sound-with-cover.mp4", lambda path: sound_only(path, cover=True), "no video stream"),
    Bad(
        "cut.mp4",
        lambda path: cut(encode(path, textured_pictures(), codec="libx264"), 0.8),
        "truncated: the index of the file is missing",
    ),
    Bad(
        "header-only.webm",
        lambda path: cut(encode(path, textured_pictures()), 0.03),
        "no frame could be decoded",
    ),
    Bad(
        "unknown-codec.mp4",
        lambda path: _replace(_numbered_file(20, codec="libx264")(path), b"avc1", b"zzzz"),
        "codec not supported by this build of FFmpeg",
    ),
)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _replace(path: Path, old: bytes, new: bytes) -> Path:
    return _write(path, path.read_bytes().replace(old, new))
