"""Contact sheet: one clip of each class, a row of frames each, under its sentence."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_path

_ROW_PX = 150
_TITLE_PX = 22
_GAP_PX = 4


def contact_sheet(folder: Path, path: Path, *, num_frames: int = 6) -> None:
    """Draw the first clip of each class of a draw, two classes side by side.

    Args:
        folder: A finished draw.
        path: Picture to write; the suffix says which kind.
        num_frames: Frames of each clip, evenly spread.

    Raises:
        InputError: if `folder` holds no finished draw, or the suffix is no picture's.
    """
    require_picture(path)
    clips = _first_clips(folder)
    strips = [
        _strip(folder / "videos" / f"{entry['id']}.webm", entry["label"], num_frames) for entry in clips
    ]
    width = max(strip.shape[1] for strip in strips)
    if len(strips) % 2:
        strips.append(np.full_like(strips[0], 255))
    padded = [
        cv2.copyMakeBorder(
            s, 0, _GAP_PX, 0, width - s.shape[1] + _GAP_PX, cv2.BORDER_CONSTANT, value=(255,) * 3
        )
        for s in strips
    ]
    rows = [np.hstack(padded[i : i + 2]) for i in range(0, len(padded), 2)]
    picture = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    with atomic_path(path) as temporary:
        cv2.imwrite(str(temporary), picture)


def require_picture(path: Path) -> None:
    """A picture can be written there, as far as its suffix says.

    Raises:
        InputError: if it says another kind of file, or none.
    """
    if not path.suffix or not cv2.haveImageWriter(path.name):
        raise InputError(f"{path}: the suffix names no kind of picture; use .png, .jpg or .webp")


def _first_clips(folder: Path) -> list[dict[str, str]]:
    """The first annotated clip of each class, in the order of the classes."""
    found: dict[str, dict[str, str]] = {}
    for name in ("train.json", "validation.json"):
        if not (folder / name).exists():
            raise InputError(
                f"{folder} holds no finished draw of mini ({name} is missing); `gasm-cast mini` makes one"
            )
        for entry in json.loads((folder / name).read_text(encoding="utf-8")):
            found.setdefault(entry["template"], entry)
    if not found:
        raise InputError(f"{folder} has no clips in train or validation to draw")
    return list(found.values())


def _strip(path: Path, title: str, num_frames: int) -> UInt8[np.ndarray, "rows cols 3"]:
    """Frames of one clip side by side, its sentence above."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    chosen = np.linspace(0, len(frames) - 1, num_frames).round().astype(int)
    height, width = frames[0].shape[:2]
    size = (round(width * _ROW_PX / height), _ROW_PX)
    small = [cv2.resize(frames[i], size, interpolation=cv2.INTER_AREA) for i in chosen]
    strip = np.full((_TITLE_PX + _ROW_PX, num_frames * (size[0] + 2), 3), 255, np.uint8)
    for position, frame in enumerate(small):
        left = position * (size[0] + 2)
        strip[_TITLE_PX:, left : left + size[0]] = frame
    cv2.putText(strip, title, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1, cv2.LINE_AA)
    return strip
