"""Actions that put, take, cover and uncover, and those that only pretend to.

What takes away is what puts, backwards in time: picking up is putting down reversed, and
so on, so that frames without their order tell nothing.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gasm_cast.minidata import acting
from gasm_cast.minidata.catalogue import Item
from gasm_cast.minidata.motion import ease, travel
from gasm_cast.minidata.scene import Body, Script, Stage

Place = tuple[float, float, float]


def _put(
    stage: Stage,
    item: Item,
    goal: Place,
    others: tuple[Body, ...],
    *,
    named: tuple[Item, ...],
    nearer: float = 0.0,
) -> Script:
    """A hand brings a thing in, sets it down at `goal`, and goes without it."""
    azimuth = acting.any_azimuth(stage)
    grip = "pinch" if nearer else acting.holding_grip(stage, item)
    set_down, leave = stage.moments(0.5, 0.12, 0.38)
    gone = leave + stage.uniform(0.5, 0.8)
    over = (goal[0], goal[1], goal[2] + stage.uniform(0.1, 0.14))
    item_path = travel(stage.times, (0.62 * set_down, over), (set_down, goal))
    touch = acting.grip_point(item, item_path, azimuth, grip)
    hand = acting.reach(
        stage,
        grip,
        touch,
        azimuth,
        enter=(0.0, 0.72 * set_down),
        release=leave,
        leave=(leave, gone),
        nearer=nearer,
    )
    # Until it is set down the thing goes wherever the hand is.
    held = stage.times <= leave
    path = item_path + np.where(held[:, None], hand.position - touch, 0.0)
    ground = np.full(len(stage.times), goal[2])
    body = acting.moving(stage, item, path, ground=ground, nearer=nearer)
    return Script(named, (body, *others), stage.still(), (hand,))


def put_on_surface(stage: Stage) -> Script:
    """A thing is put on the table."""
    item = stage.pick("slidable", "small")
    x, y = acting.spot(stage)
    return _put(stage, item, (x, y, 0.0), (), named=(item,))


def pick_up(stage: Stage) -> Script:
    """A thing is taken from the table."""
    return put_on_surface(stage).reversed()


def put_next_to(stage: Stage) -> Script:
    """A thing is put beside another."""
    item, neighbour = stage.pick("slidable", "small"), stage.pick("slidable", "container")
    x, y = acting.spot(stage, 0.35)
    side = stage.side()
    gap = item.thing.half_width + neighbour.thing.half_width + stage.uniform(0.008, 0.03)
    other = acting.resting(stage, neighbour, x + side * gap, y + stage.uniform(-0.015, 0.015))
    return _put(stage, item, (x, y, 0.0), (other,), named=(item, neighbour))


def put_onto(stage: Stage) -> Script:
    """A thing is put on top of another."""
    item, platform = stage.pick("small"), stage.pick("platform")
    x, y = acting.spot(stage)
    other = acting.resting(stage, platform, x, y)
    return _put(stage, item, (x, y - 0.002, _top(platform)), (other,), named=(item, platform))


def _top(platform: Item) -> float:
    """Height on which a thing stands: a plate is lower inside than at its rim."""
    height = platform.thing.height
    return height if height > 0.02 else 0.6 * height


def put_into(stage: Stage) -> Script:
    """A thing is put into a container."""
    item, container, x, y = _thing_and_container(stage)
    opening = container.thing.opening
    assert opening is not None
    other = acting.resting(stage, container, x, y)
    return _put(stage, item, (x, y, opening.floor), (other,), named=(item, container), nearer=1e-3)


def _thing_and_container(stage: Stage) -> tuple[Item, Item, float, float]:
    container = stage.pick("container")
    opening = container.thing.opening
    assert opening is not None
    item = stage.pick("small", narrower_than=max(opening.radius, 0.03))
    return item, container, *acting.spot(stage)


def take_out(stage: Stage) -> Script:
    """A thing is taken out of a container."""
    return put_into(stage).reversed()


def pretend_put_into(stage: Stage) -> Script:
    """A hand brings a thing over a container and takes it away again."""
    item, container, x, y = _thing_and_container(stage)
    azimuth = acting.any_azimuth(stage)
    enter, down, up, leave = stage.moments(0.32, 0.15, 0.14, 0.1, 0.29)
    low = container.thing.height * stage.uniform(0.75, 1.0)
    share = ease(stage.times, 0.8 * enter, down) - ease(stage.times, up, leave)
    path = np.empty((len(stage.times), 3))
    path[:] = (x, y, low + stage.uniform(0.09, 0.13))
    path[:, 2] += (low - path[0, 2]) * share
    touch = acting.grip_point(item, path, azimuth, "pinch")
    hand = acting.reach(
        stage,
        "pinch",
        touch,
        azimuth,
        enter=(0.0, enter),
        leave=(up, leave + stage.uniform(0.4, 0.7)),
        nearer=1e-3,
    )
    body = acting.moving(stage, item, path + hand.position - touch, nearer=1e-3)
    return Script((item, container), (body, acting.resting(stage, container, x, y)), stage.still(), (hand,))


def pretend_pick_up(stage: Stage) -> Script:
    """A hand closes at a thing and goes up without it."""
    item = stage.pick("slidable", "small")
    x, y = acting.spot(stage)
    azimuth = acting.any_azimuth(stage)
    grip = acting.holding_grip(stage, item)
    enter, close, lift = stage.moments(0.36, 0.12, 0.1, 0.42)
    body = acting.resting(stage, item, x, y)
    touch = acting.grip_point(item, body.position, azimuth, grip)
    touch[:, 2] += stage.uniform(0.0, 0.02) + stage.uniform(0.1, 0.14) * ease(stage.times, lift, lift + 0.6)
    touch[:, :2] += 0.01 * np.array([np.cos(azimuth), np.sin(azimuth)])
    hand = acting.reach(
        stage,
        grip,
        touch,
        azimuth,
        enter=(0.0, enter),
        grasp=close,
        leave=(lift + 0.1, lift + stage.uniform(0.7, 1.0)),
    )
    return Script((item,), (body,), stage.still(), (hand,))


def cover(stage: Stage) -> Script:
    """A thing disappears under another."""
    covering = stage.pick("cover")
    hidden = stage.pick("coverable", narrower_than=0.75 * covering.thing.half_width)
    x, y = acting.spot(stage)
    script = _put(
        stage, covering, (x, y - 0.012, 0.0), (acting.resting(stage, hidden, x, y),), named=(hidden, covering)
    )
    carried, other = script.bodies
    return Script(script.named, (_as_cover(carried), other), script.camera, script.hands)


def _as_cover(body: Body) -> Body:
    """Upside down; a cloth hangs narrow while it is carried and spreads when it lies."""
    stretch = None
    if body.item.id.startswith("cloth"):
        lifted = np.clip(body.position[:, 2] / 0.08, 0, 1)
        stretch = np.stack([1 - 0.18 * lifted, 1 + 0.22 * lifted], axis=1)
    return Body(
        body.item,
        body.position,
        yaw=body.yaw,
        stretch=stretch,
        ground=body.ground,
        covers=not body.item.id.startswith("cloth"),
        nearer=0.03,
    )


def uncover(stage: Stage) -> Script:
    """A thing that another has hidden comes into sight."""
    script = cover(stage).reversed()
    return dataclasses.replace(script, named=script.named[:1])


def show_on_top(stage: Stage) -> Script:
    """Two things stand there, one on the other, and a finger points at them."""
    item, platform = stage.pick("small"), stage.pick("platform")
    x, y = acting.spot(stage, 0.4)
    below = acting.resting(stage, platform, x, y)
    above = acting.resting(stage, item, x, y - 0.002, z=_top(platform))
    return _pointed_at(stage, (item, platform), (above, below))


def show_next_to(stage: Stage) -> Script:
    """Two things stand there, side by side, and a finger points at them."""
    item, platform = stage.pick("small"), stage.pick("platform")
    x, y = acting.spot(stage, 0.25)
    gap = item.thing.half_width + platform.thing.half_width + stage.uniform(0.008, 0.03)
    first = acting.resting(stage, item, x + stage.side() * gap, y + stage.uniform(-0.015, 0.015))
    return _pointed_at(stage, (item, platform), (first, acting.resting(stage, platform, x, y)))


def _pointed_at(stage: Stage, named: tuple[Item, Item], bodies: tuple[Body, Body]) -> Script:
    azimuth = acting.any_azimuth(stage)
    enter, leave = stage.moments(0.35, 0.35, 0.3)
    touch = acting.grip_point(named[0], bodies[0].position, azimuth, "point")
    touch += (0.02 + named[0].thing.half_width) * acting.arm_direction(azimuth, 0.4)
    hand = acting.reach(stage, "point", touch, azimuth, enter=(0.0, enter), leave=(leave, leave + 0.6))
    return Script(named, bodies, stage.still(), (hand,))
