"""Attention inside a stream, over the edges of its graph.

Source: docs/method.md, phase 3; attention over edges as in UniMP, Masked Label Prediction:
Unified Message Passing Model for Semi-Supervised Classification (arXiv 2009.03509, equation
3; `TransformerConv` of PyTorch Geometric), to which it reduces without bias and gain. Differs
in that edges are rebuilt from the tokens in every forward pass, and that the similarity which
picks them also enters the logits, so that it is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gasm_cast.config import GraphConfig
from gasm_cast.geometry import Grid
from gasm_cast.graph.edges import Edges
from gasm_cast.graph.positions import RelativeBias, Rotary
from gasm_cast.graph.sparse import edge_dots, edge_patterns, edge_sums

Computation = Literal["dense", "neighbour-list"]

DENSE_UP_TO = {"cpu": 64, "cuda": 256}
"""Tokens up to which masked dense attention is computed, by kind of device.

On a processor the larger the batch, the fewer nodes there are where the two computations take
as long: about 150 for one clip, 115 for eight and 95 for 32 at width 256, so that up to the
bound dense attention is the faster one of all of these; `gasm-cast bench model` times both
beside each other for one clip. The bound on GPUs is an assumption, that short sparse products
do not fill the machine, and is low until it is measured: the logits of all pairs are float32
`[B, H, N, N]`, kept for the backward pass, 1.07 GB for 64 clips, 4 heads and 1,024 nodes, and
67 MB for 256 nodes.
"""


class StreamGraph(NamedTuple):
    """Graph of one layer of one stream, as :meth:`GraphAttention.attend` shows it.

    Attributes:
        neighbours: Nodes that each node is joined to, itself first, `[B, N, K]`.
        is_edge: False where the list is padded (a node at the border has fewer), `[B, N, K]`.
        is_adjacent: Edge to a node that touches it on the grid, `[B, N, K]`.
        weights: Attention over the edges, 0 where `is_edge` is false, `[B, H, N, K]`.
        similarity_embedding: Unit vectors z in which similar nodes are sought, `[B, N, W]`.
    """

    neighbours: Int[Tensor, "batch nodes degree"]
    is_edge: Bool[Tensor, "batch nodes degree"]
    is_adjacent: Bool[Tensor, "batch nodes degree"]
    weights: Float[Tensor, "batch heads nodes degree"]
    similarity_embedding: Float[Tensor, "batch nodes similarity_width"]


class GraphAttention(nn.Module):
    """One residual graph-attention layer over the nodes of one grid.

    x'_i = x_i + W_o sum_j a_ij v_j,
    a_ij = softmax over the edges j of i of (q_i . k_j / sqrt(head_dim) + b_h(p_j - p_i) + g_h s_ij),
    s_ij = z_i . z_j, with q, k, v, z projections of LayerNorm(x), z normalised to length 1.

    x, x' `[B, N, width]`; q, k, v `[B, H, N, head_dim]`; z `[B, N, W]`; b_h a learned
    function of the relative position, g_h a learned gain (it starts at 1). W_o starts at
    zero, so that the layer starts as the identity.

    Two computations give the same numbers, up to the rounding of their precision: masked
    dense attention, and products with a sparse matrix over the neighbour lists, whose cost is
    linear in N. :meth:`attend` is a third, explicit one that also returns the graph.
    Similarities, and with them the edges, are in single precision under autocast too.

    Args:
        width: Channels of the tokens.
        grid: Their grid.
        config: Sizes, kinds of edges, positions.
        num_similar: Similar nodes joined to each node.
        computation: Force one computation, except where lists are as long as the grid, which is
            always computed dense; by default the one that is faster for this grid on the
            device of the tokens.
    """

    def __init__(
        self,
        width: int,
        grid: Grid,
        config: GraphConfig,
        num_similar: int,
        computation: Computation | None = None,
    ) -> None:
        super().__init__()
        self.grid, self.config, self.num_similar = grid, config, num_similar
        self.forced_computation = computation
        self.num_heads = config.num_heads
        head_dim = config.width // config.num_heads
        self.scale = head_dim**-0.5

        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * config.width, bias=False)
        learned = config.similarity == "learned"
        self.metric = nn.Linear(width, config.similarity_width, bias=False) if learned else nn.Identity()
        self.gain = nn.Parameter(torch.ones(config.num_heads))
        self.out = nn.Linear(config.width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

        self.edges = Edges(grid, config, num_similar)
        everywhere = self.edges.num_blocks == 1 or config.edges == "dense"
        frame_reach = grid.num_frames - 1 if everywhere else max(1, self.edges.reach)
        biased = config.positions in ("relative-bias", "both")
        self.bias = RelativeBias(grid, config.num_heads, frame_reach) if biased else None
        self.rotary = Rotary(grid, head_dim) if config.positions in ("rotary", "both") else None

    def computation(self, device: torch.device) -> Computation:
        """The computation that :meth:`forward` takes on this device."""
        num_tokens = self.grid.num_tokens
        if self.edges.degree >= num_tokens:  # such lists save nothing, and sparse matrices cannot hold them
            return "dense"
        if self.forced_computation is not None:
            return self.forced_computation
        return "dense" if num_tokens <= DENSE_UP_TO.get(device.type, num_tokens) else "neighbour-list"

    def forward(self, x: Float[Tensor, "batch nodes width"]) -> Float[Tensor, "batch nodes width"]:
        """Refine the tokens over their graph."""
        h = self.norm(x)
        projections = self._project(h)
        with _unrounded(x):
            z, neighbours, is_edge = self._build_graph(h)
            if self.computation(x.device) == "dense":
                mixed = self._mix_dense(projections, z, neighbours)
            else:
                mixed = self._mix_listed(projections, z, neighbours, is_edge)
        return self._integrate(x, mixed)

    def attend(
        self, x: Float[Tensor, "batch nodes width"]
    ) -> tuple[Float[Tensor, "batch nodes width"], StreamGraph]:
        """The same output, with keys and values gathered edge by edge, and the graph."""
        h = self.norm(x)
        query, key, value = self._project(h)
        with _unrounded(x):
            z, neighbours, is_edge = self._build_graph(h)
            similarity = torch.einsum("bnw,bnkw->bnk", z, _gather(z[:, None], neighbours)[:, 0])
            logits = self.scale * torch.einsum("bhnd,bhnkd->bhnk", query, _gather(key, neighbours))
            logits = logits + self.gain[:, None, None] * similarity[:, None]
            if self.bias is not None:
                logits = logits + rearrange(self.bias(_every(z)[:, None], neighbours), "b n k h -> b h n k")
            weights = logits.masked_fill(~is_edge[:, None], float("-inf")).softmax(dim=-1)
            mixed = torch.einsum("bhnk,bhnkd->bhnd", weights.to(value.dtype), _gather(value, neighbours))
        touches = F.pad(self.edges.fixed_touches, (0, self.edges.num_similar)).expand_as(is_edge)
        return self._integrate(x, mixed), StreamGraph(neighbours, is_edge, touches, weights, z)

    def _project(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = rearrange(
            self.query_key_value(h), "b n (qkv h d) -> qkv b h n d", qkv=3, h=self.num_heads
        )
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        return query, key, value

    def _build_graph(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Similarity embedding z of the normalised tokens, and the lists of neighbours."""
        z = self.metric(h.to(self.norm.weight.dtype))
        z = F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=-1)
        return z, *self.edges(z)

    def _integrate(self, x: Tensor, mixed: Tensor) -> Tensor:
        update: Tensor = self.out(rearrange(mixed, "b h n d -> b n (h d)"))
        return x + update

    def _mix_dense(self, projections: Sequence[Tensor], z: Tensor, neighbours: Tensor) -> Tensor:
        """All products of queries and keys, those of no edge masked.

        A mask that needs a gradient keeps torch from its fused kernels on a processor.
        """
        query, key, value = projections
        similarity = z @ z.mT
        logits = self.gain[:, None, None] * similarity[:, None]
        if self.bias is not None:
            every = _every(z)
            logits = logits + rearrange(self.bias(every[:, None], every), "n m h -> h n m")
        # Lists are padded with the node itself, which is an edge anyway: no row is empty.
        allowed = torch.zeros_like(similarity, dtype=torch.bool).scatter(2, neighbours, True)
        logits = logits.masked_fill(~allowed[:, None], float("-inf")).to(query.dtype)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=logits)

    def _mix_listed(
        self, projections: Sequence[Tensor], z: Tensor, neighbours: Tensor, is_edge: Tensor
    ) -> Tensor:
        """Products of queries and keys that share an edge, as products with sparse matrices."""
        batch, heads, nodes, _ = projections[0].shape
        pattern, of_one_head = edge_patterns(neighbours, heads, 1)
        # Sparse kernels know single and double precision only: those of z.
        query, key, value = (rearrange(t, "b h n d -> (b h n) d").to(z.dtype) for t in projections)
        dots = edge_dots(query, key, pattern).view(batch, heads, nodes, -1)
        similarity = edge_dots(z.flatten(0, 1), z.flatten(0, 1), of_one_head)
        logits = self.scale * dots + self.gain[:, None, None] * similarity.view(batch, 1, nodes, -1)
        if self.bias is not None:
            logits = logits + rearrange(self.bias(_every(z)[:, None], neighbours), "b n k h -> b h n k")
        weights = logits.masked_fill(~is_edge[:, None], float("-inf")).softmax(dim=-1)
        mixed = edge_sums(weights.flatten(), value, pattern)
        return mixed.view_as(projections[2]).to(projections[2].dtype)


def _unrounded(x: Tensor) -> torch.autocast:
    """No product of logits is rounded: who is similar must not depend on the precision of training."""
    return torch.autocast(x.device.type, enabled=False)


def _every(z: Float[Tensor, "batch nodes width"]) -> Int[Tensor, " nodes"]:
    return torch.arange(z.shape[1], device=z.device)


def _gather(
    x: Float[Tensor, "batch heads nodes width"], index: Int[Tensor, "batch nodes degree"]
) -> Float[Tensor, "batch heads nodes degree width"]:
    """Rows of `x` that the lists name."""
    clips = torch.arange(len(x), device=x.device)[:, None, None]
    return x.transpose(1, 2)[clips, index].permute(0, 3, 1, 2, 4)
