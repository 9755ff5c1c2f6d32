"""Actions with a thing in the hand: up and down, closer and away, and held to the camera."""

from __future__ import annotations

import numpy as np

from gasm_cast.minidata import acting
from gasm_cast.minidata.catalogue import Item
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
    x, y = stage.uniform(-0.5, 0.5) * stage.reach, stage.uniform(-0.06, 0.02)
    low, high = stage.uniform(0.0, 0.03), stage.uniform(0.1, 0.15)
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
    far = (x, stage.uniform(0.09, 0.18), stage.uniform(0.0, 0.03))
    near = (0.5 * x, stage.uniform(-0.3, -0.22), stage.uniform(0.09, 0.14))
    return _held(stage, item, travel(stage.times, (begin, far), (end, near)))


def move_away(stage: Stage) -> Script:
    """A held thing goes away from the camera."""
    return move_closer(stage).reversed()


def show_empty(stage: Stage) -> Script:
    """A container is held out and tilted, so that the camera looks into it: nothing is there."""
    return _tilted_to_camera(stage, stage.pick("container"), None)


def show_inside(stage: Stage) -> Script:
    """A container is held out and tilted, so that the camera sees what is in it."""
    container = stage.pick("container")
    opening = container.thing.opening
    assert opening is not None
    content = stage.pick("small", narrower_than=max(opening.radius, 0.03))
    return _tilted_to_camera(stage, container, content)


def _tilted_to_camera(stage: Stage, container: Item, content: Item | None) -> Script:
    azimuth = acting.any_azimuth(stage)
    arrived, tilted = stage.moments(0.3, 0.25, 0.45)
    place = np.array([stage.uniform(-0.25, 0.25) * stage.reach, -0.1, stage.uniform(0.03, 0.07)])
    path = place + jitter(stage.rng, stage.times, 0.005)
    hand = acting.reach(
        stage, "grasp", acting.grip_point(container, path, azimuth, "grasp"), azimuth, enter=(0.0, arrived)
    )
    carried = path + (hand.position - hand.position[-1]) - (path - path[-1])
    body = Body(
        container,
        carried,
        yaw=acting.any_yaw(stage, container),
        lean=0.1 * np.sin(2 * np.pi * stage.uniform(0.4, 0.9) * stage.times + stage.uniform(0, 6)),
        tilt=stage.uniform(0.45, 0.75) * ease(stage.times, arrived - 0.3, tilted),
        content=content,
    )
    named = (container,) if content is None else (content, container)
    return Script(named, (body,), stage.still(), (hand,))
