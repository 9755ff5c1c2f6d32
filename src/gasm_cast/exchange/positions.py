"""Positions that are added to tokens."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gasm_cast.geometry import Grid, cells

_MOST_HALF_TURNS = 16


class GridPositions(nn.Module):
    """Learned positions over (t, y, x), one table an axis, started as sines and cosines.

    p(f, r, c) = p_t(f) + p_y(r) + p_x(c). A table an axis holds far fewer numbers than
    one a token, so that few clips suffice to learn it. Both streams start from the same
    function of the cell's centre in [0, 1]: a motion segment and the frames that it
    covers start with like codes.

    Args:
        grid: Grid of the tokens.
        width: Channels.
        scale: Root mean square of the start values of one axis.
    """

    coordinates: Tensor

    def __init__(self, grid: Grid, width: int, scale: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("coordinates", torch.from_numpy(cells(grid)), persistent=False)
        self.tables = nn.ParameterDict()
        for axis, (name, side) in enumerate(zip("tyx", grid.shape, strict=True)):
            if side > 1:  # along an axis of one cell there is nothing to tell apart
                centre = (np.arange(side) + 0.5) / side
                angles = np.pi * centre[:, None] * np.geomspace(1, _MOST_HALF_TURNS, (width + 1) // 2)
                waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width]
                # Each axis has its own order of channels, or (y, x) and (x, y) would sum to the same.
                waves = np.roll(waves, axis * (width // 3), axis=1)
                self.tables[name] = nn.Parameter(torch.from_numpy(scale * np.sqrt(2) * waves).float())
        self.num_tokens, self.width = grid.num_tokens, width

    def forward(self) -> Float[Tensor, "tokens width"]:
        """One row a token."""
        total = torch.zeros(self.num_tokens, self.width, device=self.coordinates.device)
        for axis, name in enumerate("tyx"):
            if name in self.tables:
                total = total + F.embedding(self.coordinates[:, axis], self.tables[name])
        return total
