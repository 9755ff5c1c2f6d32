"""Makers of containers, of things to stand things on, and of things to push about.

Each maker is one small function of a random generator; measures are in metres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gasm_cast.minidata import materials
from gasm_cast.minidata.materials import Material
from gasm_cast.minidata.shapes import Distance, box, minus, revolved, torus, union
from gasm_cast.minidata.things import Opening, Thing, pick_colour, pick_pattern

Rng = np.random.Generator


def _vessel(
    heights: Sequence[float | int], radii: Sequence[float | int], wall: float
) -> tuple[Distance, Opening]:
    """An open solid of revolution with walls of even thickness."""
    top, floor = heights[-1], heights[0] + 1.5 * wall
    inner_heights = [floor, *[h for h in heights[1:-1] if h > floor], top + 0.02]
    inner_radii = [max(float(np.interp(min(h, top), heights, radii)) - wall, 0.004) for h in inner_heights]
    solid = minus(revolved(heights, radii), revolved(inner_heights, inner_radii))
    middle = [r - 0.6 * wall for r in radii]

    def is_inside(p: np.ndarray) -> np.ndarray:
        return np.asarray(
            (np.hypot(p[0], p[1]) < np.interp(p[2], heights, middle)) & (p[2] > floor - 0.6 * wall)
        )

    return solid, Opening(min(inner_radii[1:]), floor, is_inside)


def mug(rng: Rng) -> Thing:
    """A mug with a handle."""
    word, first = pick_colour(rng)
    r, h = rng.uniform(0.042, 0.05), rng.uniform(0.08, 0.1)
    cup, opening = _vessel([0, 0.1 * h, h], [0.9 * r, r, r * rng.uniform(0.97, 1.06)], 0.005)
    handle = minus(
        torus([1.02 * r, 0, 0.5 * h], 0.27 * h, 0.006, 1), revolved([-0.01, 2 * h], [0.97 * r, 0.97 * r])
    )
    pattern = pick_pattern(rng, first, 2 * r)
    extent = (1.02 * r + 0.27 * h + 0.008, 1.07 * r, h)
    return Thing("mug", word, union(cup, handle), extent, Material(pattern, 0.5, 30.0), opening=opening)


def paper_cup(rng: Rng) -> Thing:
    """A paper cup, wider at the top."""
    word, first = pick_colour(rng)
    r, h = rng.uniform(0.042, 0.05), rng.uniform(0.085, 0.11)
    solid, opening = _vessel([0, 0.93 * h, 0.94 * h, h], [0.72 * r, r, 1.05 * r, 1.05 * r], 0.004)
    pattern = pick_pattern(rng, first, 2 * r)
    thing = Material(pattern, 0.1, 12.0)
    return Thing("cup", word, solid, (1.07 * r, 1.07 * r, h), thing, opening=opening, turns=False)


def bowl(rng: Rng) -> Thing:
    """A bowl on a foot."""
    word, first = pick_colour(rng)
    _, rim = pick_colour(rng)
    r, h = rng.uniform(0.07, 0.09), rng.uniform(0.05, 0.07)
    solid, opening = _vessel(
        [0, 0.08 * h, 0.3 * h, 0.6 * h, h], [0.5 * r, 0.55 * r, 0.78 * r, 0.93 * r, r], 0.005
    )
    pattern = materials.parted(materials.plain(first), (lambda p: p[2] > 0.86 * h, materials.plain(rim)))
    if rng.random() < 0.3:
        pattern = materials.wooden(first)
    material = Material(pattern, rng.uniform(0.2, 0.7), 28.0)
    return Thing("bowl", word, solid, (r, r, h), material, opening=opening, turns=False)


def pot(rng: Rng) -> Thing:
    """A flower pot with a thick rim."""
    word, first = pick_colour(rng, "brown", "orange", "grey", "white", "teal")
    r, h = rng.uniform(0.055, 0.07), rng.uniform(0.085, 0.11)
    solid, opening = _vessel([0, 0.74 * h, 0.76 * h, h], [0.66 * r, 0.9 * r, r, 1.04 * r], 0.007)
    material = Material(materials.speckled(first, 160.0, 0.14), 0.05, 8.0)
    return Thing("flower pot", word, solid, (1.05 * r, 1.05 * r, h), material, opening=opening, turns=False)


def basket(rng: Rng) -> Thing:
    """A basket of woven straw."""
    word, first = pick_colour(rng, "brown", "yellow", "white", "grey")
    r, h = rng.uniform(0.07, 0.088), rng.uniform(0.06, 0.085)
    solid, opening = _vessel([0, 0.95 * h, h], [0.82 * r, r, 1.04 * r], 0.007)

    def weave(p: np.ndarray) -> np.ndarray:
        around = np.arctan2(p[0], p[1]) * 14
        rows = p[2] * np.float32(np.pi / 0.009)
        shade = 1 + 0.28 * np.sin(around) * np.sign(np.sin(rows)) - 0.15 * (np.abs(np.cos(rows)) > 0.92)
        return np.asarray(first * shade[:, None], np.float32)

    material = Material(weave, 0.05, 8.0)
    return Thing("basket", word, solid, (1.05 * r, 1.05 * r, h), material, opening=opening, turns=False)


def open_box(rng: Rng) -> Thing:
    """A box without a lid."""
    word, first = pick_colour(rng, "brown", "brown", "white", "blue", "red", "grey", "green")
    x, y, h = rng.uniform(0.065, 0.085), rng.uniform(0.05, 0.065), rng.uniform(0.055, 0.08)
    wall = 0.005
    solid = minus(
        box([x, y, h / 2], [0, 0, h / 2], 0.002),
        box([x - wall, y - wall, h], [0, 0, h + 1.5 * wall], 0.001),
    )

    def is_inside(p: np.ndarray) -> np.ndarray:
        return np.asarray(
            (np.abs(p[0]) < x - 0.6 * wall) & (np.abs(p[1]) < y - 0.6 * wall) & (p[2] > 0.9 * wall)
        )

    opening = Opening(min(x, y) - wall, 1.5 * wall, is_inside)
    pattern = materials.speckled(first, 120.0, 0.1)
    return Thing("box", word, solid, (x, y, h), Material(pattern, 0.05, 8.0), opening=opening)


def carton(rng: Rng) -> Thing:
    """A closed box with a printed band."""
    word, first = pick_colour(rng)
    _, second = pick_colour(rng)
    x, y, h = rng.uniform(0.045, 0.07), rng.uniform(0.035, 0.05), rng.uniform(0.05, 0.085)
    pattern = (
        materials.band(first, second, 0.3 * h, 0.75 * h)
        if rng.random() < 0.6
        else pick_pattern(rng, first, x)
    )
    solid = box([x, y, h / 2], [0, 0, h / 2], 0.002)
    return Thing("carton", word, solid, (x, y, h), Material(pattern, 0.15, 15.0))


def book(rng: Rng) -> Thing:
    """A thick book, lying, with its white pages between the covers."""
    word, cover = pick_colour(rng)
    _, title = pick_colour(rng, "white", "yellow", "black")
    x, y, h = rng.uniform(0.075, 0.1), rng.uniform(0.055, 0.07), rng.uniform(0.018, 0.034)
    solid = minus(
        box([x, y, h / 2], [0, 0, h / 2], 0.0015),
        union(
            box([x, 0.01, h / 2 - 0.004], [0, -y - 0.006, h / 2], 0.001),
            box([0.01, y, h / 2 - 0.004], [x + 0.006, 0, h / 2], 0.001),
        ),
    )
    paper = np.array([0.88, 0.85, 0.78], np.float32)
    pattern = materials.parted(
        materials.plain(cover),
        (
            lambda p: np.abs(p[2] - h / 2) < h / 2 - 0.0042,
            materials.stripes(paper, paper * np.float32(0.85), 400.0, 2),
        ),
        (
            lambda p: (
                (p[2] > h - 0.001) & (np.abs(p[0]) < 0.6 * x) & (np.abs(np.abs(p[1]) - 0.4 * y) < 0.12 * y)
            ),
            materials.plain(title),
        ),
    )
    return Thing("book", word, solid, (x, y, h), Material(pattern, 0.2, 15.0))


def plate(rng: Rng) -> Thing:
    """A plate with a coloured ring."""
    word, first = pick_colour(rng, "white", "white", "blue", "green", "yellow", "grey", "pink")
    _, ring = pick_colour(rng)
    r, h = rng.uniform(0.08, 0.1), 0.018
    solid = minus(
        revolved([0, 0.3 * h, h], [0.6 * r, 0.66 * r, r]),
        revolved([0.4 * h, 0.5 * h, 1.3 * h], [0.62 * r, 0.66 * r, 1.05 * r]),
    )
    pattern = materials.parted(
        materials.plain(first),
        (lambda p: np.abs(np.hypot(p[0], p[1]) - 0.86 * r) < 0.05 * r, materials.plain(ring)),
    )
    return Thing("plate", word, solid, (r, r, h), Material(pattern, 0.6, 30.0), turns=False)


def board(rng: Rng) -> Thing:
    """A cutting board of wood."""
    _, wood = pick_colour(rng, "brown", "orange", "yellow")
    wood = (0.6 * wood + 0.16).astype(np.float32)
    x, y, h = rng.uniform(0.09, 0.11), rng.uniform(0.06, 0.075), rng.uniform(0.012, 0.02)
    rng.random()  # decides nothing; without it all later draws, and so the clips, would be others
    solid = minus(box([x, y, h / 2], [0, 0, h / 2], 0.003), _hole(0.85 * x, 0.009))
    return Thing("wooden board", "", solid, (x, y, h), Material(materials.wooden(wood), 0.1, 10.0))


def _hole(x: float, radius: float) -> Distance:
    drill = revolved([-0.1, 0.1], [radius, radius])
    return lambda p: drill(p - np.array([[x], [0], [0]], np.float32))


def can(rng: Rng) -> Thing:
    """A tin can with a label."""
    word, label = pick_colour(rng)
    metal = np.array([0.62, 0.63, 0.65], np.float32)
    r, h = rng.uniform(0.03, 0.038), rng.uniform(0.085, 0.115)
    solid = revolved([0, 0.05 * h, 0.93 * h, h], [0.88 * r, r, r, 0.86 * r])
    pattern = materials.band(metal, label, 0.1 * h, 0.9 * h)
    return Thing("can", word, solid, (r, r, h), Material(pattern, 0.7, 26.0))


def bottle(rng: Rng) -> Thing:
    """A bottle with a cap and a label."""
    word, first = pick_colour(rng, "green", "brown", "blue", "white", "red", "teal", "orange")
    _, cap = pick_colour(rng)
    _, label = pick_colour(rng)
    r, h = rng.uniform(0.03, 0.038), rng.uniform(0.15, 0.19)
    neck = 0.38 * r
    solid = revolved(
        [0, 0.03 * h, 0.58 * h, 0.74 * h, 0.88 * h, 0.885 * h, h],
        [0.88 * r, r, r, neck * 1.1, neck, neck * 1.35, neck * 1.35],
    )
    pattern = materials.parted(
        materials.band(first, label, 0.15 * h, 0.5 * h), (lambda p: p[2] > 0.885 * h, materials.plain(cap))
    )
    return Thing("bottle", word, solid, (r, r, h), Material(pattern, 0.8, 40.0))


def jar(rng: Rng) -> Thing:
    """A jar of jam with its lid."""
    word, lid = pick_colour(rng)
    _, jam = pick_colour(rng, "red", "orange", "purple", "brown", "yellow")
    paper = np.array([0.86, 0.84, 0.78], np.float32)
    r, h = rng.uniform(0.034, 0.042), rng.uniform(0.07, 0.095)
    solid = revolved(
        [0, 0.08 * h, 0.7 * h, 0.8 * h, 0.81 * h, h], [0.9 * r, r, r, 0.84 * r, 0.92 * r, 0.92 * r]
    )
    pattern = materials.parted(
        materials.band(jam, paper, 0.2 * h, 0.6 * h), (lambda p: p[2] > 0.8 * h, materials.plain(lid))
    )
    return Thing("jar", word, solid, (r, r, h), Material(pattern, 0.7, 35.0))


def phone(rng: Rng) -> Thing:
    """A telephone lying on its back, its screen dark or lit."""
    word, case = pick_colour(rng, "black", "white", "grey", "blue", "red", "pink")
    screen = np.array([0.05, 0.06, 0.08], np.float32) + np.float32(rng.choice([0.0, 0.0, 0.35]))
    x, y, h = rng.uniform(0.065, 0.078), rng.uniform(0.033, 0.039), 0.011
    pattern = materials.parted(
        materials.plain(case),
        (
            lambda p: (p[2] > 0.9 * h) & (np.abs(p[0]) < 0.88 * x) & (np.abs(p[1]) < 0.9 * y),
            materials.plain(screen),
        ),
    )
    return Thing(
        "phone", word, box([x, y, h / 2], [0, 0, h / 2], 0.004), (x, y, h), Material(pattern, 0.9, 50.0)
    )


def remote(rng: Rng) -> Thing:
    """A remote control with rows of buttons."""
    word, case = pick_colour(rng, "black", "grey", "white", "black")
    keys = np.array([0.75, 0.75, 0.75] if case.mean() < 0.5 else [0.25, 0.25, 0.28], np.float32)
    x, y, h = rng.uniform(0.075, 0.095), rng.uniform(0.02, 0.026), 0.02

    def is_key(p: np.ndarray) -> np.ndarray:
        q0, q1 = np.mod(p[0] / 0.016, 1) - 0.5, np.mod(p[1] / 0.013 + 0.5, 1) - 0.5
        within = (p[2] > 0.9 * h) & (np.abs(p[0]) < 0.85 * x) & (np.abs(p[1]) < 0.8 * y)
        return np.asarray(within & (np.hypot(q0, q1) < 0.3))

    pattern = materials.parted(materials.plain(case), (is_key, materials.plain(keys)))
    solid = box([x, y, h / 2], [0, 0, h / 2], 0.006)
    return Thing("remote control", word, solid, (x, y, h), Material(pattern, 0.3, 20.0))


def wallet(rng: Rng) -> Thing:
    """A leather wallet with a seam."""
    word, leather = pick_colour(rng, "brown", "black", "red", "blue", "brown")
    x, y, h = rng.uniform(0.05, 0.06), rng.uniform(0.04, 0.047), rng.uniform(0.016, 0.024)
    pattern = materials.parted(
        materials.speckled(leather, 300.0, 0.14),
        (
            lambda p: (p[2] > 0.8 * h) & (np.maximum(np.abs(p[0]) / x, np.abs(p[1]) / y) > 0.88),
            materials.speckled(leather * np.float32(1.5), 500.0, 0.3),
        ),
    )
    return Thing(
        "wallet", word, box([x, y, h / 2], [0, 0, h / 2], 0.006), (x, y, h), Material(pattern, 0.25, 12.0)
    )


def paper_roll(rng: Rng) -> Thing:
    """A roll of paper lying on its side, so that it rolls across the picture."""
    word, paper = pick_colour(rng, "white", "white", "pink", "blue")
    paper = np.clip(0.5 * paper + 0.42, 0, 0.94).astype(np.float32)
    r, half = rng.uniform(0.036, 0.045), rng.uniform(0.036, 0.045)
    upright = minus(
        revolved([-half, half], [r, r]), revolved([-half - 0.01, half + 0.01], [0.4 * r, 0.4 * r])
    )

    def solid(p: np.ndarray) -> np.ndarray:
        return upright(np.stack([p[0], p[2] - np.float32(r), p[1]]))

    card = np.array([0.6, 0.48, 0.34], np.float32)
    _, print_colour = pick_colour(rng)
    pattern = materials.parted(
        materials.dots(paper, print_colour, 45.0, 0.22),
        (lambda p: np.hypot(p[0], p[2] - r) < 0.5 * r, materials.plain(card)),
        (lambda p: np.abs(np.arctan2(p[0], p[2] - r)) < 0.16, materials.plain(paper * np.float32(0.72))),
    )
    material = Material(pattern, 0.0, 5.0)
    return Thing("paper roll", word, solid, (r, half, 2 * r), material, roll_radius=r, turns=False)
