"""`cross-attention`: the reference of every efficiency claim.

Plain bidirectional cross-attention: GASM-CAST's exchange layer at the full widths of the
streams, pre-norm, both reading from each other at once, with or without a 4x feed-forward.

Source: docs/method.md, peers; Attention Is All You Need (arXiv 1706.03762). Differs in that
each sublayer drops whole channels of its output, as GASM-CAST's do. With `absorbed` the same
numbers are computed with the same algebra that GASM-CAST uses, so that the comparison is like
with like.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.exchange import ExchangeLayer, GridPositions
from gasm_cast.models.blocks import FEED_FORWARD_RATIO
from gasm_cast.models.contract import Attention, FusionModel, Prediction, Task
from gasm_cast.models.head import PooledClassifier


class CrossAttentionModel(FusionModel):
    """Positions, then layers of full-width cross-attention, then the pooled classifier."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        peer, widths = config.peer, (task.semantic.width, task.motion.width)
        self.semantic_positions = GridPositions(self.semantic_grid, widths[0])
        self.motion_positions = GridPositions(self.motion_grid, widths[1])
        layer = replace(
            config.exchange,
            width=widths[0],
            num_heads=peer.num_heads,
            direction="both",
            feed_forward="both" if peer.feed_forward else "none",
            feed_forward_ratio=FEED_FORWARD_RATIO,
        )
        self.layers = nn.ModuleList(
            ExchangeLayer(layer, widths, absorb=peer.absorbed) for _ in range(peer.num_layers)
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
        for layer in cast("Iterable[ExchangeLayer]", self.layers):
            semantic, motion, weights = layer.attend(semantic, motion)
            exchanges.append(weights)
        return Attention(Prediction(self.head(semantic, motion)), (), (), tuple(exchanges))
