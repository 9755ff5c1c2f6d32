"""Actions along the table: pushing, pulling, rolling, colliding and falling."""

from __future__ import annotations

import numpy as np

from gasm_cast.minidata import acting
from gasm_cast.minidata.catalogue import Item
from gasm_cast.minidata.hands import Grip
from gasm_cast.minidata.motion import Places, ease, fall, flutter, slow_down
from gasm_cast.minidata.scene import Body, Script, Stage


def _slide(stage: Stage, direction: int, begin: float, end: float) -> Places:
    """A way across the picture, a little aslant."""
    length = stage.uniform(0.75, 1.15) * stage.reach
    middle = stage.uniform(-0.18, 0.18) * stage.reach
    y, slant = stage.uniform(-0.04, 0.03), stage.uniform(-0.04, 0.04)
    share = ease(stage.times, begin, end)
    x = middle + direction * length * (share - 0.5)
    return np.stack([x, y + slant * (share - 0.5), np.zeros_like(x)], axis=1)


def push(stage: Stage, direction: int) -> Script:
    """A hand behind the thing drives it to one side."""
    item = stage.pick("slidable")
    enter, begin, end, _ = stage.moments(0.22, 0.1, 0.45, 0.1, 0.13)
    path = _slide(stage, direction, begin, end)
    body = acting.moving(stage, item, path)
    azimuth = acting.forearm_azimuth(stage, -direction)
    grip: Grip = "flat" if stage.rng.random() < 0.6 else "point"
    touch = acting.side_of(body, -direction, azimuth, grip)
    hand = acting.reach(stage, grip, touch, azimuth, enter=(0.0, enter), leave=_maybe_leave(stage, end))
    return Script((item,), (body,), stage.still(), (hand,))


def pull(stage: Stage, direction: int) -> Script:
    """A hand ahead of the thing draws it to one side."""
    item = stage.pick("slidable")
    enter, begin, end, _ = stage.moments(0.22, 0.1, 0.45, 0.1, 0.13)
    path = _slide(stage, direction, begin, end)
    azimuth = acting.forearm_azimuth(stage, direction)
    touch = path + np.array([direction * item.thing.half_width * 0.75, -0.005, 0.55 * item.thing.height])
    hand = acting.reach(
        stage, "grasp", touch, azimuth, enter=(0.0, enter), grasp=begin - 0.05, leave=_maybe_leave(stage, end)
    )
    return Script((item,), (acting.moving(stage, item, path),), stage.still(), (hand,))


def _maybe_leave(stage: Stage, end: float) -> tuple[float, float] | None:
    """In half of the clips the hand leaves after its work."""
    if stage.rng.random() < 0.5:
        return None
    return end + 0.1, end + 0.1 + stage.uniform(0.4, 0.8)


def _rolling(item: Item, path: Places) -> Body:
    """A body that rolls without slipping."""
    return Body(item, path, rolled=(path[:, 0] - path[0, 0]) / item.thing.roll_radius)


def roll(stage: Stage) -> Script:
    """A hand gives a push and lets the thing roll on by itself."""
    item, direction = stage.pick("roller"), stage.side()
    enter, contact = stage.moments(0.22, 0.08, 0.7)
    start = -direction * stage.uniform(0.35, 0.7) * stage.reach
    speed, friction, push_sec = stage.uniform(0.25, 0.55), stage.uniform(0.08, 0.25), 0.2
    during = np.clip(stage.times - contact, 0, push_sec)
    way = 0.5 * speed / push_sec * during**2 + slow_down(stage.times, contact + push_sec, speed, friction)
    path = np.zeros((len(stage.times), 3))
    path[:, 0] = start + direction * way
    path[:, 1] = stage.uniform(-0.04, 0.03)
    azimuth = acting.forearm_azimuth(stage, -direction)
    grip: Grip = "flat" if stage.rng.random() < 0.6 else "point"
    # The hand follows as long as it pushes, then stays behind.
    touch = acting.side_of(Body(item, path), -direction, azimuth, grip)
    touch[:, 0] -= direction * np.maximum(way - 0.6 * speed * push_sec, 0)
    hand = acting.reach(
        stage, grip, touch, azimuth, enter=(0.0, enter), leave=_maybe_leave(stage, contact + 0.3)
    )
    return Script((item,), (_rolling(item, path),), stage.still(), (hand,))


def collide(stage: Stage) -> Script:
    """Two rolling things meet, and both are thrown back."""
    first, second = stage.pick("roller"), stage.pick("roller")
    (meet,) = stage.moments(0.45, 0.55)
    speeds = stage.uniform(0.22, 0.45), -stage.uniform(0.22, 0.45)
    masses = first.thing.roll_radius**3, second.thing.roll_radius**3
    after = deflected(speeds, masses, restitution=stage.uniform(0.6, 0.9))
    middle, y = stage.uniform(-0.2, 0.2) * stage.reach, stage.uniform(-0.04, 0.03)
    gap = first.thing.roll_radius + second.thing.roll_radius
    bodies = []
    for item, before, then, offset, turn in zip(
        (first, second), speeds, after, (-gap / 2, gap / 2), (1, -1), strict=True
    ):
        since = stage.times - meet
        x = middle + offset + np.where(since < 0, before * since, slow_down(stage.times, meet, then, 0.15))
        path = np.stack([x, np.full_like(x, y), np.zeros_like(x)], axis=1)
        path[:, 1] += (
            turn * stage.uniform(0.02, 0.12) * np.maximum(since, 0) * (1 - 0.2 * np.maximum(since, 0))
        )
        bodies.append(_rolling(item, path))
    return Script((first, second), tuple(bodies), stage.still())


def deflected(
    speeds: tuple[float, float], masses: tuple[float, float], restitution: float
) -> tuple[float, float]:
    """Speeds after a central collision.

    Momentum is kept; the speed of approach shrinks to `restitution` of it.
    """
    total = masses[0] + masses[1]
    common = (masses[0] * speeds[0] + masses[1] * speeds[1]) / total
    closing = restitution * (speeds[0] - speeds[1])
    return common - masses[1] / total * closing, common + masses[0] / total * closing


def fall_like_rock(stage: Stage) -> Script:
    """A thing falls into the picture, bounces a little and lies."""
    item = stage.pick("small")
    x, y = acting.spot(stage)
    (start,) = stage.moments(0.35, 0.65)
    height = stage.uniform(0.4, 0.55)
    heights = fall(stage.times, start, height, 0.0, stage.uniform(0.1, 0.4))
    path = np.stack([np.full_like(heights, x), np.full_like(heights, y), heights], axis=1)
    path[:, 0] += stage.uniform(-0.06, 0.06) * (height - heights) / height
    lean = stage.uniform(-2.5, 2.5) * np.minimum(heights / height, 1)
    body = acting.moving(stage, item, path)
    return Script((item,), (Body(item, path, yaw=body.yaw, lean=lean),), stage.still())


def fall_like_feather(stage: Stage) -> Script:
    """A light thing sinks into the picture, swinging."""
    item = stage.pick("light")
    x, y = acting.spot(stage, 0.5)
    (start,) = stage.moments(0.12, 0.88)
    place, lean = flutter(stage.rng, stage.times, start, stage.uniform(0.27, 0.34), 0.0)
    path = place + np.array([x, y, 0.0])
    body = Body(item, path, yaw=stage.uniform(-0.5, 0.5), lean=lean)
    return Script((item,), (body,), stage.still())
