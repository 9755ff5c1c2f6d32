"""Makers of cloths that cover, and of light things that flutter when they fall."""

from __future__ import annotations

import numpy as np

from gasm_cast.minidata import materials
from gasm_cast.minidata.materials import Material
from gasm_cast.minidata.shapes import Distance, box, ellipsoid, smooth_union
from gasm_cast.minidata.things import Thing, pick_colour

Rng = np.random.Generator


def cloth(rng: Rng) -> Thing:
    """A cloth hanging over what it covers, in folds."""
    word, first = pick_colour(rng)
    _, second = pick_colour(rng)
    r, h = rng.uniform(0.075, 0.09), rng.uniform(0.085, 0.1)
    folds, twist = int(rng.integers(5, 9)), rng.uniform(0, 2 * np.pi)
    knots = np.linspace(0, 1, 64)
    outline = (r * np.sqrt(np.maximum(1 - knots**2.6, 0)) * (1 - 0.12 * knots)).astype(np.float32)

    def solid(p: np.ndarray) -> np.ndarray:
        share = np.clip(p[2] / np.float32(h), 0, 1)
        angle = np.arctan2(p[1], p[0])
        wave = np.sin(folds * angle + np.float32(twist) + 2 * share) + 0.5 * np.sin(3 * angle + 1.0)
        radius = outline[(share * 63).astype(np.int32)] + np.float32(0.007) * wave * (1 - share)
        side = (np.hypot(p[0], p[1]) - radius) * np.float32(0.45)
        return np.asarray(np.maximum(side, np.maximum(p[2] - np.float32(h), -p[2])))

    per_m = rng.uniform(30, 70)
    pattern = (
        materials.plain(first),
        materials.stripes(first, second, per_m, 0, 0.35),
        materials.checks(first, second, per_m),
        materials.dots(first, second, per_m),
    )[int(rng.integers(4))]
    return Thing("cloth", word, solid, (1.15 * r, 1.15 * r, h), Material(pattern, 0.02, 5.0))


def _bent_sheet(x: float, y: float, thickness: float, bend: float, lift: float) -> Distance:
    """A thin sheet, bent upwards towards its ends along x."""
    flat = box([x, y, thickness], [0, 0, lift], 0.0008)
    return lambda p: flat(np.stack([p[0], p[1], p[2] - np.float32(bend) * p[0] * p[0]])) * np.float32(0.6)


def sheet(rng: Rng) -> Thing:
    """A slip of paper with lines on it."""
    word, paper = pick_colour(rng, "white", "white", "yellow", "pink", "blue")
    paper = np.clip(0.4 * paper + 0.52, 0, 0.95).astype(np.float32)
    x, y, bend = rng.uniform(0.045, 0.06), rng.uniform(0.03, 0.045), rng.uniform(1.5, 4)
    pattern = materials.stripes(paper, paper * np.float32(0.72), rng.uniform(90, 140), 1, 0.25)
    extent = (x, y, 0.005 + bend * x * x)
    return Thing(
        "piece of paper", word, _bent_sheet(x, y, 0.0012, bend, 0.002), extent, Material(pattern, 0.0, 5.0)
    )


def tissue(rng: Rng) -> Thing:
    """A paper tissue."""
    word, paper = pick_colour(rng, "white", "white", "pink", "yellow")
    paper = np.clip(0.3 * paper + 0.62, 0, 0.95).astype(np.float32)
    s = rng.uniform(0.045, 0.06)
    flat = box([s, s, 0.002], [0, 0, 0.004], 0.001)
    phase = rng.uniform(0, 6)

    def solid(p: np.ndarray) -> np.ndarray:
        lift = 0.006 * (np.sin(60 * p[0] + phase) + np.sin(75 * p[1]) + 1.5)
        return flat(np.stack([p[0], p[1], p[2] - lift.astype(np.float32)])) * np.float32(0.5)

    return Thing(
        "tissue", word, solid, (s, s, 0.03), Material(materials.speckled(paper, 200.0, 0.05), 0.0, 5.0)
    )


def leaf(rng: Rng) -> Thing:
    """A leaf with its ribs."""
    word, green = pick_colour(rng, "green", "yellow", "brown", "red", "orange")
    x, y = rng.uniform(0.045, 0.06), rng.uniform(0.02, 0.03)
    flat = ellipsoid([x, y, 0.0022], [0, 0, 0.004])
    stalk = box([0.012, 0.0015, 0.0015], [x + 0.009, 0, 0.004], 0.001)
    bend = rng.uniform(2, 5)

    def solid(p: np.ndarray) -> np.ndarray:
        q = np.stack([p[0], p[1], p[2] - np.float32(bend) * p[0] * p[0]])
        return np.minimum(flat(q), stalk(q)) * np.float32(0.5)

    rib = (green * np.float32(1.45)).clip(0, 0.95)
    pattern = materials.parted(
        materials.speckled(green, 200.0, 0.2),
        (
            lambda p: (np.abs(p[1]) < 0.0016) | (np.mod((p[0] + np.abs(p[1])) * 110, 1) < 0.14),
            materials.plain(rib),
        ),
    )
    extent = (x + 0.022, y, 0.008 + bend * (x + 0.02) ** 2)
    return Thing("leaf", word, solid, extent, Material(pattern, 0.15, 12.0))


def feather(rng: Rng) -> Thing:
    """A feather."""
    word, vane = pick_colour(rng, "white", "grey", "brown", "black", "blue", "pink")
    x, y = rng.uniform(0.06, 0.075), rng.uniform(0.013, 0.019)
    flat = smooth_union(
        0.01,
        ellipsoid([0.8 * x, y, 0.0022], [-0.2 * x, 0, 0.004]),
        ellipsoid([0.4 * x, 0.003, 0.002], [0.7 * x, 0, 0.004]),
    )
    bend = rng.uniform(2, 4)
    quill = np.array([0.85, 0.82, 0.74], np.float32) * np.float32(0.9)

    def solid(p: np.ndarray) -> np.ndarray:
        return flat(np.stack([p[0], p[1], p[2] - np.float32(bend) * p[0] * p[0]])) * np.float32(0.5)

    pattern = materials.parted(
        materials.stripes(vane, vane * np.float32(0.8), 260.0, 0, 0.4),
        (lambda p: np.abs(p[1]) < 0.0014, materials.plain(quill)),
    )
    extent = (1.12 * x, y + 0.004, 0.008 + bend * 1.3 * x * x)
    return Thing("feather", word, solid, extent, Material(pattern, 0.05, 8.0))
