import subprocess
import sys

import pytest
import torch

from gasm_cast.backbones import Backbone, Stream, load_backbone
from gasm_cast.backbones.loading import KNOWN
from gasm_cast.backbones.placement import Placement
from gasm_cast.errors import InputError


def test_classic_answers_the_contract() -> None:
    for stream in KNOWN:
        backbone = load_backbone("classic", stream=stream)
        assert isinstance(backbone, Backbone)
        assert (backbone.name, backbone.stream) == ("classic", stream)


@pytest.mark.parametrize(
    ("name", "stream", "hint"),
    [
        ("dinov2-bose", "semantic", "did you mean dinov2-base"),
        ("resnet", "motion", "known: classic, i3d-r50"),
        ("i3d-r50", "semantic", "no semantic backbone 'i3d-r50'"),
        ("dinov2-base", "motion", "no motion backbone 'dinov2-base'"),
    ],
)
def test_unknown_names_are_answered_by_the_known(name: str, stream: Stream, hint: str) -> None:
    with pytest.raises(InputError, match=hint) as caught:
        load_backbone(name, stream=stream)
    assert all(known in str(caught.value) for known in KNOWN[stream])


@pytest.mark.parametrize(
    ("stream", "name"), [(s, n) for s, names in KNOWN.items() for n in names if n != "classic"]
)
def test_every_known_name_says_how_to_get_its_weights(stream: Stream, name: str) -> None:
    """None of them is on this machine, and there is no network: one line each."""
    with pytest.raises(InputError, match=r"hf download \S+/\S+ --local-dir|needs a weights file") as caught:
        load_backbone(name, stream=stream, device="cpu")
    assert "\n" not in str(caught.value)


def test_classic_has_no_weights() -> None:
    with pytest.raises(InputError, match="classic has no weights"):
        load_backbone("classic", stream="motion", weights="w.pt")


@pytest.mark.parametrize(
    ("device", "precision", "problem"),
    [
        ("cpu", "bf16", "needs a GPU"),
        ("cpu", "fp16", "needs a GPU"),
        ("cpu", "int8", "got 'int8'"),
        ("gpu", "auto", "got 'gpu'"),
    ],
)
def test_impossible_placements_are_refused(device: str, precision: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        Placement.choose(device, precision)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_refused() -> None:
    with pytest.raises(InputError, match=r"no device cuda:1: torch sees no GPU"):
        Placement.choose("cuda:1", "auto")


def test_auto_on_a_cpu_is_single_precision() -> None:
    assert Placement.choose("cpu", "auto") == Placement(torch.device("cpu"), "fp32")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_half_precision_on_a_gpu(precision: str, dtype: torch.dtype) -> None:
    with Placement.choose("cuda", precision).autocast():
        assert (torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")).dtype == dtype


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import gasm_cast.backbones", ["torch", "transformers", "cv2"]),
        ("from gasm_cast.backbones import load_backbone as b; b('classic', stream='motion')", ["torch"]),
        ("import gasm_cast.backbones.i3d", ["transformers"]),
    ],
)
def test_imports_stay_light(code: str, absent: list[str]) -> None:
    check = f"{code}; import sys; assert not {absent!r} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", check.replace("[", "{").replace("]", "}")], check=True)
