from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gasm_cast.backbones import load_backbone
from gasm_cast.backbones.i3d_inception import InceptionI3D
from gasm_cast.backbones.i3d_resnet import ResNetI3D
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec

Frames = Callable[[int, int], npt.NDArray[np.uint8]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of both networks; 157 classes, as rgb_charades.pt has."""
    folder = tmp_path_factory.mktemp("i3d")
    torch.manual_seed(0)
    save_file(ResNetI3D(400).state_dict(), folder / "r50.safetensors")
    state = InceptionI3D(157).state_dict()
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, folder / "inception.pt", _use_new_zipfile_serialization=False)
    return {"r50": folder / "r50.safetensors", "inception": folder / "inception.pt"}


@pytest.mark.parametrize(
    ("name", "network", "endpoint", "width"),
    [
        ("i3d-r50", "r50", "blocks.3", 512),
        ("i3d-r50-res5", "r50", "blocks.5", 2048),
        ("i3d-inception", "inception", "Mixed_4d", 512),
        ("i3d-inception-mixed5c", "inception", "Mixed_5c", 1024),
    ],
)
def test_tokens_are_the_endpoint_averaged_over_space(
    *, name: str, network: str, endpoint: str, width: int, weights: dict[str, Path], random_frames: Frames
) -> None:
    backbone: Any = load_backbone(name, stream="motion", weights=weights[network], device="cpu")
    outputs: list[Tensor] = []
    backbone.network.get_submodule(endpoint).register_forward_hook(
        lambda module, args, output: outputs.append(output)
    )
    tokens = backbone.forward(random_frames(1, 224))
    assert backbone.spec == StreamSpec(Grid(8, 1, 1), width)
    assert tokens.shape == (1, 8, width)
    np.testing.assert_allclose(tokens[0], outputs[0].numpy().mean((3, 4))[0].T, rtol=1e-4, atol=1e-6)
    assert str(weights[network].parent) not in str(backbone.describe())
    assert backbone.describe()["layer"].startswith(endpoint)


class Seen(Exception):  # noqa: N818
    """Carries what entered the network, and spares the rest."""


@pytest.mark.parametrize(
    ("name", "network", "mean", "std"),
    [("i3d-inception", "inception", 0.5, 0.5), ("i3d-r50", "r50", 0.45, 0.225)],
)
def test_pixels(
    *, name: str, network: str, mean: float, std: float, weights: dict[str, Path], random_frames: Frames
) -> None:
    """Black and white are exact (-1 and 1 for Inception, never ImageNet's mean), and axes are in order."""
    backbone: Any = load_backbone(name, stream="motion", weights=weights[network], device="cpu")

    def stop(module: torch.nn.Module, args: tuple[Tensor]) -> None:
        raise Seen(args[0])

    first = backbone.network.Conv3d_1a_7x7 if network == "inception" else backbone.network.blocks[0]
    first.register_forward_pre_hook(stop)

    def entering(frames: npt.NDArray[np.uint8]) -> Tensor:
        with pytest.raises(Seen) as caught:
            backbone.forward(frames)
        video: Tensor = caught.value.args[0]
        return video

    for level in (0, 1):
        exact = float((np.float32(level) - np.float32(mean)) / np.float32(std))
        frames = np.full((1, 16, 224, 224, 3), 255 * level, np.uint8)
        assert np.unique(entering(frames).numpy()).tolist() == [exact]
    frames = random_frames(1, 224)
    video = entering(frames)
    assert video.shape == (1, 3, 16, 224, 224)
    assert video[0, 2, 7, 50, 90] == pytest.approx((frames[0, 7, 50, 90, 2] / 255 - mean) / std, rel=1e-5)
    with pytest.raises(InputError, match="uint8"):
        backbone.forward(np.full((1, 16, 224, 224, 3), 1.0, np.float32))


def test_weights_that_are_not_ours_are_refused(weights: dict[str, Path], tmp_path: Path) -> None:
    def load(name: str, path: Path | None) -> None:
        load_backbone(name, stream="motion", weights=path, device="cpu")

    with pytest.raises(InputError, match=r"i3d-r50 needs a weights file: download I3D_8x8_R50\.pyth"):
        load("i3d-r50", None)
    with pytest.raises(InputError, match=r"download rgb_imagenet\.pt"):
        load("i3d-inception", None)
    with pytest.raises(InputError, match="no such file"):
        load("i3d-r50", tmp_path / "none.pt")
    with pytest.raises(InputError, match=r"lacks logits\.conv3d\.weight"):
        load("i3d-inception", weights["r50"])
    save_file({"backbone.conv1.conv.weight": torch.zeros(1)}, tmp_path / "mm.safetensors")
    with pytest.raises(InputError, match=r"mmaction2.*other strides"):
        load("i3d-r50", tmp_path / "mm.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"config\.json"):
        load("i3d-r50", tmp_path / "folder")


def test_every_parameter_below_the_endpoint_matters(weights: dict[str, Path], random_frames: Frames) -> None:
    """No layer is built and then left out: each parameter up to the endpoint moves the tokens."""
    for name, network, unused in (
        ("i3d-r50-res5", "r50", "blocks.6"),
        ("i3d-inception-mixed5c", "inception", "logits"),
    ):
        backbone: Any = load_backbone(name, stream="motion", weights=weights[network], device="cpu")
        backbone.network.requires_grad_(True)
        video = torch.from_numpy(random_frames(1, 48)).float().div(128).sub(1).permute(0, 4, 1, 2, 3)
        *_, (_, features) = backbone.network.endpoints(video)
        features.square().mean().backward()
        dead = [n for n, p in backbone.network.named_parameters() if p.grad is None or not p.grad.any()]
        assert all(n.startswith(unused) for n in dead), dead
