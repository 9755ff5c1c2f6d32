"""What objects are made of: colour at a point of a solid, and light on its surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from gasm_cast.minidata.noise import solid_noise

Rgb = Float32[np.ndarray, " 3"]
Points = Float32[np.ndarray, "3 points"]
Colours = Float32[np.ndarray, "points 3"]
Pattern = Callable[[Points], Colours]

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.74, 0.13, 0.12),
    "orange": (0.88, 0.45, 0.11),
    "yellow": (0.9, 0.77, 0.2),
    "green": (0.22, 0.52, 0.22),
    "teal": (0.12, 0.5, 0.5),
    "blue": (0.15, 0.3, 0.66),
    "purple": (0.42, 0.22, 0.55),
    "pink": (0.86, 0.48, 0.6),
    "white": (0.88, 0.88, 0.86),
    "grey": (0.5, 0.5, 0.51),
    "black": (0.1, 0.1, 0.11),
    "brown": (0.42, 0.26, 0.15),
}
"""Colours of things, by the words that the placeholders use."""


@dataclass(frozen=True)
class Material:
    """Colour and gloss of a solid.

    Attributes:
        pattern: Colour at a point of the solid, in [0, 1].
        gloss: Strength of the highlight.
        sharpness: Exponent of the highlight.
    """

    pattern: Pattern
    gloss: float
    sharpness: float


@dataclass(frozen=True)
class Light:
    """One soft lamp and the light of the room.

    Attributes:
        direction: Unit vector towards the lamp.
        strength: Of the lamp; the room gives the rest.
        tint: Colour of the light.
    """

    direction: Float32[np.ndarray, " 3"]
    strength: float
    tint: Float32[np.ndarray, " 3"]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Light:
        """A lamp above and to one side, warm or cold."""
        azimuth = rng.uniform(-np.pi, np.pi)
        tilt = np.radians(rng.uniform(22, 50))
        direction = np.array([np.sin(tilt) * np.sin(azimuth), -np.sin(tilt) * np.cos(azimuth), np.cos(tilt)])
        warmth = rng.normal(0, 0.03)
        tint = np.array([1 + warmth, 1 + 0.2 * rng.normal(0, 0.03), 1 - warmth])
        return cls(direction.astype(np.float32), float(rng.uniform(0.4, 0.72)), tint.astype(np.float32))

    def shade(self, normal: Points) -> Float32[np.ndarray, " points"]:
        """How bright a matt white surface is: lamp, sky above and bounce from the table below."""
        lamp = np.maximum(self.direction @ normal, 0)
        wrap = np.maximum((self.direction @ normal + 0.4) / 1.4, 0)
        room = 0.62 + 0.26 * normal[2] - 0.12 * normal[1]
        return np.asarray(
            self.strength * (0.65 * lamp + 0.35 * wrap) + (1.08 - self.strength) * room, np.float32
        )


def plain(rgb: Rgb) -> Pattern:
    """One colour with a faint unevenness."""

    def pattern(p: Points) -> Colours:
        return rgb * (1 + 0.05 * solid_noise(p, 35.0))[:, None]

    return pattern


def stripes(first: Rgb, second: Rgb, per_m: float, axis: int, share: float = 0.5) -> Pattern:
    """Bands across an axis."""

    def pattern(p: Points) -> Colours:
        inside = np.mod(p[axis] * np.float32(per_m), 1) < share
        return np.where(inside[:, None], second, first)

    return pattern


def band(first: Rgb, second: Rgb, low: float, high: float) -> Pattern:
    """A label around the middle, with marks like print on it."""
    ink = (0.25 * second + 0.1).astype(np.float32)

    def pattern(p: Points) -> Colours:
        height = p[2]
        label = (height > low) & (height < high)
        angle = np.arctan2(p[0], -p[1])
        line = np.mod((height - low) / np.float32(high - low) * 5, 1) < 0.42
        words = solid_noise(np.stack([angle * np.float32(0.1), height * 0, height]), (90, 1, 260), 3.0)
        printed = label & line & (words > 0.02) & (np.abs(angle) < 1.9)
        picked = np.where(label[:, None], second, first)
        return np.where(printed[:, None], ink, picked)

    return pattern


def checks(first: Rgb, second: Rgb, per_m: float) -> Pattern:
    """A chequered solid."""

    def pattern(p: Points) -> Colours:
        cell = np.floor(p * np.float32(per_m) + np.float32(0.37)).astype(np.int64).sum(0)
        return np.where((cell % 2 == 0)[:, None], second, first)

    return pattern


def dots(first: Rgb, second: Rgb, per_m: float, radius: float = 0.33) -> Pattern:
    """Dots in a lattice through the solid."""

    def pattern(p: Points) -> Colours:
        q = np.mod(p * np.float32(per_m) + np.float32(0.25), 1) - np.float32(0.5)
        inside = (q * q).sum(0) < radius**2
        return np.where(inside[:, None], second, first)

    return pattern


def patches(first: Rgb, second: Rgb, per_m: float, level: float = 0.0) -> Pattern:
    """Irregular patches."""

    def pattern(p: Points) -> Colours:
        return np.where((solid_noise(p, per_m, 1.0) > level)[:, None], second, first)

    return pattern


def speckled(first: Rgb, per_m: float, strength: float) -> Pattern:
    """Fine mottling, as on fruit, stone and cardboard."""

    def pattern(p: Points) -> Colours:
        fine = strength * solid_noise(p, per_m, 2.0) + 0.5 * strength * solid_noise(p, per_m / 5, 5.0)
        return first * (1 + fine)[:, None]

    return pattern


def wooden(first: Rgb) -> Pattern:
    """Wood with rings along x."""

    def pattern(p: Points) -> Colours:
        rings = np.sin(np.hypot(p[1] + np.float32(0.03), p[2]) * 600 + 4 * solid_noise(p, (6, 30, 30)))
        return np.asarray(first * (1 + 0.13 * rings + 0.08 * solid_noise(p, (20, 220, 220)))[:, None])

    return pattern


def gores(first: Rgb, second: Rgb, count: int, centre_z: float) -> Pattern:
    """Segments around the axis that lies across the way a ball rolls."""

    def pattern(p: Points) -> Colours:
        angle = np.arctan2(p[2] - np.float32(centre_z), p[0]) / np.float32(2 * np.pi) * count
        return np.where((np.mod(angle, 1) < 0.5)[:, None], second, first)

    return pattern


def parted(rest: Pattern, *parts: tuple[Callable[[Points], Bool[np.ndarray, " points"]], Pattern]) -> Pattern:
    """Other patterns where their conditions hold; of several the first counts."""

    def pattern(p: Points) -> Colours:
        colours = np.array(rest(p), np.float32)
        for condition, part in reversed(parts):
            where = condition(p)
            if where.any():
                colours[where] = part(p[:, where])
        return colours

    return pattern
