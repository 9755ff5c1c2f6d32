"""Actions with a thing in the hand: up and down, closer and away, shown to the camera."""

from __future__ import annotations

import numpy as np

from gasm_cast.minidata import acting
from gasm_cast.minidata.catalogue import Item
from gasm_cast.minidata.hands import Grip
from gasm_cast.minidata.motion import Places, ease, jitter, travel
from gasm_cast.minidata.scene import Body, Script, Stage


def _held(stage: Stage, item: Item, path: Places) -> Script:
    """A hand holds the thing from the first frame to the last."""
    azimuth = acting.any_azimuth(stage)
    grip = acting.holding_grip(stage, item)
    path = path + jitter(stage.rng, stage.times, 0.003)
    hand = acting.reach(stage, grip, acting.grip_point(item, path, azimuth, grip), azimuth)
    return Script((item,), (acting.moving(stage, item, path),), stage.still(), (hand,))


def move_up(stage: Stage) -> Script:
    """A held thing rises."""
    item = stage.pick("slidable", "small")
    begin, end = stage.moments(0.2, 0.55, 0.25)
    x, y = stage.uniform(-0.5, 0.5) * stage.reach, stage.uniform(-0.1, 0.0)
    low, high = stage.uniform(0.0, 0.04), stage.uniform(0.15, 0.21)
    path = travel(stage.times, (begin, (x, y, low)), (end, (x + stage.uniform(-0.03, 0.03), y, high)))
    return _held(stage, item, path)


def move_down(stage: Stage) -> Script:
    """A held thing sinks."""
    return move_up(stage).reversed()


def move_closer(stage: Stage) -> Script:
    """A held thing comes towards the camera."""
    item = stage.pick("slidable", "small")
    begin, end = stage.moments(0.2, 0.55, 0.25)
    x = stage.uniform(-0.4, 0.4) * stage.reach
    far = (x, stage.uniform(0.1, 0.2), stage.uniform(0.0, 0.05))
    near = (0.5 * x, stage.uniform(-0.36, -0.28), stage.uniform(0.1, 0.16))
    return _held(stage, item, travel(stage.times, (begin, far), (end, near)))


def move_away(stage: Stage) -> Script:
    """A held thing goes away from the camera."""
    return move_closer(stage).reversed()


def show(stage: Stage) -> Script:
    """A thing is held out to the camera and turned a little."""
    item = stage.pick("slidable", "small", "container")
    azimuth = acting.any_azimuth(stage)
    (arrived,) = stage.moments(0.3, 0.7)
    place = np.array([stage.uniform(-0.25, 0.25) * stage.reach, -0.16, stage.uniform(0.08, 0.13)])
    path = place + jitter(stage.rng, stage.times, 0.006)
    grip: Grip = "grasp" if item.thing.height > 0.075 else "pinch"  # so that it is well in sight
    hand = acting.reach(
        stage, grip, acting.grip_point(item, path, azimuth, grip), azimuth, enter=(0.0, arrived)
    )
    carried = path + (hand.position - hand.position[-1]) - (path - path[-1])
    sway = 0.16 * np.sin(2 * np.pi * stage.uniform(0.4, 0.9) * stage.times + stage.uniform(0.0, 6.0))
    body = Body(item, carried, yaw=acting.any_yaw(stage, item), lean=sway)
    return Script((item,), (body,), stage.still(), (hand,))


def show_empty(stage: Stage) -> Script:
    """A container is held out and tilted, so that the camera looks into it."""
    item = stage.pick("container")
    azimuth = acting.any_azimuth(stage)
    arrived, tilted = stage.moments(0.3, 0.25, 0.45)
    place = np.array([stage.uniform(-0.25, 0.25) * stage.reach, -0.16, stage.uniform(0.08, 0.13)])
    path = place + jitter(stage.rng, stage.times, 0.006)
    hand = acting.reach(
        stage, "grasp", acting.grip_point(item, path, azimuth, "grasp"), azimuth, enter=(0.0, arrived)
    )
    carried = path + (hand.position - hand.position[-1]) - (path - path[-1])
    tilt = stage.uniform(0.7, 1.05) * ease(stage.times, arrived - 0.3, tilted)
    sway = 0.1 * np.sin(2 * np.pi * stage.uniform(0.4, 0.9) * stage.times + stage.uniform(0.0, 6.0))
    body = Body(item, carried, yaw=acting.any_yaw(stage, item), lean=sway, tilt=tilt)
    return Script((item,), (body,), stage.still(), (hand,))
