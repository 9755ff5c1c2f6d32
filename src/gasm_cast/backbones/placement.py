"""Where a torch backbone computes, and in what arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from gasm_cast.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Placement:
    """A device and the precision of matrix products on it; weights stay fp32.

    On GPUs fp32 is what PyTorch means by it: cuDNN may round inside convolutions (TF32).
    """

    device: torch.device
    precision: Precision

    @classmethod
    def choose(cls, device: str, precision: str) -> Placement:
        """Resolve `auto`: a GPU if there is one, bf16 on GPUs that have it, fp32 elsewhere.

        Args:
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            precision: `auto`, `fp32`, `bf16` or `fp16`.

        Raises:
            InputError: if the device is not there, or half precision is asked of a CPU.
        """
        cuda = torch.cuda.is_available()
        try:
            place = torch.device(("cuda" if cuda else "cpu") if device == "auto" else device)
        except RuntimeError:
            raise InputError(f"device must be auto, cpu, cuda or cuda:N, got {device!r}") from None
        if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
            raise InputError(f"no device {device} ({torch.cuda.device_count()} GPUs here); use device cpu")
        match precision:
            case "auto":
                half = place.type == "cuda" and torch.cuda.is_bf16_supported()
                return cls(place, "bf16" if half else "fp32")
            case "fp32":
                return cls(place, "fp32")
            case "bf16" | "fp16":
                if place.type != "cuda":
                    raise InputError(f"precision {precision} needs a GPU; use fp32 or auto on a CPU")
                return cls(place, "bf16" if precision == "bf16" else "fp16")
            case _:
                raise InputError(f"precision must be auto, fp32, bf16 or fp16, got {precision!r}")

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which matrix products run in this precision."""
        match self.precision:
            case "fp32":
                return nullcontext()
            case "bf16":
                return torch.autocast(self.device.type, torch.bfloat16)
            case "fp16":
                return torch.autocast(self.device.type, torch.float16)
