"""How the time of graph attention grows with the number of nodes, beside dense attention.

At a fixed degree and a fixed window the cost of the neighbour lists is linear in the
nodes; that of attention among all pairs, masked or not, grows with their square.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from gasm_cast.config import GraphConfig
from gasm_cast.evaluation.efficiency import Settings, timed
from gasm_cast.geometry import Grid
from gasm_cast.graph import GraphAttention

WIDTH = 256
RATIO_AT = 3136
GRIDS = (Grid(1, 7, 7), Grid(1, 10, 10), *(Grid(frames, 14, 14) for frames in (1, 2, 4, 8, 16, 32)))
"""Grids of 49 to 6272 nodes; on the first of them masked dense attention is faster than the lists."""


@dataclass(frozen=True)
class Growth:
    """Seconds of forward and backward pass of one clip."""

    num_nodes: tuple[int, ...]
    neighbour_list_sec: tuple[float, ...]
    """Graph attention over neighbour lists, the whole layer."""
    masked_dense_sec: tuple[float | None, ...]
    """The same layer computed as masked dense attention; None beyond `dense_up_to`."""
    fused_attention_sec: tuple[float | None, ...]
    """Attention of all pairs without bias, by torch's fused kernel, in a layer of the same width."""
    biased_attention_sec: tuple[float | None, ...]
    """The same with a learned bias of each pair; its gradient keeps a processor from the fused kernel."""

    @property
    def slope(self) -> float:
        """Slope of log time over log nodes of the neighbour lists, from 784 nodes on."""
        return _slope(self.num_nodes, self.neighbour_list_sec)

    @property
    def ratio_to_fused(self) -> float | None:
        """Time of the neighbour lists over that of fused attention of all pairs, at 3136 nodes."""
        return self._ratio(self.fused_attention_sec)

    @property
    def ratio_to_biased(self) -> float | None:
        """Time of the neighbour lists over that of attention of all pairs with bias, at 3136 nodes."""
        return self._ratio(self.biased_attention_sec)

    def _ratio(self, peer_sec: Sequence[float | None]) -> float | None:
        if RATIO_AT not in self.num_nodes:
            return None
        place = self.num_nodes.index(RATIO_AT)
        peer = peer_sec[place]
        return None if peer is None else self.neighbour_list_sec[place] / peer


class FullAttention(torch.nn.Module):
    """Pre-norm attention of all pairs: what a graph replaces.

    Args:
        width: Channels.
        num_heads: Heads H.
        bias_nodes: Nodes N of a learned bias of each pair, `[H, N, N]`; None is without.
    """

    def __init__(self, width: int, num_heads: int, bias_nodes: int | None = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = torch.nn.LayerNorm(width)
        self.query_key_value = torch.nn.Linear(width, 3 * width, bias=False)
        self.out = torch.nn.Linear(width, width)
        self.bias = (
            None if bias_nodes is None else torch.nn.Parameter(torch.zeros(num_heads, bias_nodes, bias_nodes))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tokens after attention."""
        projected = self.query_key_value(self.norm(x))
        query, key, value = rearrange(projected, "b n (qkv h d) -> qkv b h n d", qkv=3, h=self.num_heads)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=self.bias)
        out: Tensor = x + self.out(rearrange(mixed, "b h n d -> b n (h d)"))
        return out


def measure_growth(
    settings: Settings, *, grids: Sequence[Grid] = GRIDS, dense_up_to: int = RATIO_AT
) -> Growth:
    """Time one layer on single clips of more and more nodes, in turns.

    Args:
        settings: Device and number of steps.
        grids: Grids of the clips, no two of as many nodes.
        dense_up_to: Most nodes for which all pairs are computed.
    """
    config = GraphConfig(width=WIDTH)
    device = torch.device(settings.device)
    layers: dict[tuple[str, int], torch.nn.Module] = {}
    for grid in grids:
        nodes = grid.num_tokens
        layers["list", nodes] = GraphAttention(
            WIDTH, grid, config, config.semantic_num_similar, "neighbour-list"
        )
        if nodes <= dense_up_to:
            layers["dense", nodes] = GraphAttention(WIDTH, grid, config, config.semantic_num_similar, "dense")
            layers["fused", nodes] = FullAttention(WIDTH, config.num_heads)
            layers["biased", nodes] = FullAttention(WIDTH, config.num_heads, bias_nodes=nodes)
    seconds: dict[tuple[str, int], list[float]] = {key: [] for key in layers}
    for step in range(1 + settings.num_steps):
        for (form, nodes), layer in layers.items():
            layer.to(device)
            x = torch.randn(1, nodes, WIDTH, device=device, requires_grad=True)
            took = timed(partial(_step, layer), x)
            layer.zero_grad()
            if step:
                seconds[form, nodes].append(took)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    sizes = tuple(grid.num_tokens for grid in grids)
    return Growth(
        num_nodes=sizes,
        neighbour_list_sec=tuple(medians["list", n] for n in sizes),
        masked_dense_sec=tuple(medians.get(("dense", n)) for n in sizes),
        fused_attention_sec=tuple(medians.get(("fused", n)) for n in sizes),
        biased_attention_sec=tuple(medians.get(("biased", n)) for n in sizes),
    )


def _step(layer: torch.nn.Module, x: Tensor) -> None:
    torch.autograd.backward(layer(x).sum())


def _slope(num_nodes: Sequence[int], seconds: Sequence[float]) -> float:
    points = [(n, s) for n, s in zip(num_nodes, seconds, strict=True) if n >= 784]
    if len(points) < 2:
        return float("nan")
    x, y = np.log([p[0] for p in points]), np.log([p[1] for p in points])
    return float(np.polyfit(x, y, 1)[0])
