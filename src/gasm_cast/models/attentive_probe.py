"""`attentive-probe`: what a user of frozen features would pick today.

Tokens of both streams in one sequence, with positions over (t, y, x); blocks of full
self-attention; one learned query that attends to all tokens; a linear classifier.

Source: the probe of V-JEPA (arXiv 2404.08471), section 4, and V-JEPA 2 (arXiv 2506.09985),
with the positions that DINOv3's video probe adds (arXiv 2508.10104, table 6). Differs in
that two encoders' tokens are projected to one width first, that positions are learned, that
no feed-forward follows the query, and that each sublayer drops whole channels, as GASM-CAST's do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.exchange import CrossAttention
from gasm_cast.models.blocks import SelfAttentionBlock, TokenEmbedding
from gasm_cast.models.contract import FusionModel, Prediction, Task
from gasm_cast.models.head import Classifier


class AttentiveProbe(FusionModel):
    """Self-attention over the tokens of both streams, pooled by one learned query."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        peer = config.peer
        self.semantic_embedding, self.motion_embedding = (
            TokenEmbedding(stream, peer.width) for stream in self.streams
        )
        self.blocks = nn.ModuleList(SelfAttentionBlock(config) for _ in range(peer.num_layers))
        self.norm = nn.LayerNorm(peer.width)
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, peer.width))
        # One query: absorbing its products is what any careful implementation does.
        self.pool = CrossAttention(peer.width, peer.width, width=peer.width, num_heads=peer.num_heads)
        self.classifier = Classifier(peer.width, task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""
        tokens = torch.cat([self.semantic_embedding(semantic), self.motion_embedding(motion)], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        query = self.query.expand(len(tokens), -1, -1)
        vector = (query + self.pool(query, self.norm(tokens))).squeeze(1)
        return Prediction(self.classifier(vector))
