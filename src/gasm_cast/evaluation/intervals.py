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


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float


def wilson(num_correct: int, num: int, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a proportion `num_correct / num`.

    With p the proportion, n the count and z the normal quantile of the confidence,
    `(p + z^2/2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)`. Unlike the
    normal interval it stays inside [0, 1] and holds for few clips and for 0 or n correct.
    Without any clips nothing is known: `(0, 1)`.

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
    values = [resample(generator) for _ in range(num_draws)]
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


def paired_bootstrap(
    a: Float[np.ndarray, "seeds_a clips"],
    b: Float[np.ndarray, "seeds_b clips"],
    *,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of the mean difference `a - b` on the same clips, over training seeds.

    Each draw takes clips with replacement, the same for both sides, and on each side
    training seeds with replacement; so the interval holds the luck of the test clips and,
    as far as a few seeds can show it, the luck of training.

    Args:
        a: 1 where a run of the first side is right, else 0; one row a seed.
        b: The same for the second side, clips in the same order.
        num_draws: Bootstrap samples.
        seed: Seed of the draws.
        confidence: Probability that the interval covers.
    """
    num_clips = a.shape[1]

    def resample(generator: np.random.Generator) -> float:
        seeds_a = generator.integers(len(a), size=len(a))
        seeds_b = generator.integers(len(b), size=len(b))
        clips = generator.integers(num_clips, size=num_clips)
        return float((a[seeds_a].mean(axis=0) - b[seeds_b].mean(axis=0))[clips].mean())

    return bootstrap(resample, num_draws=num_draws, seed=seed, confidence=confidence)


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
