"""Growth over the nodes: the slope is arithmetic, the measurement runs at toy size."""

import pytest
import torch

from gasm_cast.evaluation.efficiency import Settings
from gasm_cast.evaluation.efficiency_tables import growth_table
from gasm_cast.evaluation.growth import GRIDS, RATIO_AT, WIDTH, FullAttention, Growth, measure_growth
from gasm_cast.geometry import Grid
from gasm_cast.graph.attention import DENSE_UP_TO

NODES = (196, 784, 1568, RATIO_AT, 6272)


def growth_of_power(power: int) -> Growth:
    seconds = tuple(1e-6 * n**power for n in NODES)
    return Growth(
        NODES, seconds, (None,) * len(NODES), (None, None, None, 50.0, None), (None, None, None, 100.0, None)
    )


@pytest.mark.parametrize("power", [1, 2])
def test_slope_of_exact_powers(power: int) -> None:
    assert growth_of_power(power).slope == pytest.approx(power)


def test_slope_leaves_out_what_is_too_small_to_time() -> None:
    times = (9.0, 784.0, 1568.0, 3136.0, 6272.0)  # the first is all overhead
    assert Growth(NODES, times, *((None,) * 5,) * 3).slope == pytest.approx(1)


def test_the_ratio_is_taken_where_both_were_measured() -> None:
    assert growth_of_power(1).ratio_to_fused == pytest.approx(RATIO_AT * 1e-6 / 50)
    assert growth_of_power(1).ratio_to_biased == pytest.approx(RATIO_AT * 1e-6 / 100)
    assert Growth(NODES, (1.0,) * 5, *((None,) * 5,) * 3).ratio_to_fused is None
    assert Growth((196, 784), (1.0, 2.0), (None, None), (1.0, 2.0), (1.0, 2.0)).ratio_to_biased is None


def test_dense_forms_are_measured_only_as_far_as_asked() -> None:
    grids = [Grid(frames, 2, 2) for frames in (1, 2, 4)]
    growth = measure_growth(Settings(num_steps=1), grids=grids, dense_up_to=8)
    assert growth.num_nodes == (4, 8, 16)
    assert [seconds is None for seconds in growth.masked_dense_sec] == [False, False, True]
    assert [seconds is None for seconds in growth.fused_attention_sec] == [False, False, True]
    assert [seconds is None for seconds in growth.biased_attention_sec] == [False, False, True]
    assert len(growth.neighbour_list_sec) == 3
    assert growth_table(growth).splitlines()[-1].endswith("| - | - | - |")


def test_sizes_lie_on_both_sides_of_the_bound_and_hold_what_is_judged() -> None:
    sizes = {grid.num_tokens for grid in GRIDS}
    assert min(sizes) < DENSE_UP_TO["cpu"] < max(sizes)
    assert {784, RATIO_AT, 6272} <= sizes


@pytest.mark.parametrize("bias_nodes", [None, 5])
def test_full_attention_lets_every_pair_meet(bias_nodes: int | None) -> None:
    torch.manual_seed(0)
    layer = FullAttention(WIDTH, 4, bias_nodes)
    assert (layer.bias is None) is (bias_nodes is None)
    x = torch.randn(1, 5, WIDTH, requires_grad=True)
    layer(x)[0, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad[0].abs().sum(dim=-1) > 0).all()


@pytest.mark.parametrize(("bias_nodes", "is_fused"), [(None, True), (70, False)])
def test_only_without_a_bias_a_processor_takes_its_fused_kernel(
    bias_nodes: int | None, is_fused: bool
) -> None:
    layer = FullAttention(WIDTH, 4, bias_nodes)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        layer(torch.randn(1, 70, WIDTH, requires_grad=True)).sum().backward()
    names = [event.key for event in profile.key_averages()]
    assert any("flash_attention" in name for name in names) is is_fused
