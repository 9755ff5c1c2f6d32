"""Makers of small things: what a hand picks up, rolls, hides and drops.

Each maker is one small function of a random generator. Measures are those of the real
things, in metres, a little exaggerated where a picture of 240 lines would not show them.
"""

from __future__ import annotations

import numpy as np

from gasm_cast.minidata import materials
from gasm_cast.minidata.materials import Material
from gasm_cast.minidata.shapes import box, capsule, ellipsoid, minus, revolved, smooth_union, union
from gasm_cast.minidata.things import Thing, pick_colour, pick_pattern

Rng = np.random.Generator


def ball(rng: Rng) -> Thing:
    """A toy ball in two colours."""
    word, first = pick_colour(rng)
    _, second = pick_colour(rng)
    r = rng.uniform(0.026, 0.037)
    pattern = materials.gores(first, second, int(rng.integers(2, 5)), r)
    if rng.random() < 0.4:
        pattern = materials.patches(first, second, 40.0, 0.15)
    material = Material(pattern, rng.uniform(0.1, 0.5), 30.0)
    return Thing("ball", word, ellipsoid([r, r, r], [0, 0, r]), (r, r, 2 * r), material, roll_radius=r)


def orange(rng: Rng) -> Thing:
    """An orange, with pores and a dark navel that shows how it turns."""
    r = rng.uniform(0.03, 0.037)
    _, skin = pick_colour(rng, "orange")
    _, navel = pick_colour(rng, "brown")
    pattern = materials.parted(
        materials.speckled(skin, 420.0, 0.16),
        (lambda p: np.hypot(p[0] - 0.5 * r, p[2] - 1.5 * r) < 0.006, materials.plain(navel)),
    )
    material = Material(pattern, 0.25, 16.0)
    return Thing("orange", "", ellipsoid([r, r, r], [0, 0, r]), (r, r, 2 * r), material, roll_radius=r)


def apple(rng: Rng) -> Thing:
    """An apple with a stalk."""
    r = rng.uniform(0.03, 0.037)
    word, skin = pick_colour(rng, "red", "green", "yellow")
    _, blush = pick_colour(rng, "red", "yellow")
    _, stalk = pick_colour(rng, "brown")
    latitude = np.linspace(0.25, np.pi - 0.2, 20)
    heights = 0.9 * r * (np.cos(0.25) - np.cos(latitude)) * 1.02
    body = revolved(heights, r * np.sin(latitude) ** 0.75 * (1 + 0.1 * np.cos(latitude - 2.2)))
    solid = union(body, capsule([0, 0, 1.7 * r], [0.2 * r, 0, 2.15 * r], 0.0025, 0.002))
    pattern = materials.parted(
        materials.patches(skin, blush, 25.0, 0.25), (lambda p: p[2] > 1.82 * r, materials.plain(stalk))
    )
    return Thing("apple", word, solid, (r, r, 2.25 * r), Material(pattern, 0.5, 25.0))


def lemon(rng: Rng) -> Thing:
    """A lemon with its two tips."""
    r = rng.uniform(0.022, 0.027)
    _, skin = pick_colour(rng, "yellow")
    solid = smooth_union(
        0.01,
        ellipsoid([1.3 * r, r, r], [0, 0, r]),
        ellipsoid([0.35 * r, 0.3 * r, 0.3 * r], [1.35 * r, 0, r]),
        ellipsoid([0.3 * r, 0.3 * r, 0.3 * r], [-1.35 * r, 0, r]),
    )
    return Thing(
        "lemon", "", solid, (1.7 * r, r, 2 * r), Material(materials.speckled(skin, 420.0, 0.13), 0.3, 18.0)
    )


def egg(rng: Rng) -> Thing:
    """An egg."""
    r = rng.uniform(0.021, 0.026)
    word, shell = pick_colour(rng, "white", "brown")
    shell = np.clip(0.6 * shell + 0.38, 0, 0.95).astype(np.float32)
    solid = smooth_union(
        0.02, ellipsoid([r, r, r], [0.1 * r, 0, r]), ellipsoid([r, 0.7 * r, 0.7 * r], [-0.7 * r, 0, r])
    )
    material = Material(materials.speckled(shell, 200.0, 0.05), 0.15, 12.0)
    return Thing("egg", word, solid, (1.75 * r, r, 2 * r), material)


def banana(rng: Rng) -> Thing:
    """A banana, bent upwards at both ends."""
    _, skin = pick_colour(rng, "yellow")
    _, tip = pick_colour(rng, "brown", "black")
    half, r = rng.uniform(0.06, 0.075), 0.016
    angles = np.linspace(-1.0, 1.0, 6)
    points = [
        (half * np.sin(a), 0.3 * half * np.cos(2 * a), r + 0.5 * half * (1 - np.cos(a))) for a in angles
    ]
    radii = [0.006, 0.9 * r, r, r, 0.9 * r, 0.005]
    rods = [capsule(points[i], points[i + 1], radii[i], radii[i + 1]) for i in range(5)]
    pattern = materials.parted(
        materials.patches(skin, skin * np.float32(0.8), 60.0, 0.35),
        (lambda p: np.abs(p[0]) > 0.8 * half, materials.plain(tip)),
    )
    extent = (half, 0.4 * half + r, 0.3 * half + 2 * r)
    return Thing("banana", "", smooth_union(0.008, *rods), extent, Material(pattern, 0.15, 12.0))


def block(rng: Rng) -> Thing:
    """A toy block."""
    word, first = pick_colour(rng)
    h = rng.uniform(0.02, 0.032)
    pattern = pick_pattern(rng, first, 2 * h) if rng.random() < 0.6 else materials.wooden(first)
    solid = box([h, h, h], [0, 0, h], 0.003)
    return Thing("block", word, solid, (h, h, 2 * h), Material(pattern, 0.12, 14.0))


def die(rng: Rng) -> Thing:
    """A large die with round corners and pips."""
    word, first = pick_colour(rng, "white", "red", "black", "blue", "green")
    pip = materials.COLOURS["white" if first.mean() < 0.5 else "black"]
    h = rng.uniform(0.02, 0.028)
    pattern = materials.dots(first, np.array(pip, np.float32), 1 / h, 0.26)
    return Thing("die", word, box([h, h, h], [0, 0, h], 0.006), (h, h, 2 * h), Material(pattern, 0.5, 30.0))


def duck(rng: Rng) -> Thing:
    """A rubber duck."""
    word, first = pick_colour(rng, "yellow", "pink", "blue", "green", "white")
    _, beak_colour = pick_colour(rng, "orange", "red")
    s = rng.uniform(0.85, 1.1)
    body = smooth_union(
        0.012 * s,
        ellipsoid([0.034 * s, 0.025 * s, 0.021 * s], [0, 0, 0.021 * s]),
        ellipsoid([0.018 * s, 0.018 * s, 0.018 * s], [-0.018 * s, 0, 0.052 * s]),
        ellipsoid([0.012 * s, 0.012 * s, 0.009 * s], [0.034 * s, 0, 0.036 * s]),
    )
    beak = ellipsoid([0.011 * s, 0.008 * s, 0.004 * s], [-0.037 * s, 0, 0.05 * s])
    eye = np.array([0.05, 0.05, 0.06], np.float32)
    pattern = materials.parted(
        materials.plain(first),
        (lambda p: (p[0] < -0.033 * s) & (p[2] > 0.043 * s), materials.plain(beak_colour)),
        (
            lambda p: (
                np.hypot(p[0] + 0.028 * s, p[2] - 0.059 * s) + np.abs(np.abs(p[1]) - 0.012 * s) * 0.3
                < 0.0045 * s
            ),
            materials.plain(eye),
        ),
    )
    extent = (0.05 * s, 0.026 * s, 0.072 * s)
    return Thing("rubber duck", word, union(body, beak), extent, Material(pattern, 0.4, 22.0))


def car(rng: Rng) -> Thing:
    """A toy car."""
    word, paint = pick_colour(rng)
    s = rng.uniform(0.85, 1.15)
    body = box([0.042 * s, 0.02 * s, 0.011 * s], [0, 0, 0.02 * s], 0.005)
    cabin = box([0.022 * s, 0.017 * s, 0.011 * s], [0.004 * s, 0, 0.038 * s], 0.006)
    wheels = [
        ellipsoid([0.0105 * s, 0.006 * s, 0.0105 * s], [x * s, y * s, 0.0105 * s])
        for x in (-0.024, 0.024)
        for y in (-0.019, 0.019)
    ]
    dark = np.array([0.07, 0.08, 0.1], np.float32)
    pattern = materials.parted(
        materials.plain(paint),
        (lambda p: (p[2] < 0.0205 * s) & (np.abs(p[1]) > 0.0195 * s), materials.plain(dark)),
        (lambda p: (p[2] > 0.033 * s) & (p[2] < 0.044 * s), materials.plain(dark + np.float32(0.12))),
    )
    extent = (0.043 * s, 0.027 * s, 0.05 * s)
    return Thing("toy car", word, union(body, cabin, *wheels), extent, Material(pattern, 0.6, 35.0))


def tape(rng: Rng) -> Thing:
    """A roll of sticky tape, lying."""
    word, colour = pick_colour(rng, "brown", "grey", "blue", "black", "yellow", "red")
    r, h = rng.uniform(0.036, 0.044), rng.uniform(0.02, 0.03)
    solid = minus(revolved([0, h], [r, r]), revolved([-0.01, h + 0.01], [0.6 * r, 0.6 * r]))
    card = np.array([0.62, 0.5, 0.36], np.float32)
    pattern = materials.parted(
        materials.plain(colour), (lambda p: np.hypot(p[0], p[1]) < 0.72 * r, materials.plain(card))
    )
    return Thing("roll of tape", word, solid, (r, r, h), Material(pattern, 0.5, 20.0), turns=False)


def sponge(rng: Rng) -> Thing:
    """A kitchen sponge with a scouring side."""
    word, foam = pick_colour(rng, "yellow", "orange", "pink", "blue", "green")
    _, scourer = pick_colour(rng, "green", "grey", "blue")
    x, y, z = rng.uniform(0.042, 0.055), rng.uniform(0.028, 0.036), rng.uniform(0.014, 0.018)
    pattern = materials.parted(
        materials.speckled(foam, 500.0, 0.3),
        (lambda p: p[2] > 1.5 * z, materials.speckled(scourer, 600.0, 0.25)),
    )
    return Thing("sponge", word, box([x, y, z], [0, 0, z], 0.005), (x, y, 2 * z), Material(pattern, 0.0, 5.0))


def soap(rng: Rng) -> Thing:
    """A bar of soap."""
    word, colour = pick_colour(rng, "white", "pink", "green", "yellow", "blue")
    colour = np.clip(0.55 * colour + 0.42, 0, 0.95).astype(np.float32)
    x, y, z = rng.uniform(0.034, 0.044), rng.uniform(0.022, 0.028), rng.uniform(0.012, 0.016)
    solid = minus(ellipsoid([1.2 * x, 1.2 * y, 1.5 * z], [0, 0, z]), box([1, 1, 1], [0, 0, -1.0]))
    material = Material(materials.plain(colour), 0.55, 14.0)
    return Thing("soap", word, solid, (1.2 * x, 1.2 * y, 2.5 * z), material)


def stone(rng: Rng) -> Thing:
    """A pebble."""
    word, colour = pick_colour(rng, "grey", "brown", "white", "black")
    r = rng.uniform(0.024, 0.034)
    lumps = [
        ellipsoid(
            [r * rng.uniform(0.6, 0.95), r * rng.uniform(0.6, 0.9), r * rng.uniform(0.5, 0.8)],
            [r * rng.uniform(-0.3, 0.3), r * rng.uniform(-0.3, 0.3), r * rng.uniform(0.6, 0.85)],
        )
        for _ in range(4)
    ]
    material = Material(materials.speckled(colour, 260.0, 0.28), 0.08, 10.0)
    solid = minus(smooth_union(0.012, *lumps), box([1, 1, 1], [0, 0, -1.0]))
    return Thing("stone", word, solid, (1.3 * r, 1.25 * r, 1.7 * r), material)


def candle(rng: Rng) -> Thing:
    """A pillar candle with a wick."""
    word, wax = pick_colour(rng, "white", "red", "yellow", "pink", "purple", "green")
    r, h = rng.uniform(0.022, 0.03), rng.uniform(0.06, 0.1)
    solid = union(revolved([0, h], [r, 0.97 * r]), capsule([0, 0, h], [0.002, 0, h + 0.012], 0.0022, 0.002))
    wick = np.array([0.1, 0.08, 0.07], np.float32)
    pattern = materials.parted(materials.plain(wax), (lambda p: p[2] > h + 0.001, materials.plain(wick)))
    return Thing("candle", word, solid, (r, r, h + 0.014), Material(pattern, 0.3, 12.0), turns=False)
