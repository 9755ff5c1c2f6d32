"""Intervals and tests against published values, simulation and brute force."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.evaluation import intervals


@pytest.mark.parametrize(
    ("num_correct", "num", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17, 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_published_values(num_correct: int, num: int, low: float, high: float) -> None:
    assert intervals.wilson(num_correct, num) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 300))
def test_wilson_holds_the_share_and_mirrors(correct: int, wrong: int) -> None:
    num = correct + wrong
    low, high = intervals.wilson(correct, num)
    assert 0 <= low <= high <= 1
    if num:
        assert low <= correct / num <= high
    mirrored = intervals.wilson(wrong, num)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((low, high))


def test_bootstrap_of_a_mean_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = intervals.bootstrap(
        lambda generator: float(values[generator.integers(400, size=400)].mean()), seed=1
    )
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 8)


def test_bootstrap_repeats_with_its_seed_and_not_with_another() -> None:
    def resample(generator: np.random.Generator) -> float:
        return float(generator.normal())

    assert intervals.bootstrap(resample, seed=3) == intervals.bootstrap(resample, seed=3)
    assert intervals.bootstrap(resample, seed=3) != intervals.bootstrap(resample, seed=4)


def test_paired_intervals_are_much_narrower_than_two_separate_ones() -> None:
    generator = np.random.default_rng(0)
    b = (generator.random((1, 400)) < 0.6).astype(float)
    a = b.copy()
    a[0, np.flatnonzero(b[0] == 0)[:12]] = 1  # right on twelve more clips, wrong on none
    for low, high in (intervals.paired_bootstrap((a - b)[0]), intervals.paired_t(a, b).interval):
        assert 0 < low < 0.03 < high
        assert high - low < 0.04  # two Wilson intervals of 400 clips are 0.1 wide each


def test_paired_bootstrap_is_the_draw_of_single_clips() -> None:
    """Kinds of clips are a shortcut: the distribution is that of drawing clip by clip."""
    generator = np.random.default_rng(1)
    difference = generator.integers(-1, 2, size=200).astype(float)
    draws = difference[generator.integers(200, size=(20_000, 200))].mean(axis=1)
    found = intervals.paired_bootstrap(difference)
    assert found == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.15 * draws.std())


def test_paired_t_widens_when_training_seeds_disagree() -> None:
    """Two seeds that swing by +-20 points say less than two seeds that agree."""
    generator = np.random.default_rng(0)
    b = (generator.random((2, 500)) < 0.5).astype(float)
    agreeing = (generator.random((2, 500)) < 0.5).astype(float)
    swinging = (generator.random((2, 500)) < np.array([[0.3], [0.7]])).astype(float)
    found = [intervals.paired_t(a, b).interval for a in (agreeing, swinging)]
    widths = [high - low for low, high in found]
    assert widths[1] > 5 * widths[0]


def test_paired_t_of_single_runs_is_the_t_test_of_their_differences() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(size=(2, 1, 12))
    test = scipy.stats.ttest_rel(a[0], b[0])
    found = intervals.paired_t(a, b)
    assert found.p_value == pytest.approx(test.pvalue)
    assert found.interval == pytest.approx(test.confidence_interval(0.95))


@pytest.mark.parametrize(("num_clips", "seed_deviation"), [(600, 0.0), (600, 0.02), (5000, 0.01)])
def test_paired_t_calls_as_many_equal_models_different_as_it_says(
    num_clips: int, seed_deviation: float
) -> None:
    """Simulated: clips of different ease, seeds of different luck, no difference between the models."""
    generator = np.random.default_rng(4)

    def runs(ease: np.ndarray) -> np.ndarray:
        luck = generator.normal(0, seed_deviation, size=(3, 1))
        return (generator.random((3, num_clips)) < np.clip(ease + luck, 0, 1)).astype(float)

    p_values = []
    for _ in range(400):
        ease = generator.beta(1.2, 0.4, num_clips)
        p_values.append(intervals.paired_t(runs(ease), runs(ease)).p_value)
    rejected = float((np.array(p_values) < 0.05).mean())
    # Binomial: 400 draws of 0.05 lie within 0.02 of it. With few seeds whose part is large the
    # degrees of freedom are themselves a guess, and a few more are called different.
    assert 0.03 <= rejected <= 0.09


def test_a_p_value_and_its_interval_agree_about_zero() -> None:
    """Shifted step by step, the difference is significant where the interval leaves zero."""
    generator = np.random.default_rng(2)
    b = (generator.random((3, 300)) < 0.5).astype(float)
    order = generator.permutation(300)
    p_values = []
    for num in range(0, 101, 10):
        a = b.copy()
        a[:, order[:num]] = 1
        found = intervals.paired_t(a, b)
        assert (found.p_value < 0.05) == (found.interval.low > 0)
        p_values.append(found.p_value)
    assert p_values[0] == 1
    assert p_values == sorted(p_values, reverse=True)
    assert p_values[-1] < 0.001


def test_clips_that_all_say_the_same_are_certain_by_their_number_alone() -> None:
    same = np.ones((2, 50))
    assert intervals.paired_t(same, same) == ((0, 0), 1)
    assert intervals.paired_t(same[:, :4], 0 * same[:, :4]) == ((1, 1), 2 * 0.5**4)
    assert intervals.paired_t(same[:, :1], 0 * same[:, :1]) == ((-1, 1), 1)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 0), (2, 7), (6, 6), (9, 3)])
def test_mcnemar_equals_tossing_every_coin(only_a: int, only_b: int) -> None:
    num = only_a + only_b
    extreme = [
        abs(sum(coins) - num / 2) >= abs(only_a - num / 2) for coins in itertools.product([0, 1], repeat=num)
    ]
    assert intervals.mcnemar(only_a, only_b) == pytest.approx(sum(extreme) / 2**num)


def test_mcnemar_takes_thousands_of_clips() -> None:
    assert intervals.mcnemar(5000, 5000) == 1
    assert 0 < intervals.mcnemar(5000, 5400) < 1e-4


def test_holm_by_hand() -> None:
    assert intervals.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert intervals.holm([0.9, 0.8]) == [1.0, 1.0]
    assert intervals.holm([]) == []
