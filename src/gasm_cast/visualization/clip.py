"""The clip that a picture shows."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gasm_cast.backbones import CLIP_FRAMES
from gasm_cast.video import Sampling, sample_clip
from gasm_cast.visualization.explaining import Answer

SHOWN_PX = 336


@dataclass(frozen=True, eq=False)
class ShownClip:
    """Frames as the model saw them, only larger, so that its grid of patches lies on them."""

    name: str
    label: str | None
    """True class, if it is known."""
    frames: UInt8[np.ndarray, "frames size size 3"]
    times_sec: Float[np.ndarray, " frames"]
    flaws: tuple[str, ...] = ()
    """What is wrong with the file although it gave frames."""

    @classmethod
    def of_video(cls, name: str, label: str | None, path: Path, sampling: Sampling) -> ShownClip:
        """The frames of one view.

        Raises:
            VideoError: if the video cannot be decoded.
        """
        clip = sample_clip(path, sampling)
        return cls(name, label, clip.frames, clip.times_sec, clip.flaws)

    @classmethod
    def without_video(cls, name: str, label: str | None) -> ShownClip:
        """Grey frames, for features whose video is not here; a frame lasts a unit of time."""
        frames = np.full((CLIP_FRAMES, SHOWN_PX, SHOWN_PX, 3), 90, np.uint8)
        return cls(name, label, frames, np.arange(CLIP_FRAMES, dtype=np.float64))

    def title(self, answer: Answer) -> str:
        """What the model says, and whether that is right."""
        best, probability = answer.top(1)[0]
        said = f"“{best}”, {probability:.0%}"
        if self.label is None:
            return said
        if self.label == best:
            return f"{said} — right"
        return f"{said} — wrong, it is “{textwrap.shorten(self.label, 70, placeholder=' …')}”"
