"""Where torch computes and in what arithmetic: what `auto` means, for every command alike."""

from __future__ import annotations

import re
from typing import Literal

import torch

from gasm_cast.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]
"""Arithmetic of matrix products; weights stay in float32."""


def resolve_device(device: str) -> torch.device:
    """The device of a name; `auto` is a GPU if there is one.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        InputError: if it is no such name, or the device is not there.
    """
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        device = "cuda" if num_gpus else "cpu"
    named = re.fullmatch("cpu|cuda(:(?P<index>0|[1-9][0-9]*))?", device)
    if named is None:
        raise InputError(f"device must be auto, cpu, cuda or cuda:N, got {device!r}")
    if device != "cpu" and int(named["index"] or 0) >= num_gpus:
        found = f"{num_gpus} GPU(s)" if num_gpus else "no GPU"
        raise InputError(f"no device {device}: torch sees {found} here; use auto or cpu")
    return torch.device(device)


def resolve_precision(precision: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """The arithmetic on a device.

    `auto` is bf16 on GPUs that compute in it, else fp32: where products in bf16 are emulated,
    as on older GPUs and on most processors, they take many times as long.

    Raises:
        InputError: for fp16 on a processor, where gradients would underflow unscaled.
    """
    if precision == "auto":
        is_native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if is_native else "fp32"
    if precision == "fp16" and device.type == "cpu":
        raise InputError("precision fp16 needs a GPU; use fp32, or bf16 where it is native")
    return precision


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Context in which matrix products on a device run in this precision."""
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    return torch.autocast(device.type, half, enabled=half is not None)
