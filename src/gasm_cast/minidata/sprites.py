"""Things made into pictures: traced once, coloured and lit, then pasted many times."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from gasm_cast.minidata.materials import Light, Material
from gasm_cast.minidata.shapes import Surface, rotation_x, rotation_z, trace
from gasm_cast.minidata.things import Thing

_SUPERSAMPLING = 2


@dataclass(frozen=True)
class Sprite:
    """A picture that stands in the scene, always facing the camera.

    Attributes:
        picture: RGB times alpha, and alpha.
        front: The near wall of a container, to be drawn over what lies in it; or None.
        anchor: Column and row of the point that `position` of a body means.
        centre: Column and row about which it rolls.
        px_per_m: Scale.
    """

    picture: UInt8[np.ndarray, "rows cols 4"]
    front: UInt8[np.ndarray, "rows cols 4"] | None
    anchor: tuple[float, float]
    centre: tuple[float, float]
    px_per_m: float


@dataclass(frozen=True)
class RollingSprite:
    """A traced solid whose colours turn as it rolls; its outline stays."""

    surface: Surface
    material: Material
    light: Light
    radius: float
    px_per_m: float

    def turned(self, angle_rad: float) -> Sprite:
        """The picture after rolling to the right by an angle."""
        p = self.surface.position
        c, s = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
        x, z = p[0], p[2] - np.float32(self.radius)
        back = np.stack([c * x - s * z, p[1], s * x + c * z + np.float32(self.radius)])
        colours = _lit(self.material.pattern(back), self.material, self.surface, self.light)
        return _sprite(self.surface, colours, None, self.px_per_m, self.radius)


def object_sprite(
    thing: Thing,
    light: Light,
    *,
    pitch_rad: float,
    yaw_rad: float,
    px_per_m: float,
    tilt_rad: float = 0.0,
) -> Sprite:
    """Picture of a thing.

    Args:
        thing: What to draw.
        light: How it is lit.
        pitch_rad: How far the camera looks down on it.
        yaw_rad: Turn about its own vertical.
        px_per_m: Scale of the result.
        tilt_rad: How far its top leans towards the camera.
    """
    surface = _traced(thing, pitch_rad, yaw_rad, px_per_m, tilt_rad)
    colours = _lit(thing.material.pattern(surface.position), thing.material, surface, light)
    front = None
    if thing.opening is not None:
        hollow = thing.opening.is_inside(surface.position)
        colours *= np.where(hollow, 0.5 + 0.4 * np.clip(surface.position[2] / thing.height, 0, 1), 1)[:, None]
        towards = rotation_z(yaw_rad) @ surface.position
        front = ~hollow & (towards[1] < 0.25 * towards[1].min())
    return _sprite(surface, colours, front, px_per_m, thing.height / 2)


def rolling_sprite(thing: Thing, light: Light, *, pitch_rad: float, px_per_m: float) -> RollingSprite:
    """A thing that will roll."""
    surface = _traced(thing, pitch_rad, 0.0, px_per_m, 0.0)
    return RollingSprite(surface, thing.material, light, thing.roll_radius, px_per_m)


def _traced(thing: Thing, pitch_rad: float, yaw_rad: float, px_per_m: float, tilt_rad: float) -> Surface:
    return trace(
        thing.solid,
        thing.extent,
        pitch_rad=pitch_rad,
        rotation=rotation_x(tilt_rad) @ rotation_z(yaw_rad),
        pivot_z=thing.height / 2 if tilt_rad else 0.0,
        px_per_m=px_per_m * _SUPERSAMPLING,
    )


def _lit(
    colours: Float32[np.ndarray, "pixels 3"], material: Material, surface: Surface, light: Light
) -> Float32[np.ndarray, "pixels 3"]:
    """Colours under the light, darker towards the table, with a highlight."""
    shade = light.shade(surface.normal)
    near_table = np.clip(surface.position[2] / np.float32(0.02), 0, 1)
    shade = shade * (0.72 + 0.28 * near_table)
    half = light.direction + np.array([0, -0.85, 0.5], np.float32)
    half /= np.linalg.norm(half)
    highlight = material.gloss * np.maximum(half @ surface.normal, 0) ** np.float32(material.sharpness)
    lit = colours * (shade[:, None] * light.tint) + (highlight * np.float32(light.strength))[:, None]
    return np.asarray(lit, np.float32)


def _sprite(
    surface: Surface,
    colours: Float32[np.ndarray, "pixels 3"],
    front: np.ndarray | None,
    px_per_m: float,
    half_height: float,
) -> Sprite:
    """Pixels of a surface as a picture of the wanted scale, its edges smoothed by the reduction."""
    rows, cols = surface.size
    scale = px_per_m / surface.px_per_m
    size = (max(1, round(cols * scale)), max(1, round(rows * scale)))
    sharp = np.zeros((rows * cols, 4), np.uint8)
    sharp[surface.index, :3] = np.clip(colours * 255, 0, 255)
    sharp[surface.index, 3] = 255
    front_picture = None
    if front is not None:
        near = np.zeros_like(sharp)
        near[surface.index[front]] = sharp[surface.index[front]]
        front_picture = _reduced(near.reshape(rows, cols, 4), size)
    anchor = (surface.anchor[0] * size[0] / cols, surface.anchor[1] * size[1] / rows)
    centre = (anchor[0], anchor[1] - half_height * px_per_m)
    picture = _reduced(sharp.reshape(rows, cols, 4), size)
    return Sprite(picture, front_picture, anchor, centre, px_per_m)


def cropped(
    picture: UInt8[np.ndarray, "rows cols 4"], anchor: tuple[float, float]
) -> tuple[UInt8[np.ndarray, "r c 4"], tuple[float, float]]:
    """The part of a picture that shows anything, and where the anchor lies in it."""
    left, top, width, height = cv2.boundingRect(picture[..., 3])
    part = np.ascontiguousarray(picture[top : top + height, left : left + width])
    return part, (anchor[0] - left, anchor[1] - top)


def _reduced(picture: UInt8[np.ndarray, "rows cols 4"], size: tuple[int, int]) -> UInt8[np.ndarray, "r c 4"]:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
