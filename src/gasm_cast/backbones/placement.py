"""Where a torch backbone computes, and in what arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gasm_cast.devices import Precision, autocast, resolve_device, resolve_precision
from gasm_cast.errors import InputError


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
        place = resolve_device(device)
        match precision:
            case "bf16" | "fp16" if place.type != "cuda":
                raise InputError(f"precision {precision} needs a GPU; use fp32 or auto on a CPU")
            case "auto" | "fp32" | "bf16" | "fp16":
                return cls(place, resolve_precision(precision, place))
            case _:
                raise InputError(f"precision must be auto, fp32, bf16 or fp16, got {precision!r}")

    def autocast(self) -> torch.autocast:
        """Context in which matrix products run in this precision."""
        return autocast(self.device, self.precision)
