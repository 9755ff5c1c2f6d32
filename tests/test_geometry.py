import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.geometry import (
    Grid,
    StreamSpec,
    adjacency,
    adjacent_offsets,
    adjacent_pairs,
    cells,
    neighbours,
    pooled,
    positions,
)

grids = st.builds(Grid, st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))


def test_positions_of_the_two_default_streams() -> None:
    semantic = positions(Grid(1, 14, 14))
    assert semantic.shape == (196, 3)
    np.testing.assert_allclose(semantic[0], [0.5, 0.5 / 14, 0.5 / 14])
    np.testing.assert_allclose(
        semantic[15], [0.5, 1.5 / 14, 1.5 / 14]
    )  # row-major: second row, second column
    motion = positions(Grid(8, 1, 1))
    # Segment t covers frames 2t and 2t + 1 of 16, so its centre lies at (2t + 1) / 16.
    np.testing.assert_allclose(motion[:, 0], [(2 * t + 1) / 16 for t in range(8)])
    np.testing.assert_allclose(motion[:, 1:], 0.5)


@given(grids)
def test_reversing_time_reverses_t_and_nothing_else(grid: Grid) -> None:
    forward = positions(grid).reshape(*grid.shape, 3)
    backward = forward[::-1]
    np.testing.assert_allclose(backward[..., 0], 1 - forward[..., 0], atol=1e-6)
    np.testing.assert_array_equal(backward[..., 1:], forward[..., 1:])


@given(grids)
def test_adjacency_is_touching(grid: Grid) -> None:
    matrix = adjacency(grid)
    coordinates = cells(grid)
    for i, (frame, row, col) in enumerate(coordinates):
        for j, (other_frame, other_row, other_col) in enumerate(coordinates):
            side = max(abs(row - other_row), abs(col - other_col))
            touches = (frame == other_frame and side == 1) or (abs(frame - other_frame) == 1 and side == 0)
            assert matrix[i, j] == touches


@given(grids)
def test_offsets_reach_exactly_the_adjacent_tokens(grid: Grid) -> None:
    index, inside = neighbours(grid, adjacent_offsets(grid))
    reached = np.zeros((grid.num_tokens, grid.num_tokens), dtype=bool)
    for k in range(index.shape[1]):
        rows = np.flatnonzero(inside[:, k])
        reached[rows, index[rows, k]] = True
        np.testing.assert_array_equal(index[~inside[:, k], k], np.flatnonzero(~inside[:, k]))
    np.testing.assert_array_equal(reached, adjacency(grid))


@pytest.mark.parametrize(
    ("grid", "degree"),
    [(Grid(1, 14, 14), 8), (Grid(8, 1, 1), 2), (Grid(8, 14, 14), 10), (Grid(1, 1, 1), 0), (Grid(2, 1, 5), 4)],
)
def test_degree_follows_from_the_grid(grid: Grid, degree: int) -> None:
    offsets = adjacent_offsets(grid)
    assert len(offsets) == degree
    reached = offsets @ np.array([grid.num_rows * grid.num_cols, grid.num_cols, 1])
    assert (np.diff(reached) > 0).all()  # ordered by the index of the token reached


@given(grids)
def test_pairs_are_those_of_the_matrix(grid: Grid) -> None:
    np.testing.assert_array_equal(adjacent_pairs(grid), np.argwhere(adjacency(grid)))


def test_pooling_divides_rows_and_columns_only() -> None:
    assert pooled(Grid(8, 14, 14), 2) == Grid(8, 7, 7)
    with pytest.raises(ValueError, match="3 must divide rows and columns of the grid 1x14x14"):
        pooled(Grid(1, 14, 14), 3)


def test_empty_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one cell"):
        Grid(0, 14, 14)
    with pytest.raises(ValueError, match="width of at least 1"):
        StreamSpec(Grid(1, 1, 1), 0)
