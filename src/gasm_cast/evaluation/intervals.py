"""Confidence intervals and exact tests: how far a measured accuracy can be trusted.

Everything is a function of counts or arrays and a seed; the same input gives the same
interval on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

NUM_DRAWS = 2000
"""Bootstrap draws: the percentile ends of a 95% interval then move by about 0.1 standard errors."""

NUM_PAIRED_DRAWS = 10_000
"""Draws for a p-value: the least one, 0.0002, is still below 0.05 after `holm` of 200 tests."""

_DRAWS_AT_ONCE = 500


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float


def wilson(num_correct: int | float, num: int | float, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a proportion `num_correct / num`.

    With p the proportion, n the count and z the normal quantile of the confidence,
    `(p + z^2/2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)`. Unlike the
    normal interval it stays inside [0, 1] and holds for few clips and for 0 or n correct.
    Without any clips nothing is known: `(0, 1)`. Counts need not be whole: clips that are
    worth more or less than others count so.

    Source: Wilson, Probable inference, JASA 22, 1927.
    """
    if num == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = num_correct / num
    centre = share + z * z / (2 * num)
    margin = z * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    scale = 1 + z * z / num
    # Exactly 0 and 1 at the extremes, which rounding would miss by an ulp.
    low = 0.0 if num_correct == 0 else (centre - margin) / scale
    high = 1.0 if num_correct == num else (centre + margin) / scale
    return Interval(low, high)


def bootstrap(
    resample: Callable[[np.random.Generator], float],
    *,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a statistic.

    Args:
        resample: Draws one bootstrap sample with the generator and gives its statistic.
        num_draws: Bootstrap samples.
        seed: Seed of the generator.
        confidence: Probability that the interval covers.

    Source: Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13.
    """
    generator = np.random.default_rng(seed)
    values = np.array([resample(generator) for _ in range(num_draws)])
    return _percentiles(values, confidence)


class PairedBootstrap(NamedTuple):
    """What the draws of a paired bootstrap say of a mean difference."""

    interval: Interval
    p_value: float
    """Two-sided, that there is no difference."""


def paired_bootstrap(
    a: Float[np.ndarray, "seeds_a clips"],
    b: Float[np.ndarray, "seeds_b clips"],
    *,
    num_draws: int = NUM_PAIRED_DRAWS,
    seed: int = 0,
    confidence: float = 0.95,
) -> PairedBootstrap:
    """Interval and test of the mean difference `a - b` on the same clips, over training seeds.

    Each draw takes clips with replacement, the same for both sides, and on each side
    training seeds with replacement; so interval and p-value hold the luck of the test clips
    and, as far as a few seeds can show it, the luck of training: n seeds show (n - 1) / n of
    its variance, a single one nothing of it.

    With R draws d the p-value is `min(1, 2 (1 + min(#{d <= 0}, #{d >= 0})) / (R + 1))`: but
    for that 1, the largest at which the percentile interval of confidence 1 - p still
    touches zero.

    Args:
        a: 1 where a run of the first side is right, else 0; one row a seed.
        b: The same for the second side, clips in the same order.
        num_draws: Bootstrap samples.
        seed: Seed of the draws.
        confidence: Probability that the interval covers.

    Source: Davison and Hinkley, Bootstrap methods and their application, 1997, chapters 4
    (the added 1) and 5 (percentile intervals).
    """
    num_clips = a.shape[1]
    # Clips that the same runs get right are alike: a draw only says how many it has of each kind.
    kinds, counts = np.unique(np.concatenate([a, b]).astype(np.int64), axis=1, return_counts=True)
    kinds_a, kinds_b = kinds[: len(a)], kinds[len(a) :]

    generator = np.random.default_rng(seed)
    values = []
    for start in range(0, num_draws, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, num_draws - start)
        clips = generator.multinomial(num_clips, counts / num_clips, size)
        seeds_a = generator.multinomial(len(a), np.full(len(a), 1 / len(a)), size)
        seeds_b = generator.multinomial(len(b), np.full(len(b), 1 / len(b)), size)
        # Whole numbers, so that two sides that are equally often right differ by exactly zero.
        ahead = len(b) * (seeds_a @ kinds_a) - len(a) * (seeds_b @ kinds_b)
        values.append((clips * ahead).sum(axis=1) / (num_clips * len(a) * len(b)))
    differences = np.concatenate(values)
    one_sided = 1 + min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return PairedBootstrap(_percentiles(differences, confidence), min(1.0, 2 * one_sided / (num_draws + 1)))


def _percentiles(values: Float[np.ndarray, " draws"], confidence: float) -> Interval:
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


def mcnemar(num_only_a: int, num_only_b: int) -> float:
    """Exact two-sided p-value that two models are equally good, from the clips they differ on.

    Under that hypothesis each discordant clip is a fair coin: with n of them and
    k = min(num_only_a, num_only_b), `p = min(1, 2 sum_{i <= k} C(n, i) / 2^n)`.

    Args:
        num_only_a: Clips that only the first model gets right.
        num_only_b: Clips that only the second model gets right.

    Source: McNemar, Psychometrika 12, 1947, in its exact binomial form.
    """
    num = num_only_a + num_only_b
    term, tail = 1, 1  # C(n, 0) and the sum so far, in exact integers
    for i in range(1, min(num_only_a, num_only_b) + 1):
        term = term * (num - i + 1) // i
        tail += term
    return min(1.0, 2 * tail / (1 << num))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for having made this many tests.

    Sorted ascending, the i-th of m becomes `max_{j <= i} min(1, (m - j + 1) p_j)`: all
    tests below 0.05 after it are right together with probability 0.95.

    Source: Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def proportion(correct: Bool[np.ndarray, " clips"]) -> dict[str, float | tuple[float, float]]:
    """Share of true values with its Wilson interval, as it is written into result files."""
    share = float(correct.mean()) if len(correct) else float("nan")
    return {"value": share, "interval": wilson(int(correct.sum()), len(correct))}
