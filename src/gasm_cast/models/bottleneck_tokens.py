"""`bottleneck-tokens`: the streams exchange through a few shared tokens (MBT).

Each stream attends to itself and to the shared tokens; after each layer the two copies
of the shared tokens are averaged. *Bottleneck* here counts tokens; GASM-CAST's and
CAST's is a narrow width.

Source: Attention Bottlenecks for Multimodal Fusion (arXiv 2107.00135), equations 8 and 9.
Differs in that the streams are frozen features at one common width, fused from the first
layer on, pooled as all models here are instead of by class tokens, and regularised as
GASM-CAST is: each sublayer drops whole channels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.models.blocks import SelfAttentionBlock, TokenEmbedding
from gasm_cast.models.contract import FusionModel, Prediction, Task
from gasm_cast.models.head import PooledClassifier


class BottleneckTokens(FusionModel):
    """Self-attention inside each stream, with shared tokens between them."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        peer = config.peer
        self.semantic_embedding, self.motion_embedding = (
            TokenEmbedding(stream, peer.width) for stream in self.streams
        )
        self.shared = nn.Parameter(0.02 * torch.randn(1, peer.num_bottleneck_tokens, peer.width))
        self.semantic_blocks = nn.ModuleList(SelfAttentionBlock(config) for _ in range(peer.num_layers))
        self.motion_blocks = nn.ModuleList(SelfAttentionBlock(config) for _ in range(peer.num_layers))
        semantic, motion = (replace(stream, width=peer.width) for stream in self.streams)
        self.head = PooledClassifier((semantic, motion), task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""
        s, m = self.semantic_embedding(semantic), self.motion_embedding(motion)
        shared = self.shared.expand(len(s), -1, -1)
        num_shared = shared.shape[1]
        for semantic_block, motion_block in zip(self.semantic_blocks, self.motion_blocks, strict=True):
            s_all = semantic_block(torch.cat([shared, s], dim=1))
            m_all = motion_block(torch.cat([shared, m], dim=1))
            shared = (s_all[:, :num_shared] + m_all[:, :num_shared]) / 2
            s, m = s_all[:, num_shared:], m_all[:, num_shared:]
        return Prediction(self.head(s, m))
