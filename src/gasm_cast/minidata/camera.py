"""The world and the camera that films it.

World: x right, y away from the camera, z up, in metres; the table's top is z = 0 and the
middle of the scene lies near the origin. Camera: a pinhole that looks down by its pitch,
turns right by its yaw, and leans by its roll.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at one moment.

    Attributes:
        position: Where it stands.
        yaw, pitch, roll: To the right, down, clockwise lean; radians.
        focal_px: Focal length.
        width_px, height_px: Size of the picture.
    """

    position: Float[np.ndarray, " 3"]
    yaw: float
    pitch: float
    roll: float
    focal_px: float
    width_px: int
    height_px: int

    @cached_property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Rows: right, down and forward, in the world's frame."""
        cos_y, sin_y = np.cos(self.yaw), np.sin(self.yaw)
        cos_p, sin_p = np.cos(self.pitch), np.sin(self.pitch)
        cos_r, sin_r = np.cos(self.roll), np.sin(self.roll)
        right = np.array([cos_y, -sin_y, 0.0])
        down = np.array([-sin_y * sin_p, -cos_y * sin_p, -cos_p])
        forward = np.array([sin_y * cos_p, cos_y * cos_p, -sin_p])
        return np.stack([cos_r * right + sin_r * down, cos_r * down - sin_r * right, forward])

    @property
    def matrix(self) -> Float[np.ndarray, "3 4"]:
        """Projection: homogeneous world point to homogeneous pixel."""
        axes = self.axes
        intrinsic = np.array(
            [[self.focal_px, 0, self.width_px / 2], [0, self.focal_px, self.height_px / 2], [0, 0, 1]]
        )
        return np.asarray(intrinsic @ np.concatenate([axes, -(axes @ self.position)[:, None]], axis=1))

    def project(self, point: Float[np.ndarray, " 3"]) -> tuple[float, float, float]:
        """Column, row and depth of a point; depth is at least a centimetre."""
        x, y, depth = self.axes @ (point - self.position)
        depth = max(float(depth), 0.01)
        scale = self.focal_px / depth
        return self.width_px / 2 + x * scale, self.height_px / 2 + y * scale, depth

    def plane(
        self,
        origin: Float[np.ndarray, " 3"],
        along: Float[np.ndarray, " 3"],
        across: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, "3 3"]:
        """Homography from coordinates (s, t) of the point origin + s along + t across to pixels."""
        world = np.zeros((4, 3))
        world[:3, 0], world[:3, 1], world[:3, 2] = along, across, origin
        world[3, 2] = 1
        return self.matrix @ world


@dataclass(frozen=True)
class CameraPath:
    """The camera over the frames of a clip."""

    position: Float[np.ndarray, "frames 3"]
    yaw: Float[np.ndarray, " frames"]
    pitch: Float[np.ndarray, " frames"]
    roll: Float[np.ndarray, " frames"]
    focal_px: float
    width_px: int
    height_px: int

    def at(self, frame: int) -> Camera:
        """The camera in one frame."""
        return Camera(
            self.position[frame],
            float(self.yaw[frame]),
            float(self.pitch[frame]),
            float(self.roll[frame]),
            self.focal_px,
            self.width_px,
            self.height_px,
        )


@dataclass(frozen=True)
class CameraMove:
    """What an action does with the camera, on top of how it stands and how it shakes.

    Attributes:
        forward: Metres towards the middle of the scene, per frame.
        yaw, pitch: Radians to the right and down, per frame.
    """

    forward: Float[np.ndarray, " frames"]
    yaw: Float[np.ndarray, " frames"]
    pitch: Float[np.ndarray, " frames"]

    @classmethod
    def still(cls, num_frames: int) -> CameraMove:
        """No move at all."""
        return cls(np.zeros(num_frames), np.zeros(num_frames), np.zeros(num_frames))


def film(
    rng: np.random.Generator,
    times: Float[np.ndarray, " frames"],
    move: CameraMove,
    *,
    width_px: int,
    height_px: int,
) -> CameraPath:
    """Stand somewhere in front of the table, look at its middle, and shake as hands do.

    How the camera stands and shakes is drawn without a look at the action, so it tells
    nothing about the label.
    """
    distance = rng.uniform(0.75, 0.95)
    pitch = np.radians(rng.uniform(27, 44))
    view_height = rng.uniform(0.29, 0.35)
    side = rng.uniform(-0.06, 0.06)
    target = np.array([rng.uniform(-0.02, 0.02), rng.uniform(-0.02, 0.02), rng.uniform(0.035, 0.055)])
    towards = np.array([-side / distance, np.cos(pitch), -np.sin(pitch)])
    shake = rng.gamma(2.0, 0.5)
    tremor = [_drift(rng, times) * shake for _ in range(6)]
    start = target - towards * distance
    drift = np.stack(tremor[:3], axis=1) * 0.003
    position = start + towards * move.forward[:, None] + drift
    return CameraPath(
        position=position,
        yaw=np.arctan2(towards[0], towards[1]) + move.yaw + np.radians(0.25) * tremor[3],
        pitch=pitch + move.pitch + np.radians(0.22) * tremor[4],
        roll=np.radians(rng.normal(0, 1.2)) + np.radians(0.3) * tremor[5],
        focal_px=height_px * distance / view_height,
        width_px=width_px,
        height_px=height_px,
    )


def _drift(rng: np.random.Generator, times: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    """Unsteadiness of about unit size: slow sway and a little tremor."""
    rates = np.array([rng.uniform(0.15, 0.4), rng.uniform(0.6, 1.1), rng.uniform(1.6, 2.8)])
    sizes = np.array([1.0, 0.5, 0.25]) * rng.uniform(0.5, 1.5, 3)
    phases = rng.uniform(0, 2 * np.pi, 3)
    return np.asarray((sizes * np.sin(2 * np.pi * rates * times[:, None] + phases)).sum(1))
