"""From tokens to classes (docs/method.md, phase 5)."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gasm_cast.config import HeadConfig
from gasm_cast.geometry import StreamSpec

_LEAST_VARIANCE = 1e-6
"""Added to a variance before its root, whose gradient would be infinite where a channel is constant.

Small beside the variance of a standardised channel, which is near 1.
"""


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


class StreamPooling(nn.Module):
    """One vector a clip from the tokens of one stream.

    With `temporal = "pool"` it is the mean of all tokens, weighted or not. Otherwise the
    tokens of each time step are pooled first. With "concat" the steps stand side by side in
    order: the classifier has weights for each step, and a clip is told from the same clip
    backwards. With "statistics" each channel gives its mean, standard deviation and maximum
    over the steps: a short burst shows, its moment does not. A single step is its own vector.

    Source: side by side in order after Temporal Relational Reasoning (arXiv 1711.08496),
    with one relation of all steps; statistics after Snyder et al., X-vectors, ICASSP 2018,
    and the maximum beside them.

    Args:
        stream: Grid and width of the tokens.
        config: Pooling of tokens and of time.

    Attributes:
        width: Channels of the vector.
    """

    def __init__(self, stream: StreamSpec, config: HeadConfig) -> None:
        super().__init__()
        self.num_steps = 1 if config.temporal == "pool" else stream.grid.num_frames
        self.statistics = config.temporal == "statistics" and self.num_steps > 1
        self.width = stream.width * (3 if self.statistics else self.num_steps)
        attentive = config.pooling == "attention" and stream.grid.num_tokens > self.num_steps
        self.weights = TokenWeights(stream.width) if attentive else None

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch pooled"]:
        """The vector: `[B, D]`, `[B, num_steps * D]` side by side, `[B, 3 D]` of statistics."""
        steps = rearrange(tokens, "b (t n) d -> (b t) n d", t=self.num_steps)
        vectors = pool(steps, None if self.weights is None else self.weights(steps))
        if not self.statistics:
            return rearrange(vectors, "(b t) d -> b (t d)", t=self.num_steps)
        over_time = rearrange(vectors, "(b t) d -> b t d", t=self.num_steps)
        variance, mean = torch.var_mean(over_time, dim=1, correction=0)
        deviation = (variance + _LEAST_VARIANCE).sqrt()
        return torch.cat([mean, deviation, over_time.amax(dim=1)], dim=-1)


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
        streams: Grid and width of each stream's tokens.
        num_classes: Classes.
        config: Pooling and dropout.
    """

    def __init__(self, streams: tuple[StreamSpec, ...], num_classes: int, config: HeadConfig) -> None:
        super().__init__()
        poolings = [StreamPooling(stream, config) for stream in streams]
        self.poolings = nn.ModuleList(poolings)
        self.classifier = Classifier(sum(pooling.width for pooling in poolings), num_classes, config)

    def forward(self, *streams: Float[Tensor, "batch _ _"]) -> Float[Tensor, "batch classes"]:
        """Scores of the classes."""
        vectors = [pooling(tokens) for pooling, tokens in zip(self.poolings, streams, strict=True)]
        scores: Tensor = self.classifier(torch.cat(vectors, dim=-1))
        return scores
