from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gasm_cast.config import HeadConfig, ModelConfig
from gasm_cast.errors import InputError
from gasm_cast.evaluation.cost import count_exit_flops, count_flops, count_saved_bytes
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models import FusionModel, build_model
from gasm_cast.models.gasm_cast import GasmCast
from gasm_cast.models.head import PooledClassifier


def build(kind: str, **options: Any) -> FusionModel:
    return build_model(
        ModelConfig(kind=kind, **options),  # type: ignore[arg-type]
        semantic=StreamSpec(Grid(1, 4, 4), 24),
        motion=StreamSpec(Grid(8, 1, 1), 16),
        num_classes=5,
        num_groups=2,
    )


def test_flops_of_the_linear_probe_are_those_of_its_one_product() -> None:
    flops = count_flops(build("linear"), torch.randn(1, 16, 24), torch.randn(1, 8, 16))
    assert flops == 2 * (24 + 8 * 16) * 5


def test_exits_cost_what_is_computed_up_to_them() -> None:
    """The last one differs from the forward pass by the coarse layer's head, which only that one computes."""
    model = build("gasm-cast", head=HeadConfig(coarse_layers=1))
    assert isinstance(model, GasmCast)
    heads = [head for head in model.layer_heads if isinstance(head, PooledClassifier)]
    tokens = torch.randn(1, 16, 24), torch.randn(1, 8, 16)
    flops = count_exit_flops(model, *tokens)
    assert list(flops) == [2, 3]
    coarse_head = 2 * (256 + 8 * 256) * 2  # one time step and eight of the bottleneck's width, two groups
    assert flops[3] == count_flops(model, *tokens) - coarse_head
    with torch.no_grad():  # the second layer's head is as sure as can be, the counter sees the exit itself
        heads[1].classifier.project.bias[0] = 1e4
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.eval().predict_early(*tokens, confidence=0.9)
    assert counter.get_total_flops() == flops[2] < flops[3]
    assert not any(head._forward_hooks for head in heads)


def test_a_model_without_exits_is_refused() -> None:
    with pytest.raises(InputError, match="'linear' has no early heads"):
        count_exit_flops(build("linear"), torch.randn(1, 16, 24), torch.randn(1, 8, 16))


def test_saved_bytes_grow_with_the_batch_and_leave_out_the_weights() -> None:
    model = build("concat-mlp")
    one = count_saved_bytes(model, torch.randn(1, 16, 24), torch.randn(1, 8, 16))
    many = count_saved_bytes(model, torch.randn(64, 16, 24), torch.randn(64, 8, 16))
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    assert 0 < one < weights
    assert many > 10 * one
