import torch

from gasm_cast.config import ModelConfig
from gasm_cast.evaluation.cost import count_flops, count_saved_bytes
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models import FusionModel, build_model


def build(kind: str) -> FusionModel:
    return build_model(
        ModelConfig(kind=kind),  # type: ignore[arg-type]
        semantic=StreamSpec(Grid(1, 4, 4), 24),
        motion=StreamSpec(Grid(8, 1, 1), 16),
        num_classes=5,
    )


def test_flops_of_the_linear_probe_are_those_of_its_one_product() -> None:
    flops = count_flops(build("linear"), torch.randn(1, 16, 24), torch.randn(1, 8, 16))
    assert flops == 2 * (24 + 8 * 16) * 5


def test_saved_bytes_grow_with_the_batch_and_leave_out_the_weights() -> None:
    model = build("concat-mlp")
    one = count_saved_bytes(model, torch.randn(1, 16, 24), torch.randn(1, 8, 16))
    many = count_saved_bytes(model, torch.randn(64, 16, 24), torch.randn(64, 8, 16))
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    assert 0 < one < weights
    assert many > 10 * one
