"""Half the bytes: int8 with a scale per token and a scale per channel.

`x[b, i, d] ~ q[b, i, d] * token_scale[b, i] * channel_scale[d]`, with q in -127 .. 127.

The channel scale takes out channels that are much larger than the rest, as those of vision
transformers are; without it one such channel sets the step of all others. It is computed
over the rows of one shard, so that a shard decodes by itself and does not depend on what
else was written, or by whom.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Int8
from torch import Tensor

LEVELS = 127


@dataclass(frozen=True)
class Quantized:
    """Tokens as int8, with what brings them back."""

    tokens: Int8[Tensor, "rows tokens width"]
    token_scale: Float[Tensor, "rows tokens"]
    channel_scale: Float[Tensor, " width"]
    relative_error: float
    """Root mean square of the error over that of the tokens."""


def quantize(tokens: Float32[Tensor, "rows tokens width"]) -> Quantized:
    """Quantise the rows of one shard, in memory for one row more.

    A channel's scale is its root mean square; a token's scale makes its largest scaled value 127.
    Every sum runs in a fixed order, so that the result does not depend on the number of threads.
    """
    rows, num_tokens, width = tokens.shape
    quantized = torch.empty(tokens.shape, dtype=torch.int8)
    token_scale = torch.empty(rows, num_tokens)
    square = torch.zeros(width, dtype=torch.float64)
    for row in tokens:
        square += row.square().sum(dim=0)
    channel_scale = (square / max(1, rows * num_tokens)).sqrt().float()
    channel_scale[channel_scale == 0] = 1  # a channel that is zero throughout, or no rows

    error = torch.zeros(width, dtype=torch.float64)
    for place, row in enumerate(tokens):
        scaled = row / channel_scale
        scale = scaled.abs().amax(dim=-1) / LEVELS
        scale[scale == 0] = 1  # a token that is zero throughout
        quantized[place] = (scaled / scale[:, None]).round_()
        token_scale[place] = scale
        restored = quantized[place].float().mul_(scale[:, None]).mul_(channel_scale)
        error += restored.sub_(row).square_().sum(dim=0)
    relative_error = (error.sum() / square.sum().clamp_min(torch.finfo(torch.float64).tiny)).sqrt()
    return Quantized(quantized, token_scale, channel_scale, float(f"{relative_error:.3g}"))


def dequantize(
    quantized: Int8[Tensor, "rows tokens width"],
    token_scale: Float[Tensor, "rows tokens 1"],
    channel_scale: Float[Tensor, "rows 1 width"],
    out: Float[Tensor, "rows tokens width"],
) -> Float[Tensor, "rows tokens width"]:
    """Fill `out` with the tokens, on the device where all arguments lie.

    `copy_` and in-place products: several times faster than one product with mixed dtypes.

    Args:
        quantized: Numbers as stored.
        token_scale: Scale of each token.
        channel_scale: Channel scale of the shard that each row comes from.
        out: Where the result goes.
    """
    return out.copy_(quantized).mul_(token_scale).mul_(channel_scale)
