"""What `auto` means, and what is refused."""

from __future__ import annotations

import pytest
import torch

from gasm_cast.devices import Precision, autocast, resolve_device, resolve_precision
from gasm_cast.errors import InputError


@pytest.mark.parametrize(("is_native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_does_not_take_arithmetic_that_a_gpu_emulates(
    monkeypatch: pytest.MonkeyPatch, is_native: bool, expected: str
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return is_native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert resolve_precision("auto", torch.device("cuda")) == expected
    assert resolve_precision("bf16", torch.device("cuda")) == "bf16"  # who asks for it gets it


def test_a_processor_computes_in_fp32_unless_told_otherwise() -> None:
    processor = torch.device("cpu")
    assert resolve_precision("auto", processor) == "fp32"
    assert resolve_precision("bf16", processor) == "bf16"
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        resolve_precision("fp16", processor)


@pytest.mark.parametrize(("num_gpus", "expected"), [(0, "cpu"), (2, "cuda")])
def test_auto_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch, num_gpus: int, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    assert resolve_device("auto") == torch.device(expected)
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match=rf"no device cuda:2: torch sees {num_gpus or 'no'} GPU"):
        resolve_device("cuda:2")
    for other in ("gpu", "mps", "meta", "xpu", "cpu:3", "cuda:", "cuda:-1", "cuda:01", "cuda:0 "):
        with pytest.raises(InputError, match=f"must be auto, cpu, cuda or cuda:N, got '{other}'"):
            resolve_device(other)


@pytest.mark.parametrize(
    ("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_products_run_in_the_precision_asked_for(precision: Precision, expected: torch.dtype) -> None:
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
