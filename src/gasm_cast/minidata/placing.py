"""Where pictures go: affine maps from a sprite's pixels to those of a frame."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from gasm_cast.minidata.camera import Camera
from gasm_cast.minidata.materials import Light
from gasm_cast.minidata.sprites import Sprite

Affine = Float[np.ndarray, "2 3"]
Point = Float[np.ndarray, " 3"]

_SHUTTER = 0.45
"""Share of the time between frames that the shutter is open."""
_LONGEST_SMEAR_PX = 24
BLOB_PX = 64
"""Side of the picture of a contact shadow."""


def stand(
    sprite: Sprite,
    camera: Camera,
    place: Point,
    *,
    lean: float = 0.0,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Affine:
    """Put a sprite's anchor at a point of the world.

    It is stretched, then turned clockwise by `lean` about its centre, and the whole turned
    against the camera's own lean.
    """
    u, v, depth = camera.project(place)
    size = np.diag(stretch) * (camera.focal_px / depth / sprite.px_per_m)
    anchor, centre = np.array(sprite.anchor), np.array(sprite.centre)
    turn = _turn(lean) @ size
    level = _turn(-camera.roll)
    offset = np.array([u, v]) + level @ (size @ (centre - anchor) - turn @ centre)
    return np.concatenate([level @ turn, offset[:, None]], axis=1)


def _turn(angle: float) -> Float[np.ndarray, "2 2"]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def thrown(point: Point, light: Light) -> Point:
    """Where on the table the shadow of a point falls."""
    return np.append(point[:2] - light.direction[:2] / light.direction[2] * point[2], 0.0)


def throw_shadow(sprite: Sprite, camera: Camera, place: Point, light: Light, pitch_rad: float) -> Affine:
    """Put a sprite's shadow on the table: each pixel is thrown along the light by its height.

    The sprite stands in for how the lamp sees the thing, so its width lies across the light.
    """
    unit_m = 0.1
    throw = np.append(-light.direction[:2] / light.direction[2], 0.0)
    base, along = thrown(place, light), throw * unit_m
    across = np.array([abs(throw[1]), -throw[0] * np.sign(throw[1]), 0.0])
    right = across * (unit_m / np.hypot(across[0], across[1]))
    step = unit_m * sprite.px_per_m
    ax, ay = sprite.anchor
    source = np.array([[ax, ay], [ax + step, ay], [ax, ay - step * np.cos(pitch_rad)]])
    return _through(source, camera, base, base + right, base + along)


def lay_blob(
    camera: Camera, place: Point, ground: float, extent: tuple[float, float, float], widening: float
) -> Affine:
    """Put the picture of a contact shadow under a thing, wider than it by a factor."""
    centre = np.array([place[0], place[1], ground])
    right = np.array([extent[0] * widening, 0.0, 0.0])
    behind = np.array([0.0, extent[1] * widening, 0.0])
    half = BLOB_PX / 2
    source = np.array([[half, half], [BLOB_PX, half], [half, 0.0]])
    return _through(source, camera, centre, centre + right, centre + behind)


def _through(source: Float[np.ndarray, "3 2"], camera: Camera, *points: Point) -> Affine:
    """The affine map that takes three pixels to three points of the world."""
    goal = np.array([camera.project(point)[:2] for point in points])
    return np.asarray(cv2.getAffineTransform(source.astype(np.float32), goal.astype(np.float32)), float)


def smear(
    camera: Camera, before: Camera, path: Float[np.ndarray, "frames 3"], index: int
) -> tuple[float, float]:
    """How far a point moves on the picture while the shutter is open, px."""
    here, there = camera.project(path[index]), before.project(path[max(index - 1, 0)])
    moved = np.clip(_SHUTTER * (np.array(here[:2]) - there[:2]), -_LONGEST_SMEAR_PX, _LONGEST_SMEAR_PX)
    return float(moved[0]), float(moved[1])


def scaled(placement: Affine, factor: float, room_px: int) -> Affine:
    """The placement for a picture reduced by `factor` with `room_px` of margin around it."""
    step = np.array([[factor, 0, -factor * room_px], [0, factor, -factor * room_px], [0, 0, 1]])
    return np.asarray(placement @ step)
