"""Pixel ranges: how each family of weights wants to see 0..255."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class PixelRange:
    """`(x / 255 - mean) / std`, channel by channel, of RGB frames.

    Attributes:
        mean: What maps to 0.
        std: What maps to 1 above it.
    """

    mean: Rgb
    std: Rgb

    def normalized(
        self, frames: UInt8[np.ndarray, "batch frames height width 3"], device: torch.device
    ) -> Float[Tensor, "batch frames 3 height width"]:
        """Frames on the device, scaled there: a quarter of the bytes travel that floats would take."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).to(device).movedim(-1, 2).float() / 255
        mean, std = (pixels.new_tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std

    def describe(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "pixels": "RGB, x / 255, minus mean, over std",
            "mean": list(self.mean),
            "std": list(self.std),
        }


IMAGENET: Final = PixelRange((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""DINOv2, DINOv3, VideoMAE, V-JEPA 2."""
MINUS_ONE_TO_ONE: Final = PixelRange((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""I3D on Inception-v1."""
KINETICS: Final = PixelRange((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
"""I3D on ResNet-50 (PyTorchVideo)."""
