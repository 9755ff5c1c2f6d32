"""From a decoded frame to square uint8 RGB: turn, resize, crop, in one way for all commands.

The resize is antialiased bilinear (a triangle filter as wide as the reduction, as in
Pillow and torchvision), done by FFmpeg's scaler together with the colour conversion.
PyAV's usual conversion is not used: it starts a pool of threads for each frame, and its
packed output turns white into 253 unless full chroma interpolation is asked for.

Colour follows the stream's tags (BT.601 where they are silent, as in FFmpeg); limited and
full range and any bit depth end in 0..255. High dynamic range is not tone-mapped, and
pixels are taken as square.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from jaxtyping import UInt8

from gasm_cast.video.sampling import Crop

Square = UInt8[np.ndarray, "size size 3"]

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
    """Cuts squares of one size out of frames; keeps the scalers' set-up from frame to frame."""

    def __init__(self, size_px: int) -> None:
        self._size_px = size_px
        self._whole = VideoReformatter()
        self._squashed = VideoReformatter()

    def read(self, frame: VideoFrame, squares: Iterable[tuple[Crop, Square]]) -> None:
        """Write into each array the square of `frame` that its crop names; cuts share one resize."""
        size = self._size_px
        whole: list[np.ndarray] | None = None
        squashed: list[np.ndarray] | None = None
        for crop, square in squares:
            if crop == "squash":
                squashed = squashed or _resize(self._squashed, frame, size, size)
                cv2.merge(squashed, dst=square)
            else:
                whole = whole or _resize(self._whole, frame, *_short_side_to(size, frame.width, frame.height))
                cv2.merge([_cut(plane, size, crop) for plane in whole], dst=square)


def _short_side_to(size: int, width: int, height: int) -> tuple[int, int]:
    short = min(width, height)
    return max(size, round(width * size / short)), max(size, round(height * size / short))


def _resize(scaler: VideoReformatter, frame: VideoFrame, width: int, height: int) -> list[np.ndarray]:
    """Red, green and blue plane of the whole frame, upright. Planar costs half of packed here."""
    planar = scaler.reformat(
        frame,
        width=width,
        height=height,
        format="gbrp",
        interpolation=_FILTER,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    green, blue, red = (
        np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)[:, :width]  # type: ignore[call-overload]
        for plane in planar.planes
    )
    planes = [red, green, blue]
    upright = orientation(frame)
    if upright.transposed:
        planes = [plane.T for plane in planes]
    if upright.upside_down:
        planes = [plane[::-1] for plane in planes]
    if upright.mirrored:
        planes = [plane[:, ::-1] for plane in planes]
    return planes


def _cut(plane: np.ndarray, size: int, crop: Crop) -> np.ndarray:
    rows, cols = plane.shape[0] - size, plane.shape[1] - size
    match crop:
        case "left":
            top, left = 0, 0
        case "right":
            top, left = rows, cols
        case _:
            top, left = rows // 2, cols // 2
    return plane[top : top + size, left : left + size]
