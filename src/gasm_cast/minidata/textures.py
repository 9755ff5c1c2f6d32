"""Table-tops and walls: flat pictures that the camera warps onto the planes of the scene.

Each kind is a small function of a random generator; a variant is one draw of it. Splits
hold different variants, so a model never meets in validation a background it has learnt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from gasm_cast.minidata.noise import grain, layered_field, smooth_field, to_bytes

TABLE_PX_PER_M = 420.0
WALL_PX_PER_M = 260.0
TABLE_SIZE = (512, 768)
WALL_SIZE = (320, 640)

Picture = Float32[np.ndarray, "rows cols 3"]
Painter = Callable[[np.random.Generator, tuple[int, int]], Picture]


def _colour(rng: np.random.Generator, *choices: tuple[float, float, float]) -> Float32[np.ndarray, " 3"]:
    """One of the given colours, varied a little in tone and lightness."""
    base = np.array(choices[rng.integers(len(choices))])
    varied = base * rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    return np.clip(varied, 0.02, 0.98).astype(np.float32)


def _shaded(colour: Float32[np.ndarray, " 3"], factor: Float32[np.ndarray, "rows cols"]) -> Picture:
    return np.asarray(colour * factor[..., None], np.float32)


def _wood(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Planks with grain that runs across the picture, and seams between them."""
    base = _colour(rng, (0.62, 0.43, 0.27), (0.45, 0.28, 0.17), (0.76, 0.6, 0.42), (0.3, 0.2, 0.14))
    rows = np.arange(size[0], dtype=np.float32)[:, None]
    warp = layered_field(rng, size, (4, 2), 3) * rng.uniform(6, 14)
    rings = np.sin((rows + warp) * (2 * np.pi / rng.uniform(9, 22)))
    fibres = smooth_field(rng, size, (size[0] / 2, 10))
    shade = 1 + 0.07 * rings + 0.07 * fibres + 0.08 * layered_field(rng, size, (6, 3), 2)
    plank = int(rng.integers(70, 200))
    tones = rng.uniform(0.86, 1.12, size[0] // plank + 2)
    start = int(rng.integers(plank))
    which = (np.arange(size[0]) + start) // plank
    shade *= tones[which][:, None].astype(np.float32)
    seams = np.flatnonzero(np.diff(which))
    for seam in seams:
        shade[seam : seam + 2] *= 0.55
    return _shaded(base, shade.astype(np.float32))


def _cloth(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Woven cloth, plain or with crossing stripes, with soft folds."""
    base = _colour(
        rng, (0.75, 0.72, 0.66), (0.35, 0.45, 0.6), (0.6, 0.25, 0.25), (0.3, 0.42, 0.33), (0.86, 0.84, 0.8)
    )
    second = _colour(rng, (0.9, 0.88, 0.84), (0.2, 0.25, 0.4), (0.5, 0.15, 0.18), (0.82, 0.68, 0.35))
    rows, cols = np.mgrid[: size[0], : size[1]].astype(np.float32)
    share = np.zeros(size, np.float32)
    style = rng.integers(3)
    if style:
        period, width = rng.uniform(40, 110), rng.uniform(0.2, 0.5)
        share += 0.5 * ((cols % period) < width * period)
        if style == 2:
            share += 0.5 * ((rows % period) < width * period)
    weave = 1 + 0.05 * np.sin(rows * 1.9) * np.sin(cols * 1.9) + 0.07 * layered_field(rng, size, (5, 6), 3)
    picture = base * (1 - share[..., None]) + second * share[..., None]
    return np.asarray(picture * weave[..., None] + grain(rng, size, 0.04)[..., None], np.float32)


def _stone(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Marble with veins, or granite with speckles."""
    base = _colour(rng, (0.82, 0.81, 0.79), (0.55, 0.53, 0.5), (0.24, 0.25, 0.27), (0.68, 0.6, 0.5))
    field = layered_field(rng, size, (4, 5), 5)
    veins = np.exp(-np.abs(field) * rng.uniform(9, 20)).astype(np.float32)
    dark = 1 if base.mean() > 0.4 else -1
    shade = 1 - dark * 0.3 * veins + 0.08 * layered_field(rng, size, (8, 10), 3)
    if rng.random() < 0.5:
        speckle = grain(rng, size, 1.0)
        shade = 1 + 0.12 * field + 0.22 * np.clip(np.abs(speckle) - 0.5, 0, 1) * np.sign(speckle)
    return _shaded(base, shade.astype(np.float32))


def _laminate(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """A plain desk, a little worn."""
    base = _colour(
        rng, (0.8, 0.79, 0.77), (0.9, 0.89, 0.86), (0.2, 0.2, 0.21), (0.62, 0.66, 0.7), (0.7, 0.58, 0.45)
    )
    shade = 1 + 0.05 * layered_field(rng, size, (3, 4), 4) + grain(rng, size, 0.02)
    picture = _shaded(base, shade.astype(np.float32))
    for _ in range(int(rng.integers(2, 9))):
        _scratch(rng, picture)
    return picture


def _scratch(rng: np.random.Generator, picture: Picture) -> None:
    """A thin line or a ring that a cup has left."""
    rows, cols = picture.shape[:2]
    centre = (int(rng.integers(cols)), int(rng.integers(rows)))
    tone = float(rng.uniform(0.86, 1.1))
    layer = np.zeros((rows, cols), np.uint8)
    if rng.random() < 0.6:
        angle, length = rng.uniform(0, np.pi), rng.uniform(20, 120)
        end = (int(centre[0] + length * np.cos(angle)), int(centre[1] + length * np.sin(angle)))
        cv2.line(layer, centre, end, 255, 1, cv2.LINE_AA)
    else:
        cv2.circle(layer, centre, int(rng.integers(12, 20)), 255, 2, cv2.LINE_AA)
    picture *= 1 + (tone - 1) * (layer[..., None].astype(np.float32) / 255)


def _tiles(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Ceramic tiles with joints."""
    base = _colour(rng, (0.82, 0.8, 0.74), (0.5, 0.62, 0.66), (0.62, 0.42, 0.32), (0.88, 0.88, 0.88))
    side = int(rng.integers(44, 110))
    rows, cols = (np.arange(n) for n in size)
    tone = rng.uniform(0.9, 1.08, (size[0] // side + 1, size[1] // side + 1))
    shade = tone[rows // side][:, cols // side] + 0.05 * layered_field(rng, size, (6, 8), 3)
    joint = 3
    shade[rows % side < joint] *= 0.72
    shade[:, cols % side < joint] *= 0.72
    return _shaded(base, shade.astype(np.float32))


def _slats(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """A bamboo or straw mat."""
    base = _colour(rng, (0.78, 0.66, 0.42), (0.55, 0.4, 0.25), (0.4, 0.44, 0.4))
    width = int(rng.integers(5, 11))
    rows, cols = np.arange(size[0])[:, None], np.arange(size[1])[None]
    tone = rng.uniform(0.85, 1.12, size[0] // width + 1)[rows // width]
    bulge = 0.8 + 0.25 * np.sin(np.pi * (rows % width + 0.5) / width)
    thread = np.where(cols % int(rng.integers(60, 110)) < 3, 0.7, 1.0)
    shade = tone * bulge * thread * (1 + 0.05 * smooth_field(rng, size, (size[0] / width, 12)))
    return _shaded(base, shade.astype(np.float32))


def _carpet(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Pile with broad patches of tone."""
    base = _colour(rng, (0.5, 0.46, 0.42), (0.28, 0.33, 0.42), (0.55, 0.32, 0.28), (0.66, 0.62, 0.55))
    shade = 1 + grain(rng, size, 0.22) + 0.1 * layered_field(rng, size, (10, 14), 3)
    return _shaded(base, shade.astype(np.float32))


def _paint(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """A painted wall."""
    base = _colour(
        rng, (0.8, 0.78, 0.72), (0.62, 0.7, 0.74), (0.7, 0.62, 0.54), (0.55, 0.6, 0.5), (0.42, 0.42, 0.45)
    )
    return _shaded(
        base, (1 + 0.06 * layered_field(rng, size, (3, 5), 3) + grain(rng, size, 0.01)).astype(np.float32)
    )


def _stripes(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Striped wallpaper, or the folds of a curtain."""
    base = _colour(rng, (0.78, 0.74, 0.62), (0.6, 0.5, 0.52), (0.5, 0.6, 0.62), (0.68, 0.3, 0.28))
    cols = np.arange(size[1], dtype=np.float32)[None] + 4 * smooth_field(rng, size, (2, 8))
    period = rng.uniform(18, 60)
    wave = np.sin(2 * np.pi * cols / period)
    if rng.random() < 0.5:
        wave = np.sign(wave) * 0.6
    return _shaded(base, (1 + rng.uniform(0.08, 0.22) * wave).astype(np.float32))


def _bricks(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Bare bricks."""
    base = _colour(rng, (0.6, 0.33, 0.25), (0.7, 0.66, 0.62), (0.5, 0.36, 0.3))
    height, width = 17, 52
    rows, cols = np.mgrid[: size[0], : size[1]]
    course = rows // height
    shifted = cols + (course % 2) * (width // 2)
    tone = rng.uniform(0.78, 1.15, (size[0] // height + 1, size[1] // width + 2))
    shade = tone[course, shifted // width] + 0.1 * layered_field(rng, size, (20, 20), 2)
    joint = (rows % height < 2) | (shifted % width < 2)
    return np.where(joint[..., None], np.float32(0.62), _shaded(base, shade.astype(np.float32))).astype(
        np.float32
    )


def _shelf(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Shelves of books and boxes."""
    wood = _colour(rng, (0.4, 0.28, 0.2), (0.75, 0.72, 0.68), (0.25, 0.22, 0.2))
    picture = np.empty((*size, 3), np.float32)
    picture[:] = wood * 0.45
    height = int(rng.integers(80, 120))
    for bottom in range(height, size[0] + height, height):
        col = 0
        while col < size[1]:
            width = int(rng.integers(8, 26))
            tall = int(rng.uniform(0.5, 0.88) * height)
            colour = rng.uniform(0.15, 0.8, 3) * 0.6 + 0.4 * rng.uniform(0.2, 0.8)
            if rng.random() < 0.85:
                top = max(bottom - tall, 0)
                picture[top:bottom, col : col + width - 1] = colour
                band = top + tall // 5
                picture[band : band + 3, col : col + width - 1] *= 1.35
            col += width
        picture[bottom - 1 : bottom + 6] = wood
    return picture


def _wall_decoration(rng: np.random.Generator, picture: Picture) -> None:
    """What hangs on a wall: frames, a socket, a lit patch of window."""
    rows, cols = picture.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        width, height = int(rng.integers(50, 130)), int(rng.integers(40, 110))
        col, row = int(rng.integers(0, cols - width)), int(rng.integers(40, max(41, rows - height - 60)))
        border = int(rng.integers(3, 7))
        picture[row : row + height, col : col + width] = rng.uniform(0.05, 0.8)
        inner = picture[row + border : row + height - border, col + border : col + width - border]
        size = (int(inner.shape[0]), int(inner.shape[1]))
        field = layered_field(rng, size, (3, 3), 2)[..., None]
        inner[:] = np.clip(rng.uniform(0.2, 0.9, 3) + 0.3 * field * rng.uniform(-1, 1, 3), 0.05, 0.95)
    row, col = rows - int(rng.integers(40, 70)), int(rng.integers(20, cols - 40))
    picture[row : row + 16, col : col + 16] = rng.uniform(0.75, 0.95)
    picture[row + 5 : row + 11, col + 4 : col + 12] *= 0.6


TABLES: dict[str, Painter] = {
    "wood": _wood,
    "cloth": _cloth,
    "stone": _stone,
    "laminate": _laminate,
    "tiles": _tiles,
    "mat": _slats,
    "carpet": _carpet,
}
"""Kinds of table-top."""
WALLS: dict[str, Painter] = {
    "paint": _paint,
    "stripes": _stripes,
    "bricks": _bricks,
    "shelf": _shelf,
}
"""Kinds of wall."""


@lru_cache(maxsize=128)
def table_picture(seed: int, kind: str, variant: int) -> UInt8[np.ndarray, "rows cols 3"]:
    """Picture of a table-top."""
    rng = np.random.default_rng([seed, 1, list(TABLES).index(kind), variant])
    return to_bytes(TABLES[kind](rng, TABLE_SIZE))


@lru_cache(maxsize=128)
def wall_picture(seed: int, kind: str, variant: int) -> UInt8[np.ndarray, "rows cols 3"]:
    """Picture of a wall with what hangs on it, a little out of focus."""
    rng = np.random.default_rng([seed, 2, list(WALLS).index(kind), variant])
    picture = WALLS[kind](rng, WALL_SIZE)
    if kind != "shelf":
        _wall_decoration(rng, picture)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.8, 2.5))), np.float32)
    picture[-14:] = rng.uniform(0.2, 0.85)  # a skirting board
    return to_bytes(picture * np.float32(rng.uniform(0.65, 1.0)))
