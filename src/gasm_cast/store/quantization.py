"""Half the bytes: int8 with a scale per token and a scale per channel.

`x[b, i, d] ~ q[b, i, d] * token_scale[b, i] * channel_scale[d]`, with q in -127 .. 127.

The channel scale takes out channels that are much larger than the rest, as those of vision
transformers are; without it one such channel sets the step of all others. It is computed
over the rows of one shard, so that a shard decodes by itself and does not depend on what
else was written, or by whom.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int8
from torch import Tensor

LEVELS = 127


def quantize(
    tokens: Float[Tensor, "rows tokens width"],
) -> tuple[Int8[Tensor, "rows tokens width"], Float[Tensor, "rows tokens"], Float[Tensor, " width"]]:
    """Quantised tokens, their token scales and their channel scale.

    A channel's scale is its root mean square; a token's scale makes its largest scaled value 127.
    """
    if tokens.numel() == 0:
        rows, num_tokens, width = tokens.shape
        return tokens.to(torch.int8), tokens.new_ones(rows, num_tokens), tokens.new_ones(width)
    channel_scale = tokens.square().mean(dim=(0, 1)).sqrt_()
    channel_scale[channel_scale == 0] = 1  # a channel that is zero throughout
    quantized = torch.empty(tokens.shape, dtype=torch.int8)
    token_scale = torch.empty(tokens.shape[:2])
    for row, (source, target) in enumerate(zip(tokens, quantized, strict=True)):  # bounded memory
        scaled = source / channel_scale
        scale = scaled.abs().amax(dim=-1) / LEVELS
        scale[scale == 0] = 1  # a token that is zero throughout
        target.copy_((scaled / scale[:, None]).round_())
        token_scale[row] = scale
    return quantized, token_scale, channel_scale


def dequantize(
    quantized: Int8[Tensor, "rows tokens width"],
    token_scale: Float[Tensor, "rows tokens"],
    channel_scale: Float[Tensor, "rows width"],
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
    return out.copy_(quantized).mul_(token_scale[:, :, None]).mul_(channel_scale[:, None, :])
