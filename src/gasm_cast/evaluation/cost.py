"""What a model's forward pass costs, counted: operations, and memory kept for the backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gasm_cast.models import FusionModel
from gasm_cast.models.gasm_cast import GasmCast


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


def count_exit_flops(model: FusionModel, semantic: Tensor, motion: Tensor) -> dict[int, float]:
    """Operations of an early prediction of the batch, by the exchange layer after which it stops.

    The last layer's are those of the whole model, read-out included. The heads of coarse layers,
    at which nothing stops, are not computed and not counted.

    Raises:
        InputError: if the model has no layer to stop at.
    """
    reached: dict[int, float] = {}

    def mark(layer: int) -> None:
        reached[layer] = float(counter.get_total_flops())

    heads = model.layer_heads if isinstance(model, GasmCast) else ()
    with (
        _mode(model, training=False),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
        ExitStack() as hooks,
    ):
        for layer, head in enumerate(heads, start=1):
            hook = head.register_forward_hook(lambda *_, layer=layer: mark(layer))
            hooks.callback(hook.remove)
        last = model.predict_early(semantic, motion, confidence=math.inf).layers_used
        mark(int(last.max()))
    return reached


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
