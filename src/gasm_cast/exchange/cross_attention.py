"""One stream reads from the other: multi-head cross-attention, direct or absorbed."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gasm_cast.errors import InputError

Computation = Literal["direct", "absorb-query", "absorb-context"]


class CrossAttention(nn.Module):
    """Queries of one stream attend to the tokens of the other.

    a = softmax(q k^T / sqrt(head_dim)), y = W_o [a v], with q = W_q x, k = W_k c, v = W_v c;
    x `[B, N, query_width]`, c `[B, M, context_width]`, y `[B, N, query_width]`.

    Three computations give the same numbers:

    - *direct*: project, then attend (fused kernels).
    - *absorb-query*, for few context tokens: q_n . k_m = x_n . (W_q^T k_m), so the long query
      side is never projected; likewise W_o is applied to the values before they are mixed.
    - *absorb-context*, for few queries: q_n . k_m = (W_k^T q_n) . c_m, and the mixture of
      the raw context is projected by W_v afterwards.

    Absorbing is exact because nothing non-linear stands between projection and product;
    no projection has a bias (that of keys would cancel in the softmax anyway).

    Args:
        query_width: Channels of the side that reads.
        context_width: Channels of the side that is read.
        width: Channels of queries, keys and values over all heads.
        num_heads: Heads; must divide `width`.
        dropout: Dropout on the weights in training.
        absorb: Choose the computation with the fewest multiplications; off is always direct.

    Raises:
        InputError: if the heads do not divide the width.

    Source: Attention Is All You Need (arXiv 1706.03762), section 3.2.2; absorbed products as
    in DeepSeek-V2's latent attention (arXiv 2405.04434), section 2.1.
    """

    def __init__(
        self,
        query_width: int,
        context_width: int,
        *,
        width: int,
        num_heads: int,
        dropout: float = 0.0,
        absorb: bool = True,
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise InputError(f"num_heads must divide the attention width, got {num_heads} and {width}")
        self.num_heads = num_heads
        self.scale = (width // num_heads) ** -0.5
        self.dropout = dropout
        self.absorb = absorb
        self.query = nn.Linear(query_width, width, bias=False)
        self.key_value = nn.Linear(context_width, 2 * width, bias=False)
        self.out = nn.Linear(width, query_width, bias=False)

    def computation(self, num_queries: int, num_context: int) -> Computation:
        """The computation with the fewest multiplications for these numbers of tokens."""
        if not self.absorb:
            return "direct"
        n, m, heads = num_queries, num_context, self.num_heads
        width, query_width = self.query.weight.shape
        context_width = self.key_value.in_features
        cost: dict[Computation, int] = {
            "direct": 2 * n * query_width * width + 2 * m * context_width * width + 2 * n * m * width,
            "absorb-query": 2 * m * context_width * width
            + 2 * m * width * query_width
            + 2 * n * m * heads * query_width,
            "absorb-context": 2 * n * query_width * width
            + 2 * n * width * context_width
            + 2 * n * m * heads * context_width,
        }
        return min(cost, key=lambda name: cost[name])

    def forward(
        self,
        x: Float[Tensor, "batch queries query_width"],
        context: Float[Tensor, "batch tokens context_width"],
        allowed: Bool[Tensor, "*batch queries tokens"] | None = None,
    ) -> Float[Tensor, "batch queries query_width"]:
        """What the context holds for each query.

        Args:
            x: Tokens that read.
            context: Tokens that are read.
            allowed: Where a query may look; one that may look nowhere reads zeros.
        """
        if self.computation(x.shape[1], context.shape[1]) != "direct":
            return self.attend(x, context, allowed)[0]
        query, key, value = self._project(x, context)
        mask = None if allowed is None else allowed[..., None, :, :]
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return self._merge(mixed)

    def attend(
        self,
        x: Float[Tensor, "batch queries query_width"],
        context: Float[Tensor, "batch tokens context_width"],
        allowed: Bool[Tensor, "*batch queries tokens"] | None = None,
    ) -> tuple[Float[Tensor, "batch queries query_width"], Float[Tensor, "batch heads queries tokens"]]:
        """The same output, and the weights before dropout."""
        match self.computation(x.shape[1], context.shape[1]):
            case "absorb-query":
                return self._absorb_query(x, context, allowed)
            case "absorb-context":
                return self._absorb_context(x, context, allowed)
            case "direct":
                return self._direct(x, context, allowed)

    def _project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heads = self.num_heads
        query = rearrange(self.query(x), "b n (h d) -> b h n d", h=heads)
        key, value = rearrange(self.key_value(context), "b m (kv h d) -> kv b h m d", kv=2, h=heads)
        return query, key, value

    def _merge(self, mixed: Tensor) -> Tensor:
        merged: Tensor = self.out(rearrange(mixed, "b h n d -> b n (h d)"))
        return merged

    def _direct(self, x: Tensor, context: Tensor, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
        query, key, value = self._project(x, context)
        weights = _softmax(self.scale * query @ key.mT, allowed, dim=-1)
        return self._merge(F.dropout(weights, self.dropout, self.training) @ value), weights

    def _absorb_query(self, x: Tensor, context: Tensor, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
        heads = self.num_heads
        key, value = rearrange(self.key_value(context), "b m (kv h d) -> kv b m h d", kv=2, h=heads)
        into_query = rearrange(self.query.weight, "(h d) q -> h d q", h=heads)
        from_value = rearrange(self.out.weight, "q (h d) -> h d q", h=heads)
        # One vector of query_width for each head and context token, in place of all queries.
        keys = torch.einsum("bmhd,hdq->bhmq", self.scale * key, into_query).flatten(1, 2)
        values = torch.einsum("bmhd,hdq->bhmq", value, from_value).flatten(1, 2)
        # Queries stay the last axis, so that the softmax over few context tokens runs along them.
        logits = rearrange(keys @ x.mT, "b (h m) n -> b h m n", h=heads)
        weights = _softmax(logits, None if allowed is None else allowed.mT, dim=2)
        dropped = F.dropout(weights, self.dropout, self.training).flatten(1, 2)
        return dropped.mT @ values, weights.mT

    def _absorb_context(self, x: Tensor, context: Tensor, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
        heads = self.num_heads
        query = rearrange(self.query(x), "b n (h d) -> b n h d", h=heads)
        into_key, into_value = rearrange(self.key_value.weight, "(kv h d) c -> kv h d c", kv=2, h=heads)
        queries = torch.einsum("bnhd,hdc->bhnc", self.scale * query, into_key).flatten(1, 2)
        logits = rearrange(queries @ context.mT, "b (h n) m -> b h n m", h=heads)
        weights = _softmax(logits, allowed, dim=-1)
        dropped = F.dropout(weights, self.dropout, self.training).flatten(1, 2)
        mixed = rearrange(dropped @ context, "b (h n) c -> b h n c", h=heads)
        merged: Tensor = self.out(torch.einsum("bhnc,hdc->bnhd", mixed, into_value).flatten(2))
        return merged, weights


def _softmax(logits: Tensor, allowed: Tensor | None, dim: int) -> Tensor:
    """Softmax over the allowed tokens; zeros, with zero gradient, where none is allowed."""
    if allowed is None:
        return logits.softmax(dim)
    allowed = allowed[..., None, :, :]
    lowest = torch.finfo(logits.dtype).min  # finite: a row of infinities would give NaN
    return logits.masked_fill(~allowed, lowest).softmax(dim) * allowed
