"""Both I3D networks against outputs of another implementation, endpoint by endpoint.

Weights and input are defined by a formula, so that the fixtures hold outputs only.
"""

import json
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from gasm_cast.backbones.i3d_inception import InceptionI3D
from gasm_cast.backbones.i3d_resnet import ResNetI3D

DATA = Path(__file__).parent / "data"

Network = Literal["inception", "r50"]


def keys(network: Network) -> dict[str, list[int]]:
    """State-dict keys of the published checkpoint, in order, with their shapes."""
    content: dict[str, list[int]] = json.loads((DATA / f"i3d_{network}_keys.json").read_text())
    return content


def endpoints(network: Network) -> dict[str, Any]:
    """Shapes of every endpoint at 224 px, and mean and deviation at 112 px."""
    content: dict[str, Any] = json.loads((DATA / f"i3d_{network}_endpoints.json").read_text())
    return content


def outputs(network: Network) -> dict[str, npt.NDArray[np.float32]]:
    """Outputs at 16x112x112 averaged over space, `[channels, time]`, and logits at 224 px."""
    with np.load(DATA / f"parity_i3d_{network}.npz") as archive:
        return {name: archive[name] for name in archive}


def weights(network: Network) -> dict[str, Tensor]:
    """A checkpoint whose every number follows from its key and index."""
    return {key: _tensor(key, shape) for key, shape in keys(network).items()}


def _tensor(key: str, shape: list[int]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    u = _uniform(zlib.crc32(key.encode()), int(np.prod(shape)))
    if key.endswith(("running_mean", "bias")):
        values = (u - 0.5) * 0.2
    elif key.endswith("running_var"):
        values = 0.5 + u
    elif len(shape) == 1:
        values = 0.8 + 0.4 * u
    else:
        values = (2 * u - 1) * np.sqrt(6 / np.prod(shape[1:]))
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def _uniform(seed: int, count: int) -> npt.NDArray[np.float64]:
    """MurmurHash3's finaliser of `seed + index`, as a number in [0, 1)."""
    x = (seed + np.arange(count, dtype=np.uint64)) % 2**32
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> shift
        x = x * factor % 2**32
    x ^= x >> 16
    result: npt.NDArray[np.float64] = x / 2**32
    return result


def video(num_frames: int, size: int) -> Tensor:
    """A clip `[1, 3, frames, size, size]` of travelling waves."""
    c, t, y, w = np.meshgrid(*map(np.arange, (3, num_frames, size, size)), indexing="ij")
    waves = np.sin(2 * np.pi * (0.02 * w + 0.03 * t + 0.11 * c)) * np.cos(2 * np.pi * (0.015 * y - 0.02 * t))
    return torch.from_numpy(waves.astype(np.float32))[None]


CLASSES: dict[Network, Any] = {"inception": InceptionI3D, "r50": ResNetI3D}
NETWORKS = pytest.mark.parametrize("network", ["inception", "r50"])


@pytest.fixture(scope="module")
def models() -> dict[Network, InceptionI3D | ResNetI3D]:
    built = {}
    for network, network_class in CLASSES.items():
        built[network] = network_class(400).eval()
        built[network].load_state_dict(weights(network))
    return built


def assert_close_to_max(
    actual: npt.NDArray[Any], expected: npt.NDArray[Any], *, tolerance: float = 1e-4
) -> None:
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


def test_the_formulas_give_the_published_spot_values() -> None:
    kernel = weights("inception")["Mixed_4d.b0.conv3d.weight"].flatten()[[0, 1, 12345]]
    np.testing.assert_allclose(kernel, [-0.049667179584503174, -0.007751392666250467, 0.03276563435792923])
    variance = weights("r50")["blocks.0.norm.running_var"][[0, 63]]
    np.testing.assert_allclose(variance, [1.2267260551452637, 0.6215910911560059])
    assert video(16, 112)[0, 1, 3, 5, 7] == pytest.approx(0.8405807614326477)


@NETWORKS
def test_state_dict_keys_are_those_of_the_published_file(network: Network) -> None:
    state = CLASSES[network](400).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == keys(network)
    assert list(state) == list(keys(network))


@NETWORKS
def test_every_endpoint(network: Network, models: dict[Network, InceptionI3D | ResNetI3D]) -> None:
    expected, listed = outputs(network), endpoints(network)["stats_16x112x112"]
    seen = []
    with torch.inference_mode():
        for name, x in models[network].endpoints(video(16, 112)):
            shape, mean, std = listed[name]
            assert list(x.shape) == shape
            assert [x.mean(), x.std()] == pytest.approx([mean, std], rel=1e-5)
            if name in expected:
                assert_close_to_max(x.mean((3, 4))[0].numpy(), expected[name])
            seen.append(name)
    assert seen == list(listed)
    assert {name for name in expected if not name.startswith(("stat", "input", "logits"))} <= set(seen)


@NETWORKS
def test_logits(network: Network, models: dict[Network, InceptionI3D | ResNetI3D]) -> None:
    expected = {name: value for name, value in outputs(network).items() if name.startswith("logits")}
    assert expected
    for name, value in expected.items():
        num_frames = int(name.removeprefix("logits_").split("x")[0])
        with torch.inference_mode():
            assert_close_to_max(models[network](video(num_frames, 224)).numpy(), value)


@pytest.mark.parametrize(
    ("network", "prefix", "num_frames"), [("inception", "", 16), ("r50", "T8 ", 8), ("r50", "T16 ", 16)]
)
def test_shapes_at_224(network: Network, prefix: str, num_frames: int) -> None:
    """The listed shapes, without computing: on the meta device."""
    listed = endpoints(network)["shapes_16x224x224" if network == "inception" else "shapes_224"]
    expected = {
        name.removeprefix(prefix).split()[0]: shape
        for name, shape in listed.items()
        if name.startswith(prefix)
    }
    with torch.device("meta"):
        model = CLASSES[network](400)
        shapes = {name: list(x.shape) for name, x in model.endpoints(torch.empty(1, 3, num_frames, 224, 224))}
    classifier = {"avg_pool", "Logits", "blocks.6"}
    assert shapes == {name: shape for name, shape in expected.items() if name not in classifier}


def test_keeping_time_changes_strides_and_no_weight() -> None:
    with torch.device("meta"):
        model = InceptionI3D(400, keep_time=True)
        shapes = {name: tuple(x.shape) for name, x in model.endpoints(torch.empty(1, 3, 16, 224, 224))}
    assert list(model.state_dict()) == list(keys("inception"))
    assert shapes["Mixed_4d"] == (1, 512, 8, 14, 14)
    assert shapes["Mixed_5c"] == (1, 1024, 8, 7, 7)


def test_keeping_time_agrees_with_the_plain_network_before_the_pooling(
    models: dict[Network, InceptionI3D | ResNetI3D],
) -> None:
    """Endpoints before MaxPool3d_4a are the same; at the pooling every second step is."""
    kept = InceptionI3D(400, keep_time=True).eval()
    kept.load_state_dict(weights("inception"))
    with torch.inference_mode():
        plain = dict(models["inception"].endpoints(video(16, 64)))
        timed = dict(kept.endpoints(video(16, 64)))
    torch.testing.assert_close(timed["Mixed_3c"], plain["Mixed_3c"])
    # SAME pads (0, 1) at stride 2 and (1, 1) at stride 1, so the plain step i is centred at 2i + 1.
    torch.testing.assert_close(timed["MaxPool3d_4a_3x3"][:, :, 1::2], plain["MaxPool3d_4a_3x3"])
