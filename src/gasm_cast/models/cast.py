"""`cast`: the bottleneck adapter of CAST, on stored tokens.

Down to half the width, LayerNorm, learned positions; cross-attention in both directions
at once, the semantic stream reading motion over time only and the motion stream reading
semantics over space only; GELU; up again from zero, added to the stream.

Source: CAST, Cross-Attention in Space and Time (arXiv 2311.18825), section 3.2 and figure 3.
Differs in that the adapters follow each other directly, where CAST has the blocks of two
frozen video transformers between them: the features here are already extracted; and in
that it is regularised as GASM-CAST is: what an adapter adds drops whole channels.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.exchange import ChannelDropout, CrossAttention, GridPositions
from gasm_cast.geometry import Grid, positions
from gasm_cast.models.blocks import zero_linear
from gasm_cast.models.contract import FusionModel, Prediction, Task
from gasm_cast.models.head import PooledClassifier


def same_cell(query: Grid, context: Grid) -> Bool[np.ndarray, "queries tokens"]:
    """Pairs that lie at one place, at any time: what attention over time only may see."""
    return _meet(query, context, axes=(1, 2))


def same_time(query: Grid, context: Grid) -> Bool[np.ndarray, "queries tokens"]:
    """Pairs that lie at one time, at any place: what attention over space only may see."""
    return _meet(query, context, axes=(0,))


def _meet(query: Grid, context: Grid, axes: tuple[int, ...]) -> Bool[np.ndarray, "queries tokens"]:
    """Whether, on every one of these axes, one cell's centre lies inside the other cell."""
    met = np.ones((query.num_tokens, context.num_tokens), dtype=bool)
    for axis in axes:
        q, c = positions(query)[:, axis, None], positions(context)[None, :, axis]
        # On the border of two cells a centre lies in both, so that no query is left without a token.
        met &= np.abs(q - c) <= 0.5 / min(query.shape[axis], context.shape[axis]) + 1e-6
    return met


class CastLayer(nn.Module):
    """Two adapters side by side, one for each direction."""

    allowed_to_semantic: Tensor
    allowed_to_motion: Tensor

    def __init__(self, config: ModelConfig, task: Task, semantic_grid: Grid) -> None:
        super().__init__()
        motion_grid = task.motion.grid
        semantic_half, motion_half = task.semantic.width // 2, task.motion.width // 2
        heads, dropout = config.peer.num_heads, config.exchange.attention_dropout
        self.semantic_down = nn.Sequential(
            nn.Linear(task.semantic.width, semantic_half), nn.LayerNorm(semantic_half)
        )
        self.motion_down = nn.Sequential(nn.Linear(task.motion.width, motion_half), nn.LayerNorm(motion_half))
        self.semantic_positions = GridPositions(semantic_grid, semantic_half)
        self.motion_positions = GridPositions(motion_grid, motion_half)
        self.semantic_from_motion = CrossAttention(
            semantic_half, motion_half, width=semantic_half, num_heads=heads, dropout=dropout, absorb=False
        )
        self.motion_from_semantic = CrossAttention(
            motion_half, semantic_half, width=motion_half, num_heads=heads, dropout=dropout, absorb=False
        )
        self.semantic_up, self.motion_up = (
            nn.Sequential(nn.GELU(), zero_linear(half, width), ChannelDropout(config.exchange.dropout))
            for half, width in ((semantic_half, task.semantic.width), (motion_half, task.motion.width))
        )
        self.register_buffer(
            "allowed_to_semantic", torch.from_numpy(same_cell(semantic_grid, motion_grid)), persistent=False
        )
        self.register_buffer(
            "allowed_to_motion", torch.from_numpy(same_time(motion_grid, semantic_grid)), persistent=False
        )

    def forward(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams after the exchange."""
        s = self.semantic_down(semantic) + self.semantic_positions()
        m = self.motion_down(motion) + self.motion_positions()
        return (
            semantic + self.semantic_up(self.semantic_from_motion(s, m, self.allowed_to_semantic)),
            motion + self.motion_up(self.motion_from_semantic(m, s, self.allowed_to_motion)),
        )


class Cast(FusionModel):
    """Layers of CAST's adapters between the streams, then the pooled classifier."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        self.layers = nn.ModuleList(
            CastLayer(config, task, self.semantic_grid) for _ in range(config.peer.num_layers)
        )
        self.head = PooledClassifier(self.streams, task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""
        for layer in self.layers:
            semantic, motion = layer(semantic, motion)
        return Prediction(self.head(semantic, motion))
