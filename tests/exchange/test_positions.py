from __future__ import annotations

import torch

from gasm_cast.exchange import GridPositions
from gasm_cast.geometry import Grid


def test_positions_are_a_sum_over_the_axes_that_have_more_than_one_cell() -> None:
    positions = GridPositions(Grid(3, 1, 2), 8)
    assert set(positions.tables) == {"t", "x"}
    expected = positions.tables["t"][:, None] + positions.tables["x"][None, :]
    torch.testing.assert_close(positions(), expected.flatten(0, 1))


def test_all_cells_start_with_codes_of_their_own() -> None:
    for grid in (Grid(1, 14, 14), Grid(8, 1, 1), Grid(4, 3, 3)):
        codes = GridPositions(grid, 32)()
        apart = torch.cdist(codes, codes) + torch.eye(grid.num_tokens) * 10
        assert apart.min() > 0.05


def test_segments_and_the_frames_that_they_cover_start_with_like_codes() -> None:
    segments, frames = GridPositions(Grid(8, 1, 1), 64)(), GridPositions(Grid(16, 1, 1), 64)()
    nearest = torch.cdist(frames, segments).argmin(dim=1)
    assert nearest.tolist() == [frame // 2 for frame in range(16)]


def test_one_cell_and_odd_widths() -> None:
    assert GridPositions(Grid(1, 1, 1), 5)().eq(0).all()
    assert list(GridPositions(Grid(1, 1, 1), 5).parameters()) == []
    assert GridPositions(Grid(4, 1, 1), 5)().shape == (4, 5)
