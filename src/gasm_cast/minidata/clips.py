"""One clip, from its number to its frames' plan: place, light, camera, action, bystanders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gasm_cast.minidata import acting
from gasm_cast.minidata.camera import CameraPath, film
from gasm_cast.minidata.catalogue import VARIANTS, Split
from gasm_cast.minidata.hands import Person
from gasm_cast.minidata.materials import Light
from gasm_cast.minidata.motion import Frames
from gasm_cast.minidata.scene import Body, Script, Stage
from gasm_cast.minidata.templates import TEMPLATES
from gasm_cast.minidata.textures import TABLES, WALLS

FRAMES_PER_SEC = 12
HEIGHT_PX = 240
WIDTHS_PX = (320, 426)
"""4:3 and 16:9; the latter made even for the encoder."""

MAX_CLIPS = 30_000
"""Clips a class and split that there are numbers for."""
_FIRST_NUMBER: dict[Split, int] = {"train": 1, "validation": 1_000_001, "test": 2_000_001}


@dataclass(frozen=True)
class ClipKey:
    """Which clip: everything about it follows from the seed and this.

    Attributes:
        split: Its split.
        label: Position of its class in :data:`TEMPLATES`.
        number: Its number among the clips of its class and split.
    """

    split: Split
    label: int
    number: int

    @property
    def id(self) -> str:
        """Id of the clip; the same clip has the same id in draws of any size."""
        return str(_FIRST_NUMBER[self.split] + self.number * len(TEMPLATES) + self.label)


@dataclass(frozen=True, eq=False)
class ClipPlan:
    """All that the renderer needs.

    Attributes:
        key: Which clip.
        script: What happens.
        bystanders: Things that have no part in it.
        camera: How it is filmed.
        light: The lamp.
        brightness: Exposure of each frame.
        person: Whose hands.
        table, wall: Kind and variant of the background.
        noise: Deviation of the sensor's noise, in grey levels.
        vignette: Darkening of the corners.
        glow: Light falling off to one side: direction and strength.
        quantizer: The encoder's constant-quality level.
        seed: Seed of the draw.
    """

    key: ClipKey
    script: Script
    bystanders: tuple[Body, ...]
    camera: CameraPath
    light: Light
    brightness: Frames
    person: Person
    table: tuple[str, int]
    wall: tuple[str, int]
    wall_y: float
    noise: float
    vignette: float
    glow: tuple[float, float]
    quantizer: int
    seed: int

    @property
    def num_frames(self) -> int:
        """Frames of the clip."""
        return len(self.brightness)

    @property
    def placeholders(self) -> list[str]:
        """Names of the things that the label names."""
        return [item.thing.name for item in self.script.named]

    @property
    def object_ids(self) -> list[str]:
        """Every thing in sight."""
        return [body.item.id for body in (*self.script.bodies, *self.bystanders)]

    @property
    def background_ids(self) -> list[str]:
        """Table-top and wall."""
        return [f"{kind}-{variant:02d}" for kind, variant in (self.table, self.wall)]


def plan_clip(seed: int, key: ClipKey) -> ClipPlan:
    """Draw a clip. Setting and length are drawn before the action, so they tell nothing about it."""
    rng = np.random.default_rng([seed, 4, int(key.id)])
    num_frames = int(rng.integers(2 * FRAMES_PER_SEC, 4 * FRAMES_PER_SEC + 1))
    times = np.arange(num_frames) / FRAMES_PER_SEC
    width_px = int(rng.choice(WIDTHS_PX))
    setting = np.random.default_rng([seed, 5, int(key.id)])
    light, person = Light.draw(setting), Person.draw(setting)
    variants = VARIANTS[key.split]
    table = (str(setting.choice(list(TABLES))), int(setting.choice(variants)))
    wall = (str(setting.choice(list(WALLS))), int(setting.choice(variants)))
    stage = Stage(rng, times, 0.15 * width_px / HEIGHT_PX, seed, key.split)
    script = TEMPLATES[key.label].act(stage)
    return ClipPlan(
        key=key,
        script=script,
        bystanders=_bystanders(stage, script),
        camera=film(setting, times, script.camera, width_px=width_px, height_px=HEIGHT_PX),
        light=light,
        brightness=_brightness(setting, times),
        person=person,
        table=table,
        wall=wall,
        wall_y=float(setting.uniform(0.42, 0.85)),
        noise=float(setting.uniform(1.0, 4.5)),
        vignette=float(setting.uniform(0.05, 0.32)),
        glow=(float(setting.uniform(-np.pi, np.pi)), float(setting.uniform(0.0, 0.3))),
        quantizer=int(setting.integers(22, 40)),
        seed=seed,
    )


def _bystanders(stage: Stage, script: Script) -> tuple[Body, ...]:
    """Things that stand about, out of the way of what happens; most of them lie behind it."""
    bodies: list[Body] = []
    wanted = int(stage.rng.choice(4, p=(0.4, 0.3, 0.2, 0.1)))
    for _ in range(24):
        if len(bodies) == wanted:
            break
        x, y = stage.uniform(-0.5, 0.5), stage.uniform(-0.05, 0.34)
        near = min(
            float(np.hypot(body.position[:, 0] - x, body.position[:, 1] - y).min())
            for body in (*script.bodies, *bodies)
        )
        hides = any(
            y < body.position[:, 1].max() and np.abs(body.position[:, 0] - x).min() < 0.13
            for body in script.bodies
        )
        if near > 0.17 and not hides:
            bodies.append(acting.resting(stage, stage.pick("slidable", "small", "container"), x, y))
    return tuple(bodies)


def _brightness(rng: np.random.Generator, times: Frames) -> Frames:
    """Exposure over time: mostly steady, sometimes a drift or a cloud, always a trace of flicker."""
    level = np.full(len(times), rng.uniform(0.88, 1.12))
    if rng.random() < 0.35:
        level *= 1 + rng.uniform(-0.18, 0.18) * np.linspace(-0.5, 0.5, len(times))
    if rng.random() < 0.2:
        centre, width = rng.uniform(0, times[-1]), rng.uniform(0.2, 0.6)
        level *= 1 - rng.uniform(0.08, 0.2) * np.exp(-0.5 * ((times - centre) / width) ** 2)
    return level * (1 + 0.006 * rng.standard_normal(len(times)))
