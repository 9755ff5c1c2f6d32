"""What a model attends to in one clip, as arrays, and where on the frames each number belongs.

The map from tokens to frames is made here once. A clip has `CLIP_FRAMES` frames. Token
frame f of F, and motion segment t of T, stand for the frames i with
`f * CLIP_FRAMES / F <= i < (f + 1) * CLIP_FRAMES / F`; the one shown for them is their
`middle_frame`, which is also the frame that a backbone looks at when it keeps F frames.
With F = 1 the map stands for the whole clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gasm_cast.backbones.contract import CLIP_FRAMES
from gasm_cast.geometry import Grid
from gasm_cast.graph import StreamGraph
from gasm_cast.models import FusionModel


@dataclass(frozen=True, eq=False)
class GraphArrays:
    """Graph of one layer over the semantic tokens of a clip."""

    neighbours: Int[np.ndarray, "tokens degree"]
    """Nodes that each node is joined to, itself first."""
    is_edge: Bool[np.ndarray, "tokens degree"]
    """False where the list is filled up."""
    is_adjacent: Bool[np.ndarray, "tokens degree"]
    """Edge to a token that touches it; an edge that is neither this nor the token itself is a similar one."""
    weights: Float[np.ndarray, "heads tokens degree"]
    """Attention over the edges; each row sums to 1."""
    similarity_embedding: Float[np.ndarray, "tokens width"]
    """Unit vectors z in which similar tokens are sought."""


@dataclass(frozen=True, eq=False)
class LayerArrays:
    """Cross-attention of one exchange layer; None for a direction that is switched off."""

    motion_from_semantic: Float[np.ndarray, "heads segments tokens"] | None
    """Which patches each segment reads; each row sums to 1."""
    semantic_from_motion: Float[np.ndarray, "heads tokens segments"] | None
    """Which segments each patch reads; each row sums to 1."""


@dataclass(frozen=True, eq=False)
class Answer:
    """Probabilities of one head of the model, and what they are of."""

    probabilities: Float[np.ndarray, " scores"]
    names: tuple[str, ...]

    def top(self, count: int) -> list[tuple[str, float]]:
        """The most probable names, best first, the lower index on a tie."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.names[index], float(self.probabilities[index])) for index in order]


@dataclass(frozen=True, eq=False)
class Explanation:
    """A model's answer for one clip, with its attention."""

    semantic_grid: Grid
    motion_grid: Grid
    answer: Answer
    layer_answers: tuple[Answer, ...]
    """Of the earlier layers' own heads, first layer first; none without deep supervision."""
    graphs: tuple[GraphArrays, ...]
    layers: tuple[LayerArrays, ...]

    def segment_map(self, layer: int, segment: int) -> Float[np.ndarray, "frames rows cols"] | None:
        """Where one segment looks, averaged over heads, in multiples of even attention (1 everywhere)."""
        weights = self.layers[layer].motion_from_semantic
        if weights is None:
            return None
        tokens: np.ndarray = weights[:, segment].mean(axis=0) * self.semantic_grid.num_tokens
        return tokens.reshape(self.semantic_grid.shape)

    def most_read_token(self) -> int:
        """The semantic token that the last layer's segments read most; the middle one if none is read."""
        weights = self.layers[-1].motion_from_semantic if self.layers else None
        if weights is None:
            return self.semantic_grid.num_tokens // 2
        return int(weights.mean(axis=(0, 1)).argmax())

    @property
    def largest_row_error(self) -> float:
        """How far the sum of a row of attention weights is from 1, at most."""
        rows = [graph.weights.sum(axis=-1) for graph in self.graphs]
        for layer in self.layers:
            directions = (layer.motion_from_semantic, layer.semantic_from_motion)
            rows += [weights.sum(axis=-1) for weights in directions if weights is not None]
        return max((float(np.abs(row - 1).max()) for row in rows), default=0.0)


def explain(
    model: FusionModel,
    semantic: Float[Tensor, "1 tokens width"],
    motion: Float[Tensor, "1 segments motion_width"],
    *,
    class_names: tuple[str, ...],
    group_names: tuple[str, ...],
) -> Explanation:
    """Ask the model what it attends to.

    Args:
        model: A model that has something to show, in evaluation mode.
        semantic: Features of one clip, as the store holds them.
        motion: The same for the motion stream.
        class_names: Names of the logits.
        group_names: Names that coarse layers score.

    Raises:
        InputError: if the model has no attention to show.
    """
    with torch.no_grad():
        attention = model.attend(semantic, motion)
    prediction = attention.prediction
    names = [group_names] * model.coarse_layers + [class_names] * len(prediction.layer_logits)
    return Explanation(
        semantic_grid=model.semantic_grid,
        motion_grid=model.motion_grid,
        answer=_answer(prediction.logits, class_names),
        layer_answers=tuple(map(_answer, prediction.layer_logits, names)),
        graphs=tuple(map(_graph, attention.semantic_graphs)),
        layers=tuple(
            LayerArrays(_array(layer.motion_from_semantic), _array(layer.semantic_from_motion))
            for layer in attention.exchanges
        ),
    )


def part_of_frame(frame: int, num_parts: int) -> int:
    """Part of the clip that a frame belongs to."""
    return frame * num_parts // CLIP_FRAMES


def _answer(logits: Tensor, names: tuple[str, ...]) -> Answer:
    return Answer(logits[0].double().softmax(dim=-1).numpy(), names)


def _array(weights: Tensor | None) -> np.ndarray | None:
    return None if weights is None else weights[0].float().numpy()


def _graph(graph: StreamGraph) -> GraphArrays:
    return GraphArrays(
        neighbours=graph.neighbours[0].numpy(),
        is_edge=graph.is_edge[0].numpy(),
        is_adjacent=graph.is_adjacent[0].numpy(),
        weights=graph.weights[0].float().numpy(),
        similarity_embedding=graph.similarity_embedding[0].float().numpy(),
    )
