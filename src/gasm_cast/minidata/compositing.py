"""Laying pictures into a frame: pasting with alpha, shadows and the smear of fast motion."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8

Frame = Float32[np.ndarray, "rows cols 3"]
Affine = Float[np.ndarray, "2 3"]


def _warped(
    picture: Shaped[np.ndarray, "rows cols *channels"], placement: Affine, size: tuple[int, int]
) -> tuple[np.ndarray, slice, slice] | None:
    """The picture in its place, cut to where it meets a frame of the given size; None if nowhere."""
    rows, cols = picture.shape[:2]
    corners = placement @ np.array([[0, cols, 0, cols], [0, 0, rows, rows], [1, 1, 1, 1]], float)
    left, top = np.maximum(np.floor(corners.min(1)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(corners.max(1)).astype(int) + 1, (size[1], size[0]))
    if left >= right or top >= bottom:
        return None
    # OpenCV puts pixel centres on whole numbers, placements put them on halves.
    shift = placement.copy()
    shift[:, 2] += placement[:, :2] @ [0.5, 0.5] - [left + 0.5, top + 0.5]
    warped = cv2.warpAffine(picture, shift, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR)
    return warped, slice(top, bottom), slice(left, right)


def paste(
    frame: Frame, picture: UInt8[np.ndarray, "r c 4"], placement: Affine, smear: tuple[float, float]
) -> None:
    """Lay a picture with alpha into the frame.

    Args:
        frame: Changed in place; values 0 to 255.
        picture: RGB times alpha, and alpha.
        placement: From the picture's pixels to the frame's.
        smear: How far it moves while the shutter is open, px.
    """
    found = _warped(picture, placement, frame.shape[:2])
    if found is None:
        return
    warped, rows, cols = found
    layer = smeared(warped, smear).astype(np.float32)
    region = frame[rows, cols]
    region *= 1 - layer[..., 3:] / np.float32(255)
    region += layer[..., :3]


def smeared(
    picture: UInt8[np.ndarray, "r c channels"], way: tuple[float, float]
) -> UInt8[np.ndarray, "r c channels"]:
    """The mean of a picture along a short straight way; shorter than 2 px it stays as it is."""
    if np.hypot(*way) < 2:
        return picture
    half = int(np.ceil(max(abs(way[0]), abs(way[1])) / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    start = (round(half - way[0] / 2), round(half - way[1] / 2))
    end = (round(half + way[0] / 2), round(half + way[1] / 2))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def darken(frame: Frame, mask: UInt8[np.ndarray, "r c"], placement: Affine, strength: float) -> None:
    """Darken the frame under a soft mask by up to `strength`."""
    found = _warped(mask, placement, frame.shape[:2])
    if found is None:
        return
    warped, rows, cols = found
    frame[rows, cols] *= 1 - np.float32(strength / 255) * warped[..., None].astype(np.float32)


def soft_mask(alpha: UInt8[np.ndarray, "rows cols"], blur_px: float) -> tuple[UInt8[np.ndarray, "r c"], int]:
    """A blurred outline with room for its blur; also that room's width."""
    room = int(3 * blur_px) + 1
    padded = cv2.copyMakeBorder(alpha, room, room, room, room, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.GaussianBlur(padded, (0, 0), blur_px), np.uint8), room
