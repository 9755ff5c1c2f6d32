"""What a thing of the catalogue is, and what its makers share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from gasm_cast.minidata import materials
from gasm_cast.minidata.materials import COLOURS, Material, Pattern, Rgb
from gasm_cast.minidata.shapes import Distance


@dataclass(frozen=True)
class Opening:
    """The hollow of a container.

    Attributes:
        radius: How wide a thing may be to fit, m.
        floor: Height on which it comes to rest, m.
        is_inside: Tells the points of the solid that belong to the hollow's walls.
    """

    radius: float
    floor: float
    is_inside: Callable[[Float32[np.ndarray, "3 points"]], Bool[np.ndarray, " points"]]


@dataclass(frozen=True)
class Thing:
    """A solid with its looks and measures.

    Attributes:
        noun, colour: Its name, as "red mug".
        solid: Signed distance, standing on z = 0.
        extent: Half width, half depth and height of a box around it, m.
        material: Its looks.
        roll_radius: Radius of the circle on which it rolls sideways, or 0.
        opening: Its hollow, if it is a container.
        turns: Whether a turn about z changes its looks.
    """

    noun: str
    colour: str
    solid: Distance
    extent: tuple[float, float, float]
    material: Material
    roll_radius: float = 0.0
    opening: Opening | None = None
    turns: bool = True

    @property
    def name(self) -> str:
        """What a person would call it."""
        return f"{self.colour} {self.noun}" if self.colour else self.noun

    @property
    def half_width(self) -> float:
        """Half its width."""
        return self.extent[0]

    @property
    def height(self) -> float:
        """How tall it stands."""
        return self.extent[2]


def upside_down(thing: Thing) -> Thing:
    """The thing set down on its opening, so that it can cover others."""
    height = np.float32(thing.height)

    def flipped(p: Float32[np.ndarray, "3 points"]) -> Float32[np.ndarray, "3 points"]:
        return np.stack([p[0], p[1], height - p[2]])

    looks = dataclasses.replace(thing.material, pattern=lambda p: thing.material.pattern(flipped(p)))
    return dataclasses.replace(thing, solid=lambda p: thing.solid(flipped(p)), material=looks, opening=None)


def filled(container: Thing, content: Thing) -> Thing:
    """A container with a thing on its floor, as one solid, so that they turn together."""
    opening = container.opening
    if opening is None:
        raise ValueError(f"only a container can be filled, got {container.name}")
    floor = np.array([[0.0], [0.0], [opening.floor]], np.float32)

    def solid(p: Float32[np.ndarray, "3 points"]) -> Float32[np.ndarray, " points"]:
        return np.minimum(container.solid(p), content.solid(p - floor))

    def is_content(p: Float32[np.ndarray, "3 points"]) -> Bool[np.ndarray, " points"]:
        return np.asarray(content.solid(p - floor) < container.solid(p))

    pattern = materials.parted(
        container.material.pattern, (is_content, lambda p: content.material.pattern(p - floor))
    )
    x, y, z = container.extent
    extent = (x, y, max(z, opening.floor + content.height))
    looks = dataclasses.replace(container.material, pattern=pattern)
    return dataclasses.replace(container, solid=solid, material=looks, extent=extent)


def pick_colour(rng: np.random.Generator, *words: str) -> tuple[str, Rgb]:
    """A colour word (of all, or of those given) and a shade of it."""
    choices = words or tuple(COLOURS)
    word = choices[int(rng.integers(len(choices)))]
    shade = np.array(COLOURS[word]) * rng.uniform(0.8, 1.2) + rng.normal(0, 0.025, 3)
    return word, np.clip(shade, 0.03, 0.97).astype(np.float32)


def pick_pattern(rng: np.random.Generator, first: Rgb, size_m: float) -> Pattern:
    """A pattern for things that may wear any: plain, bands, dots, checks or patches."""
    _, second = pick_colour(rng)
    per_m = rng.uniform(3, 6) / size_m
    match int(rng.integers(6)):
        case 0:
            return materials.stripes(first, second, per_m, int(rng.integers(3)), rng.uniform(0.25, 0.5))
        case 1:
            return materials.dots(first, second, per_m)
        case 2:
            return materials.checks(first, second, per_m)
        case 3:
            return materials.patches(first, second, per_m * 0.6, 0.1)
        case _:
            return materials.plain(first)
