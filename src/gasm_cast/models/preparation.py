"""What happens to stored features before any model sees them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from gasm_cast.geometry import StreamSpec, pooled

_LEAST_STD = 1e-4
"""A channel that varies less is constant: it is centred, not blown up."""


class StreamPreparation(nn.Module):
    """Pool squares of tokens, then standardise each channel.

    x' = (pool(x) - mean) / std; mean and std are those of the training split, 0 and 1
    until :meth:`fit`. They are saved with the weights.

    Args:
        spec: Grid and width of the stored tokens.
        pool: Side of the squares that are averaged; 1 keeps all tokens.
        standardise: Whether channels are standardised.

    Raises:
        ValueError: if `pool` does not divide the grid.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, spec: StreamSpec, pool: int, standardise: bool) -> None:
        super().__init__()
        self.spec, self.pool, self.standardise = spec, pool, standardise
        self.num_tokens = pooled(spec.grid, pool).num_tokens
        if standardise:
            self.register_buffer("shift", torch.zeros(spec.width))
            self.register_buffer("scale", torch.ones(spec.width))

    def fit(self, mean: Float[Tensor, " width"], std: Float[Tensor, " width"]) -> None:
        """Set the statistics.

        Raises:
            ValueError: if they do not have one finite value a channel.
        """
        for name, value in (("mean", mean), ("std", std)):
            if value.shape != (self.spec.width,) or not value.isfinite().all():
                raise ValueError(
                    f"{name} needs {self.spec.width} finite values, one a channel, "
                    f"got shape {list(value.shape)}"
                )
        if self.standardise:
            scale = torch.where(std > _LEAST_STD, 1 / std.clamp(min=_LEAST_STD), torch.ones_like(std))
            self.scale.copy_(scale)
            self.shift.copy_(-mean * scale)

    def forward(self, x: Float[Tensor, "batch stored_tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Prepared tokens: of the statistics' type if standardised; else half precision becomes float32."""
        grid = self.spec.grid
        if x.shape[1:] != (grid.num_tokens, self.spec.width):
            raise ValueError(
                f"expected tokens [batch, {grid.num_tokens}, {self.spec.width}] for a {grid} grid, "
                f"got {list(x.shape)}"
            )
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        if self.pool > 1:
            x = self._pool(x)
        return torch.addcmul(self.shift, x.to(self.scale.dtype), self.scale) if self.standardise else x

    def _pool(self, x: Float[Tensor, "batch stored_tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Means of squares; tokens are channels-last pictures, for which there is a fast kernel."""
        grid = self.spec.grid
        pictures = x.reshape(-1, grid.num_rows, grid.num_cols, x.shape[-1]).movedim(-1, 1)
        pooled_pictures = avg_pool2d(pictures, self.pool).movedim(1, -1)
        return pooled_pictures.reshape(len(x), self.num_tokens, x.shape[-1])
