"""What graph attention must keep whatever the grid and the tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st

from gasm_cast.config import GraphConfig
from gasm_cast.geometry import Grid, cells
from gasm_cast.graph import GraphAttention
from gasm_cast.graph.positions import Rotary

WIDTH = 8
grids = st.builds(Grid, st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
seeds = st.integers(0, 2**31 - 1)
computations = st.sampled_from(["dense", "neighbour-list"])
few = settings(max_examples=15)


def make_layer(grid: Grid, computation: Any, seed: int, **config: Any) -> GraphAttention:
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"width": 16, "num_heads": 2, "similarity_width": 4}
    layer = GraphAttention(WIDTH, grid, GraphConfig(**sizes | config), 2, computation)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return layer.double()


def make_tokens(grid: Grid, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, grid.num_tokens, WIDTH, dtype=torch.float64)


@few
@given(grids, seeds)
def test_permuting_nodes_with_their_positions_permutes_the_output(grid: Grid, seed: int) -> None:
    layer = make_layer(grid, "dense", seed, scope="clip")
    x = make_tokens(grid)
    expected = layer(x)
    order = torch.randperm(grid.num_tokens)
    place = torch.argsort(order)
    # A grid in another order of nodes: its lists of touching nodes and its coordinates move along.
    layer.edges.fixed = place[layer.edges.fixed[order]]
    layer.edges.is_fixed = layer.edges.is_fixed[order][:, order]
    assert layer.bias is not None
    layer.bias.code = layer.bias.code[order]
    torch.testing.assert_close(layer(x[:, order]), expected[:, order], rtol=0, atol=1e-10)


@few
@given(grids, seeds, computations)
def test_time_reversal_of_layer_and_clip_reverses_the_output(grid: Grid, seed: int, computation: str) -> None:
    layer = make_layer(grid, computation, seed)
    x = make_tokens(grid)
    expected = reverse(layer(x), grid)
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias.inner[:, 0].neg_()  # the bias then sees time run backwards
    torch.testing.assert_close(layer(reverse(x, grid)), expected, rtol=0, atol=1e-10)


@few
@given(seeds, computations)
def test_time_reversal_of_the_clip_alone_is_seen_only_through_positions(seed: int, computation: str) -> None:
    grid = Grid(4, 2, 2)
    for positions, seen in (("none", False), ("relative-bias", True), ("rotary", True), ("both", True)):
        layer = make_layer(grid, computation, seed, positions=positions)
        x = make_tokens(grid)
        same = torch.allclose(layer(reverse(x, grid)), reverse(layer(x), grid), atol=1e-10)
        assert same is not seen


def reverse(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    """The clip played backwards."""
    return rearrange(rearrange(x, "b (f c) d -> b f c d", f=grid.num_frames).flip(1), "b f c d -> b (f c) d")


@few
@given(grids, seeds, computations)
def test_a_clip_is_not_touched_by_its_neighbours_in_the_batch(
    grid: Grid, seed: int, computation: str
) -> None:
    layer = make_layer(grid, computation, seed)
    x = make_tokens(grid, batch=3)
    together = layer(x)
    for clip in range(3):
        torch.testing.assert_close(layer(x[clip : clip + 1])[0], together[clip], rtol=0, atol=1e-10)


@few
@given(
    grids,
    seeds,
    computations,
    st.sampled_from(["adjacent+similar", "similar", "adjacent", "dense"]),
    st.sampled_from([0.0, 1.0, 1e4]),
)
def test_a_grey_video_stays_finite(grid: Grid, seed: int, computation: str, edges: str, level: float) -> None:
    layer = make_layer(grid, computation, seed, edges=edges).float()
    x = torch.full((2, grid.num_tokens, WIDTH), level, requires_grad=True)
    for training in (True, False):
        layer.train(training)
        out = layer(x)
        shown, graph = layer.attend(x)
        assert out.isfinite().all()
        assert graph.weights.isfinite().all()
        torch.testing.assert_close(out, shown, rtol=1e-5, atol=1e-4)
        (gradient,) = torch.autograd.grad(out.sum(), x)
        assert gradient.isfinite().all()


@few
@given(seeds, computations)
def test_a_node_without_neighbours_attends_to_itself(seed: int, computation: Any) -> None:
    grid = Grid(3, 2, 2)
    layer = make_layer(grid, computation, seed, edges="similar")
    alone = GraphAttention(
        WIDTH, grid, GraphConfig(width=16, num_heads=2, similarity_width=4, edges="similar"), 0, computation
    ).double()
    alone.load_state_dict(layer.state_dict())
    x = make_tokens(grid)
    _, _, value = alone.query_key_value(alone.norm(x)).chunk(3, dim=-1)
    torch.testing.assert_close(alone(x), x + alone.out(value), rtol=0, atol=1e-10)
    assert alone.attend(x)[1].weights.eq(1).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("computation", ["dense", "neighbour-list"])
def test_half_precision_masks_without_overflow(dtype: torch.dtype, computation: str) -> None:
    grid = Grid(2, 3, 3)
    layer = make_layer(grid, computation, 0).to(dtype)
    x = make_tokens(grid).to(dtype).requires_grad_()
    out = layer(x)
    out.float().sum().backward()
    assert out.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@given(grids, st.integers(6, 20), seeds)
def test_rotary_scores_depend_on_the_offset_of_two_nodes_only(grid: Grid, head_dim: int, seed: int) -> None:
    """One query and one key put on every node score as complex numbers do that turn by the offset."""
    torch.manual_seed(seed)
    query, key = torch.randn(2, head_dim, dtype=torch.float64)
    rotary = Rotary(grid, head_dim)
    turned = [rotary(vector.expand(1, 1, grid.num_tokens, head_dim))[0, 0] for vector in (query, key)]

    half, num_pairs = head_dim // 2, head_dim // 6
    cell = torch.from_numpy(cells(grid)).double()
    offset = cell[:, None] - cell[None]
    angle = offset[..., None] * 100.0 ** (-torch.arange(num_pairs, dtype=torch.float64) / num_pairs)
    angle = F.pad(angle.flatten(2), (0, half - 3 * num_pairs))
    a, b = (torch.complex(vector[:half], vector[half : 2 * half]) for vector in (query, key))
    expected = (a * b.conj() * torch.exp(1j * angle)).real.sum(-1) + (query * key)[2 * half :].sum()
    torch.testing.assert_close(turned[0] @ turned[1].mT, expected, rtol=0, atol=1e-5)
