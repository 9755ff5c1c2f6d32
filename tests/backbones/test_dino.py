import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from einops import rearrange
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel, Dinov2Config, Dinov2Model

from gasm_cast.backbones import Backbone, SemanticFrames, dino_loading, load_backbone
from gasm_cast.backbones.pixels import IMAGENET
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec

Folder = Callable[[str], Path]
Frames = Callable[[int, int], npt.NDArray[np.uint8]]

FAMILIES = pytest.mark.parametrize(
    ("family", "name", "size", "num_registers"),
    [
        ("dinov2", "dinov2-small", 196, 0),
        ("dinov2-with-registers", "dinov2-with-registers-small", 196, 4),
        ("dinov3", "dinov3-vits16", 224, 4),
    ],
)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def load(name: str, weights: Path, semantic_frames: SemanticFrames = "middle") -> Backbone:
    return load_backbone(
        name, stream="semantic", weights=weights, semantic_frames=semantic_frames, device="cpu"
    )


@torch.inference_mode()
def patches_of(folder: Path, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Patch tokens `[frames, 196, width]` straight from the model: the last 196 of its tokens."""
    pixels = torch.from_numpy(((frames / 255 - MEAN) / STD).astype(np.float32)).permute(0, 3, 1, 2)
    model = AutoModel.from_pretrained(folder).eval()
    tokens: npt.NDArray[np.float32] = model(pixel_values=pixels).last_hidden_state[:, -196:].numpy()
    return tokens


@FAMILIES
@pytest.mark.parametrize("semantic_frames", ["mean", "middle", 8, 16])
def test_tokens_are_the_patches_of_the_kept_frames(
    *,
    family: str,
    name: str,
    size: int,
    num_registers: int,
    semantic_frames: SemanticFrames,
    model_folder: Folder,
    random_frames: Frames,
) -> None:
    backbone = load(name, model_folder(family), semantic_frames)
    clip = random_frames(1, size)
    kept = {"mean": slice(None), "middle": slice(8, 9), 8: slice(1, None, 2), 16: slice(None)}[
        semantic_frames
    ]
    expected = patches_of(model_folder(family), clip[0, kept])
    if semantic_frames == "mean":
        expected = expected.mean(0, keepdims=True)
    tokens = backbone.forward(clip)
    assert (backbone.stream, backbone.in_worker, backbone.input_size_px) == ("semantic", False, size)
    assert backbone.spec == StreamSpec(Grid(len(expected), 14, 14), 32)
    assert tokens.dtype == np.float32
    np.testing.assert_allclose(tokens[0], expected.reshape(-1, 32), atol=2e-5)
    assert backbone.describe()["tokens_dropped"] == {"class": 1, "registers": num_registers}
    assert backbone.describe()["semantic_frames"] == semantic_frames


def test_batches_hold_clips_apart(model_folder: Folder, random_frames: Frames) -> None:
    backbone = load("dinov2-small", model_folder("dinov2"), 8)
    clips = random_frames(2, 196)
    alone = np.concatenate([backbone.forward(clip[None]) for clip in clips])
    np.testing.assert_allclose(backbone.forward(clips), alone, atol=2e-5)


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_pixels(level: int, model_folder: Folder) -> None:
    """What enters the model is exactly (level / 255 - mean) / std of ImageNet."""
    backbone = load("dinov2-small", model_folder("dinov2"))
    seen: list[Tensor] = []
    backbone.model.register_forward_pre_hook(  # type: ignore[attr-defined]
        lambda module, args, kwargs: seen.append(kwargs["pixel_values"]), with_kwargs=True
    )
    tokens = backbone.forward(np.full((1, 16, 196, 196, 3), level, np.uint8))
    expected = (np.float32(level // 255) - MEAN.astype(np.float32)) / STD.astype(np.float32)
    assert np.isfinite(tokens).all()
    assert (seen[0] == torch.from_numpy(expected).view(1, 3, 1, 1)).all()
    assert backbone.describe()["mean"] == list(IMAGENET.mean)


def test_positions_are_interpolated_to_14_by_14(model_folder: Folder, tmp_path: Path) -> None:
    """The table of 37 x 37 resampled beforehand gives the same tokens as the table itself."""
    shutil.copytree(model_folder("dinov2"), tmp_path / "resampled")
    tensors = load_file(tmp_path / "resampled" / "model.safetensors")
    table = tensors["embeddings.position_embeddings"]
    assert table.shape == (1, 1 + 37 * 37, 32)
    square = table[:, 1:].reshape(1, 37, 37, 32).permute(0, 3, 1, 2)
    resampled = F.interpolate(square, size=(14, 14), mode="bicubic").permute(0, 2, 3, 1).reshape(1, 196, 32)
    tensors["embeddings.position_embeddings"] = torch.cat([table[:, :1], resampled], 1)
    save_file(tensors, tmp_path / "resampled" / "model.safetensors", {"format": "pt"})
    config = json.loads((tmp_path / "resampled" / "config.json").read_text())
    (tmp_path / "resampled" / "config.json").write_text(json.dumps({**config, "image_size": 196}))
    grey = np.full((1, 16, 196, 196, 3), 128, np.uint8)
    tokens = load("dinov2-small", model_folder("dinov2")).forward(grey)
    assert tokens.std(axis=1).max() > 0.05  # on a grey frame only positions tell patches apart
    np.testing.assert_allclose(load("dinov2-small", tmp_path / "resampled").forward(grey), tokens, atol=1e-5)


def test_floating_point_and_other_sizes_are_refused(model_folder: Folder) -> None:
    backbone = load("dinov2-small", model_folder("dinov2"))
    with pytest.raises(InputError, match="uint8"):
        backbone.forward(np.zeros((1, 16, 196, 196, 3), np.float32))
    with pytest.raises(InputError, match="196"):
        backbone.forward(np.zeros((1, 16, 224, 224, 3), np.uint8))


@FAMILIES
def test_a_folder_of_another_family_is_refused(
    family: str, name: str, size: int, num_registers: int, model_folder: Folder
) -> None:
    for other in {"dinov2", "dinov2-with-registers", "dinov3", "videomae"} - {family}:
        with pytest.raises(InputError, match=f"not {name}"):
            load(name, model_folder(other))


def test_descriptions_hold_no_place_and_know_the_content(model_folder: Folder, tmp_path: Path) -> None:
    original = load("dinov2-small", model_folder("dinov2")).describe()
    elsewhere = tmp_path / model_folder("dinov2").name
    shutil.copytree(model_folder("dinov2"), elsewhere)
    assert load("dinov2-small", elsewhere).describe() == original
    assert str(tmp_path) not in json.dumps(original)
    tensors = load_file(elsewhere / "model.safetensors")
    tensors["layernorm.bias"] += 1
    save_file(tensors, elsewhere / "model.safetensors", {"format": "pt"})
    assert load("dinov2-small", elsewhere).describe()["sha256"] != original["sha256"]


def test_missing_tensors_are_refused_but_the_mask_token(model_folder: Folder, tmp_path: Path) -> None:
    shutil.copytree(model_folder("dinov2"), tmp_path / "m")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    del tensors["embeddings.mask_token"]
    save_file(tensors, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    load("dinov2-small", tmp_path / "m")
    del tensors["layernorm.bias"]
    save_file(tensors, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 tensors, as layernorm\.bias"):
        load("dinov2-small", tmp_path / "m")


def test_misshapen_tensors_are_refused(model_folder: Folder, tmp_path: Path) -> None:
    shutil.copytree(model_folder("dinov2"), tmp_path / "m")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    tensors["layernorm.bias"] = torch.zeros(7)
    save_file(tensors, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="not readable as Dinov2Model") as caught:
        load("dinov2-small", tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"cos\nsystem\n(S'false'\ntR."])
def test_an_unreadable_pytorch_file_is_refused(content: bytes, model_folder: Folder, tmp_path: Path) -> None:
    shutil.copytree(model_folder("dinov2"), tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(InputError, match="not readable as Dinov2Model"):
        load("dinov2-small", tmp_path / "m")


def test_a_truncated_file_is_refused(model_folder: Folder, tmp_path: Path) -> None:
    shutil.copytree(model_folder("dinov2"), tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="not readable as Dinov2Model"):
        load("dinov2-small", tmp_path / "m")


def authors_tensors(*, heads: int, swiglu: bool, registers: int) -> dict[str, Tensor]:
    """Two random layers under the names of the authors' own files."""
    width, hidden = 16 * heads, 24
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + 14 * 14, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    if registers:
        shapes["register_tokens"] = (1, registers, width)
    mlp = ("w12", "w3") if swiglu else ("fc1", "fc2")
    for i in range(2):
        layer = {
            "norm1.weight": (width,),
            "norm1.bias": (width,),
            "attn.qkv.weight": (3 * width, width),
            "attn.qkv.bias": (3 * width,),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "ls1.gamma": (width,),
            "norm2.weight": (width,),
            "norm2.bias": (width,),
            f"mlp.{mlp[0]}.weight": (2 * hidden if swiglu else 4 * width, width),
            f"mlp.{mlp[0]}.bias": (2 * hidden if swiglu else 4 * width,),
            f"mlp.{mlp[1]}.weight": (width, hidden if swiglu else 4 * width),
            f"mlp.{mlp[1]}.bias": (width,),
            "ls2.gamma": (width,),
        }
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in layer.items()}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}


def authors_forward(w: dict[str, Tensor], images: Tensor, *, heads: int) -> Tensor:
    """The network that these names stand for, written out."""
    x = F.conv2d(images, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=14)
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x.flatten(2).mT], 1) + w["pos_embed"]
    if "register_tokens" in w:
        x = torch.cat([x[:, :1], w["register_tokens"].expand(len(x), -1, -1), x[:, 1:]], 1)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    for i in range(2):
        b = f"blocks.{i}"
        qkv = linear(norm(x, f"{b}.norm1"), f"{b}.attn.qkv")
        q, k, v = rearrange(qkv, "b n (three h d) -> three b h n d", three=3, h=heads)
        attended = F.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v
        x = x + w[f"{b}.ls1.gamma"] * linear(attended.transpose(1, 2).flatten(2), f"{b}.attn.proj")
        y = norm(x, f"{b}.norm2")
        if f"{b}.mlp.w12.weight" in w:
            gate, value = linear(y, f"{b}.mlp.w12").chunk(2, -1)
            y = linear(F.silu(gate) * value, f"{b}.mlp.w3")
        else:
            y = linear(F.gelu(linear(y, f"{b}.mlp.fc1")), f"{b}.mlp.fc2")
        x = x + w[f"{b}.ls2.gamma"] * y
    return norm(x, "norm")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("name", "swiglu", "registers"),
    [("dinov2-small", False, 0), ("dinov2-giant", True, 0), ("dinov2-with-registers-small", False, 4)],
)
def test_the_authors_own_files(
    *,
    name: str,
    swiglu: bool,
    registers: int,
    suffix: str,
    tmp_path: Path,
    random_frames: Frames,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    if swiglu:
        sizes |= {
            "use_swiglu_ffn": True,
            "mlp_ratio": 1,
        }  # its hidden width: int(32 * 2 / 3) rounded up to 24
    monkeypatch.setitem(dino_loading.DINOV2_SIZES, name.rsplit("-", 1)[1], sizes)
    tensors = authors_tensors(heads=2, swiglu=swiglu, registers=registers)
    path = tmp_path / f"dinov2{suffix}"
    if suffix == ".pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    clip = random_frames(1, 196)
    images = IMAGENET.normalized(clip[:, 8:9], torch.device("cpu"))[0]
    expected = authors_forward(tensors, images, heads=2)[:, 1 + registers :]
    backbone = load(name, path)
    np.testing.assert_allclose(backbone.forward(clip), expected.numpy(), atol=1e-4)
    assert backbone.describe()["weights"] == path.name


def test_a_file_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    for name, registers, problem in (
        ("dinov2-small", 4, "has registers"),
        ("dinov2-with-registers-small", 0, "lacks registers"),
    ):
        path = tmp_path / f"{name}.safetensors"
        save_file(authors_tensors(heads=2, swiglu=False, registers=registers), path)
        with pytest.raises(InputError, match=problem):
            load(name, path)
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="lacks a table of positions"):
        load("dinov2-small", tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"needs a folder with config\.json"):
        load("dinov3-vits16", tmp_path / "other.safetensors")


def test_published_sizes() -> None:
    """Widths, heads and parameters of the four models, as their paper lists them."""
    millions = {}
    for size, shape in dino_loading.DINOV2_SIZES.items():
        with torch.device("meta"):
            model = Dinov2Model(Dinov2Config(image_size=518, patch_size=14, **shape))
        millions[size] = round(sum(p.numel() for p in model.parameters()) / 1e6)
    assert millions == {"small": 22, "base": 87, "large": 304, "giant": 1136}
