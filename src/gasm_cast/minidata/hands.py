"""Hands: bones with flesh on them, seen from their back, in any pose between open and closed.

A hand lies in the plane of its picture: x along the forearm towards the fingertips, y to
the side of the thumb, z towards the camera. Flesh is a height field: each bone is a rod
with round ends that thickens or thins, and neighbouring rods flow into each other. Light
falls on the field's slopes. Joints are given by three angles a finger, so poses blend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from gasm_cast.minidata.materials import COLOURS, Light
from gasm_cast.minidata.noise import layered_field
from gasm_cast.minidata.sprites import Sprite, cropped

Grip = Literal["grasp", "pinch", "flat", "point"]

_PX_PER_M = 520.0
_FOREARM_M = 0.8
_HALF_WIDTH_M = 0.1
_SIZE = (int(2 * _HALF_WIDTH_M * _PX_PER_M), int((_FOREARM_M + 0.21) * _PX_PER_M))
_KNUCKLE_Y = np.array([0.03, 0.0103, -0.0103, -0.0295])
_KNUCKLE_X = np.array([0.084, 0.088, 0.083, 0.073])
_BONES_M = np.array([[0.038, 0.024, 0.019], [0.042, 0.026, 0.02], [0.039, 0.025, 0.02], [0.03, 0.019, 0.017]])
_FINGER_RADIUS_M = np.array([0.0112, 0.0116, 0.011, 0.0097])

SKINS: tuple[tuple[float, float, float], ...] = (
    (0.93, 0.74, 0.63),
    (0.87, 0.66, 0.53),
    (0.78, 0.56, 0.42),
    (0.64, 0.43, 0.3),
    (0.48, 0.31, 0.21),
    (0.34, 0.22, 0.16),
)
"""Skin in daylight, from light to dark."""


@dataclass(frozen=True, eq=False)
class Pose:
    """Joint angles in degrees.

    Attributes:
        splay: Direction of each of the four fingers in the plane, towards the thumb.
        bend: Turn at each finger's two further joints, in the plane, towards each other.
        curl: Turn at each of a finger's three joints, away from the camera.
        thumb: Direction of the thumb's three bones in the plane.
        thumb_lift: Height of the thumb's tip above the palm, m.
    """

    splay: Float[np.ndarray, " 4"]
    bend: float
    curl: Float[np.ndarray, "4 3"]
    thumb: Float[np.ndarray, " 3"]
    thumb_lift: float


def _pose(
    splay: Sequence[float | int],
    curl: Sequence[Sequence[float | int]],
    thumb: Sequence[float | int],
    *,
    bend: float = 0.0,
    thumb_lift: float = 0.0,
) -> Pose:
    """A pose from plain numbers; one row of curls serves all four fingers."""
    curls = np.broadcast_to(np.array(curl, float), (4, 3))
    return Pose(np.array(splay, float), bend, curls, np.array(thumb, float), thumb_lift)


_OPEN = _pose((6, 1, -4, -10), ((12, 14, 8),), (62, 38, 26), thumb_lift=0.004)
_POSES: dict[Grip, Pose] = {
    "grasp": _pose(
        (5, 1, -3, -8),
        ((26, 30, 18), (24, 30, 18), (25, 32, 20), (28, 34, 20)),
        (48, 12, -6),
        bend=4.0,
        thumb_lift=-0.012,
    ),
    "pinch": _pose(
        (2, 2, 4, 7),
        ((18, 26, 12), (20, 28, 14), (34, 40, 20), (46, 52, 26)),
        (50, 8, -22),
        bend=15.0,
        thumb_lift=0.01,
    ),
    "flat": _pose((2, 0.5, -1, -3), ((6, 6, 4),), (42, 16, 8), thumb_lift=0.002),
    "point": _pose(
        (3, -3, -5, -8),
        ((5, 6, 4), (70, 85, 40), (72, 86, 40), (74, 86, 40)),
        (34, -22, -40),
        thumb_lift=0.008,
    ),
}
_REACH_M: dict[Grip, tuple[float, float]] = {
    "grasp": (0.125, 0.012),
    "pinch": (0.146, 0.036),
    "flat": (0.16, 0.0),
    "point": (0.16, 0.028),
}
"""Where the held thing lies, in the hand's own frame."""


@dataclass(frozen=True)
class Person:
    """Whose hand it is.

    Attributes:
        skin: Colour of the skin.
        sleeve: Colours of the sleeve, or None for a bare arm.
        sleeve_start: Distance of the cuff from the wrist, m.
        build: Thickness of the flesh, about 1.
        seed: Draws the fine unevenness of skin and cloth.
    """

    skin: Float32[np.ndarray, " 3"]
    sleeve: Float32[np.ndarray, "2 3"] | None
    sleeve_start: float
    build: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Person:
        """Anyone."""
        skin = np.array(SKINS[int(rng.integers(len(SKINS)))]) * rng.uniform(0.93, 1.05)
        words = list(COLOURS.values())
        sleeve = None
        if rng.random() < 0.65:
            pair = np.array([words[int(rng.integers(len(words)))] for _ in range(2)])
            sleeve = np.clip(pair * 0.8 + 0.05, 0, 1).astype(np.float32)
        return cls(
            skin.astype(np.float32),
            sleeve,
            float(rng.uniform(0.015, 0.12)),
            float(rng.uniform(0.92, 1.1)),
            int(rng.integers(2**31)),
        )


Bone = tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"], float, float]
"""Start, end, and the radius at each."""


def _blend(first: Pose, second: Pose, share: float) -> Pose:
    """A pose between two."""
    return Pose(
        first.splay + share * (second.splay - first.splay),
        first.bend + share * (second.bend - first.bend),
        first.curl + share * (second.curl - first.curl),
        first.thumb + share * (second.thumb - first.thumb),
        first.thumb_lift + share * (second.thumb_lift - first.thumb_lift),
    )


def _fingers(pose: Pose, build: float) -> list[list[Bone]]:
    """Bones of the four fingers, from the knuckle out."""
    fingers = []
    for f in range(4):
        start = np.array([_KNUCKLE_X[f], _KNUCKLE_Y[f], 0.004])
        heading, down = np.radians(pose.splay[f]), 0.0
        radius = _FINGER_RADIUS_M[f] * build
        bones: list[Bone] = []
        for joint in range(3):
            down += np.radians(pose.curl[f][joint])
            if joint:
                heading += np.radians(pose.bend) * np.sign(-_KNUCKLE_Y[f] + 0.02)
            step = _BONES_M[f][joint] * np.array(
                [np.cos(heading) * np.cos(down), np.sin(heading) * np.cos(down), -np.sin(down)]
            )
            end = start + step
            thin = radius * (1 - 0.08 * joint), radius * (1 - 0.08 * (joint + 1))
            bones.append((start, end, *thin))
            start = end
        fingers.append(bones)
    return fingers


def _thumb(pose: Pose, build: float) -> list[Bone]:
    """Bones of the thumb, from the wrist out."""
    start = np.array([0.018, 0.022, 0.0])
    radii = (0.018, 0.0138, 0.0125, 0.0098)
    bones: list[Bone] = []
    for joint, length in enumerate((0.042, 0.034, 0.027)):
        angle = np.radians(pose.thumb[joint])
        step = np.array([np.cos(angle), np.sin(angle), 0]) * length
        step[2] = pose.thumb_lift * (joint + 1) / 6
        bones.append((start, start + step, radii[joint] * build, radii[joint + 1] * build))
        start = start + step
    return bones


def _palm(build: float) -> list[Bone]:
    """Back of the hand and the wrist."""
    bones: list[Bone] = []
    for f in range(4):
        start = np.array([0.004, _KNUCKLE_Y[f] * 0.62, 0.0])
        end = np.array([_KNUCKLE_X[f], _KNUCKLE_Y[f], 0.002])
        bones.append((start, end, 0.017 * build, 0.0135 * build))
    return bones


def _arm(build: float) -> list[Bone]:
    """Forearm, from beyond the elbow to the wrist."""
    elbow, middle = np.array([-_FOREARM_M - 0.1, 0, -0.02]), np.array([-0.17, 0, -0.006])
    wrist = np.array([0.006, 0, -0.004])
    return [(elbow, middle, 0.046 * build, 0.04 * build), (middle, wrist, 0.04 * build, 0.027 * build)]


class _Flesh:
    """A height field that bones are laid into."""

    def __init__(self) -> None:
        self.height = np.full(_SIZE, -1.0, np.float32)
        self.cover = np.zeros(_SIZE, np.float32)

    def add(self, bone: Bone, blend_m: float) -> None:
        """Lay one bone in, flowing into what is there over `blend_m` of height."""
        start, end, start_radius, end_radius = bone
        scale, ox, oy = _PX_PER_M, _FOREARM_M, _HALF_WIDTH_M
        reach = max(start_radius, end_radius) + 1.5 / scale
        low, high = np.minimum(start, end)[:2] - reach, np.maximum(start, end)[:2] + reach
        c0, c1 = (
            max(0, int((low[0] + ox) * scale)),
            min(self.height.shape[1], int((high[0] + ox) * scale) + 2),
        )
        r0, r1 = (
            max(0, int((oy - high[1]) * scale)),
            min(self.height.shape[0], int((oy - low[1]) * scale) + 2),
        )
        if c0 >= c1 or r0 >= r1:
            return
        x = ((np.arange(c0, c1) + 0.5) / scale - ox - start[0]).astype(np.float32)[None]
        y = (oy - (np.arange(r0, r1) + 0.5) / scale - start[1]).astype(np.float32)[:, None]
        dx, dy, dz = (end - start).astype(np.float32)
        t = np.clip((x * dx + y * dy) / max(float(dx * dx + dy * dy), 1e-9), 0, 1)
        radius = start_radius + (end_radius - start_radius) * t
        away2 = (x - t * dx) ** 2 + (y - t * dy) ** 2
        inside = np.maximum(radius * radius - away2, 0)
        top = np.where(inside > 0, start[2] + t * dz + np.sqrt(inside), -1).astype(np.float32)
        cover = np.clip((radius - np.sqrt(away2)) * scale + 0.5, 0, 1)
        there = self.height[r0:r1, c0:c1]
        overlap = np.maximum(blend_m - np.abs(there - top), 0)
        np.maximum(there, top, out=there)
        there += overlap * overlap / np.float32(4 * blend_m)
        np.maximum(self.cover[r0:r1, c0:c1], cover, out=self.cover[r0:r1, c0:c1])


@dataclass(frozen=True)
class HandSprites:
    """A hand in one state of closing: what lies behind the held thing, and what in front of it."""

    behind: Sprite
    front: Sprite


def hand_sprites(
    person: Person, grip: Grip, closure: float, light: Light, *, mirrored: bool, turned_rad: float
) -> HandSprites:
    """Draw a hand.

    Args:
        person: Whose hand.
        grip: The pose that it closes into.
        closure: 0 is open, 1 fully closed.
        light: The scene's light.
        mirrored: The other hand: its thumb lies on the other side.
        turned_rad: By how much the picture will be turned clockwise; the light is turned back.
    """
    pose = _blend(_OPEN, _POSES[grip], closure)
    fingers, thumb = _fingers(pose, person.build), _thumb(pose, person.build)
    whole, front = _Flesh(), _Flesh()
    for bone in _arm(person.build):
        whole.add(bone, 0.006)
    for bone in _palm(person.build):
        whole.add(bone, 0.009)
    for bone in thumb:
        whole.add(bone, 0.008)
    for finger in fingers:
        for bone in finger:
            whole.add(bone, 0.004)
    # A grasping hand has its fingers before the thing and the thumb behind it, others the thumb before it.
    for bone in thumb[1:] if grip != "grasp" else [bone for finger in fingers for bone in finger]:
        front.add(bone, 0.004)
    nails = _nails([*(finger[-1] for finger in fingers), thumb[-1]])
    picture = _shaded(whole, nails, person, light, _light_in_picture(light, turned_rad, mirrored))
    before = (picture * (front.cover[..., None])).astype(np.uint8)
    x, y = _REACH_M[grip]
    anchor = ((_FOREARM_M + x) * _PX_PER_M, (_HALF_WIDTH_M - y) * _PX_PER_M)
    return HandSprites(_sprite(picture, anchor, mirrored), _sprite(before, anchor, mirrored))


def _sprite(picture: UInt8[np.ndarray, "rows cols 4"], anchor: tuple[float, float], mirrored: bool) -> Sprite:
    """The part of the picture that shows anything, for a left or a right hand."""
    if mirrored:
        picture, anchor = picture[::-1], (anchor[0], picture.shape[0] - anchor[1])
    picture, anchor = cropped(np.ascontiguousarray(picture), anchor)
    return Sprite(picture, None, anchor, anchor, _PX_PER_M)


def _nails(last_bones: Sequence[Bone]) -> Float32[np.ndarray, "rows cols"]:
    """Where the finger nails are; fingers that point away from the camera show none."""
    mask = np.zeros(_SIZE, np.uint8)
    for start, end, radius, _ in last_bones:
        step = end - start
        length = float(np.hypot(step[0], step[1]))
        if length < 0.7 * float(np.linalg.norm(step)):
            continue
        middle = start + 0.72 * step
        centre = ((_FOREARM_M + middle[0]) * _PX_PER_M, (_HALF_WIDTH_M - middle[1]) * _PX_PER_M)
        axes = (0.0062 * _PX_PER_M, 0.62 * radius * _PX_PER_M)
        angle = -np.degrees(np.arctan2(step[1], step[0]))
        cv2.ellipse(mask, (centre, (2 * axes[0], 2 * axes[1]), float(angle)), 255, -1, cv2.LINE_AA)
    return np.asarray(mask, np.float32) / 255


def _light_in_picture(light: Light, turned_rad: float, mirrored: bool) -> tuple[float, float, float]:
    """Unit vector towards the lamp: to the right, down and towards the camera, in the unturned picture."""
    right = float(light.direction[0])
    down = -0.85 * float(light.direction[2]) - 0.1 * float(light.direction[1])
    near = 0.55
    c, s = np.cos(turned_rad), np.sin(turned_rad)
    x, y = c * right + s * down, -s * right + c * down
    length = np.sqrt(x * x + y * y + near * near)
    return float(x / length), float((-y if mirrored else y) / length), float(near / length)


def _shaded(
    flesh: _Flesh,
    nails: Float32[np.ndarray, "rows cols"],
    person: Person,
    light: Light,
    lamp: tuple[float, float, float],
) -> UInt8[np.ndarray, "rows cols 4"]:
    """Colour and light a height field."""
    height = np.maximum(flesh.height, np.where(flesh.cover > 0, -0.012, -0.03)).astype(np.float32)
    smooth = cv2.GaussianBlur(height, (0, 0), 1.0)
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=_PX_PER_M / 8)
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=_PX_PER_M / 8)
    facing = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    lit = np.clip((lamp[2] - slope_x * lamp[0] - slope_y * lamp[1]) * facing, 0, 1)
    shade = 0.44 + light.strength * 0.78 * lit + (0.9 - light.strength) * 0.38 * facing
    tone = 1 + 0.05 * layered_field(np.random.default_rng(person.seed), _SIZE, (10, 40), 2)
    colour = person.skin * tone[..., None]
    # Light that has gone through flesh: the shadows of skin are red, not grey.
    colour *= 1 - np.clip(1 - shade, 0, 1)[..., None] * np.array([0.0, 0.12, 0.16], np.float32)
    colour += (
        0.45 * nails[..., None] * (person.skin * np.array([1.05, 0.98, 0.95], np.float32) + 0.1 - colour)
    )
    if person.sleeve is not None:
        colour = _dressed(colour, person)
    gloss = (0.08 + 0.12 * nails) * lit**14 * light.strength
    lit_colour = colour * shade[..., None] * light.tint + gloss[..., None]
    picture = np.empty((*_SIZE, 4), np.uint8)
    picture[..., :3] = np.clip(lit_colour, 0, 1) * (flesh.cover[..., None] * 255)
    picture[..., 3] = flesh.cover * 255
    return picture


def _dressed(
    colour: Float32[np.ndarray, "rows cols 3"], person: Person
) -> Float32[np.ndarray, "rows cols 3"]:
    """Put the sleeve over the forearm: knitted or striped cloth with a cuff."""
    along = _FOREARM_M - (np.arange(_SIZE[1]) + 0.5) / _PX_PER_M - person.sleeve_start
    stripes = (np.mod(along, 0.028) < 0.009) & (person.seed % 3 == 0)
    assert person.sleeve is not None
    cloth = np.where(stripes[:, None], person.sleeve[1], person.sleeve[0])
    folds = layered_field(np.random.default_rng(person.seed + 1), _SIZE, (3, 14), 2)
    cuff = along < 0.022
    knit = 1 + 0.06 * np.sin(along * 1500) - 0.1 * cuff - 0.35 * (np.abs(along - 0.023) < 0.0012)
    dressed = cloth * knit[:, None] * (1 + 0.14 * folds[..., None] * ~cuff[:, None])
    return np.where((along > 0)[None, :, None], dressed, colour).astype(np.float32)
