"""Phase 3: attention inside a stream, over the edges of its graph.

Source: SPEC of the method, phase 3; attention over edges as in Graph Transformer
Networks (`TransformerConv`, arXiv 2009.03509, equation 3), to which it reduces without
bias and gain. Differs in that edges are rebuilt from the tokens in every forward pass,
and that the similarity which picks them also enters the logits, so that it is learned.
"""

from __future__ import annotations

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

DENSE_MAX_TOKENS = 1000
"""Longest stream computed as masked dense attention; longer ones use neighbour lists."""


class StreamGraph(NamedTuple):
    """Graph of one layer of one stream, as :meth:`GraphAttention.attend` shows it.

    Attributes:
        neighbours: Nodes that each node is joined to, itself first, `[B, N, K]`.
        is_edge: False where the list is filled up (a node at the border has fewer), `[B, N, K]`.
        is_adjacent: Edge to a node that touches it on the grid, `[B, N, K]`.
        weights: Attention over the edges, 0 where `is_edge` is false, `[B, H, N, K]`.
        similarity_embedding: Unit vectors z in which similar nodes are sought, `[B, N, W]`.
    """

    neighbours: Int[Tensor, "batch nodes degree"]
    is_edge: Bool[Tensor, "batch nodes degree"]
    is_adjacent: Bool[Tensor, "batch nodes degree"]
    weights: Float[Tensor, "batch heads nodes degree"]
    similarity_embedding: Float[Tensor, "batch nodes similarity_width"]


class _Inputs(NamedTuple):
    query: Float[Tensor, "batch heads nodes head_dim"]
    key: Float[Tensor, "batch heads nodes head_dim"]
    value: Float[Tensor, "batch heads nodes head_dim"]
    z: Float[Tensor, "batch nodes similarity_width"]


class GraphAttention(nn.Module):
    """One residual graph-attention layer over the nodes of one grid.

    x'_i = x_i + W_o sum_j a_ij v_j,
    a_ij = softmax over the edges j of i of (q_i . k_j / sqrt(head_dim) + b_h(p_j - p_i) + g_h s_ij),
    s_ij = z_i . z_j, with q, k, v, z projections of LayerNorm(x), z normalised to length 1.

    x, x' `[B, N, width]`; q, k, v `[B, H, N, head_dim]`; z `[B, N, W]`; b_h a learned
    function of the relative position, g_h a learned gain (it starts at 1). W_o starts at
    zero, so that the layer starts as the identity.

    Two computations give the same numbers: masked dense attention, and neighbour lists
    with a cost linear in N.

    Args:
        width: Channels of the tokens.
        grid: Their grid.
        config: Sizes, kinds of edges, positions.
        num_similar: Similar nodes joined to each node.
        computation: Force one of the two computations; "auto" takes the faster one.
    """

    def __init__(
        self,
        width: int,
        grid: Grid,
        config: GraphConfig,
        num_similar: int,
        computation: Literal["auto", "dense", "neighbour-list"] = "auto",
    ) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        head_dim = config.width // config.num_heads
        self.scale = head_dim**-0.5
        if computation == "auto":
            short = grid.num_tokens <= DENSE_MAX_TOKENS or config.edges == "dense"
            computation = "dense" if short else "neighbour-list"
        self.is_dense = computation == "dense"

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

    def forward(self, x: Float[Tensor, "batch nodes width"]) -> Float[Tensor, "batch nodes width"]:
        """Refine the tokens over their graph."""
        query, key, value, z = self._project(x)
        if self.is_dense:
            logits, allowed = self._dense_logits(z)
            logits = logits.masked_fill(~allowed, float("-inf")).to(query.dtype)
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=logits)
        else:
            mixed, _ = self._attend_listed((query, key, value), *self._listed_logits(z))
        return x + self._merge(mixed)

    def attend(
        self, x: Float[Tensor, "batch nodes width"]
    ) -> tuple[Float[Tensor, "batch nodes width"], StreamGraph]:
        """The same output, computed edge by edge, with the graph and its weights."""
        query, key, value, z = self._project(x)
        logits, index, is_edge = self._listed_logits(z)
        mixed, weights = self._attend_listed((query, key, value), logits, index, is_edge)
        is_adjacent = F.pad(self.edges.fixed_touches, (0, self.edges.num_similar)).expand_as(is_edge)
        graph = StreamGraph(index, is_edge, is_adjacent, weights, z)
        return x + self._merge(mixed), graph

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        h = self.norm(x)
        query, key, value = rearrange(
            self.query_key_value(h), "b n (qkv h d) -> qkv b h n d", qkv=3, h=self.num_heads
        )
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        return query, key, value, F.normalize(self.metric(h).float(), dim=-1)

    def _dense_logits(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Everything but the product of query and key, `[B, H, N, N]`, and which pairs are edges."""
        edges, num_nodes = self.edges, z.shape[1]
        similarity = z @ z.mT
        logits = self.gain[:, None, None] * similarity[:, None]
        if self.bias is not None:
            every = torch.arange(num_nodes, device=z.device)
            index = self.bias.offset_index(every[:, None], every[None, :])
            logits = logits + F.embedding(index, self.bias()).permute(2, 0, 1)
        allowed = similarity.new_zeros(similarity.shape, dtype=torch.bool)
        allowed = allowed.scatter(2, edges.fixed.expand(len(z), -1, -1), True)
        if edges.num_similar:
            one_block = edges.num_blocks == 1
            index, _ = edges.similar(similarity[:, None] if one_block else edges.block_similarity(z))
            # Where a list is filled up its index is the node itself, which is an edge anyway.
            allowed = allowed.scatter(2, index, True)
        return logits, allowed[:, None]

    def _listed_logits(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same for listed edges only: logits `[B, H, N, K]`, nodes and validity `[B, N, K]`."""
        edges, batch = self.edges, len(z)
        index = edges.fixed.expand(batch, -1, -1)
        is_edge = edges.fixed_valid.expand(batch, -1, -1)
        if edges.num_similar:
            similar, valid = edges.similar(edges.block_similarity(z))
            index, is_edge = torch.cat([index, similar], dim=2), torch.cat([is_edge, valid], dim=2)
        similarity = torch.einsum("bnw,bnkw->bnk", z, _gather(z, index))
        logits = self.gain[:, None, None] * similarity[:, None]
        if self.bias is not None:
            every = torch.arange(z.shape[1], device=z.device)
            offset = self.bias.offset_index(every[None, :, None].expand_as(index), index)
            logits = logits + F.embedding(offset, self.bias()).permute(0, 3, 1, 2)
        return logits, index, is_edge

    def _merge(self, mixed: Tensor) -> Tensor:
        merged: Tensor = self.out(rearrange(mixed, "b h n d -> b n (h d)"))
        return merged

    def _attend_listed(
        self, projected: tuple[Tensor, Tensor, Tensor], logits: Tensor, index: Tensor, is_edge: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attention over listed edges; a node always has itself, so no row is empty."""
        query, key, value = projected
        heads = self.num_heads
        keys, values = (
            rearrange(
                _gather(rearrange(x, "b h n d -> b n (h d)"), index), "b n k (h d) -> b n k h d", h=heads
            )
            for x in (key, value)
        )
        products = torch.einsum("bhnd,bnkhd->bhnk", query, keys)
        logits = (self.scale * products + logits).masked_fill(~is_edge[:, None], float("-inf"))
        weights = logits.softmax(dim=-1)
        return torch.einsum("bhnk,bnkhd->bhnd", weights.to(values.dtype), values), weights


def _gather(x: Float[Tensor, "batch nodes width"], index: Int[Tensor, "batch nodes degree"]) -> Tensor:
    """Rows of `x` that the lists name, `[batch, nodes, degree, width]`."""
    batch, nodes, width = x.shape
    first = torch.arange(batch, device=x.device)[:, None, None] * nodes
    # The gradient of an embedding adds rows up much faster than that of a general index.
    return F.embedding(index + first, x.reshape(batch * nodes, width))
