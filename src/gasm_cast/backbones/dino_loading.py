"""From a name and weights to a DINOv2 or DINOv3 backbone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTModel,
    PreTrainedModel,
)

from gasm_cast.backbones.contract import SemanticFrames
from gasm_cast.backbones.dino import ImageBackbone
from gasm_cast.backbones.names import IMAGE_HUB_IDS
from gasm_cast.backbones.placement import Placement
from gasm_cast.backbones.pretrained import load_folder, load_tensors
from gasm_cast.backbones.weights import find_weights, read_tensors
from gasm_cast.errors import InputError

DINOV2_SIZES: Final[dict[str, dict[str, Any]]] = {
    "small": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "giant": {
        "hidden_size": 1536,
        "num_hidden_layers": 40,
        "num_attention_heads": 24,
        "use_swiglu_ffn": True,
    },
}
"""What a single weights file leaves unsaid."""

DINOV2_PATCH_PX: Final = 14


def load_image_backbone(
    name: str, *, weights: str | Path | None, semantic_frames: SemanticFrames, placement: Placement
) -> ImageBackbone:
    """Load DINOv2 or DINOv3.

    Args:
        name: A key of :data:`names.IMAGE_HUB_IDS`.
        weights: A hub id, a folder as `save_pretrained` writes it, or for DINOv2 one file under
            the names of the hub or of the authors' own `dinov2_vit*_pretrain.pth`.
        semantic_frames: How the frames of a clip become tokens.
        placement: Device and precision.

    Raises:
        InputError: if the weights cannot be had, or are of another family.
    """
    source = find_weights(weights, default_hub_id=IMAGE_HUB_IDS[name])
    model: PreTrainedModel
    match name.split("-"), source.path.is_dir():
        case ["dinov2", "with", "registers", _], True:
            model = load_folder(Dinov2WithRegistersModel, source.path, name=name)
        case ["dinov2", _], True:
            model = load_folder(Dinov2Model, source.path, name=name)
        case ["dinov3", _], True:
            model = load_folder(DINOv3ViTModel, source.path, name=name)
        case ["dinov2", *_, size], False:
            model = _dinov2_from_file(source.path, name=name, size=size)
        case _:
            raise InputError(f"{weights}: {name} needs a folder with config.json and model.safetensors")
    model.to(placement.device)
    return ImageBackbone(name, model, semantic_frames, placement, source)


def _dinov2_from_file(path: Path, *, name: str, size: str) -> PreTrainedModel:
    """DINOv2 from one file; its tables of positions and registers tell their own lengths."""
    tensors = hub_names(read_tensors(path))
    positions = tensors.get("embeddings.position_embeddings")
    registers = tensors.get("embeddings.register_tokens")
    if positions is None:
        raise InputError(f"{path}: not weights of {name}: lacks a table of positions")
    if (registers is not None) != ("registers" in name):
        raise InputError(f"{path}: {'lacks' if registers is None else 'has'} registers, so it is not {name}")
    shape = {
        **DINOV2_SIZES[size],
        "patch_size": DINOV2_PATCH_PX,
        "image_size": DINOV2_PATCH_PX * math.isqrt(positions.shape[1]),
    }
    if registers is None:
        return load_tensors(Dinov2Model, Dinov2Config(**shape), tensors, source=str(path))
    config = Dinov2WithRegistersConfig(**shape, num_register_tokens=registers.shape[1])
    return load_tensors(Dinov2WithRegistersModel, config, tensors, source=str(path))


RENAMED: Final = (
    (r"^(cls_token|mask_token|register_tokens)$", r"embeddings.\1"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.ls([12])\.gamma$", r".layer_scale\1.lambda1"),
    (r"\.mlp\.w12\.", ".mlp.weights_in."),
    (r"\.mlp\.w3\.", ".mlp.weights_out."),
)
"""Names in the authors' files and on the hub."""


def hub_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' tensors under the names of the hub; tensors that have those are left as they are.

    The authors keep query, key and value in one matrix, the hub in three.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        new_name = name
        for pattern, replacement in RENAMED:
            new_name = re.sub(pattern, replacement, new_name)
        if ".attn.qkv." in new_name:
            for part, rows in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[new_name.replace(".attn.qkv.", f".attention.attention.{part}.")] = rows
        elif new_name == "embeddings.mask_token":
            continue  # only masked pre-training uses it, and the authors' form has one more axis or none
        else:
            renamed[new_name] = tensor
    return renamed
