"""Cross-attention as its definition reads: query by query, head by head, in plain loops.

Slow and obvious. The three computations of :class:`CrossAttention` are tested against it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gasm_cast.exchange.cross_attention import CrossAttention


def cross_attention(
    layer: CrossAttention,
    x: Float[Tensor, "batch queries query_width"],
    context: Float[Tensor, "batch tokens context_width"],
    allowed: Bool[Tensor, "batch queries tokens"] | None = None,
) -> Float[Tensor, "batch queries query_width"]:
    """Output of a layer in evaluation."""
    width = layer.query.out_features
    head_dim = width // layer.num_heads
    clips = []
    for clip in range(len(x)):
        projected = layer.key_value(context[clip])
        rows = []
        for i in range(x.shape[1]):
            tokens = [j for j in range(context.shape[1]) if allowed is None or bool(allowed[clip, i, j])]
            query = layer.query(x[clip, i])
            heads = []
            for head in range(layer.num_heads):
                part = slice(head * head_dim, (head + 1) * head_dim)
                if not tokens:
                    heads.append(torch.zeros_like(query[part]))
                    continue
                keys = torch.stack([projected[j, :width][part] for j in tokens])
                values = torch.stack([projected[j, width:][part] for j in tokens])
                weights = (keys @ query[part] / head_dim**0.5).softmax(dim=0)
                heads.append(weights @ values)
            rows.append(layer.out(torch.cat(heads)))
        clips.append(torch.stack(rows))
    return torch.stack(clips)
