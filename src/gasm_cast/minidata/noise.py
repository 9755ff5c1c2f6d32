"""Random fields: the raw material of textures, materials and light."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_VOLUME_SIDE = 64


def smooth_field(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[float | int, float | int]
) -> Float32[np.ndarray, "rows cols"]:
    """Smooth noise in about [-1, 1] with the given number of bumps down and across."""
    rows, cols = (max(2, round(count)) + 3 for count in cells)
    grid = rng.uniform(-1, 1, (rows, cols)).astype(np.float32)
    field = cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field, np.float32)


def layered_field(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[float | int, float | int], octaves: int
) -> Float32[np.ndarray, "rows cols"]:
    """Smooth noise at several scales, each twice as fine and half as strong as the one before."""
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        fine = 2**octave
        total += smooth_field(rng, size, (cells[0] * fine, cells[1] * fine)) / fine
    return total


def grain(
    rng: np.random.Generator, size: tuple[int, int], strength: float
) -> Float32[np.ndarray, "rows cols"]:
    """White noise, softened to about a pixel and a half."""
    field = rng.standard_normal(size, dtype=np.float32) * np.float32(strength)
    return np.asarray(cv2.GaussianBlur(field, (3, 3), 0), np.float32)


@lru_cache(maxsize=1)
def _volume() -> Float32[np.ndarray, "side side side"]:
    """One periodic smooth volume of noise that all solid textures read from."""
    rng = np.random.default_rng(20180601)
    total = np.zeros((_VOLUME_SIDE,) * 3, np.float32)
    for cells, weight in ((8, 1.0), (16, 0.5), (32, 0.25)):
        coarse = rng.uniform(-1, 1, (cells,) * 3).astype(np.float32)
        fine = coarse
        for axis in range(3):
            fine = _upsample_periodic(fine, axis, _VOLUME_SIDE)
        total += np.float32(weight) * fine
    return np.asarray(total / np.abs(total).max())


def _upsample_periodic(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    position = np.arange(length) * values.shape[axis] / length
    low = np.floor(position).astype(int)
    share = position - low
    share = (share * share * (3 - 2 * share)).astype(np.float32)
    shape = [1, 1, 1]
    shape[axis] = length
    first = np.take(values, low % values.shape[axis], axis=axis)
    second = np.take(values, (low + 1) % values.shape[axis], axis=axis)
    weight = share.reshape(shape)
    return np.asarray(first * (1 - weight) + second * weight)


def solid_noise(
    position: Float32[np.ndarray, "3 points"], cells_per_m: Sequence[float | int] | float, offset: float = 0.0
) -> Float32[np.ndarray, " points"]:
    """Smooth noise in [-1, 1] at points in space; `cells_per_m` may differ along x, y, z."""
    per_m = np.broadcast_to(np.asarray(cells_per_m, np.float32), (3,))[:, None]
    # The volume has bumps about 8 samples wide.
    index = np.floor(position * (per_m * 8) + np.float32(offset * 17.3)).astype(np.int64)
    x, y, z = index % _VOLUME_SIDE
    return np.asarray(_volume()[x, y, z], np.float32)


def to_bytes(picture: Float32[np.ndarray, "rows cols 3"]) -> UInt8[np.ndarray, "rows cols 3"]:
    """A picture in [0, 1] as bytes."""
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)
