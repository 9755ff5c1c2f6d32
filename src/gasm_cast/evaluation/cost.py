"""What a model's forward pass costs, counted: operations, and memory kept for the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gasm_cast.models import FusionModel


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


@contextmanager
def _mode(model: FusionModel, *, training: bool) -> Iterator[None]:
    before = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(before)
