"""One definition, several computations: they must give the same numbers and the same gradients."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from gasm_cast.config import GraphConfig
from gasm_cast.geometry import Grid
from gasm_cast.graph import GraphAttention
from gasm_cast.graph.reference import graph_attention

WIDTH = 12
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}

GRIDS = [
    pytest.param(Grid(1, 4, 5), id="one frame"),
    pytest.param(Grid(5, 3, 3), id="time and space"),
    pytest.param(Grid(7, 1, 1), id="chain"),
    pytest.param(Grid(1, 1, 1), id="one node"),
    pytest.param(Grid(2, 1, 2), id="fewer nodes than k"),
]
RULES = [
    pytest.param({}, id="default"),
    pytest.param({"scope": "clip"}, id="clip"),
    pytest.param({"frame_window": 0}, id="own frame only"),
    pytest.param({"frame_window": 9}, id="window longer than the clip"),
    pytest.param({"edges": "adjacent"}, id="adjacent"),
    pytest.param({"edges": "similar"}, id="similar"),
    pytest.param({"edges": "dense"}, id="dense"),
    pytest.param({"positions": "none"}, id="no positions"),
]


def make_layer(grid: Grid, computation: Any = None, num_similar: int = 3, **config: Any) -> GraphAttention:
    """A layer with every parameter away from its start value, so that every term counts."""
    sizes: dict[str, Any] = {"width": 16, "num_heads": 2, "similarity_width": 4}
    layer = GraphAttention(WIDTH, grid, GraphConfig(**sizes | config), num_similar, computation)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return layer.double()


def make_tokens(grid: Grid, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(batch, grid.num_tokens, WIDTH, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("grid", GRIDS)
def test_both_computations_and_the_explicit_path_equal_the_definition(
    grid: Grid, rule: dict[str, Any]
) -> None:
    x = make_tokens(grid)
    expected = graph_attention(make_layer(grid, **rule), x)
    for computation in ("dense", "neighbour-list"):
        layer = make_layer(grid, computation, **rule)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-11)
        torch.testing.assert_close(layer.attend(x)[0], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("positions", ["relative-bias", "rotary", "both", "none"])
@pytest.mark.parametrize("scope", ["window", "clip"])
def test_both_computations_have_the_same_gradients(dtype: torch.dtype, positions: str, scope: str) -> None:
    grid = Grid(4, 4, 4)
    gradients = []
    for computation in ("dense", "neighbour-list"):
        layer = make_layer(grid, computation, positions=positions, scope=scope).to(dtype)
        x = make_tokens(grid).to(dtype).requires_grad_()
        out = layer(x)
        (out * torch.linspace(-1, 1, out.numel(), dtype=dtype).view_as(out)).sum().backward()
        gradients.append([x.grad, *(parameter.grad for parameter in layer.parameters())])
    for dense, listed in zip(*gradients, strict=True):
        assert dense is not None
        scale = max(1.0, float(dense.abs().max()))
        torch.testing.assert_close(dense, listed, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("computation", ["dense", "neighbour-list"])
def test_with_all_nodes_as_neighbours_it_is_full_attention(computation: str) -> None:
    grid = Grid(3, 2, 3)
    everything = grid.num_tokens - 1
    layer = make_layer(grid, computation, everything, edges="similar", scope="clip", positions="none")
    torch.nn.init.zeros_(layer.gain)
    x = make_tokens(grid)
    query, key, value = layer.query_key_value(layer.norm(x)).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
    full = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer(x), x + layer.out(full), rtol=0, atol=1e-11)


@pytest.mark.parametrize("computation", ["dense", "neighbour-list"])
def test_without_bias_and_gain_it_is_transformer_conv_on_the_same_edges(computation: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the oracle's own import warns of things that it does not use
        from torch_geometric.nn import TransformerConv

    grid = Grid(3, 3, 3)
    layer = make_layer(grid, computation, positions="none")
    torch.nn.init.zeros_(layer.gain)
    oracle = TransformerConv(WIDTH, 8, heads=2, root_weight=False, bias=False).double()
    projections = layer.query_key_value.weight.detach().chunk(3)
    with torch.no_grad():
        for linear, weight in zip(
            (oracle.lin_query, oracle.lin_key, oracle.lin_value), projections, strict=True
        ):
            linear.weight.copy_(weight)
    (x,) = make_tokens(grid, batch=1)
    out, graph = layer.attend(x[None])
    target, slot = graph.is_edge[0].nonzero(as_tuple=True)
    edge_index = torch.stack([graph.neighbours[0][target, slot], target])  # from neighbour to node
    expected = x + layer.out(oracle(layer.norm(x), edge_index))
    torch.testing.assert_close(out[0], expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(layer(x[None])[0], expected, rtol=0, atol=1e-11)
