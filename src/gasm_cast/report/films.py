"""Film strips: the frames of a clip side by side in one picture, which the page plays.

A strip holds the frames that a model sees, whatever the video's codec; its size is
bounded however long the video is; and heat maps can be laid over it frame by frame.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from gasm_cast.annotations import read_annotations
from gasm_cast.errors import InputError
from gasm_cast.video import Sampling, VideoError, sample_clip

FRAME_PX = 192
_MAX_WIDTH_PX = 16_383  # of a WebP picture
_STILL_PX = 128
_FILM_QUALITY = 72
_PICTURE_QUALITY = 85  # thin lines and letters
_STILL_QUALITY = 82

Frame = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class FilmStrip:
    """Frames of one clip, left to right, and the shape of one of them."""

    data_uri: str
    num_frames: int
    width_px: int
    height_px: int
    still_uri: str
    """Four of the frames, or four and the same under attention, for a page on paper."""
    overlay_uri: str | None = None
    """The same frames under what the model attends to."""

    @classmethod
    def of_frames(cls, frames: UInt8[np.ndarray, "frames height width 3"]) -> FilmStrip:
        """Encode RGB frames."""
        num_frames, height, width, _ = frames.shape
        largest = _MAX_WIDTH_PX // num_frames
        if width > largest:
            height, width = round(height * largest / width), largest
            frames = np.stack(
                [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
            )
        strip = np.concatenate(list(frames), axis=1)
        first, second, third, fourth = _four(list(frames))
        still = _still([[first, second], [third, fourth]])
        return cls(_webp(strip, _FILM_QUALITY), num_frames, width, height, still)

    @classmethod
    def of_animation(cls, path: Path) -> FilmStrip:
        """Encode the frames of a GIF, so that it can be stopped and moved by hand."""
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return cls.of_frames(np.stack(frames))

    @classmethod
    def of_explanation(cls, folder: Path) -> FilmStrip | None:
        """The strips that `gasm-cast explain` wrote; None if its model has no attention over frames."""
        plain, attention = folder / "frames.webp", folder / "attention.webp"
        if not (plain.exists() and attention.exists()):
            return None
        pixels = _read(plain)
        size, width = pixels.shape[:2]  # frames of an explanation are square
        num_frames = width // size
        rows = [_four(np.split(strip, num_frames, axis=1)) for strip in (pixels, _read(attention))]
        return cls(
            _uri(plain.read_bytes(), "webp"),
            num_frames,
            size,
            size,
            _still(rows),
            _uri(attention.read_bytes(), "webp"),
        )


def picture(path: Path) -> str:
    """A picture file as the address of its own content, smaller than the file."""
    return _webp(_read(path), _PICTURE_QUALITY)


def _read(path: Path) -> Frame:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{path} is not a picture; explain the clip again")
    return np.asarray(pixels[..., ::-1])


def _four(frames: Sequence[Frame]) -> list[Frame]:
    """The middle frames of the four quarters."""
    return [frames[(2 * quarter + 1) * len(frames) // 8] for quarter in range(4)]


def _still(rows: Sequence[Sequence[Frame]]) -> str:
    # JPEG: a browser puts it into a PDF as it is, and other pictures without any compression of theirs.
    height, width, _ = rows[0][0].shape
    size = (max(1, round(width * _STILL_PX / height)), _STILL_PX)
    lines = [
        np.concatenate([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in row], axis=1)
        for row in rows
    ]
    pixels = np.concatenate(lines, axis=0)
    _, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _STILL_QUALITY])
    return _uri(encoded.tobytes(), "jpeg")


def _webp(pixels: Frame, quality: int) -> str:
    _, encoded = cv2.imencode(".webp", pixels[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    return _uri(encoded.tobytes(), "webp")


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def film_strips(annotations: Path, split: str, ids: Iterable[str]) -> dict[str, FilmStrip]:
    """Strips of those clips whose videos are at hand.

    A report can be made where the data set is not: then there is nothing to show, and a
    clip without a strip says so on the page.
    """
    try:
        table = read_annotations(annotations, split)
    except InputError:
        return {}
    paths = dict(zip(table.ids, table.paths, strict=True))
    strips = {}
    for clip in dict.fromkeys(ids):
        path = paths.get(clip)
        if path is None:
            continue
        try:
            strips[clip] = FilmStrip.of_frames(sample_clip(path, Sampling(size_px=FRAME_PX)).frames)
        except VideoError:
            continue
    return strips
