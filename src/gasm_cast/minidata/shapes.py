"""Solids as signed distances, and the tracer that turns them into picture elements.

A signed distance is a function of points `[3, n]` (x right, y away, z up, in metres, the
solid standing on z = 0) that is negative inside. Solids are traced once a clip by an
orthographic camera at the scene's pitch; what is kept of each pixel is where on the solid
it lies and which way the surface faces, so that colour, light and the turning of a rolling
ball can be computed later without tracing again.

Source: sphere tracing, Hart 1996; primitives and smooth union as in common use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

Points = Float32[np.ndarray, "3 points"]
Values = Float32[np.ndarray, " points"]
Numbers = Sequence[float | int] | Float[np.ndarray, " numbers"]
Distance = Callable[[Points], Values]

_MAX_STEPS = 48
_HIT_M = 4e-4


def ellipsoid(radii: Sequence[float | int], centre: Sequence[float | int]) -> Distance:
    """Ellipsoid; the distance is exact for a sphere and a good bound otherwise."""
    r, c = _column(radii), _column(centre)

    def distance(p: Points) -> Values:
        q = (p - c) / r
        k0 = np.sqrt((q * q).sum(0))
        q /= r
        k1 = np.sqrt((q * q).sum(0))
        return np.asarray(k0 * (k0 - 1) / np.maximum(k1, 1e-6))

    return distance


def box(half: Sequence[float | int], centre: Sequence[float | int], rounding: float = 0.002) -> Distance:
    """Box with rounded edges."""
    h, c = _column(half) - np.float32(rounding), _column(centre)

    def distance(p: Points) -> Values:
        q = np.abs(p - c) - h
        outside = np.maximum(q, 0)
        return np.asarray(
            np.sqrt((outside * outside).sum(0)) + np.minimum(q.max(0), 0) - np.float32(rounding)
        )

    return distance


def revolved(heights: Numbers, radii: Numbers) -> Distance:
    """Solid of revolution around z, from its radius at given heights; flat at both ends."""
    z_knots, r_knots = np.asarray(heights, np.float64), np.asarray(radii, np.float64)
    fine = np.linspace(z_knots[0], z_knots[-1], 256)
    table = _smooth_profile(z_knots, r_knots, fine)
    slope = np.abs(np.diff(table)) / (fine[1] - fine[0])
    shrink = np.float32(1 / np.sqrt(1 + min(float(slope.max()), 3.0) ** 2))
    low, high = np.float32(z_knots[0]), np.float32(z_knots[-1])
    per_m = np.float32(255 / (high - low))

    def distance(p: Points) -> Values:
        index = np.clip((p[2] - low) * per_m, 0, 255).astype(np.int32)
        side = np.sqrt(p[0] * p[0] + p[1] * p[1]) - table[index]
        return np.asarray(np.maximum(side * shrink, np.maximum(p[2] - high, low - p[2])))

    return distance


def _smooth_profile(z: np.ndarray, r: np.ndarray, at: np.ndarray) -> Float32[np.ndarray, " at"]:
    """Radius at `at`: linear between the knots, corners rounded by a short running mean."""
    values = np.interp(at, z, r)
    padded = np.pad(values, 6, mode="edge")
    return np.convolve(padded, np.ones(13) / 13, mode="valid").astype(np.float32)


def capsule(
    start: Sequence[float | int], end: Sequence[float | int], start_radius: float, end_radius: float
) -> Distance:
    """Rod with round ends and a radius that changes evenly."""
    a, d = _column(start), _column(end) - _column(start)
    length2 = float((d * d).sum())

    def distance(p: Points) -> Values:
        q = p - a
        t = np.clip((q * d).sum(0) / np.float32(length2), 0, 1)
        q -= d * t
        radius = np.float32(start_radius) + np.float32(end_radius - start_radius) * t
        return np.asarray(np.sqrt((q * q).sum(0)) - radius)

    return distance


def torus(centre: Sequence[float | int], ring_radius: float, tube_radius: float, axis: int) -> Distance:
    """Ring around the given axis."""
    c = _column(centre)
    others = [i for i in range(3) if i != axis]

    def distance(p: Points) -> Values:
        q = p - c
        around = np.hypot(q[others[0]], q[others[1]]) - np.float32(ring_radius)
        return np.asarray(np.hypot(around, q[axis]) - np.float32(tube_radius))

    return distance


def union(*parts: Distance) -> Distance:
    """All parts together."""
    return lambda p: np.minimum.reduce([part(p) for part in parts])


def smooth_union(blend_m: float, *parts: Distance) -> Distance:
    """All parts together, with seams rounded over `blend_m`."""
    k = np.float32(blend_m)

    def distance(p: Points) -> Values:
        total = parts[0](p)
        for part in parts[1:]:
            other = part(p)
            overlap = np.maximum(k - np.abs(total - other), 0)
            total = np.minimum(total, other) - overlap * overlap / (4 * k)
        return total

    return distance


def minus(solid: Distance, hole: Distance) -> Distance:
    """The first without the second."""
    return lambda p: np.maximum(solid(p), -hole(p))


def turned(solid: Distance, rotation: Float32[np.ndarray, "3 3"], centre: Sequence[float | int]) -> Distance:
    """The solid rotated about a point."""
    c, inverse = _column(centre), np.ascontiguousarray(rotation.T, np.float32)
    return lambda p: solid(inverse @ (p - c) + c)


def rotation_z(angle_rad: float) -> Float32[np.ndarray, "3 3"]:
    """Rotation about the vertical."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)


def rotation_x(angle_rad: float) -> Float32[np.ndarray, "3 3"]:
    """Rotation about the axis to the right; positive turns what is up towards the camera."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)


@dataclass(frozen=True)
class Surface:
    """What an orthographic camera sees of a solid.

    Attributes:
        size: Height and width of the picture, px.
        index: Flat pixel index of each pixel that the solid covers.
        position: Where on the solid each of them lies, in the solid's own frame, m.
        normal: Which way the surface faces there, in the world's frame.
        anchor: Column and row of the solid's origin (the middle of its base).
        px_per_m: Scale.
    """

    size: tuple[int, int]
    index: Int[np.ndarray, " pixels"]
    position: Float32[np.ndarray, "3 pixels"]
    normal: Float32[np.ndarray, "3 pixels"]
    anchor: tuple[float, float]
    px_per_m: float


def trace(
    solid: Distance,
    half_extent: Sequence[float | int],
    *,
    pitch_rad: float,
    rotation: Float32[np.ndarray, "3 3"],
    pivot_z: float = 0.0,
    px_per_m: float,
) -> Surface:
    """Look at a solid from `pitch_rad` above the horizontal.

    Args:
        solid: Signed distance.
        half_extent: Half width and half depth, and the full height of a box that holds it.
        pitch_rad: How far the camera looks down.
        rotation: Turns the solid about (0, 0, pivot_z).
        pivot_z: Height of the point it turns about.
        px_per_m: Scale of the picture.
    """
    forward = np.array([0, np.cos(pitch_rad), -np.sin(pitch_rad)], np.float32)
    up = np.array([0, np.sin(pitch_rad), np.cos(pitch_rad)], np.float32)
    pivot = np.array([0, 0, pivot_z], np.float32)
    corners = np.array(
        [
            (x, y, z)
            for x in (-half_extent[0], half_extent[0])
            for y in (-half_extent[1], half_extent[1])
            for z in (0, half_extent[2])
        ],
        np.float32,
    )
    placed = (corners - pivot) @ rotation.T + pivot
    right, rise = placed[:, 0], placed @ up
    margin = 2 / px_per_m
    left, bottom = right.min() - margin, rise.min() - margin
    cols = int(np.ceil((right.max() + margin - left) * px_per_m))
    rows = int(np.ceil((rise.max() + margin - bottom) * px_per_m))
    a = (left + (np.arange(cols, dtype=np.float32) + 0.5) / px_per_m).astype(np.float32)
    b = (bottom + (rows - 0.5 - np.arange(rows, dtype=np.float32)) / px_per_m).astype(np.float32)

    depth = placed @ forward
    near, far = np.float32(depth.min() - 0.002), np.float32(depth.max() + 0.002)
    origin = np.empty((3, rows, cols), np.float32)
    origin[0] = a
    origin[1] = (b * up[1])[:, None] + near * forward[1]
    origin[2] = (b * up[2])[:, None] + near * forward[2]
    inverse = rotation.T.astype(np.float32)
    start = inverse @ (origin.reshape(3, -1) - pivot[:, None]) + pivot[:, None]
    direction = (inverse @ forward)[:, None]

    index, travelled = _march(solid, start, direction, far - near)
    position = start[:, index] + direction * travelled
    normal = rotation.astype(np.float32) @ _gradient(solid, position)
    anchor = (-left * px_per_m, rows + bottom * px_per_m)
    return Surface((rows, cols), index, position, normal, (float(anchor[0]), float(anchor[1])), px_per_m)


def _march(
    solid: Distance, start: Points, direction: Float32[np.ndarray, "3 1"], reach: np.float32
) -> tuple[Int[np.ndarray, " pixels"], Float32[np.ndarray, " pixels"]]:
    """Pixels whose ray meets the solid, and how far along."""
    alive = np.arange(start.shape[1])
    travelled = np.zeros(start.shape[1], np.float32)
    hit = np.zeros(start.shape[1], bool)
    for _ in range(_MAX_STEPS):
        along = travelled[alive]
        step = solid(start[:, alive] + direction * along)
        along += np.maximum(step, _HIT_M / 2)
        travelled[alive] = along
        touches = step < _HIT_M
        hit[alive[touches]] = True
        alive = alive[~touches & (along < reach)]
        if not alive.size:
            break
    index = np.flatnonzero(hit)
    return index, travelled[index]


_TETRAHEDRON = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)


def _gradient(solid: Distance, position: Points) -> Points:
    """Unit normal, from four samples around each point."""
    total = np.zeros_like(position)
    for corner in _TETRAHEDRON:
        total += corner[:, None] * solid(position + corner[:, None] * np.float32(8e-4))
    return np.asarray(total / np.maximum(np.sqrt((total * total).sum(0)), 1e-9))


def _column(values: Sequence[float | int]) -> Float32[np.ndarray, "3 1"]:
    return np.asarray(values, np.float32)[:, None]
