"""How things move: hands with least jerk, bodies by the laws of mechanics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Frames = Float[np.ndarray, " frames"]
Places = Float[np.ndarray, "frames 3"]

GRAVITY = 9.81


def ease(times: Frames, start: float, end: float) -> Frames:
    """From 0 at `start` to 1 at `end` with least jerk.

    Source: Flash and Hogan 1985: 10 s^3 - 15 s^4 + 6 s^5.
    """
    s = np.clip((times - start) / max(end - start, 1e-6), 0, 1)
    return np.asarray(s * s * s * (10 + s * (6 * s - 15)))


def travel(times: Frames, *stops: tuple[float, Sequence[float | int]]) -> Places:
    """Through the given places at the given times, with rest at each."""
    moments = [moment for moment, _ in stops]
    places = np.array([place for _, place in stops], float)
    path = np.broadcast_to(places[0], (len(times), 3)).copy()
    for i in range(1, len(stops)):
        path += (places[i] - places[i - 1]) * ease(times, moments[i - 1], moments[i])[:, None]
    return path


def fall(times: Frames, start: float, height: float, floor: float, restitution: float) -> Frames:
    """Height of a body that rests at `height` until `start`, falls freely, and bounces off the floor.

    Each bounce keeps `restitution` of the speed; after it has become slow the body lies.
    """
    heights = np.full(len(times), height)
    launch, speed, base = start, 0.0, height
    while True:
        # Time until the floor is met, from base + speed t - g t^2 / 2 = floor.
        flight = (speed + np.sqrt(speed * speed + 2 * GRAVITY * max(base - floor, 0))) / GRAVITY
        t = times - launch
        now = (t >= 0) & (t < flight)
        heights[now] = base + speed * t[now] - GRAVITY / 2 * t[now] ** 2
        launch, base = launch + flight, floor
        speed = restitution * (GRAVITY * flight - speed)
        if speed < 0.25:
            heights[times >= launch] = floor
            return heights


def flutter(
    rng: np.random.Generator, times: Frames, start: float, height: float, floor: float
) -> tuple[Places, Frames]:
    """Offset and lean of a light body: it sinks at its small final speed and swings from side to side."""
    speed, swing, rate = rng.uniform(0.14, 0.26), rng.uniform(0.025, 0.06), rng.uniform(0.9, 1.7)
    t = np.maximum(times - start, 0)
    phase = 2 * np.pi * rate * t + rng.uniform(0, 2 * np.pi)
    sunk = speed * (t - 0.12 * (1 - np.exp(-t / 0.12))) + 0.012 * (np.cos(2 * phase) - np.cos(2 * phase[0]))
    heights = np.maximum(height - sunk, floor)
    # It stays where it has touched the ground first.
    landed = np.flatnonzero(heights <= floor)
    last = landed[0] if landed.size else len(times) - 1
    heights[last + 1 :] = heights[last]
    phase[last + 1 :] = phase[last]
    grow = np.minimum(t / 0.3, 1)
    grow[last + 1 :] = grow[last]
    drift = rng.uniform(-0.05, 0.05) * np.minimum(t, t[last])
    place = np.stack([swing * grow * np.sin(phase) + drift, np.zeros_like(t), heights], axis=1)
    lean = rng.uniform(0.4, 0.8) * grow * np.cos(phase)
    settle = np.clip((heights - floor) / 0.03, 0, 1)
    return place, lean * settle


def slow_down(times: Frames, start: float, speed: float, friction: float) -> Frames:
    """Way of a body that starts with `speed` (signed) and is slowed evenly by `friction`, m/s^2."""
    stop = abs(speed) / friction
    t = np.clip(times - start, 0, stop)
    return np.asarray(np.sign(speed) * (abs(speed) * t - friction / 2 * t * t))


def jitter(rng: np.random.Generator, times: Frames, size: float) -> Places:
    """The small unsteadiness of a held thing."""
    rates, phases = rng.uniform(0.5, 2.5, (3, 3)), rng.uniform(0, 2 * np.pi, (3, 3))
    return np.asarray(size * np.sin(2 * np.pi * rates * times[:, None, None] + phases).sum(-1) / 2)
