import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import VideoMAEConfig, VideoMAEModel, VJEPA2Model

from gasm_cast.backbones import Backbone, SemanticFrames, Stream, load_backbone
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec

Folder = Callable[[str], Path]
Frames = Callable[[int, int], npt.NDArray[np.uint8]]

NAMES = {"videomae": "videomae-base-ssv2", "vjepa2": "vjepa2-vitl-256-ssv2"}
FAMILIES = pytest.mark.parametrize("family", list(NAMES))
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def load(
    family: str, folder: Path, stream: Stream = "motion", semantic_frames: SemanticFrames = "mean"
) -> Backbone:
    return load_backbone(
        NAMES[family], stream=stream, weights=folder, semantic_frames=semantic_frames, device="cpu"
    )


@torch.inference_mode()
def tokens_of(family: str, folder: Path, clip: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The model's own tokens of a clip as `[8, 4 * 4, width]`."""
    pixels = torch.from_numpy(((clip / 255 - MEAN) / STD).astype(np.float32)).permute(0, 3, 1, 2)[None]
    if family == "vjepa2":
        output = VJEPA2Model.from_pretrained(folder).eval()(pixels)
    else:
        output = VideoMAEModel.from_pretrained(folder).eval()(pixels)
    tokens: npt.NDArray[np.float32] = output.last_hidden_state.reshape(8, 16, -1).numpy()
    return tokens


@FAMILIES
@pytest.mark.parametrize(
    ("stream", "semantic_frames", "grid", "averaged_axis"),
    [
        ("motion", "mean", Grid(8, 1, 1), 1),
        ("semantic", "mean", Grid(1, 4, 4), 0),
        ("semantic", 8, Grid(8, 4, 4), None),
    ],
)
def test_tubelets_are_segments(
    *,
    family: str,
    stream: Stream,
    semantic_frames: SemanticFrames,
    grid: Grid,
    averaged_axis: int | None,
    model_folder: Folder,
    random_frames: Frames,
) -> None:
    backbone = load(family, model_folder(family), stream, semantic_frames)
    clips = random_frames(2, 64)
    tokens = backbone.forward(clips)
    assert backbone.spec == StreamSpec(grid, 32)
    assert (backbone.stream, backbone.input_size_px, backbone.in_worker) == (stream, 64, False)
    for clip, clip_tokens in zip(clips, tokens, strict=True):
        expected = tokens_of(family, model_folder(family), clip)
        if averaged_axis is not None:
            expected = expected.mean(averaged_axis)
        np.testing.assert_allclose(clip_tokens, expected.reshape(-1, 32), atol=3e-5)


@FAMILIES
def test_of_a_fine_tuned_checkpoint_the_encoder_is_taken(
    family: str, model_folder: Folder, random_frames: Frames, tmp_path: Path
) -> None:
    """A classifier's folder gives the tokens of the encoder inside it."""
    folder = model_folder(f"{family}-classifier")
    prefix = f"{family}."
    tensors = load_file(folder / "model.safetensors")
    assert {name.split(".")[0] for name in tensors} > {family}
    shutil.copytree(model_folder(family), tmp_path / "encoder")
    encoder = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    save_file(encoder, tmp_path / "encoder" / "model.safetensors", {"format": "pt"})
    clip = random_frames(1, 64)
    np.testing.assert_array_equal(
        load(family, folder).forward(clip), load(family, tmp_path / "encoder").forward(clip)
    )


def test_videomae_reads_the_hub_s_names_of_biases(model_folder: Folder) -> None:
    """The hub's files have q_bias and v_bias; a bias that is not read would stay at zero."""
    backbone: Any = load("videomae", model_folder("videomae"))
    names = load_file(model_folder("videomae") / "model.safetensors")
    assert any(name.endswith("q_bias") for name in names)
    biases = [
        p for name, p in backbone.model.named_parameters() if name.endswith(("query.bias", "value.bias"))
    ]
    assert biases
    assert all(bias.abs().min() > 0 for bias in biases)


@FAMILIES
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_pixels(family: str, level: int, model_folder: Folder) -> None:
    backbone: Any = load(family, model_folder(family))
    seen: list[Tensor] = []
    backbone.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.extend(v for k, v in kwargs.items() if k.startswith("pixel")),
        with_kwargs=True,
    )
    assert np.isfinite(backbone.forward(np.full((1, 16, 64, 64, 3), level, np.uint8))).all()
    expected = (np.float32(level // 255) - MEAN.astype(np.float32)) / STD.astype(np.float32)
    assert seen[0].shape == (1, 16, 3, 64, 64)
    assert (seen[0] == torch.from_numpy(expected).view(3, 1, 1)).all()


@FAMILIES
def test_what_it_cannot_do_is_refused(family: str, model_folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mean or 8, got 16"):
        load(family, model_folder(family), "semantic", 16)
    with pytest.raises(InputError, match="uint8"):
        load(family, model_folder(family)).forward(np.zeros((1, 16, 64, 64, 3), np.float32))
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"needs a folder with config\.json"):
        load(family, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="holds a model of type dinov2"):
        load(family, model_folder("dinov2"))


def test_a_model_of_other_clips_is_refused(tmp_path: Path) -> None:
    config = VideoMAEConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        num_frames=8,
        image_size=64,
    )
    VideoMAEModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="takes 8 frames in tubelets of 2"):
        load("videomae", tmp_path)
