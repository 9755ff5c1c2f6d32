"""The semantic backbones on image transformers: DINOv2, with and without registers, and DINOv3.

Frames are seen one by one. The input size is chosen so that patches make a grid of
14 x 14: 196 px for patches of 14, 224 px for patches of 16. DINOv2's table of positions
is interpolated to that grid; DINOv3's positions are rotary and need none. Of the last
layer, after its norm, the patch tokens are kept; the class token and the registers, as
many as the configuration says, come before them and are dropped.

Sources:
    Oquab et al. 2023 (DINOv2); Darcet et al. 2023 (registers); Siméoni et al. 2025 (DINOv3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, Shaped
from transformers import PreTrainedModel

from gasm_cast.backbones.contract import (
    CLIP_FRAMES,
    SemanticFrames,
    Stream,
    check_frames,
    kept_frames,
    num_maps,
)
from gasm_cast.backbones.pixels import IMAGENET, PixelRange
from gasm_cast.backbones.placement import Placement
from gasm_cast.backbones.weights import WeightSource
from gasm_cast.geometry import Grid, StreamSpec

PATCHES: Final = 14
"""Patches a side."""


@dataclass(frozen=True, eq=False)
class ImageBackbone:
    """Patch tokens of single frames.

    Attributes:
        model: The transformer, in evaluation mode, on its device.
        source: Where the weights came from, for :meth:`describe`.
    """

    name: str
    model: PreTrainedModel
    semantic_frames: SemanticFrames
    placement: Placement
    source: WeightSource
    pixels: PixelRange = IMAGENET
    stream: Stream = "semantic"
    num_frames: int = CLIP_FRAMES
    in_worker: bool = False

    @property
    def input_size_px(self) -> int:
        """Height and width of the frames that give the grid."""
        return PATCHES * int(self.model.config.patch_size)

    @property
    def spec(self) -> StreamSpec:
        """Grid and width of the tokens."""
        return StreamSpec(
            Grid(num_maps(self.semantic_frames), PATCHES, PATCHES), int(self.model.config.hidden_size)
        )

    @property
    def num_registers(self) -> int:
        """Register tokens that stand between the class token and the patches."""
        return int(getattr(self.model.config, "num_register_tokens", 0))

    def describe(self) -> dict[str, Any]:
        """What the features depend on."""
        return {
            "name": self.name,
            "stream": self.stream,
            **self.source.describe(),
            **self.pixels.describe(),
            "layer": "last, after its norm",
            "tokens_dropped": {"class": 1, "registers": self.num_registers},
            "input_size_px": self.input_size_px,
            "num_frames": self.num_frames,
            "semantic_frames": self.semantic_frames,
            "precision": self.placement.precision,
        }

    @torch.inference_mode()
    def forward(
        self, frames: Shaped[np.ndarray, "batch frames height width 3"]
    ) -> Float32[np.ndarray, "batch tokens channels"]:
        """Tokens of a batch of clips.

        Raises:
            InputError: if the frames are not uint8 or of another shape.
        """
        check_frames(frames, num_frames=self.num_frames, size_px=self.input_size_px)
        kept = frames[:, kept_frames(self.semantic_frames)]
        images = rearrange(self.pixels.normalized(kept, self.placement.device), "b f c h w -> (b f) c h w")
        with self.placement.autocast():
            all_tokens = self.model(pixel_values=images).last_hidden_state
        patches = all_tokens[:, 1 + self.num_registers :].float()
        if patches.shape[1] != PATCHES**2:
            raise RuntimeError(f"{self.name} gave {patches.shape[1]} patch tokens, expected {PATCHES**2}")
        maps = rearrange(patches, "(b f) n c -> b f n c", b=len(frames))
        # As `join_frames`, which is of numpy arrays; on the device, since a mean is less to copy.
        tokens = maps.mean(1) if self.semantic_frames == "mean" else rearrange(maps, "b f n c -> b (f n) c")
        result: np.ndarray = tokens.cpu().numpy()
        return result
