"""Parts of several models: embedded tokens, a transformer block, a layer that starts at zero."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.exchange import ChannelDropout, FeedForward, GridPositions
from gasm_cast.geometry import StreamSpec

FEED_FORWARD_RATIO = 4.0
"""Hidden width of a peer's feed-forward over its width, as everywhere in the literature."""


def zero_linear(width: int, out_width: int) -> nn.Linear:
    """Linear layer that starts at zero, so that what it adds to a stream starts as nothing."""
    linear = nn.Linear(width, out_width)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class TokenEmbedding(nn.Module):
    """Tokens of one stream at a common width, with their positions: W LN(x) + c + pos.

    Args:
        stream: Grid and width of the tokens.
        width: Common width.
    """

    def __init__(self, stream: StreamSpec, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(stream.width)
        self.project = nn.Linear(stream.width, width)
        self.positions = GridPositions(stream.grid, width)

    def forward(self, x: Float[Tensor, "batch tokens _"]) -> Float[Tensor, "batch tokens width"]:
        """The tokens, ready for attention."""
        embedded: Tensor = self.project(self.norm(x)) + self.positions()
        return embedded


class SelfAttentionBlock(nn.Module):
    """x' = x + W_o A(LN(x)), x'' = x' + FF(x'): full self-attention among all tokens, pre-norm.

    Source: An Image is Worth 16x16 Words (arXiv 2010.11929), equations 2 and 3. Differs in that
    each sublayer drops whole channels of its output, as GASM-CAST's do.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        peer, dropout = config.peer, config.exchange.dropout
        self.num_heads = peer.num_heads
        self.norm = nn.LayerNorm(peer.width)
        self.query_key_value = nn.Linear(peer.width, 3 * peer.width, bias=False)
        self.out = nn.Linear(peer.width, peer.width)
        self.dropout = ChannelDropout(dropout)
        self.attention_dropout = config.exchange.attention_dropout
        self.feed_forward = (
            FeedForward(peer.width, FEED_FORWARD_RATIO, dropout) if peer.feed_forward else None
        )

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Tokens after attention and feed-forward."""
        projected = self.query_key_value(self.norm(x))
        query, key, value = rearrange(projected, "b n (qkv h d) -> qkv b h n d", qkv=3, h=self.num_heads)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        x = x + self.dropout(self.out(rearrange(mixed, "b h n d -> b n (h d)")))
        return x if self.feed_forward is None else x + self.feed_forward(x)
