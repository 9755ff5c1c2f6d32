import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.backbones.directions import direction_histograms, gradient


def slow(x: np.ndarray, y: np.ndarray, cell_px: int, num_directions: int) -> np.ndarray:
    """The same, pixel by pixel."""
    side = len(x) // cell_px
    bins = np.zeros((side, side, num_directions))
    for row, col in np.ndindex(x.shape):
        turns = math.atan2(y[row, col], x[row, col]) / (2 * math.pi) % 1 * num_directions
        share = turns - math.floor(turns)
        cell = bins[row // cell_px, col // cell_px]
        cell[math.floor(turns) % num_directions] += (1 - share) * math.hypot(x[row, col], y[row, col])
        cell[(math.floor(turns) + 1) % num_directions] += share * math.hypot(x[row, col], y[row, col])
    scaled: np.ndarray = bins / cell_px**2
    return scaled


@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 2), (4, 4), (6, 3)]), st.sampled_from([4, 8, 9]))
def test_agrees_with_the_slow_form(seed: int, sizes: tuple[int, int], num_directions: int) -> None:
    size, cell_px = sizes
    x, y = np.random.default_rng(seed).normal(size=(2, size, size)).astype(np.float32)
    fast = direction_histograms(x, y, cell_px=cell_px, num_directions=num_directions)
    # OpenCV's angles are good to 0.3 degrees; the shares move by as much of a direction's width.
    np.testing.assert_allclose(fast, slow(x, y, cell_px, num_directions), atol=0.03)
    magnitudes = np.hypot(x, y).reshape(size // cell_px, cell_px, -1, cell_px).mean((1, 3))
    np.testing.assert_allclose(fast.sum(-1), magnitudes, rtol=1e-5)


@pytest.mark.parametrize("y", [-1e-20, -1e-7, 0.0, 1e-7])
def test_the_seam_of_the_circle_is_direction_zero(y: float) -> None:
    """Just below the full turn the upper neighbour is direction 0 again."""
    ones = np.ones((2, 2), np.float32)
    bins = direction_histograms(ones, np.full_like(ones, y), cell_px=2, num_directions=8)
    np.testing.assert_allclose(bins[0, 0], [1, 0, 0, 0, 0, 0, 0, 0], atol=1e-5)


def test_the_gradient_is_the_difference_of_the_neighbours() -> None:
    ramp = np.tile(np.arange(8, dtype=np.float32) ** 2, (8, 1))
    x, y = gradient(ramp, scale=0.5)
    np.testing.assert_allclose(x[:, 1:-1], np.tile((ramp[0, 2:] - ramp[0, :-2]) / 2, (8, 1)))
    assert not y.any()
