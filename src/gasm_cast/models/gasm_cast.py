"""GASM-CAST: graph-aware semantic-motion cross-attention.

Each stream is refined over its own graph (phase 3), the streams read from each other in
a narrow bottleneck, layer by layer, with a light head after each (phase 4), and the
original features plus what was learned are pooled and classified (phase 5).

Two forms of one interface:

- `residual = "bottleneck"`: compress once; graphs and exchange live in the bottleneck;
  expand at the end and add to the original features. Pooling is linear, so tokens are
  pooled first and expanded after: the same numbers for a small part of the cost.
- `residual = "stream"`: every phase takes and returns tokens of the streams' own widths;
  each layer compresses and expands.

Expansions start at zero, so that both forms start as the linear probe of the features; in
the bottleneck form a head that keeps time apart (`head.temporal = "concat"`) reads the
narrow time steps beside it from the start.

Source: docs/method.md, phases 3 to 5; bottleneck after CAST (arXiv 2311.18825), deep
supervision after Deeply-Supervised Nets (arXiv 1409.5185), exits after BranchyNet
(arXiv 1709.01686) with the best class's probability in place of the entropy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.errors import InputError
from gasm_cast.exchange import ExchangeLayer, ExchangeWeights, GridPositions
from gasm_cast.geometry import StreamSpec
from gasm_cast.graph import GraphAttention, StreamGraph
from gasm_cast.models.blocks import zero_linear
from gasm_cast.models.contract import Attention, EarlyPrediction, FusionModel, Prediction, Task
from gasm_cast.models.head import Classifier, PooledClassifier, StreamPooling, TokenWeights, pool


class Compress(nn.Module):
    """Tokens into the bottleneck: W LN(x) + c.

    LayerNorm has no gain and shift of its own, since W and c already hold them.
    """

    def __init__(self, width: int, bottleneck_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.project = nn.Linear(width, bottleneck_width)

    def forward(self, x: Tensor) -> Tensor:
        """Narrow tokens, `[B, N, bottleneck_width]`."""
        narrow: Tensor = self.project(self.norm(x))
        return narrow


def _placed(tokens: Tensor, positions: GridPositions | None) -> Tensor:
    return tokens if positions is None else tokens + positions()


class StreamExchangeLayer(nn.Module):
    """B-CAST layer between streams of their own widths: compress, exchange, expand, add.

    s' = s + E_s(exchange(W_s LN(s) + pos_s, ...)), E_s starting at zero; likewise motion.
    """

    def __init__(self, config: ModelConfig, semantic: StreamSpec, motion: StreamSpec) -> None:
        super().__init__()
        width = config.exchange.width
        self.semantic_compress = Compress(semantic.width, width)
        self.motion_compress = Compress(motion.width, width)
        positioned = config.exchange.positions == "learned"
        self.semantic_positions = GridPositions(semantic.grid, width) if positioned else None
        self.motion_positions = GridPositions(motion.grid, width) if positioned else None
        self.exchange = ExchangeLayer(config.exchange)
        self.semantic_expand = zero_linear(width, semantic.width)
        self.motion_expand = zero_linear(width, motion.width)

    def forward(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams, `[B, N, Ds]` and `[B, T, Dm]` as they came."""
        s, m = self.exchange(*self._enter(semantic, motion))
        return semantic + self.semantic_expand(s), motion + self.motion_expand(m)

    def attend(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, ExchangeWeights]:
        """The same, with the attention weights before dropout."""
        s, m, weights = self.exchange.attend(*self._enter(semantic, motion))
        return semantic + self.semantic_expand(s), motion + self.motion_expand(m), weights

    def _enter(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        return (
            _placed(self.semantic_compress(semantic), self.semantic_positions),
            _placed(self.motion_compress(motion), self.motion_positions),
        )


class BottleneckEnds(nn.Module):
    """The two ends of the bottleneck form: into the narrow space once, out of it once."""

    def __init__(
        self, config: ModelConfig, semantic: StreamSpec, motion: StreamSpec, num_classes: int
    ) -> None:
        super().__init__()
        width = config.exchange.width
        self.semantic_compress = Compress(semantic.width, width)
        self.motion_compress = Compress(motion.width, width)
        attentive = config.head.pooling == "attention"
        self.semantic_weights = TokenWeights(width) if attentive else None
        self.motion_weights = TokenWeights(width) if attentive else None
        self.semantic_expand = zero_linear(width, semantic.width)
        self.motion_expand = zero_linear(width, motion.width)
        self.semantic_steps = _steps(semantic, config)
        self.motion_steps = _steps(motion, config)
        steps = [steps.width for steps in (self.semantic_steps, self.motion_steps) if steps is not None]
        self.classifier = Classifier(semantic.width + motion.width + sum(steps), num_classes, config.head)

    def compress(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Narrow tokens of both streams."""
        return self.semantic_compress(semantic), self.motion_compress(motion)

    def classify(self, features: tuple[Tensor, Tensor], narrow: tuple[Tensor, Tensor]) -> Tensor:
        """Scores from the original features plus the expanded narrow tokens.

        mean(x + E n) = mean(x) + E mean(n): the expansion is applied to one vector a clip.
        Time steps side by side, where the head asks for them, are those of the narrow tokens:
        they know what the streams told each other, and in full width there would be more
        weights than clips can determine.
        """
        s, m = narrow
        s_weights = self.semantic_weights(s) if self.semantic_weights is not None else None
        m_weights = self.motion_weights(m) if self.motion_weights is not None else None
        semantic = pool(features[0], s_weights) + self.semantic_expand(pool(s, s_weights))
        motion = pool(features[1], m_weights) + self.motion_expand(pool(m, m_weights))
        vectors = [semantic, motion]
        vectors += [self.semantic_steps(s)] if self.semantic_steps is not None else []
        vectors += [self.motion_steps(m)] if self.motion_steps is not None else []
        scores: Tensor = self.classifier(torch.cat(vectors, dim=-1))
        return scores


def _steps(stream: StreamSpec, config: ModelConfig) -> StreamPooling | None:
    """Pooling of the narrow tokens step by step; nothing where there is but one step."""
    if config.head.temporal == "pool" or stream.grid.num_frames == 1:
        return None
    return StreamPooling(replace(stream, width=config.exchange.width), config.head)


class GasmCast(FusionModel):
    """The model; see the module's text.

    Raises:
        InputError: if coarse layers are asked for that have no head, or without groups.
    """

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        exchange, graph = config.exchange, config.graph
        semantic, motion = self.streams
        narrow = exchange.residual == "bottleneck"
        inner = (
            (replace(semantic, width=exchange.width), replace(motion, width=exchange.width))
            if narrow
            else (semantic, motion)
        )
        num_graphs = graph.num_layers if graph.enabled else 0
        num_exchanges = exchange.num_layers if exchange.enabled else 0

        self.ends = BottleneckEnds(config, semantic, motion, task.num_classes) if narrow else None
        self.semantic_graphs = nn.ModuleList(
            GraphAttention(inner[0].width, semantic.grid, graph, graph.semantic_num_similar)
            for _ in range(num_graphs)
        )
        self.motion_graphs = nn.ModuleList(
            GraphAttention(inner[1].width, motion.grid, graph, graph.motion_num_similar)
            for _ in range(num_graphs)
        )
        positioned = narrow and num_exchanges > 0 and exchange.positions == "learned"
        self.semantic_positions = GridPositions(semantic.grid, exchange.width) if positioned else None
        self.motion_positions = GridPositions(motion.grid, exchange.width) if positioned else None
        self.layers = nn.ModuleList(
            ExchangeLayer(exchange) if narrow else StreamExchangeLayer(config, semantic, motion)
            for _ in range(num_exchanges)
        )
        self.head = None if narrow else PooledClassifier(inner, task.num_classes, config.head)

        num_heads = max(0, num_exchanges - 1) if config.head.deep_supervision else 0
        self.coarse_layers = config.head.coarse_layers
        if self.coarse_layers > num_heads:
            raise InputError(
                f"coarse_layers = {self.coarse_layers}, but only {num_heads} layers have a head of "
                "their own; use fewer, or switch on deep_supervision"
            )
        if self.coarse_layers and task.num_groups < 1:
            raise InputError(f"coarse_layers = {self.coarse_layers} needs classes that fall into groups")
        self.layer_heads = nn.ModuleList(
            PooledClassifier(
                inner, task.num_groups if layer < self.coarse_layers else task.num_classes, config.head
            )
            for layer in range(num_heads)
        )
        given = config.head.layer_weights
        self.layer_weights = tuple(given[min(layer, len(given) - 1)] for layer in range(num_heads))

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""
        s, m = self._refine(semantic, motion)
        layer_logits = []
        for index, layer in enumerate(self.layers):
            s, m = layer(s, m)
            if index < len(self.layer_heads):
                layer_logits.append(self.layer_heads[index](s, m))
        return Prediction(self._read_out(semantic, motion, s, m), tuple(layer_logits))

    def attend(self, semantic: Tensor, motion: Tensor) -> Attention:
        """The same prediction with the graphs and all attention weights before dropout."""
        semantic, motion = self.prepare_semantic(semantic), self.prepare_motion(motion)
        s, m = self._compress(semantic, motion)
        semantic_graphs: list[StreamGraph] = []
        motion_graphs: list[StreamGraph] = []
        for graph in cast("Iterable[GraphAttention]", self.semantic_graphs):
            s, shown = graph.attend(s)
            semantic_graphs.append(shown)
        for graph in cast("Iterable[GraphAttention]", self.motion_graphs):
            m, shown = graph.attend(m)
            motion_graphs.append(shown)
        s, m = self._place(s, m)
        layer_logits, exchanges = [], []
        for index, layer in enumerate(cast("Iterable[ExchangeLayer | StreamExchangeLayer]", self.layers)):
            s, m, weights = layer.attend(s, m)
            exchanges.append(weights)
            if index < len(self.layer_heads):
                layer_logits.append(self.layer_heads[index](s, m))
        prediction = Prediction(self._read_out(semantic, motion, s, m), tuple(layer_logits))
        return Attention(prediction, tuple(semantic_graphs), tuple(motion_graphs), tuple(exchanges))

    @torch.no_grad()
    def predict_early(self, semantic: Tensor, motion: Tensor, confidence: float) -> EarlyPrediction:
        """Stop, clip by clip, at the first layer whose best class has this probability.

        Clips that are sure leave the batch: later layers are computed for the others only.
        Heads of coarse layers score groups and are passed over.

        Raises:
            InputError: if no earlier layer scores classes.
        """
        if len(self.layer_heads) <= self.coarse_layers:
            raise InputError(
                "early exit needs an earlier layer with a head for the classes; train with "
                "head.deep_supervision, two or more exchange layers and fewer coarse_layers"
            )
        semantic, motion = self.prepare_semantic(semantic), self.prepare_motion(motion)
        logits = semantic.new_zeros(len(semantic), self.task.num_classes)
        layers_used = torch.full((len(semantic),), len(self.layers), device=semantic.device)
        running = torch.arange(len(semantic), device=semantic.device)
        s, m = self._refine(semantic, motion)
        for index, layer in enumerate(self.layers):
            if len(running) == 0:
                break
            s, m = layer(s, m)
            if not self.coarse_layers <= index < len(self.layer_heads):
                continue
            scores = self.layer_heads[index](s, m)
            sure = scores.float().softmax(dim=-1).amax(dim=-1) >= confidence
            logits[running[sure]] = scores[sure].to(logits.dtype)
            layers_used[running[sure]] = index + 1
            running, s, m = running[~sure], s[~sure], m[~sure]
        if len(running):
            last = self._read_out(semantic[running], motion[running], s, m)
            logits[running] = last.to(logits.dtype)
        return EarlyPrediction(logits, layers_used)

    def _refine(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens as the exchange takes them: compressed, refined over their graphs, placed."""
        s, m = self._compress(semantic, motion)
        for graph in self.semantic_graphs:
            s = graph(s)
        for graph in self.motion_graphs:
            m = graph(m)
        return self._place(s, m)

    def _compress(self, semantic: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        return (semantic, motion) if self.ends is None else self.ends.compress(semantic, motion)

    def _place(self, s: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        """Add positions in the bottleneck; the layers of the stream form have their own."""
        return _placed(s, self.semantic_positions), _placed(m, self.motion_positions)

    def _read_out(self, semantic: Tensor, motion: Tensor, s: Tensor, m: Tensor) -> Tensor:
        if self.ends is not None:
            return self.ends.classify((semantic, motion), (s, m))
        assert self.head is not None  # the stream form has it
        scores: Tensor = self.head(s, m)
        return scores
