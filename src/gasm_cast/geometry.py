"""Grids of tokens, their positions and their adjacency (docs/method.md, phase 2).

A stream is tokens plus a grid. Everything that depends on where tokens lie is computed
here from the grid alone, once, in numpy: it is the same for every video. Tokens are
ordered frame by frame, inside a frame row by row, as patch tokens of vision
transformers are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Grid:
    """Token grid of one stream: `num_frames` x `num_rows` x `num_cols` cells."""

    num_frames: int
    num_rows: int
    num_cols: int

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(f"a grid needs at least one cell a side, got {self.shape}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(num_frames, num_rows, num_cols)`."""
        return (self.num_frames, self.num_rows, self.num_cols)

    @property
    def num_tokens(self) -> int:
        """Cells of the grid, `num_frames * num_rows * num_cols`."""
        return self.num_frames * self.num_rows * self.num_cols

    def __str__(self) -> str:
        return "x".join(map(str, self.shape))


@dataclass(frozen=True)
class StreamSpec:
    """Shape of one stream's features: tokens `[B, grid.num_tokens, width]`."""

    grid: Grid
    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"a stream needs a width of at least 1, got {self.width}")


def cells(grid: Grid) -> Int[np.ndarray, "tokens 3"]:
    """Integer coordinates (frame, row, column) of each token."""
    return np.stack(np.unravel_index(np.arange(grid.num_tokens), grid.shape), axis=1)


def positions(grid: Grid) -> Float[np.ndarray, "tokens 3"]:
    """Cell centres (t, y, x), each in [0, 1]: `((f + 0.5) / F, (r + 0.5) / R, (c + 0.5) / C)`."""
    centres: np.ndarray = (cells(grid) + 0.5) / np.array(grid.shape)
    return centres.astype(np.float32)


def adjacency(grid: Grid) -> Bool[np.ndarray, "tokens tokens"]:
    """Which tokens touch: the 8-neighbourhood in a frame, the same cell in the frames beside it.

    A token is not adjacent to itself. The matrix is quadratic in the tokens; long grids
    use :func:`adjacent_offsets` instead.
    """
    c = cells(grid)
    distance = np.abs(c[:, None] - c[None, :])
    in_frame: np.ndarray = (distance[..., 0] == 0) & (distance[..., 1:].max(-1) == 1)
    across_frames: np.ndarray = (distance[..., 0] == 1) & (distance[..., 1:].max(-1) == 0)
    touching: np.ndarray = in_frame | across_frames
    return touching


def adjacent_offsets(grid: Grid) -> Int[np.ndarray, "degree 3"]:
    """Offsets (frames, rows, columns) that lead from a token to the tokens it touches.

    Only offsets that some token of the grid can use; 10 for a grid with time and space,
    8 for one frame, 2 for a chain of segments. Ordered by the index of the token reached.
    """
    offsets = [(-1, 0, 0), (0, -1, -1), (0, -1, 0), (0, -1, 1), (0, 0, -1)]
    offsets += [(-f, -r, -c) for f, r, c in reversed(offsets)]
    usable = [o for o in offsets if all(abs(step) < side for step, side in zip(o, grid.shape, strict=True))]
    return np.array(usable, dtype=np.int64).reshape(-1, 3)


def neighbours(
    grid: Grid, offsets: Int[np.ndarray, "degree 3"]
) -> tuple[Int[np.ndarray, "tokens degree"], Bool[np.ndarray, "tokens degree"]]:
    """Token that each offset leads to, and whether it lies inside the grid.

    Linear in the tokens. Where an offset leaves the grid the index is the token itself
    and the second array is false.
    """
    c = cells(grid)
    target = c[:, None, :] + offsets[None, :, :]
    inside = ((target >= 0) & (target < np.array(grid.shape))).all(-1)
    target = np.where(inside[..., None], target, c[:, None, :])
    return np.ravel_multi_index(tuple(np.moveaxis(target, -1, 0)), grid.shape), inside


def adjacent_pairs(grid: Grid) -> Int[np.ndarray, "pairs 2"]:
    """Every ordered pair of tokens that touch, by the first, then by the second; linear in the tokens."""
    targets, inside = neighbours(grid, adjacent_offsets(grid))
    sources = np.broadcast_to(np.arange(grid.num_tokens)[:, None], targets.shape)
    return np.stack([sources[inside], targets[inside]], axis=1)


def pooled(grid: Grid, factor: int) -> Grid:
    """Grid after averaging squares of `factor` x `factor` cells in each frame.

    Raises:
        ValueError: if `factor` does not divide the rows and columns.
    """
    if grid.num_rows % factor or grid.num_cols % factor:
        raise ValueError(f"a pool of {factor} must divide rows and columns of the grid {grid}")
    return Grid(grid.num_frames, grid.num_rows // factor, grid.num_cols // factor)
