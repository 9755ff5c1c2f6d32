"""From a decoded frame to square uint8 RGB: turn, resize, crop, in one way for all commands.

The resize is antialiased bilinear (a triangle filter as wide as the reduction, as in
Pillow and torchvision), done by FFmpeg's scaler together with the colour conversion. Two
of its defaults are not used: without full chroma interpolation white comes out as 253,
and with automatic threads it starts a pool of threads for each frame.

Colour follows the stream's tags (BT.601 where they are silent, as in FFmpeg); limited and
full range and any bit depth end in 0..255. High dynamic range is not tone-mapped, and
pixels are taken as square.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from jaxtyping import UInt8

from gasm_cast.video.sampling import Crop

RESIZE_RULE = "antialiased bilinear, short side to size, crop; swscale, exact rounding, full chroma"
"""Goes into the manifest of whatever is computed from the frames."""

_FILTER = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT  # the same pixels on every processor
)


@dataclass(frozen=True)
class Orientation:
    """How a decoded picture is turned and mirrored to stand as a viewer sees it."""

    transposed: bool = False
    """Rows become columns, before the flips."""
    upside_down: bool = False
    mirrored: bool = False

    def apply(self, image: UInt8[np.ndarray, "rows cols 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
        """`image` upright, as a view."""
        if self.transposed:
            image = image.swapaxes(0, 1)
        return image[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]


def orientation(frame: VideoFrame) -> Orientation:
    """Orientation by the frame's display matrix M, which maps a pixel (x, y) to (x, y) M.

    To the nearest quarter turn. The matrix is read as a whole rather than as an angle,
    since some recorders mirror.
    """
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return Orientation()
    (a, b, _), (c, d, _), _ = np.frombuffer(side_data, np.int32).reshape(3, 3).tolist()  # type: ignore[call-overload]
    if abs(b) > abs(a):
        return Orientation(transposed=True, upside_down=b < 0, mirrored=c < 0)
    return Orientation(upside_down=d < 0, mirrored=a < 0)


class PixelReader:
    """Turns frames of one video into squares of one size; keeps the scalers' set-up between frames."""

    def __init__(self, size_px: int) -> None:
        self._size_px = size_px
        self._whole = VideoReformatter()
        self._squashed = VideoReformatter()

    def read(self, frame: VideoFrame, crops: Iterable[Crop]) -> dict[Crop, UInt8[np.ndarray, "size size 3"]]:
        """The squares of `frame` that `crops` name; cuts share one resize."""
        size = self._size_px
        squares: dict[Crop, np.ndarray] = {}
        whole: np.ndarray | None = None
        for crop in crops:
            if crop == "squash":
                squares[crop] = orientation(frame).apply(_resize(self._squashed, frame, size, size)).copy()
                continue
            if whole is None:
                short = min(frame.width, frame.height)
                width = max(size, round(frame.width * size / short))
                height = max(size, round(frame.height * size / short))
                whole = orientation(frame).apply(_resize(self._whole, frame, width, height))
            squares[crop] = _cut(whole, size, crop).copy()
        return squares


def _resize(scaler: VideoReformatter, frame: VideoFrame, width: int, height: int) -> np.ndarray:
    # Planar output costs half of packed, for the same numbers.
    planar = scaler.reformat(
        frame,
        width=width,
        height=height,
        format="gbrp",
        interpolation=_FILTER,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    image = np.empty((height, width, 3), np.uint8)
    for channel, plane in zip((1, 2, 0), planar.planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)  # type: ignore[call-overload]
        image[..., channel] = rows[:, :width]
    return image


def _cut(image: np.ndarray, size: int, crop: Crop) -> np.ndarray:
    rows, cols = image.shape[0] - size, image.shape[1] - size
    match crop:
        case "left":
            top, left = 0, 0
        case "right":
            top, left = rows, cols
        case _:
            top, left = rows // 2, cols // 2
    return image[top : top + size, left : left + size]
