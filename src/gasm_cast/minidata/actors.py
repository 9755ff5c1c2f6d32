"""Bodies and hands as the renderer sees them: which pictures to lay where in each frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import UInt8

from gasm_cast.minidata import placing
from gasm_cast.minidata.acting import arm_direction
from gasm_cast.minidata.camera import Camera
from gasm_cast.minidata.compositing import Frame, darken, soft_mask
from gasm_cast.minidata.hands import HandSprites, Person, hand_sprites
from gasm_cast.minidata.materials import Light
from gasm_cast.minidata.placing import Affine
from gasm_cast.minidata.scene import Body, Hand
from gasm_cast.minidata.sprites import RollingSprite, Sprite, object_sprite, rolling_sprite
from gasm_cast.minidata.things import filled, upside_down

_CLOSURE_STEPS = 3
_TILTS_PER_RAD = 6
_NO_CONTACT_M = 0.12
"""Height above which a thing leaves no contact shadow."""
_NO_SHADOW_M = 0.45
_SHADOW_BLUR_PX = (1.5, 3.0, 5.0, 7.0)
_SHADOW_STEP_M = 0.06


@dataclass(frozen=True, eq=False)
class Layer:
    """One picture to lay into a frame.

    Attributes:
        depth: Farther ones are laid first.
        picture: RGB times alpha, and alpha.
        placement: From its pixels to the frame's.
        smear: How far it moves while the shutter is open, px.
        contact: Placement and strength of the contact shadow to lay before it.
    """

    depth: float
    picture: UInt8[np.ndarray, "r c 4"]
    placement: Affine
    smear: tuple[float, float]
    contact: tuple[Affine, float] | None = None


class BodyActor:
    """A body with its sprites."""

    def __init__(self, body: Body, light: Light, *, pitch_rad: float, px_per_m: float) -> None:
        self._body, self._light = body, light
        self._thing = upside_down(body.item.thing) if body.covers else body.item.thing
        if body.content is not None:
            self._thing = filled(self._thing, body.content.thing)
        self._pitch_rad, self._px_per_m = pitch_rad, px_per_m
        self._tilted: dict[int, Sprite] = {}
        self._shadows: dict[int, tuple[UInt8[np.ndarray, "r c"], int]] = {}

    @property
    def _is_flat(self) -> bool:
        """Whether it casts its outline from above, rather than the one from its side."""
        _, half_depth, height = self._thing.extent
        return height < 1.2 * half_depth

    @cached_property
    def _rolling(self) -> RollingSprite:
        return rolling_sprite(self._thing, self._light, pitch_rad=self._pitch_rad, px_per_m=self._px_per_m)

    def _sprite(self, index: int) -> Sprite:
        """The picture of one frame."""
        if self._body.rolled is not None:
            return self._rolling.turned(float(self._body.rolled[index]))
        step = 0 if self._body.tilt is None else round(float(self._body.tilt[index]) * _TILTS_PER_RAD)
        if step not in self._tilted:
            self._tilted[step] = object_sprite(
                self._thing,
                self._light,
                pitch_rad=self._pitch_rad,
                yaw_rad=self._body.yaw,
                px_per_m=self._px_per_m,
                tilt_rad=step / _TILTS_PER_RAD,
            )
        return self._tilted[step]

    def layers(self, camera: Camera, before: Camera, index: int) -> Iterator[Layer]:
        """The body, and the near wall of a container above what lies in it."""
        body, place = self._body, self._body.position[index]
        sprite = self._sprite(index)
        lean = 0.0 if body.lean is None else float(body.lean[index])
        wide, tall = (1.0, 1.0) if body.stretch is None else map(float, body.stretch[index])
        placement = placing.stand(sprite, camera, place, lean=lean, stretch=(wide, tall))
        smear = placing.smear(camera, before, body.position, index)
        depth = float(place[1]) - body.nearer
        yield Layer(depth, sprite.picture, placement, smear, self._contact(camera, index))
        if sprite.front is not None and body.tilt is None:
            yield Layer(depth - 2e-3, sprite.front, placement, smear)

    def _contact(self, camera: Camera, index: int) -> tuple[Affine, float] | None:
        """The dark spot under a thing that lies or nearly does."""
        place = self._body.position[index]
        ground = 0.0 if self._body.ground is None else float(self._body.ground[index])
        lift = max(float(place[2]) - ground, 0)
        if lift >= _NO_CONTACT_M:
            return None
        strength = 0.5 * (1 - lift / _NO_CONTACT_M) ** 2
        return placing.lay_blob(camera, place, ground, self._thing.extent, 1.25 + 4 * lift), strength

    def cast_shadow(self, picture: Frame, camera: Camera, index: int) -> None:
        """The soft shadow that the lamp throws onto the table."""
        place = self._body.position[index]
        lift = max(float(place[2]), 0.0)
        if lift > _NO_SHADOW_M:
            return
        sprite = self._sprite(index)
        step = min(int(lift / _SHADOW_STEP_M), len(_SHADOW_BLUR_PX) - 1)
        if step not in self._shadows:
            alpha = cv2.resize(sprite.picture[..., 3], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            self._shadows[step] = soft_mask(alpha, _SHADOW_BLUR_PX[step])
        mask, room_px = self._shadows[step]
        if self._is_flat:
            ground = placing.thrown(place + np.array([0.0, 0.0, self._thing.height]), self._light)
            placement = placing.stand(sprite, camera, ground)
        else:
            placement = placing.throw_shadow(sprite, camera, place, self._light, self._pitch_rad)
        strength = (0.25 + 0.5 * self._light.strength) * (1 - lift / 0.6)
        darken(picture, mask, placing.scaled(placement, 2.0, room_px), strength)


class HandActor:
    """A hand with its sprites."""

    def __init__(self, hand: Hand, person: Person, light: Light, *, pitch_rad: float) -> None:
        self._hand, self._person, self._light = hand, person, light
        arm = arm_direction(hand.azimuth, hand.elevation)
        # Where the fingers point on the picture: to the right, and down.
        right, down = -arm[0], arm[1] * np.sin(pitch_rad) + arm[2] * np.cos(pitch_rad)
        self._angle_rad = float(np.arctan2(down, right))
        self._foreshortening = float(np.clip(np.hypot(right, down), 0.62, 1.0))
        self._drawn: dict[int, HandSprites] = {}

    def _sprites(self, index: int) -> HandSprites:
        """The hand of one frame."""
        step = round(float(self._hand.closure[index]) * _CLOSURE_STEPS)
        if step not in self._drawn:
            self._drawn[step] = hand_sprites(
                self._person,
                self._hand.grip,
                step / _CLOSURE_STEPS,
                self._light,
                mirrored=self._hand.mirrored,
                turned_rad=self._angle_rad,
            )
        return self._drawn[step]

    def layers(self, camera: Camera, before: Camera, index: int) -> Iterator[Layer]:
        """What lies behind the held thing, and what in front."""
        place = self._hand.position[index]
        sprites = self._sprites(index)
        smear = placing.smear(camera, before, self._hand.position, index)
        depth = float(place[1]) - self._hand.nearer
        for sprite, offset in ((sprites.behind, 4e-3), (sprites.front, -1.5e-3)):
            yield Layer(depth + offset, sprite.picture, self._placement(sprite, camera, place), smear)

    def _placement(self, sprite: Sprite, camera: Camera, place: placing.Point) -> Affine:
        stretch = (self._foreshortening, 1.0)
        return placing.stand(sprite, camera, place, lean=self._angle_rad, stretch=stretch)

    @cached_property
    def _shadow(self) -> tuple[UInt8[np.ndarray, "r c"], int]:
        alpha = self._sprites(0).behind.picture[..., 3]
        return soft_mask(cv2.resize(alpha, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), 3.5)

    def cast_shadow(self, picture: Frame, camera: Camera, index: int) -> None:
        """A soft shadow beside the hand, the farther the higher it is."""
        place = self._hand.position[index]
        lift = float(np.clip(place[2], 0.02, 0.3))
        ground = placing.thrown(np.array([place[0], place[1], lift]), self._light)
        mask, room_px = self._shadow
        placement = self._placement(self._sprites(index).behind, camera, ground)
        strength = (0.15 + 0.4 * self._light.strength) * (1 - lift / 0.5)
        darken(picture, mask, placing.scaled(placement, 4.0, room_px), strength)
