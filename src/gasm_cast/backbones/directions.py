"""Histograms of directions over cells of a picture, for gradients and for optical flow alike."""

from __future__ import annotations

from functools import cache
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, Int, Shaped


def gradient(
    values: Shaped[np.ndarray, "height width"], *, scale: float = 1.0
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """Differences of the right and left, and of the lower and upper, neighbour of each pixel."""
    x = cv2.Sobel(values, cv2.CV_32F, 1, 0, ksize=1, scale=scale)
    return x, cv2.Sobel(values, cv2.CV_32F, 0, 1, ksize=1, scale=scale)


@cache
def cell_of_pixel(size_px: int, cell_px: int) -> Int[np.ndarray, "height width"]:
    """Index, row by row, of the square cell that each pixel of a square picture lies in."""
    rows = np.arange(size_px) // cell_px
    index: Int[np.ndarray, "height width"] = rows[:, None] * (size_px // cell_px) + rows
    return index


def mirrored_directions(
    num_directions: int, *, axis: Literal["x", "y"] = "x"
) -> Int[np.ndarray, " directions"]:
    """Direction that each direction becomes when vectors change their sign along an axis.

    It is its own inverse, so it also tells where each direction came from.
    """
    k = np.arange(num_directions)
    mirrored: Int[np.ndarray, " directions"] = (
        (num_directions // 2 if axis == "x" else 0) - k
    ) % num_directions
    return mirrored


def direction_histograms(
    x: Float32[np.ndarray, "size size"],
    y: Float32[np.ndarray, "size size"],
    *,
    cell_px: int,
    num_directions: int,
) -> Float32[np.ndarray, "rows cols directions"]:
    """Mean magnitude of the vectors (x, y) of each cell in each direction.

    Direction k is the angle 2 pi k / `num_directions` from the x axis towards the y axis
    (downwards). A vector is shared between the two nearest directions by its angle, so the
    bins of a cell sum to its mean magnitude.
    """
    size = len(x)
    side = size // cell_px
    magnitude, angle = cv2.cartToPolar(x, y)
    angle *= num_directions / (2 * np.pi)
    lower = angle.astype(np.intp)
    upper_share = magnitude * (angle - lower)
    # Rounding may make an angle the full turn, and its upper neighbour lies one further: two bins
    # more a cell, added to the first two at the end, spare a modulo of every pixel.
    num_bins = num_directions + 2
    bin_of_pixel = (cell_of_pixel(size, cell_px) * num_bins + lower).ravel()
    sums = np.bincount(bin_of_pixel, (magnitude - upper_share).ravel(), side * side * num_bins)
    sums[1:] += np.bincount(bin_of_pixel, upper_share.ravel(), side * side * num_bins)[:-1]
    means = (sums / cell_px**2).reshape(side, side, num_bins)
    means[..., :2] += means[..., num_directions:]
    return means[..., :num_directions].astype(np.float32)
