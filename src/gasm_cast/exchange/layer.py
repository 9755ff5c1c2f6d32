"""One layer in which the streams read from each other, then think: B-CAST, in a bottleneck.

*Bottleneck* here is a narrow width, as in CAST (arXiv 2311.18825), not a few shared
tokens, as in MBT.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gasm_cast.config import ExchangeConfig
from gasm_cast.exchange.cross_attention import CrossAttention


class ExchangeWeights(NamedTuple):
    """Cross-attention weights of one layer; None for a direction that is switched off."""

    semantic_from_motion: Float[Tensor, "batch heads patches segments"] | None
    motion_from_semantic: Float[Tensor, "batch heads segments patches"] | None


class ChannelDropout(nn.Module):
    """Dropout of whole channels, the same ones in all tokens of a clip.

    Independent dropout of each token's channels all but averages out when many tokens are
    pooled; this does not, and it draws one number where that draws one a token.

    Args:
        p: Probability that a channel is dropped; the others are scaled up by 1 / (1 - p).

    Source: Efficient Object Localization Using Convolutional Networks (arXiv 1411.4280),
    section 4.2, with tokens in the place of pixels.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Tokens without the dropped channels; unchanged in evaluation."""
        if not self.training or self.p == 0:
            return x
        return x * F.dropout(x.new_ones(len(x), 1, x.shape[2]), self.p)


class FeedForward(nn.Sequential):
    """LayerNorm, linear to `ratio` times the width, GELU, linear back, dropout.

    Args:
        width: Channels.
        ratio: Hidden width over `width`.
        dropout: Dropout on the output.
    """

    def __init__(self, width: int, ratio: float, dropout: float) -> None:
        hidden = max(1, round(ratio * width))
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, width),
            ChannelDropout(dropout),
        )


class ExchangeLayer(nn.Module):
    """Both streams read from each other at once, then each passes a residual feed-forward.

    s' = s + A(LN(s), LN(m)), m' = m + A'(LN(m), LN(s)), from the same inputs;
    s'' = s' + FF(s'), m'' = m' + FF'(m'); s `[B, N, Ds]`, m `[B, T, Dm]`. In a bottleneck
    Ds = Dm = `config.width`; at the streams' own widths it is plain cross-attention, each
    stream attending at its own.

    Args:
        config: Heads, direction, feed-forward, dropout, and the width where none are given.
        widths: Channels of semantic and motion tokens.
        absorb: Let attention choose the computation with the fewest multiplications.

    Source: docs/method.md, phase 4; CAST (arXiv 2311.18825), section 3.2.
    """

    def __init__(
        self, config: ExchangeConfig, widths: tuple[int, int] | None = None, *, absorb: bool = True
    ) -> None:
        super().__init__()
        semantic_width, motion_width = widths or (config.width, config.width)

        def cross_attention(width: int, context_width: int) -> CrossAttention:
            return CrossAttention(
                width,
                context_width,
                width=width,
                num_heads=config.num_heads,
                dropout=config.attention_dropout,
                absorb=absorb,
            )

        is_read = config.direction != "none"
        self.semantic_norm = nn.LayerNorm(semantic_width) if is_read else nn.Identity()
        self.motion_norm = nn.LayerNorm(motion_width) if is_read else nn.Identity()
        reads_motion = config.direction in ("both", "semantic-from-motion")
        reads_semantic = config.direction in ("both", "motion-from-semantic")
        self.semantic_from_motion = cross_attention(semantic_width, motion_width) if reads_motion else None
        self.motion_from_semantic = cross_attention(motion_width, semantic_width) if reads_semantic else None
        self.dropout = ChannelDropout(config.dropout)

        def feed_forward(width: int) -> FeedForward:
            return FeedForward(width, config.feed_forward_ratio, config.dropout)

        is_fed = config.feed_forward in ("both", "motion")
        self.semantic_feed_forward = feed_forward(semantic_width) if config.feed_forward == "both" else None
        self.motion_feed_forward = feed_forward(motion_width) if is_fed else None

    def forward(
        self,
        semantic: Float[Tensor, "batch patches semantic_width"],
        motion: Float[Tensor, "batch segments motion_width"],
    ) -> tuple[Float[Tensor, "batch patches semantic_width"], Float[Tensor, "batch segments motion_width"]]:
        """Both streams after the exchange."""
        s, m = self.semantic_norm(semantic), self.motion_norm(motion)
        if self.semantic_from_motion is not None:
            semantic = semantic + self.dropout(self.semantic_from_motion(s, m))
        if self.motion_from_semantic is not None:
            motion = motion + self.dropout(self.motion_from_semantic(m, s))
        return self._feed_forward(semantic, motion)

    def attend(
        self,
        semantic: Float[Tensor, "batch patches semantic_width"],
        motion: Float[Tensor, "batch segments motion_width"],
    ) -> tuple[
        Float[Tensor, "batch patches semantic_width"],
        Float[Tensor, "batch segments motion_width"],
        ExchangeWeights,
    ]:
        """The same, with the attention weights before dropout."""
        s, m = self.semantic_norm(semantic), self.motion_norm(motion)
        semantic_weights = motion_weights = None
        if self.semantic_from_motion is not None:
            read, semantic_weights = self.semantic_from_motion.attend(s, m)
            semantic = semantic + self.dropout(read)
        if self.motion_from_semantic is not None:
            read, motion_weights = self.motion_from_semantic.attend(m, s)
            motion = motion + self.dropout(read)
        return *self._feed_forward(semantic, motion), ExchangeWeights(semantic_weights, motion_weights)

    def _feed_forward(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        if self.semantic_feed_forward is not None:
            semantic = semantic + self.semantic_feed_forward(semantic)
        if self.motion_feed_forward is not None:
            motion = motion + self.motion_feed_forward(motion)
        return semantic, motion
