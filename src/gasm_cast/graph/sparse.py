"""The two products of attention over listed edges, in time and memory linear in the edges.

Both are products with a sparse matrix whose pattern is the graph: `edge_dots` samples
Q K^T at the edges, `edge_sums` multiplies the weights with V. Keys and values are never
gathered into an array of nodes x edges x channels, forward or backward, which is what
makes the usual form of neighbour attention slow. The two are each other's gradients.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula


class EdgePattern(NamedTuple):
    """Pattern of a block-diagonal sparse matrix, one block a head of a clip, and of its transpose.

    Of B clips with H heads and N nodes each, the matrix has B H N rows, one a node of a head
    of a clip. A row has K entries, one an edge of its node.

    Attributes:
        starts: Where each row's edges begin.
        columns: Node that each edge leads to.
        starts_back: Where the edges that lead to each node begin.
        columns_back: Node that each of them comes from.
        order_back: Place of each of them in `columns`.
    """

    starts: Int[Tensor, " rows_and_one"]
    columns: Int[Tensor, " edges"]
    starts_back: Int[Tensor, " rows_and_one"]
    columns_back: Int[Tensor, " edges"]
    order_back: Int[Tensor, " edges"]


def edge_patterns(neighbours: Int[Tensor, "batch nodes degree"], *num_heads: int) -> list[EdgePattern]:
    """Patterns of the edges in the lists, one for each number of heads: the same edges for every head."""
    batch, nodes, degree = neighbours.shape
    listed = rearrange(neighbours, "b n k -> b (n k)")
    reached, order = listed.sort(dim=-1, stable=True)
    every = torch.arange(nodes, device=neighbours.device).expand(batch, -1).contiguous()
    begin = torch.searchsorted(reached, every)

    def pattern(heads: int) -> EdgePattern:
        block = torch.arange(batch * heads, device=neighbours.device).view(batch, heads, 1)
        rows = torch.arange(batch * heads * nodes + 1, device=neighbours.device, dtype=torch.int32)
        starts = rows * degree

        def tiled(per_clip: Tensor, block_size: int) -> Tensor:
            return (per_clip[:, None] + block * block_size).flatten().int()

        return EdgePattern(
            starts=starts,
            columns=tiled(listed, nodes),
            starts_back=torch.cat([tiled(begin, nodes * degree), starts[-1:]]),
            columns_back=tiled(order // degree, nodes),
            order_back=tiled(order, nodes * degree),
        )

    return [pattern(heads) for heads in num_heads]


def edge_dots(
    query: Float[Tensor, "rows width"], key: Float[Tensor, "rows width"], pattern: EdgePattern
) -> Float[Tensor, " edges"]:
    """q_i . k_j of every edge from i to j."""
    dots: Tensor = _EdgeDots.apply(query, key, *pattern)  # type: ignore[no-untyped-call]
    return dots


def edge_sums(
    weights: Float[Tensor, " edges"], value: Float[Tensor, "rows width"], pattern: EdgePattern
) -> Float[Tensor, "rows width"]:
    """Sum over the edges from i to j of a_ij v_j, for every node i."""
    sums: Tensor = _EdgeSums.apply(weights, value, *pattern)  # type: ignore[no-untyped-call]
    return sums


class _EdgeDots(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, *pattern: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, *pattern)
        dots: Tensor = _sample(query, key, *pattern[:2])
        return dots

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, starts, columns, starts_back, columns_back, order_back = ctx.saved_tensors
        to_query = _multiply(gradient.contiguous(), key, starts, columns)
        to_key = _multiply(gradient[order_back], query, starts_back, columns_back)
        return to_query, to_key, None, None, None, None, None


class _EdgeSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, value: Tensor, *pattern: Tensor) -> Tensor:
        ctx.save_for_backward(weights, value, *pattern)
        sums: Tensor = _multiply(weights, value, *pattern[:2])
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, value, starts, columns, starts_back, columns_back, order_back = ctx.saved_tensors
        gradient = gradient.contiguous()
        to_weights = _sample(gradient, value, starts, columns)
        to_value = _multiply(weights[order_back], gradient, starts_back, columns_back)
        return to_weights, to_value, None, None, None, None, None


# Operators of their own, so that `torch.compile` takes them as they are.


@torch.library.custom_op(
    "gasm_cast::sample_edges",
    mutates_args=(),
    schema="(Tensor row, Tensor column, Tensor starts, Tensor columns) -> Tensor",
)
def _sample(row: Tensor, column: Tensor, starts: Tensor, columns: Tensor) -> Tensor:
    """row_i . column_j at the entries of the pattern."""
    pattern = _matrix(row.new_ones(columns.shape), starts, columns)
    sampled: Tensor = torch.sparse.sampled_addmm(pattern, row, column.T, beta=0.0)
    return sampled.values()


@_sample.register_fake
def _(row: Tensor, column: Tensor, starts: Tensor, columns: Tensor) -> Tensor:
    return row.new_empty(columns.shape)


@torch.library.custom_op(
    "gasm_cast::multiply_edges",
    mutates_args=(),
    schema="(Tensor entries, Tensor dense, Tensor starts, Tensor columns) -> Tensor",
)
def _multiply(entries: Tensor, dense: Tensor, starts: Tensor, columns: Tensor) -> Tensor:
    """Sparse matrix of these entries times a dense one."""
    with torch.autocast(dense.device.type, enabled=False):  # half precision has no such product
        return _matrix(entries, starts, columns) @ dense


@_multiply.register_fake
def _(entries: Tensor, dense: Tensor, starts: Tensor, columns: Tensor) -> Tensor:
    return torch.empty_like(dense)


@register_flop_formula([torch.ops.gasm_cast.sample_edges, torch.ops.gasm_cast.multiply_edges])
def _count(first: Sequence[int], second: Sequence[int], starts: Any, columns: Any, **_: Any) -> int:
    """A multiply-add, two operations, for every edge and channel."""
    return 2 * int(columns[0]) * int(second[-1])


def _matrix(entries: Tensor, starts: Tensor, columns: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        size = (len(starts) - 1, len(starts) - 1)
        return torch.sparse_csr_tensor(starts, columns, entries, size, check_invariants=False)
