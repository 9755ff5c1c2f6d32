"""What models cost: parameters, FLOPs, time and memory of a training step, measured side by side.

Times on a shared machine mean little by themselves, so the models take turns, step by
step, and each gets the median of its steps: ratios between models of one call can be
trusted, seconds cannot.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from gasm_cast.models import FusionModel
from gasm_cast.runs import processor

_WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Cost:
    """What one model costs; the field names are those of a run's cost.json."""

    parameters: int
    flops: float
    """Floating-point operations of one clip's forward pass, a multiply-add counted as two."""
    train_step_sec: float
    """Median time of forward and backward pass of one batch."""
    saved_bytes: int
    """Memory that one batch's forward pass keeps for its backward pass, weights not counted."""
    batch_size: int
    device: str
    """Processor or GPU, and the arithmetic."""


def measure_costs(
    models: Mapping[str, FusionModel],
    semantic: Float[Tensor, "batch tokens width"],
    motion: Float[Tensor, "batch segments motion_width"],
    *,
    num_steps: int = 7,
) -> dict[str, Cost]:
    """Measure models on one batch, in turns.

    Args:
        models: Models by name, on the device of the batch; their gradients are cleared.
        semantic: Semantic tokens of the batch.
        motion: Motion tokens of the batch.
        num_steps: Timed steps of each model.
    """
    device = semantic.device
    times: dict[str, list[float]] = {name: [] for name in models}
    for step in range(_WARM_UP_STEPS + num_steps):
        for name, model in models.items():
            seconds = _time_step(model, semantic, motion)
            if step >= _WARM_UP_STEPS:
                times[name].append(seconds)
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        name: Cost(
            parameters=model.num_parameters,
            flops=count_flops(model, semantic[:1], motion[:1]),
            train_step_sec=statistics.median(times[name]),
            saved_bytes=count_saved_bytes(model, semantic, motion),
            batch_size=len(semantic),
            device=f"{hardware}, {torch.get_num_threads()} thread(s), fp32",
        )
        for name, model in models.items()
    }


def count_flops(model: FusionModel, semantic: Tensor, motion: Tensor) -> float:
    """Operations of a forward pass over the batch, as torch's counter sees them: products only."""
    # The counter does not know the processor's fused attention: computed plainly, its products count.
    # It follows modules by their gradients, so these stay on.
    with (
        _mode(model, training=False),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        model(semantic, motion)
    return float(counter.get_total_flops())


def count_saved_bytes(model: FusionModel, semantic: Tensor, motion: Tensor) -> int:
    """Bytes that a training forward pass keeps for the backward pass; each storage once, no weights."""
    weights = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with _mode(model, training=True), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        prediction = model(semantic, motion)
        sum(logits.sum() for logits in (prediction.logits, *prediction.layer_logits))
    return sum(storages.values())


def _time_step(model: FusionModel, semantic: Tensor, motion: Tensor) -> float:
    with _mode(model, training=True):
        _synchronise(semantic.device)
        start = time.perf_counter()
        prediction = model(semantic, motion)
        labels = torch.zeros(len(semantic), dtype=torch.long, device=semantic.device)
        loss = torch.stack(
            [cross_entropy(logits, labels) for logits in (prediction.logits, *prediction.layer_logits)]
        ).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        _synchronise(semantic.device)
        seconds = time.perf_counter() - start
    model.zero_grad()
    return seconds


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _mode(model: FusionModel, *, training: bool) -> Iterator[None]:
    before = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(before)
