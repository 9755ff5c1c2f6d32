from __future__ import annotations

from typing import Any

import pytest
import torch

from gasm_cast.config import GraphConfig
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid
from gasm_cast.graph import GraphAttention


def make_layer(grid: Grid, **config: Any) -> GraphAttention:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 16, "num_heads": 2, "similarity_width": 4}
    return GraphAttention(12, grid, GraphConfig(**sizes | config), 3)


@pytest.mark.parametrize("grid", [Grid(1, 4, 4), Grid(3, 5, 5)])
def test_it_starts_as_the_identity(grid: Grid) -> None:
    x = torch.randn(2, grid.num_tokens, 12)
    assert torch.equal(make_layer(grid)(x), x)


def test_the_computation_follows_grid_and_device() -> None:
    processor, gpu = torch.device("cpu"), torch.device("cuda")
    assert make_layer(Grid(8, 1, 1)).computation(processor) == "dense"
    assert make_layer(Grid(1, 14, 14)).computation(processor) == "neighbour-list"
    assert make_layer(Grid(1, 14, 14)).computation(gpu) == "dense"
    assert make_layer(Grid(2, 14, 14)).computation(gpu) == "neighbour-list"
    assert make_layer(Grid(16, 14, 14), edges="dense").computation(gpu) == "dense"


def test_a_computation_is_forced_unless_lists_are_as_long_as_the_grid() -> None:
    for grid, expected in ((Grid(1, 4, 4), "neighbour-list"), (Grid(1, 3, 3), "dense")):
        layer = GraphAttention(12, grid, GraphConfig(), 3, "neighbour-list")
        assert layer.computation(torch.device("cpu")) == expected


def test_the_loss_trains_the_metric_the_gain_and_the_positions() -> None:
    layer = make_layer(Grid(2, 4, 4))
    torch.nn.init.normal_(layer.out.weight)
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias.outer)
    layer(torch.randn(2, 32, 12)).pow(2).sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_a_similar_node_far_away_gets_the_weight_that_the_gain_gives_it() -> None:
    layer = make_layer(Grid(1, 5, 5), positions="none")
    x = torch.randn(1, 25, 12)
    x[0, 24] = x[0, 0]
    torch.nn.init.zeros_(layer.query_key_value.weight)
    torch.nn.init.constant_(layer.gain, 50.0)
    _, graph = layer.attend(x)
    place = graph.neighbours[0, 0].tolist().index(24)
    assert not graph.is_adjacent[0, 0, place]
    # With queries and keys off, logits are 50 s: the node and its twin share the weight.
    torch.testing.assert_close(graph.weights[0, :, 0, place], torch.full((2,), 0.5), rtol=0, atol=0.01)


def test_fixed_similarity_seeks_in_the_normalised_input() -> None:
    layer = make_layer(Grid(1, 4, 4), similarity="fixed")
    x = torch.randn(1, 16, 12)
    expected = torch.nn.functional.normalize(layer.norm(x), dim=-1)
    torch.testing.assert_close(layer.attend(x)[1].similarity_embedding, expected)


def test_rotary_positions_need_room_in_a_head() -> None:
    with pytest.raises(InputError, match=r"6 or more channels a head, got 4; widen graph\.width"):
        make_layer(Grid(1, 4, 4), width=8, positions="rotary")


@pytest.mark.parametrize("grid", [Grid(1, 6, 6), Grid(8, 1, 1), Grid(4, 5, 5)])
@pytest.mark.parametrize("similarity", ["learned", "fixed"])
def test_mixed_precision_joins_the_same_nodes(grid: Grid, similarity: str) -> None:
    """What trains in half precision and what is explained in single precision is one graph."""
    layer = make_layer(grid, similarity=similarity)
    found: list[torch.Tensor] = []
    layer.edges.register_forward_hook(lambda _, __, listed: found.append(listed[0]))
    # Tokens that are much alike, so that half precision could not tell them apart.
    x = torch.randn(2, 1, 12) + 0.1 * torch.randn(2, grid.num_tokens, 12)
    torch.nn.init.normal_(layer.out.weight)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x), expected, rtol=0.02, atol=0.1)
        torch.testing.assert_close(layer.attend(x)[0], expected, rtol=0.02, atol=0.1)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_mixed_precision_rounds_the_logits_of_the_graph_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lists' logits are in single precision: those of the dense computation must not be far worse."""
    layer = make_layer(Grid(1, 4, 4))
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias.outer)
    masks: list[torch.Tensor] = []

    def attention(query: torch.Tensor, *_: torch.Tensor, attn_mask: torch.Tensor) -> torch.Tensor:
        masks.append(attn_mask)
        return query

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attention)
    x = torch.randn(2, 16, 12)
    layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
    assert torch.equal(masks[1], masks[0].bfloat16())
