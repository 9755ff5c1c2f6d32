"""Graph attention as its definition reads: node by node, head by head, in plain loops.

Slow and obvious. The two fast computations of :class:`GraphAttention` are tested against it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gasm_cast.graph.attention import GraphAttention
from gasm_cast.graph.edges import SIMILARITY_STEPS
from gasm_cast.graph.positions import RelativeBias

Cell = tuple[int, int, int]


def graph_attention(
    layer: GraphAttention, x: Float[Tensor, "batch nodes width"]
) -> Float[Tensor, "batch nodes width"]:
    """Output of a layer with learned metric and without rotary embedding."""
    return torch.stack([_one_clip(layer, clip) for clip in x])


def neighbours_of(layer: GraphAttention, z: Float[Tensor, "nodes width"], i: int) -> list[int]:
    """Nodes that node i attends to: itself, those that touch it, the most similar others."""
    config, frames = layer.config, layer.grid.num_frames
    cells = _cells(layer)
    nodes = range(len(cells))
    if config.edges == "dense":
        return list(nodes)
    chosen = [i]
    if config.edges in ("adjacent", "adjacent+similar"):
        chosen += [j for j in nodes if touch(cells[i], cells[j])]
    if config.edges in ("similar", "adjacent+similar"):
        has_space = layer.grid.num_rows * layer.grid.num_cols > 1
        window = config.frame_window if config.scope == "window" and has_space else frames
        others = [j for j in nodes if j not in chosen and abs(cells[i][0] - cells[j][0]) <= window]
        rounded = {j: round(float((z[i] @ z[j]).detach()) * SIMILARITY_STEPS) for j in others}
        chosen += sorted(others, key=lambda j: (-rounded[j], j))[: layer.num_similar]
    return chosen


def touch(a: Cell, b: Cell) -> bool:
    """Whether two cells touch: side or corner in one frame, or one place in frames that follow."""
    frames, rows, cols = (abs(p - q) for p, q in zip(a, b, strict=True))
    if frames == 0:
        return max(rows, cols) == 1
    return frames == 1 and rows == 0 and cols == 0


def _one_clip(layer: GraphAttention, x: Float[Tensor, "nodes width"]) -> Tensor:
    cells = _cells(layer)
    h = layer.norm(x)
    projected = layer.query_key_value(h)
    z = F.normalize(layer.metric(h), dim=-1)
    width = layer.config.width
    head_dim = width // layer.num_heads
    mixed = []
    for i in range(len(x)):
        edges = neighbours_of(layer, z, i)
        heads = []
        for head in range(layer.num_heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            query = projected[i, :width][part]
            logits = []
            for j in edges:
                key = projected[j, width : 2 * width][part]
                logit = query @ key / head_dim**0.5 + layer.gain[head] * (z[i] @ z[j])
                if layer.bias is not None:
                    logit = logit + _bias(layer.bias, cells[i], cells[j])[head]
                logits.append(logit)
            weights = torch.stack(logits).softmax(dim=0)
            values = torch.stack([projected[j, 2 * width :][part] for j in edges])
            heads.append(weights @ values)
        mixed.append(torch.cat(heads))
    out: Tensor = x + layer.out(torch.stack(mixed))
    return out


def _bias(bias: RelativeBias, query: Cell, key: Cell) -> Tensor:
    steps = torch.tensor([float(k - q) for q, k in zip(query, key, strict=True)])
    feature = (steps.sign() * torch.log2(1 + steps.abs())).to(bias.inner.dtype)
    return bias.outer @ F.gelu(bias.inner @ feature + bias.shift)


def _cells(layer: GraphAttention) -> list[Cell]:
    grid = layer.grid
    return [
        (frame, row, col)
        for frame in range(grid.num_frames)
        for row in range(grid.num_rows)
        for col in range(grid.num_cols)
    ]
