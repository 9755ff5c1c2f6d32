from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gasm_cast.graph.sparse import EdgePattern, edge_dots, edge_patterns, edge_sums

BATCH, HEADS, NODES, DEGREE, WIDTH = 2, 3, 7, 4, 5


@pytest.fixture
def neighbours() -> Tensor:
    torch.manual_seed(0)
    return torch.rand(BATCH, NODES, NODES).topk(DEGREE).indices


def rows(neighbours: Tensor) -> Tensor:
    """Row that each edge leads to, counted over clips and heads, `[B H N, K]`."""
    block = torch.arange(BATCH * HEADS).view(BATCH, HEADS, 1, 1) * NODES
    return (neighbours[:, None] + block).reshape(-1, DEGREE)


def random_rows(seed: int) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(BATCH * HEADS * NODES, WIDTH, dtype=torch.float64, requires_grad=True)


def test_the_transpose_lists_every_edge_once_by_the_node_it_leads_to(neighbours: Tensor) -> None:
    (pattern,) = edge_patterns(neighbours, HEADS)
    size = (BATCH * HEADS * NODES,) * 2
    values = torch.arange(1.0, pattern.columns.numel() + 1)
    forth = dense(pattern.starts, pattern.columns, values, size)
    back = dense(pattern.starts_back, pattern.columns_back, values[pattern.order_back], size)
    torch.testing.assert_close(back, forth.T)


def dense(starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    matrix = torch.zeros(size)
    for row in range(size[0]):
        for place in range(int(starts[row]), int(starts[row + 1])):
            matrix[row, int(columns[place])] += values[place]
    return matrix


def test_dots_are_products_at_the_edges_with_their_gradients(neighbours: Tensor) -> None:
    (pattern,), target = edge_patterns(neighbours, HEADS), rows(neighbours)
    query, key = random_rows(1), random_rows(2)
    dots = edge_dots(query, key, pattern)
    expected = torch.einsum("nd,nkd->nk", query, key[target]).flatten()
    torch.testing.assert_close(dots, expected)
    compare_gradients(dots, expected, query, key)


def test_sums_are_weighted_values_with_their_gradients(neighbours: Tensor) -> None:
    (pattern,), target = edge_patterns(neighbours, HEADS), rows(neighbours)
    weights, value = random_rows(3)[:, :DEGREE].detach().flatten().requires_grad_(), random_rows(4)
    sums = edge_sums(weights, value, pattern)
    expected = torch.einsum("nk,nkd->nd", weights.view(-1, DEGREE), value[target])
    torch.testing.assert_close(sums, expected)
    compare_gradients(sums, expected, weights, value)


def compare_gradients(ours: Tensor, expected: Tensor, *inputs: Tensor) -> None:
    direction = torch.linspace(-1, 1, ours.numel(), dtype=ours.dtype).view_as(ours)
    given = torch.autograd.grad(ours, inputs, direction)
    wanted = torch.autograd.grad(expected, inputs, direction)
    torch.testing.assert_close(given, wanted)


def test_one_head_of_one_clip_has_the_pattern_of_the_lists(neighbours: Tensor) -> None:
    several, pattern = edge_patterns(neighbours[:1], HEADS, 1)
    assert isinstance(pattern, EdgePattern)
    assert pattern.columns.tolist() == neighbours[0].flatten().tolist()
    assert pattern.starts.tolist() == list(range(0, NODES * DEGREE + 1, DEGREE))
    assert several.columns[: NODES * DEGREE].tolist() == pattern.columns.tolist()


def test_operations_are_counted_an_edge_and_a_channel_each(neighbours: Tensor) -> None:
    (pattern,) = edge_patterns(neighbours, HEADS)
    edges = pattern.columns.numel()
    with FlopCounterMode(display=False) as counter:
        edge_sums(edge_dots(random_rows(1), random_rows(2), pattern), random_rows(3), pattern)
    assert counter.get_total_flops() == 2 * (2 * edges * WIDTH)
