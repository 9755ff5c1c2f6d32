"""What actions share: where forearms come from, and how hands reach, hold and leave."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from gasm_cast.minidata.catalogue import Item
from gasm_cast.minidata.hands import Grip
from gasm_cast.minidata.motion import Frames, Places, ease
from gasm_cast.minidata.scene import Body, Hand, Stage

_OUT_OF_SIGHT_M = 0.6
HALF_HAND_M = 0.035


def forearm_azimuth(stage: Stage, side: int) -> float:
    """A direction from which an arm may come on the given side: in front of, beside or behind the table."""
    return float(np.radians(90 - side * stage.uniform(45, 150)))


def any_azimuth(stage: Stage) -> float:
    """A direction from any side."""
    return forearm_azimuth(stage, stage.side())


def arm_direction(azimuth: float, elevation: float) -> Float[np.ndarray, " 3"]:
    """Unit vector from the hand along its forearm."""
    flat = np.cos(elevation)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])


def reach(
    stage: Stage,
    grip: Grip,
    touch: Places,
    azimuth: float,
    *,
    enter: tuple[float, float] | None = None,
    grasp: float | None = None,
    release: float | None = None,
    leave: tuple[float, float] | None = None,
    nearer: float = 0.0,
) -> Hand:
    """A hand that comes in, closes, follows `touch`, opens and goes.

    Args:
        stage: The stage.
        grip: What it closes into.
        touch: What it holds or touches, per frame.
        azimuth: Where the forearm comes from.
        enter: When it comes in; None if it is there from the start.
        grasp: When it closes; None if it is closed from the start.
        release: When it opens; None if it never does.
        leave: When it goes; None if it stays.
        nearer: Drawn as if nearer by so much, m.
    """
    times = stage.times
    elevation = np.radians(stage.uniform(12, 34))
    away = np.zeros(len(times))
    if enter is not None:
        away += 1 - ease(times, *enter)
    if leave is not None:
        away += ease(times, *leave)
    closure = np.ones(len(times))
    if grasp is not None:
        closure *= ease(times, grasp - 0.15, grasp + 0.1)
    if release is not None:
        closure *= 1 - ease(times, release - 0.1, release + 0.2)
    position = touch + arm_direction(azimuth, elevation) * (_OUT_OF_SIGHT_M * away)[:, None]
    position[:, 2] += 0.05 * np.sin(np.pi * np.clip(away, 0, 1))
    mirrored = bool(stage.rng.random() < 0.5)
    return Hand(grip, azimuth, elevation, position, closure, mirrored, nearer)


def grip_point(item: Item, position: Places, azimuth: float, grip: Grip) -> Places:
    """Where a hand of the given direction takes hold of a thing."""
    thing = item.thing
    point = position.copy()
    point[:, 2] += thing.height * (0.85 if grip == "pinch" else 0.5)
    spare = max(thing.half_width - 0.03, 0.0) if grip != "pinch" else max(thing.half_width - 0.045, 0.0)
    point[:, :2] += spare * np.array([np.cos(azimuth), np.sin(azimuth)])
    return point


def side_of(body: Body, side: int, azimuth: float, grip: Grip) -> Places:
    """Where a hand touches a thing on its left (-1) or right (1), pushing with its tips or with its edge."""
    thing = body.item.thing
    half_width = abs(np.cos(body.yaw)) * thing.extent[0] + abs(np.sin(body.yaw)) * thing.extent[1]
    # Across the way of the push the hand lies beside the thing, and its fingers reach past it.
    across = abs(np.sin(azimuth))
    gap = across * (HALF_HAND_M if grip == "flat" else 0.012)
    past = -0.04 * across * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    offset = np.array([side * (0.92 * half_width + gap), -0.008, 0.45 * thing.height])
    return np.asarray(body.position + offset + past)


def holding_grip(stage: Stage, item: Item) -> Grip:
    """A grip that suits a thing: tall things are grasped, flat ones pinched, others either."""
    if item.thing.height > 0.075:
        return "grasp"
    if item.thing.height < 0.03:
        return "pinch"
    return "grasp" if stage.rng.random() < 0.5 else "pinch"


def resting(stage: Stage, item: Item, x: float, y: float, *, z: float = 0.0, nearer: float = 0.0) -> Body:
    """A thing that stays where it is."""
    position = np.tile(np.array([x, y, z]), (len(stage.times), 1))
    ground = np.full(len(stage.times), z)
    return Body(item, position, yaw=any_yaw(stage, item), ground=ground, nearer=nearer)


def any_yaw(stage: Stage, item: Item) -> float:
    """A turn about the vertical: small for things that show a face, none for round ones."""
    return stage.uniform(-0.7, 0.7) if item.thing.turns else 0.0


def spot(stage: Stage, spread: float = 0.6) -> tuple[float, float]:
    """Somewhere in the middle of the table that the camera sees."""
    return stage.uniform(-spread, spread) * stage.reach, stage.uniform(-0.04, 0.04)


def moving(
    stage: Stage, item: Item, position: Places, *, ground: Frames | None = None, nearer: float = 0.0
) -> Body:
    """A thing on its way."""
    return Body(item, position, yaw=any_yaw(stage, item), ground=ground, nearer=nearer)
