"""Things of Something-Something mini on its table-tops: pictures with known kind and place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from gasm_cast.minidata.catalogue import KINDS, VARIANTS, Split, item
from gasm_cast.minidata.materials import Light
from gasm_cast.minidata.sprites import object_sprite
from gasm_cast.minidata.textures import TABLES, table_picture

SEED = 0
SHARE = 0.5
"""Larger side of a thing over the side of the picture."""


@dataclass(frozen=True)
class StillLife:
    """One thing on one table-top.

    Attributes:
        picture: RGB, `[size, size, 3]`.
        kind: Number of its kind.
        cover: How much of each pixel it covers, 0 to 1.
    """

    picture: np.ndarray
    kind: int
    cover: np.ndarray

    def patches(self, side: int) -> np.ndarray:
        """Which of `side * side` patches the thing fills at least by half."""
        cover = cv2.resize(self.cover, (side, side), interpolation=cv2.INTER_AREA).ravel()
        return cover >= min(0.5, float(cover.max()))  # a thin thing fills no patch by half: its fullest


def still_lives(split: Split, size_px: int, num_variants: int) -> Iterator[StillLife]:
    """The first variants of every kind; splits share neither variants nor table-tops."""
    for number, kind in enumerate(KINDS):
        for variant in VARIANTS[split][:num_variants]:
            rng = np.random.default_rng([number, variant])
            thing = item(SEED, kind, variant).thing
            sprite = object_sprite(
                thing,
                Light.draw(rng),
                pitch_rad=math.radians(35),
                yaw_rad=float(rng.uniform(-math.pi, math.pi)),
                px_per_m=SHARE * size_px / (2 * max(thing.extent)),
            )
            table_kind = list(TABLES)[int(rng.integers(len(TABLES)))]
            table = table_picture(SEED, table_kind, variant)
            top, left = (int(rng.integers(length - size_px + 1)) for length in table.shape[:2])
            yield _composed(table[top : top + size_px, left : left + size_px], sprite.picture, number, rng)


def _composed(table: np.ndarray, sprite: np.ndarray, kind: int, rng: np.random.Generator) -> StillLife:
    size = len(table)
    longest = max(sprite.shape[:2])
    if longest > size:
        sprite = cv2.resize(sprite, None, fx=size / longest, fy=size / longest, interpolation=cv2.INTER_AREA)
    rows, cols = sprite.shape[:2]
    row, col = int(rng.integers(size - rows + 1)), int(rng.integers(size - cols + 1))
    picture, cover = table.astype(np.float32), np.zeros((size, size), np.float32)
    alpha = sprite[..., 3:].astype(np.float32) / 255
    place = slice(row, row + rows), slice(col, col + cols)
    picture[place] = picture[place] * (1 - alpha) + sprite[..., :3]
    cover[place] = alpha[..., 0]
    return StillLife(picture.round().clip(0, 255).astype(np.uint8), kind, cover)
