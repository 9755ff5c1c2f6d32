"""What every model answers, so that training, evaluation and benchmarks treat all alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.errors import InputError
from gasm_cast.exchange import ExchangeWeights
from gasm_cast.geometry import Grid, StreamSpec, pooled
from gasm_cast.graph import StreamGraph
from gasm_cast.models.preparation import StreamPreparation


class Prediction(NamedTuple):
    """Scores of a batch.

    Attributes:
        logits: Scores of the classes, `[B, C]`; their softmax is the prediction.
        layer_logits: Scores of the further heads, in order: the first
            `FusionModel.coarse_layers` of them score the groups `[B, G]`, the rest the
            classes `[B, C]`.
    """

    logits: Float[Tensor, "batch classes"]
    layer_logits: tuple[Float[Tensor, "batch scores"], ...] = ()


class EarlyPrediction(NamedTuple):
    """Scores from the first layer that was sure, and which layer that was (1 is the first)."""

    logits: Float[Tensor, "batch classes"]
    layers_used: Int[Tensor, " batch"]


class Attention(NamedTuple):
    """What a model attended to, beside its prediction; all weights are before dropout.

    Attributes:
        prediction: The same as the model's own, computed on the explicit path.
        semantic_graphs: Graph of each graph layer of the semantic stream.
        motion_graphs: The same for the motion stream.
        exchanges: Cross-attention of each exchange layer, both directions.
    """

    prediction: Prediction
    semantic_graphs: tuple[StreamGraph, ...]
    motion_graphs: tuple[StreamGraph, ...]
    exchanges: tuple[ExchangeWeights, ...]


@dataclass(frozen=True)
class Task:
    """What a model is built for: the two streams' shapes, and what there is to tell apart."""

    semantic: StreamSpec
    motion: StreamSpec
    num_classes: int
    num_groups: int = 0


class FusionModel(nn.Module, ABC):
    """A classifier of clips from the tokens of two streams.

    Tokens come as the store holds them, semantic `[B, N, Ds]` and motion `[B, T, Dm]`;
    pooling and standardisation are part of the model, so that a checkpoint needs nothing
    else. A model implements :meth:`classify`, on prepared tokens.

    Args:
        config: The model's configuration, kept as `config`.
        task: Shapes of the streams, classes C and coarse groups G, kept as `task`.

    Attributes:
        layer_weights: Loss weight of each of `Prediction.layer_logits`.
        coarse_layers: How many of these, from the first, score groups instead of classes.
        layer_names: Names of these, where they are not layers that follow each other.
    """

    layer_weights: tuple[float, ...] = ()
    coarse_layers: int = 0
    layer_names: tuple[str, ...] | None = None

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__()
        self.config, self.task = config, task
        standardise = config.normalize == "channel"
        self.prepare_semantic = StreamPreparation(task.semantic, config.semantic_pool, standardise)
        self.prepare_motion = StreamPreparation(task.motion, 1, standardise)

    @property
    def semantic_grid(self) -> Grid:
        """Grid of the semantic tokens after pooling: what `Attention` speaks of."""
        return pooled(self.task.semantic.grid, self.config.semantic_pool)

    @property
    def motion_grid(self) -> Grid:
        """Grid of the motion tokens."""
        return self.task.motion.grid

    @property
    def streams(self) -> tuple[StreamSpec, StreamSpec]:
        """Semantic and motion tokens as :meth:`classify` gets them."""
        return replace(self.task.semantic, grid=self.semantic_grid), self.task.motion

    def forward(
        self,
        semantic: Float[Tensor, "batch patches semantic_width"],
        motion: Float[Tensor, "batch segments motion_width"],
    ) -> Prediction:
        """Score the classes."""
        return self.classify(self.prepare_semantic(semantic), self.prepare_motion(motion))

    @abstractmethod
    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""

    def attend(
        self,
        semantic: Float[Tensor, "batch patches semantic_width"],
        motion: Float[Tensor, "batch segments motion_width"],
    ) -> Attention:
        """The same prediction with graphs and attention weights.

        Raises:
            InputError: if this model has none to show.
        """
        raise InputError(
            f"model {self.config.kind!r} has no attention to show; train one that has: "
            "`gasm-cast fit VIDEOS --out OTHER --model gasm-cast`, or a recipe with model.kind = 'gasm-cast'"
        )

    def predict_early(
        self,
        semantic: Float[Tensor, "batch patches semantic_width"],
        motion: Float[Tensor, "batch segments motion_width"],
        confidence: float,
    ) -> EarlyPrediction:
        """Stop, clip by clip, at the first layer whose best class has this probability.

        Raises:
            InputError: if this model has no heads to stop at.
        """
        raise InputError(f"model {self.config.kind!r} has no early heads; gasm-cast has")

    def fit_normalization(
        self,
        *,
        semantic_mean: Float[Tensor, " semantic_width"],
        semantic_std: Float[Tensor, " semantic_width"],
        motion_mean: Float[Tensor, " motion_width"],
        motion_std: Float[Tensor, " motion_width"],
    ) -> None:
        """Set the channel statistics of the training split; without effect if `normalize = "none"`."""
        self.prepare_semantic.fit(semantic_mean, semantic_std)
        self.prepare_motion.fit(motion_mean, motion_std)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Optimiser groups: matrices of linear layers are decayed, all else is not.

        Not decayed are biases, norms, gains, positions and learned tokens.
        """
        matrices = {id(module.weight) for module in self.modules() if isinstance(module, nn.Linear)}
        decayed = [p for p in self.parameters() if id(p) in matrices]
        others = [p for p in self.parameters() if id(p) not in matrices]
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]

    @property
    def num_parameters(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @torch.no_grad()
    def probabilities(self, semantic: Tensor, motion: Tensor) -> Float[Tensor, "batch classes"]:
        """Softmax of the scores, in float32."""
        prediction: Prediction = self(semantic, motion)
        return prediction.logits.float().softmax(dim=-1)
