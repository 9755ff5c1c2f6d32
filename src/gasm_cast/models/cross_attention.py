"""`cross-attention`: the reference of every efficiency claim.

Plain bidirectional cross-attention at the full widths of the streams: pre-norm layers in
which both streams read from each other at once, with or without a 4x feed-forward.

Source: docs/method.md, peers; Attention Is All You Need (arXiv 1706.03762). Differs in that
each sublayer drops whole channels of its output, as GASM-CAST's do. With `absorbed` the same
numbers are computed with the same algebra that GASM-CAST uses, so that the comparison is like
with like.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.exchange import ChannelDropout, CrossAttention, ExchangeWeights, FeedForward, GridPositions
from gasm_cast.models.blocks import FEED_FORWARD_RATIO
from gasm_cast.models.contract import Attention, FusionModel, Prediction, Task
from gasm_cast.models.head import PooledClassifier


class CrossAttentionLayer(nn.Module):
    """Both streams read from each other at full width, then pass a feed-forward."""

    def __init__(self, config: ModelConfig, semantic_width: int, motion_width: int) -> None:
        super().__init__()
        peer, dropout = config.peer, config.exchange.dropout

        def cross_attention(width: int, context_width: int) -> CrossAttention:
            return CrossAttention(
                width,
                context_width,
                width=width,
                num_heads=peer.num_heads,
                dropout=config.exchange.attention_dropout,
                absorb=peer.absorbed,
            )

        def feed_forward(width: int) -> nn.Module:
            return FeedForward(width, FEED_FORWARD_RATIO, dropout)

        self.semantic_norm, self.motion_norm = nn.LayerNorm(semantic_width), nn.LayerNorm(motion_width)
        self.semantic_from_motion = cross_attention(semantic_width, motion_width)
        self.motion_from_semantic = cross_attention(motion_width, semantic_width)
        self.dropout = ChannelDropout(dropout)
        self.semantic_feed_forward = feed_forward(semantic_width) if peer.feed_forward else None
        self.motion_feed_forward = feed_forward(motion_width) if peer.feed_forward else None

    def forward(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams after the layer."""
        s, m = self.semantic_norm(semantic), self.motion_norm(motion)
        semantic = semantic + self.dropout(self.semantic_from_motion(s, m))
        motion = motion + self.dropout(self.motion_from_semantic(m, s))
        return self._feed_forward(semantic, motion)

    def attend(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, ExchangeWeights]:
        """The same, with the weights before dropout."""
        s, m = self.semantic_norm(semantic), self.motion_norm(motion)
        semantic_read, semantic_weights = self.semantic_from_motion.attend(s, m)
        motion_read, motion_weights = self.motion_from_semantic.attend(m, s)
        semantic, motion = semantic + self.dropout(semantic_read), motion + self.dropout(motion_read)
        return *self._feed_forward(semantic, motion), ExchangeWeights(semantic_weights, motion_weights)

    def _feed_forward(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        if self.semantic_feed_forward is not None and self.motion_feed_forward is not None:
            semantic = semantic + self.semantic_feed_forward(semantic)
            motion = motion + self.motion_feed_forward(motion)
        return semantic, motion


class CrossAttentionModel(FusionModel):
    """Positions, then layers of full-width cross-attention, then the pooled classifier."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        widths = (task.semantic.width, task.motion.width)
        self.semantic_positions = GridPositions(self.semantic_grid, widths[0])
        self.motion_positions = GridPositions(self.motion_grid, widths[1])
        self.layers = nn.ModuleList(
            CrossAttentionLayer(config, *widths) for _ in range(config.peer.num_layers)
        )
        self.head = PooledClassifier(self.streams, task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""
        semantic, motion = semantic + self.semantic_positions(), motion + self.motion_positions()
        for layer in self.layers:
            semantic, motion = layer(semantic, motion)
        return Prediction(self.head(semantic, motion))

    def attend(self, semantic: Tensor, motion: Tensor) -> Attention:
        """The same prediction with the cross-attention weights of each layer."""
        semantic = self.prepare_semantic(semantic) + self.semantic_positions()
        motion = self.prepare_motion(motion) + self.motion_positions()
        exchanges = []
        for layer in cast("Iterable[CrossAttentionLayer]", self.layers):
            semantic, motion, weights = layer.attend(semantic, motion)
            exchanges.append(weights)
        return Attention(Prediction(self.head(semantic, motion)), (), (), tuple(exchanges))
