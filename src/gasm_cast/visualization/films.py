"""Film strips for the report's player: the frames of a clip side by side, plain and under attention."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gasm_cast.visualization.clip import ShownClip
from gasm_cast.visualization.explaining import Explanation, part_of_frame
from gasm_cast.visualization.layers import heat_scale, map_at_frame
from gasm_cast.visualization.style import heat_over

FRAME_PX = 240
_QUALITY = 75


def attention_frames(
    explanation: Explanation, clip: ShownClip
) -> UInt8[np.ndarray, "frames size size 3"] | None:
    """Every frame under what the last layer that reads patches reads at that time.

    Returns:
        None if motion reads from no patch in any layer.
    """
    reading = [
        number for number, layer in enumerate(explanation.layers) if layer.motion_from_semantic is not None
    ]
    if not reading:
        return None
    high = heat_scale(explanation)
    pictures = []
    for index, frame in enumerate(clip.frames):
        segment = part_of_frame(index, explanation.motion_grid.num_frames)
        weights = map_at_frame(explanation, reading[-1], segment, index)
        assert weights is not None
        pictures.append(heat_over(frame, weights, low=1.0, high=high))
    return np.stack(pictures)


def write_strip(path: Path, frames: UInt8[np.ndarray, "frames size size 3"]) -> None:
    """One WebP picture with all frames from left to right, each `FRAME_PX` wide."""
    small = [cv2.resize(frame, (FRAME_PX, FRAME_PX), interpolation=cv2.INTER_AREA) for frame in frames]
    Image.fromarray(np.concatenate(small, axis=1)).save(path, quality=_QUALITY)
