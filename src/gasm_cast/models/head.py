"""Phase 5: from tokens to classes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gasm_cast.config import HeadConfig


class TokenWeights(nn.Module):
    """Attention pooling: how much each token counts, a softmax of one learned score a token.

    It starts at zero, so that pooling starts as the mean. A weighted mean is linear in
    the tokens, so any linear map may be applied before or after it.

    Args:
        width: Channels of the tokens that are scored.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, 1, bias=False)  # a bias would cancel in the softmax
        nn.init.zeros_(self.score.weight)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch 1 tokens"]:
        """Weights that sum to one."""
        scores: Tensor = self.score(self.norm(tokens))
        return scores.mT.softmax(dim=-1)


def pool(
    tokens: Float[Tensor, "batch tokens width"], weights: Float[Tensor, "batch 1 tokens"] | None
) -> Float[Tensor, "batch width"]:
    """Weighted mean of the tokens; the plain mean without weights."""
    return tokens.mean(dim=1) if weights is None else (weights.to(tokens.dtype) @ tokens).squeeze(1)


class Classifier(nn.Module):
    """Norm, dropout, linear: from the streams' pooled vectors, side by side, to scores.

    Args:
        width: Channels of all pooled vectors together.
        num_outputs: Classes (or groups).
        config: Norm and dropout before the linear layer.
    """

    def __init__(self, width: int, num_outputs: int, config: HeadConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if config.norm == "layer" else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(width, num_outputs)
        nn.init.zeros_(self.project.bias)

    def forward(self, vector: Float[Tensor, "batch width"]) -> Float[Tensor, "batch outputs"]:
        """Scores."""
        scores: Tensor = self.project(self.dropout(self.norm(vector)))
        return scores


class PooledClassifier(nn.Module):
    """Pool each given stream, concatenate, classify: late fusion, and the end of deeper models.

    Args:
        widths: Channels of each stream's tokens.
        num_classes: Classes.
        config: Pooling and dropout.
    """

    def __init__(self, widths: tuple[int, ...], num_classes: int, config: HeadConfig) -> None:
        super().__init__()
        attentive = config.pooling == "attention"
        self.weights = nn.ModuleList(TokenWeights(width) if attentive else nn.Identity() for width in widths)
        self.attentive = attentive
        self.classifier = Classifier(sum(widths), num_classes, config)

    def forward(self, *streams: Float[Tensor, "batch _ _"]) -> Float[Tensor, "batch classes"]:
        """Scores of the classes."""
        vectors = [
            pool(tokens, weights(tokens) if self.attentive else None)
            for tokens, weights in zip(streams, self.weights, strict=True)
        ]
        scores: Tensor = self.classifier(torch.cat(vectors, dim=-1))
        return scores
