"""Backbones on video transformers: VideoMAE and V-JEPA 2.

Their tubelets of two frames make 8 segments of 16 frames, `[8 * rows * cols, width]`. As
the motion stream they are averaged over space, one token a segment. As the semantic
stream the patches are kept: all 8 maps, or their mean over time.

Source:
    Tong et al. 2022 (VideoMAE); Assran et al. 2025 (V-JEPA 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from einops import reduce
from jaxtyping import Float32, Shaped
from transformers import VideoMAEModel, VJEPA2Model

from gasm_cast.backbones.contract import CLIP_FRAMES, SemanticFrames, Stream, check_frames
from gasm_cast.backbones.names import VIDEO_HUB_IDS
from gasm_cast.backbones.pixels import IMAGENET, PixelRange
from gasm_cast.backbones.placement import Placement
from gasm_cast.backbones.pretrained import load_folder
from gasm_cast.backbones.weights import WeightSource, find_weights
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec

Averaged = Literal["space", "time", "nothing"]


@dataclass(frozen=True, eq=False)
class VideoBackbone:
    """Tokens of whole clips.

    Attributes:
        model: The transformer, in evaluation mode, on its device.
        averaged: What the model's own tokens are averaged over.
        source: Where the weights came from, for :meth:`describe`.
    """

    name: str
    stream: Stream
    model: VideoMAEModel | VJEPA2Model
    averaged: Averaged
    placement: Placement
    source: WeightSource
    pixels: PixelRange = IMAGENET
    num_frames: int = CLIP_FRAMES
    in_worker: bool = False

    @property
    def input_size_px(self) -> int:
        """Height and width of the frames: the size that the positions were trained for."""
        config = self.model.config
        return int(config.crop_size if config.model_type == "vjepa2" else config.image_size)

    @property
    def model_grid(self) -> Grid:
        """Grid of the model's own tokens."""
        side = self.input_size_px // int(self.model.config.patch_size)
        return Grid(self.num_frames // int(self.model.config.tubelet_size), side, side)

    @property
    def spec(self) -> StreamSpec:
        """Grid and width of the tokens."""
        grid = self.model_grid
        match self.averaged:
            case "space":
                grid = Grid(grid.num_frames, 1, 1)
            case "time":
                grid = Grid(1, grid.num_rows, grid.num_cols)
            case "nothing":
                pass
        return StreamSpec(grid, int(self.model.config.hidden_size))

    def describe(self) -> dict[str, Any]:
        """What the features depend on."""
        return {
            "name": self.name,
            "stream": self.stream,
            **self.source.describe(),
            **self.pixels.describe(),
            "layer": "last of the encoder",
            "averaged_over": self.averaged,
            "input_size_px": self.input_size_px,
            "num_frames": self.num_frames,
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
        video = self.pixels.normalized(frames, self.placement.device)
        with self.placement.autocast():
            if self.model.config.model_type == "vjepa2":
                output = self.model(pixel_values_videos=video, skip_predictor=True)
            else:
                output = self.model(pixel_values=video)
        tokens = output.last_hidden_state.float()
        grid = self.model_grid
        if tokens.shape[1] != grid.num_tokens:
            raise RuntimeError(f"{self.name} gave {tokens.shape[1]} tokens, expected {grid}")
        match self.averaged:
            case "space":
                tokens = reduce(tokens, "b (t n) c -> b t c", "mean", t=grid.num_frames)
            case "time":
                tokens = reduce(tokens, "b (t n) c -> b n c", "mean", t=grid.num_frames)
            case "nothing":
                pass
        result: np.ndarray = tokens.cpu().numpy()
        return result


def load_video_backbone(
    name: str,
    *,
    stream: Stream,
    weights: str | Path | None,
    semantic_frames: SemanticFrames,
    placement: Placement,
) -> VideoBackbone:
    """Load VideoMAE or V-JEPA 2; of a fine-tuned checkpoint, the encoder.

    Args:
        name: A key of :data:`names.VIDEO_HUB_IDS`.
        stream: Motion averages over space; semantic keeps the patches.
        weights: A hub id, or a folder as `save_pretrained` writes it.
        semantic_frames: `mean` or 8; unused for motion.
        placement: Device and precision.

    Raises:
        InputError: if the weights cannot be had, are of another family, or take other clips.
    """
    averaged: Averaged
    match stream, semantic_frames:
        case "motion", _:
            averaged = "space"
        case "semantic", "mean":
            averaged = "time"
        case "semantic", 8:
            averaged = "nothing"
        case _:
            raise InputError(
                f"{name} sees frames in pairs: semantic frames must be mean or 8, got {semantic_frames}"
            )
    source = find_weights(weights, default_hub_id=VIDEO_HUB_IDS[name])
    if source.path.is_file():
        raise InputError(f"{weights}: {name} needs a folder with config.json and model.safetensors")
    model_class = VJEPA2Model if name.startswith("vjepa2-") else VideoMAEModel
    model = load_folder(model_class, source.path, name=name)
    trained_frames = getattr(model.config, "num_frames", CLIP_FRAMES)
    if trained_frames != CLIP_FRAMES or model.config.tubelet_size != 2:
        raise InputError(
            f"{source.path}: takes {trained_frames} frames in tubelets of {model.config.tubelet_size}; "
            f"clips have {CLIP_FRAMES} frames in segments of 2"
        )
    model.to(placement.device)
    return VideoBackbone(name, stream, model, averaged, placement, source)
