"""Where a patch lies on a shown frame, and what it is called."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, cells


def token_at(grid: Grid, row: int, col: int, frame: int | None = None) -> int:
    """Index of a patch.

    Args:
        grid: Grid of the patches.
        row: From the top, from 0.
        col: From the left, from 0.
        frame: From 0; the middle one by default.

    Raises:
        InputError: if there is no such patch.
    """
    frame = grid.num_frames // 2 if frame is None else frame
    inside = zip((frame, row, col), grid.shape, strict=True)
    if not all(0 <= place < side for place, side in inside):
        raise InputError(
            f"no patch at row {row}, column {col} of frame {frame}: the grid has {grid.num_rows} rows, "
            f"{grid.num_cols} columns and {grid.num_frames} frame(s), counted from 0"
        )
    return (frame * grid.num_rows + row) * grid.num_cols + col


def patch_name(grid: Grid, token: int) -> str:
    """Its row and column, and its frame if there are several, counted from 0."""
    frame, row, col = cells(grid)[token].tolist()
    place = f"row {row}, column {col}"
    return place if grid.num_frames == 1 else f"{place} of frame {frame}"


def centre(grid: Grid, token: int, size_px: int) -> tuple[float, float]:
    """Its centre (x, y) on a frame of this size, in px, with pixel centres at whole numbers."""
    _, row, col = cells(grid)[token].tolist()
    return (col + 0.5) * size_px / grid.num_cols - 0.5, (row + 0.5) * size_px / grid.num_rows - 0.5


def outline(axes: Axes, grid: Grid, token: int, size_px: int, *, colour: str, linewidth: float) -> None:
    """Draw its border."""
    x, y = centre(grid, token, size_px)
    wide, high = size_px / grid.num_cols, size_px / grid.num_rows
    corner = (x - wide / 2, y - high / 2)
    axes.add_patch(Rectangle(corner, wide, high, fill=False, edgecolor=colour, linewidth=linewidth))
