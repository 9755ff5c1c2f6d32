"""Actions of the camera: nothing in the scene moves."""

from __future__ import annotations

import numpy as np

from gasm_cast.minidata import acting
from gasm_cast.minidata.camera import CameraMove
from gasm_cast.minidata.motion import ease
from gasm_cast.minidata.scene import Script, Stage


def _still_life(stage: Stage, move: CameraMove) -> Script:
    """One thing in the middle, which the label names."""
    item = stage.pick("slidable", "small", "container")
    x, y = acting.spot(stage, 0.3)
    return Script((item,), (acting.resting(stage, item, x, y),), move)


def approach(stage: Stage) -> Script:
    """The camera comes nearer."""
    begin, end = stage.moments(0.15, 0.65, 0.2)
    way = stage.uniform(0.22, 0.36) * ease(stage.times, begin, end)
    offset = -stage.uniform(0.05, 0.2)
    zero = np.zeros_like(way)
    return _still_life(stage, CameraMove(offset + way, zero, zero))


def move_off(stage: Stage) -> Script:
    """The camera goes away."""
    script = approach(stage)
    camera = CameraMove(script.camera.forward[::-1], script.camera.yaw, script.camera.pitch)
    return Script(script.named, script.bodies, camera)


def turn_sideways(stage: Stage, direction: int) -> Script:
    """The camera turns left (-1) or right (1)."""
    begin, end = stage.moments(0.15, 0.65, 0.2)
    angle = np.radians(stage.uniform(8, 15))
    yaw = direction * angle * (ease(stage.times, begin, end) - stage.uniform(0.25, 0.6))
    return _still_life(stage, CameraMove(np.zeros_like(yaw), yaw, np.zeros_like(yaw)))


def turn_vertically(stage: Stage, direction: int) -> Script:
    """The camera turns up (-1) or down (1)."""
    begin, end = stage.moments(0.15, 0.65, 0.2)
    angle = np.radians(stage.uniform(7, 12))
    pitch = direction * angle * (ease(stage.times, begin, end) - stage.uniform(0.3, 0.6))
    return _still_life(stage, CameraMove(np.zeros_like(pitch), np.zeros_like(pitch), pitch))
