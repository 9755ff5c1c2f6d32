"""From the plan of a clip to its frames.

Each frame: wall and table warped onto their planes, cast shadows, then all sprites from
far to near with the contact shadow under each, then light, lens and sensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from gasm_cast.minidata import placing
from gasm_cast.minidata.actors import BodyActor, HandActor
from gasm_cast.minidata.camera import Camera
from gasm_cast.minidata.clips import ClipPlan
from gasm_cast.minidata.compositing import Frame, darken, paste, smeared
from gasm_cast.minidata.scene import Body
from gasm_cast.minidata.textures import TABLE_PX_PER_M, WALL_PX_PER_M, table_picture, wall_picture

Picture = UInt8[np.ndarray, "rows cols 3"]

_GAP_M = 0.03
"""Between the table's far edge and the wall."""
_RIGHT = np.array([1.0, 0.0, 0.0])
_NOISE_SIZE = (288, 480)


def render(plan: ClipPlan) -> Iterator[Picture]:
    """Frames of a clip, RGB, in order."""
    film = _Film(plan)
    for index in range(plan.num_frames):
        yield film.frame(index)


class _Film:
    """What is prepared once a clip, and the making of each frame."""

    def __init__(self, plan: ClipPlan) -> None:
        self._plan = plan
        self._cameras = [plan.camera.at(index) for index in range(plan.num_frames)]
        pitch_rad = float(np.median(plan.camera.pitch))
        bodies = (*plan.script.bodies, *plan.bystanders)
        self._actors: list[BodyActor | HandActor] = [
            *(BodyActor(b, plan.light, pitch_rad=pitch_rad, px_per_m=self._largest_scale(b)) for b in bodies),
            *(HandActor(h, plan.person, plan.light, pitch_rad=pitch_rad) for h in plan.script.hands),
        ]
        self._lens = _lens(plan) * _exposure(plan)
        self._rng = np.random.default_rng([plan.seed, 6, int(plan.key.id)])

    def _largest_scale(self, body: Body) -> float:
        """Largest scale at which a body is seen, px per m."""
        pairs = zip(self._cameras, body.position, strict=True)
        nearest = min(camera.project(place)[2] for camera, place in pairs)
        return self._plan.camera.focal_px / max(nearest, 0.3)

    def frame(self, index: int) -> Picture:
        """One finished frame."""
        camera, before = self._cameras[index], self._cameras[max(index - 1, 0)]
        picture = self._background(camera, before).astype(np.float32)
        for actor in self._actors:
            actor.cast_shadow(picture, camera, index)
        layers = [layer for actor in self._actors for layer in actor.layers(camera, before, index)]
        for layer in sorted(layers, key=lambda layer: -layer.depth):
            if layer.contact is not None:
                darken(picture, _contact_blob(), *layer.contact)
            paste(picture, layer.picture, layer.placement, layer.smear)
        return self._developed(picture, index)

    def _background(self, camera: Camera, before: Camera) -> Picture:
        """Wall and table, with the smear of a camera that turns."""
        plan = self._plan
        wall = wall_picture(plan.seed, *plan.wall)
        table = table_picture(plan.seed, *plan.table)
        edge_y = plan.wall_y - _GAP_M
        share, first, last = _table_share(camera, edge_y)
        picture = np.empty((camera.height_px, camera.width_px, 3), np.uint8)
        top = np.array([-wall.shape[1] / WALL_PX_PER_M / 2, plan.wall_y, wall.shape[0] / WALL_PX_PER_M])
        picture[:last] = _on_plane(
            wall, camera, WALL_PX_PER_M, corner=top, down=np.array([0.0, 0.0, -1.0]), rows=slice(0, last)
        )
        far = np.array([-table.shape[1] / TABLE_PX_PER_M / 2, edge_y, 0.0])
        rows = slice(first, camera.height_px)
        ground = _on_plane(
            table, camera, TABLE_PX_PER_M, corner=far, down=np.array([0.0, -1.0, 0.0]), rows=rows
        )
        edge = last - first
        seam = share[first:last, :, None]
        picture[first:last] = (seam * ground[:edge] + (1 - seam) * picture[first:last]).astype(np.uint8)
        picture[last:] = ground[edge:]
        middle = np.array([[0.0, 0.2, 0.0]])
        return smeared(picture, placing.smear(camera, before, middle, 0))

    def _developed(self, picture: Frame, index: int) -> Picture:
        """Light, lens and sensor."""
        picture *= self._lens * np.float32(self._plan.brightness[index])
        # Film's shoulder: beyond 200 light counts half, so that highlights keep their form.
        np.minimum(picture, np.float32(0.5) * picture + np.float32(100), out=picture)
        rows, cols = picture.shape[:2]
        top = int(self._rng.integers(_NOISE_SIZE[0] - rows + 1))
        left = int(self._rng.integers(_NOISE_SIZE[1] - cols + 1))
        noise = _sensor_noise()[top : top + rows, left : left + cols]
        picture += noise * np.float32(self._plan.noise)
        return np.asarray(np.clip(picture, 0, 255), np.uint8)


def _on_plane(
    texture: UInt8[np.ndarray, "texture_rows texture_cols 3"],
    camera: Camera,
    px_per_m: float,
    *,
    corner: Float[np.ndarray, " 3"],
    down: Float[np.ndarray, " 3"],
    rows: slice,
) -> Picture:
    """A texture on a plane as the camera sees it; beyond its edges it goes on mirrored.

    Args:
        texture: Its rows go along `down`, its columns to the right.
        camera: The camera.
        px_per_m: Scale of the texture.
        corner: Where its first pixel lies.
        down: Unit vector along its columns.
        rows: Rows of the frame to make.
    """
    size = (camera.width_px, rows.stop - rows.start)
    if not size[1]:
        return np.empty((0, size[0], 3), np.uint8)
    to_pixels = camera.plane(corner, _RIGHT / px_per_m, down / px_per_m)
    to_pixels[1] -= rows.start * to_pixels[2]
    warped = cv2.warpPerspective(
        texture, to_pixels, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(warped, np.uint8)


def _table_share(camera: Camera, edge_y: float) -> tuple[Float32[np.ndarray, "rows cols"], int, int]:
    """How much of each pixel the table takes; the first row with some of it, and the first full row."""
    (left, left_row, _), (right, right_row, _) = (
        camera.project(np.array([x, edge_y, 0.0])) for x in (-2.0, 2.0)
    )
    bottom = camera.height_px * 4.0
    outline = np.array([[left, left_row], [right, right_row], [right, bottom], [left, bottom]])
    mask = np.zeros((camera.height_px, camera.width_px), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    some, full = mask.any(1), (mask == 255).all(1)
    first = int(np.argmax(some)) if some.any() else camera.height_px
    last = int(np.argmax(full)) if full.any() else camera.height_px
    return mask.astype(np.float32) / 255, first, last


def _lens(plan: ClipPlan) -> Float32[np.ndarray, "rows cols 3"]:
    """Factor of each pixel: darker corners, light falling off to one side, the lamp's tint."""
    rows, cols = plan.camera.height_px, plan.camera.width_px
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j].astype(np.float32)
    angle, strength = plan.glow
    factor = 1 - plan.vignette * (x * x + y * y) / 2
    factor *= 1 + strength * 0.5 * (x * np.cos(angle) + y * np.sin(angle))
    return np.asarray(factor[..., None] * plan.light.tint, np.float32)


def _exposure(plan: ClipPlan) -> np.float32:
    """What a camera's automatic exposure does: it evens out half of what dark and bright tables differ by."""
    grey = float(table_picture(plan.seed, *plan.table).mean()) / 255
    return np.float32(np.sqrt(0.58 / max(grey, 0.1)))


@lru_cache(maxsize=1)
def _sensor_noise() -> Float32[np.ndarray, "rows cols 3"]:
    """Noise of unit size, mostly in lightness, softened as cameras do."""
    rng = np.random.default_rng(7)
    grey = rng.standard_normal((*_NOISE_SIZE, 1), dtype=np.float32)
    colour = rng.standard_normal((*_NOISE_SIZE, 3), dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(grey + 0.5 * colour, (3, 3), 0.6), np.float32)


@lru_cache(maxsize=1)
def _contact_blob() -> UInt8[np.ndarray, "side side"]:
    """A round dark spot that fades outwards."""
    y, x = np.mgrid[-1 : 1 : placing.BLOB_PX * 1j, -1 : 1 : placing.BLOB_PX * 1j]
    return np.asarray(255 * np.clip(1 - np.hypot(x, y), 0, 1) ** 1.2, np.uint8)
