"""How attention logits know where two nodes lie: relative bias and rotary embedding."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, cells


class RelativeBias(nn.Module):
    """A learned function b_h of the relative position of two nodes, one value a head.

    b(d) = W_2 gelu(W_1 f(d) + c), with d = p_j - p_i counted in cells (frames, rows,
    columns) and f(d) = sign(d) log2(1 + |d|), so that near offsets are told apart finely
    and far ones coarsely. On a grid only finitely many offsets exist, so the function
    is evaluated once for each of them and looked up for pairs. It starts at zero.

    Args:
        grid: Grid of the nodes.
        num_heads: Heads H.
        frame_reach: Largest distance in frames between nodes that share an edge.

    Source: Swin Transformer V2 (arXiv 2111.09883), section 3.3; differs in that the
    result is not squashed by a sigmoid and that time is a third axis.
    """

    offset_features: Tensor
    code: Tensor

    def __init__(self, grid: Grid, num_heads: int, frame_reach: int, hidden_width: int = 32) -> None:
        super().__init__()
        reach = (min(frame_reach, grid.num_frames - 1), grid.num_rows - 1, grid.num_cols - 1)
        offsets = torch.cartesian_prod(*(torch.arange(-r, r + 1) for r in reach))
        features = offsets.sign() * torch.log2(1 + offsets.abs())
        self.register_buffer("offset_features", features, persistent=False)
        # A node's place in the order of offsets: differences of codes are places of offsets.
        sides = (2 * reach[1] + 1, 2 * reach[2] + 1)
        frame, row, col = torch.from_numpy(cells(grid)).unbind(-1)
        self.register_buffer("code", (frame * sides[0] + row) * sides[1] + col, persistent=False)
        self.inner = nn.Parameter(torch.randn(hidden_width, 3) * 0.5)
        self.shift = nn.Parameter(torch.zeros(hidden_width))
        self.outer = nn.Parameter(torch.zeros(num_heads, hidden_width))

    def forward(
        self, query: Int[Tensor, "*queries"], key: Int[Tensor, "*keys"]
    ) -> Float[Tensor, "*pairs num_heads"]:
        """Bias of pairs of nodes, given by their indices; these are broadcast."""
        hidden = F.gelu(F.linear(self.offset_features, self.inner, self.shift))
        table = F.linear(hidden, self.outer)
        middle, last = len(table) // 2, len(table) - 1
        # Pairs farther apart than frame_reach are never edges: any value will do for them.
        offset = (self.code[key] - self.code[query] + middle).clamp(0, last)
        return F.embedding(offset, table)


class Rotary(nn.Module):
    """Rotary embedding over (t, y, x): queries and keys turn by angles that grow with position.

    The head's channels are cut into three equal even parts, one an axis; what is left over
    is not turned. Pair n of an axis turns by `cell * 100 ** (-n / pairs)` radians, so that
    a product of query and key depends on the offset between their nodes only.

    Args:
        grid: Grid of the nodes.
        head_dim: Channels of a head.

    Raises:
        InputError: if a head has too few channels to turn a pair for each axis.

    Source: RoFormer (arXiv 2104.09864), section 3.2, one part of the channels an axis.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, grid: Grid, head_dim: int) -> None:
        super().__init__()
        pairs = head_dim // 6
        if pairs == 0:
            raise InputError(
                f"rotary positions need 6 or more channels a head, got {head_dim}; widen graph.width"
            )
        frequencies = 100.0 ** (-np.arange(pairs) / pairs)
        angles = (cells(grid)[:, :, None] * frequencies).reshape(grid.num_tokens, 3 * pairs)
        angles = np.pad(angles, ((0, 0), (0, head_dim // 2 - 3 * pairs)))
        self.register_buffer("cosine", torch.from_numpy(np.cos(angles)).float(), persistent=False)
        self.register_buffer("sine", torch.from_numpy(np.sin(angles)).float(), persistent=False)

    def forward(
        self, x: Float[Tensor, "batch heads nodes head_dim"]
    ) -> Float[Tensor, "batch heads nodes head_dim"]:
        """Turn the channel pairs (first half, second half) of queries or keys."""
        half = self.cosine.shape[-1]
        first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        cosine, sine = self.cosine.to(x.dtype), self.sine.to(x.dtype)
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine, rest], dim=-1)
