"""Film strips: the frames of a clip side by side in one picture, which the page plays.

A strip holds the frames that a model sees, whatever the video's codec; its size is
bounded however long the video is; and heat maps can be laid over it frame by frame.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from gasm_cast.annotations import read_annotations
from gasm_cast.errors import InputError
from gasm_cast.video import Sampling, VideoError, sample_clip

FRAME_PX = 192
_WEBP_QUALITY = 72


@dataclass(frozen=True)
class FilmStrip:
    """Frames of one clip, left to right."""

    webp: bytes
    num_frames: int

    @classmethod
    def of_frames(cls, frames: UInt8[np.ndarray, "frames size size 3"]) -> FilmStrip:
        """Encode RGB frames."""
        strip = np.concatenate(list(frames), axis=1)
        _, encoded = cv2.imencode(".webp", strip[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
        return cls(encoded.tobytes(), len(frames))

    @property
    def data_uri(self) -> str:
        """The strip as the address of its own content."""
        return f"data:image/webp;base64,{base64.b64encode(self.webp).decode('ascii')}"


def film_strips(annotations: Path, split: str, ids: Iterable[str]) -> dict[str, FilmStrip]:
    """Strips of those clips whose videos are at hand.

    A report can be made where the data set is not: then there is nothing to show, and a
    clip without a strip says so on the page.
    """
    try:
        table = read_annotations(annotations, split)
    except InputError:
        return {}
    paths = dict(zip(table.ids, table.paths, strict=True))
    strips = {}
    for clip in dict.fromkeys(ids):
        path = paths.get(clip)
        if path is None:
            continue
        try:
            strips[clip] = FilmStrip.of_frames(sample_clip(path, Sampling(size_px=FRAME_PX)).frames)
        except VideoError:
            continue
    return strips
