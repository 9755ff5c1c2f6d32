import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.minidata.acts_table import deflected
from gasm_cast.minidata.motion import GRAVITY, ease, fall, flutter, slow_down, travel

TIMES = np.arange(0, 3, 1 / 48)


def test_ease_starts_and_ends_at_rest() -> None:
    share = ease(TIMES, 0.5, 2.0)
    assert share[0] == 0
    assert share[-1] == 1
    assert np.all(np.diff(share) >= 0)
    speed = np.gradient(share, TIMES)
    assert abs(speed[np.searchsorted(TIMES, 0.5)]) < 0.01
    assert speed.max() == pytest.approx(1.875 / 1.5, rel=0.01)


def test_travel_passes_through_its_stops() -> None:
    path = travel(TIMES, (0.5, (0, 0, 0)), (1.0, (1, 0, 2)), (2.0, (1, -1, 0)))
    np.testing.assert_allclose(path[TIMES == 1.0], [[1, 0, 2]], atol=1e-12)
    np.testing.assert_allclose(path[0], [0, 0, 0])
    np.testing.assert_allclose(path[-1], [1, -1, 0], atol=1e-12)


def test_fall_accelerates_by_gravity() -> None:
    heights = fall(TIMES, 0.5, 0.7, 0.0, 0.3)
    landing = 0.5 + np.sqrt(2 * 0.7 / GRAVITY)
    flying = (TIMES > 0.5) & (landing > TIMES)
    acceleration = np.diff(heights[flying], 2) * 48**2
    np.testing.assert_allclose(acceleration, -GRAVITY, rtol=1e-6)
    assert np.all(heights[TIMES <= 0.5] == 0.7)
    assert heights.min() >= -1e-12
    assert heights[-1] == 0


def test_bounce_keeps_the_square_of_restitution_of_the_height() -> None:
    times = np.arange(0, 3, 1e-4)
    heights = fall(times, 0.0, 1.0, 0.0, 0.5)
    first_landing = np.sqrt(2 / GRAVITY)
    second_landing = first_landing + 2 * 0.5 * np.sqrt(2 / GRAVITY)
    bounce = heights[(times > first_landing) & (times < second_landing)]
    assert bounce.max() == pytest.approx(0.25, rel=1e-3)


def test_light_things_sink_slowly_swing_and_lie_flat() -> None:
    place, lean = flutter(np.random.default_rng(0), TIMES, 0.2, 0.3, 0.0)
    sinking = np.diff(place[:, 2]) * 48
    assert sinking.min() > -0.6
    assert np.ptp(place[:, 0]) > 0.02
    assert place[-1, 2] == 0
    assert lean[-1] == 0
    assert np.abs(lean).max() > 0.2


@given(speed=st.floats(-2, 2).filter(lambda v: abs(v) > 0.05), friction=st.floats(0.1, 2))
def test_sliding_body_loses_its_speed_evenly(speed: float, friction: float) -> None:
    way = slow_down(np.arange(0, 60, 0.05), 1.0, speed, friction)
    assert way[0] == 0
    assert way[-1] == pytest.approx(np.sign(speed) * speed**2 / (2 * friction))


@given(
    first=st.floats(0.1, 1),
    second=st.floats(-1, -0.1),
    ratio=st.floats(0.2, 5),
    restitution=st.floats(0.1, 1),
)
def test_collision_keeps_momentum_and_restitution(
    first: float, second: float, ratio: float, restitution: float
) -> None:
    a, b = deflected((first, second), (1.0, ratio), restitution)
    assert a + ratio * b == pytest.approx(first + ratio * second)
    assert b - a == pytest.approx(restitution * (first - second))
