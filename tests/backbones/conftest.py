"""Tiny random models, saved as the hub serves them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    VideoMAEConfig,
    VideoMAEForVideoClassification,
    VideoMAEModel,
    VJEPA2Config,
    VJEPA2ForVideoClassification,
    VJEPA2Model,
)

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.3,  # so large that tokens differ visibly
}


def build(family: str) -> Any:
    """A tiny random model of a family, in evaluation mode."""
    torch.manual_seed(0)
    predictor = {"pred_hidden_size": 24, "pred_num_hidden_layers": 1, "pred_num_attention_heads": 2}
    match family:
        case "dinov2":
            model: Any = Dinov2Model(Dinov2Config(**TINY, image_size=518, patch_size=14))
        case "dinov2-with-registers":
            model = Dinov2WithRegistersModel(
                Dinov2WithRegistersConfig(**TINY, image_size=518, patch_size=14, num_register_tokens=4)
            )
        case "dinov3":
            model = DINOv3ViTModel(DINOv3ViTConfig(**TINY, intermediate_size=64, num_register_tokens=4))
        case "videomae":
            model = VideoMAEModel(VideoMAEConfig(**TINY, intermediate_size=64, image_size=64))
        case "videomae-classifier":
            model = VideoMAEForVideoClassification(
                VideoMAEConfig(**TINY, intermediate_size=64, image_size=64)
            )
        case "vjepa2":
            model = VJEPA2Model(VJEPA2Config(**TINY, **predictor, crop_size=64))
        case "vjepa2-classifier":
            model = VJEPA2ForVideoClassification(VJEPA2Config(**TINY, **predictor, crop_size=64))
        case _:
            raise ValueError(family)
    # What starts at a constant would hide that it is read at all.
    for name, parameter in model.named_parameters():
        if parameter.std() == 0 or "token" in name or "position" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


Folder = Callable[[str], Path]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Folder of a tiny random model by family, as `save_pretrained` writes it."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            build(family).save_pretrained(made[family])
        return made[family]

    return folder


@pytest.fixture(scope="session")
def random_frames() -> Callable[[int, int], npt.NDArray[np.uint8]]:
    """Random clips `[batch, 16, size, size, 3]`, by batch and size."""

    def frames(batch: int, size: int) -> npt.NDArray[np.uint8]:
        return np.random.default_rng(0).integers(0, 256, (batch, 16, size, size, 3), dtype=np.uint8)

    return frames
