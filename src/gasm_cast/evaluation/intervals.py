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
from scipy.special import stdtr, stdtrit

NUM_DRAWS = 10_000
"""Bootstrap draws: the percentile ends of a 95% interval then move by about 0.03 standard errors."""


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
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


def paired_bootstrap(
    difference: Float[np.ndarray, " clips"], *, num_draws: int = NUM_DRAWS, seed: int = 0
) -> Interval:
    """95% percentile interval of a mean difference between two runs, over the clips.

    Args:
        difference: For each clip 1 where the first run alone is right, -1 where the second is, else 0.
        num_draws: Bootstrap samples.
        seed: Seed of the draws.
    """
    # Clips of one value are alike: a draw only says how many it has of each.
    values, counts = np.unique(difference, return_counts=True)
    num = len(difference)

    def resample(generator: np.random.Generator) -> float:
        return float(generator.multinomial(num, counts / num) @ values / num)

    return bootstrap(resample, num_draws=num_draws, seed=seed)


class PairedTest(NamedTuple):
    """What runs of two models say of the difference between their mean accuracies."""

    interval: Interval
    """95% interval."""
    p_value: float
    """Two-sided, that there is no difference."""


def paired_t(a: Float[np.ndarray, "seeds_a clips"], b: Float[np.ndarray, "seeds_b clips"]) -> PairedTest:
    """Interval and test of the mean difference `a - b` on the same n clips, over training seeds.

    Clips and seeds are crossed: a side with k seeds has a clip's part, a seed's part and the
    rest, e, that this seed has on this clip. With d the clips' differences of the means over
    seeds, s^2 the variance of a side's accuracies and e^2 the mean variance between its seeds
    on one clip,

        V = var(d) / n + sum over sides of max(0, s^2 - e^2 / n) / k,

    since e is in the first term already. Interval and p-value are Student's, with Satterthwaite's
    degrees of freedom; both say of zero the same. Of a side with one seed nothing is known
    of the seed's part, and it is left out.

    A bootstrap over clips and seeds would count e twice, and of the seeds' part only
    (k - 1) / k: simulated on 600 clips with three seeds a side and no difference it called 1%
    significant at 0.05 (this: 5%), on 24,777 clips with seeds a point apart 16% (this: 7%).

    Args:
        a: 1 where a run of the first side is right, else 0; one row a seed. Any other
            measure of a clip will do.
        b: The same for the second side, clips in the same order.

    Source: Satterthwaite, Biometrics Bulletin 2, 1946. On the bootstrap of crossed effects:
    McCullagh, Bernoulli 6, 2000 (none is exact); Owen, Annals of Applied Statistics 1, 2007.
    """
    num_clips = a.shape[1]
    differences = a.mean(axis=0) - b.mean(axis=0)
    difference = float(differences.mean())
    if num_clips == 1:
        return PairedTest(Interval(-1.0, 1.0), 1.0)
    variances = [(float(differences.var(ddof=1)) / num_clips, num_clips - 1)]
    for side in (a, b):
        k = len(side)
        if k > 1:
            rest = float(side.var(axis=0, ddof=1).mean()) / num_clips
            of_seeds = max(0.0, float(side.mean(axis=1).var(ddof=1)) - rest)
            variances.append((of_seeds / k, k - 1))
    variance = sum(value for value, _ in variances)
    if variance == 0:  # every clip says the same, so their number is all there is to go by
        return PairedTest(Interval(difference, difference), mcnemar(num_clips, 0) if difference else 1.0)
    freedom = variance**2 / sum(value**2 / degrees for value, degrees in variances)
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(variance)
    p_value = 2 * float(stdtr(freedom, -abs(difference) / math.sqrt(variance)))
    return PairedTest(Interval(difference - half, difference + half), p_value)


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

    Sorted ascending, the i-th of m becomes `max_{j <= i} min(1, (m - j + 1) p_j)`:
    of all tests below 0.05 after it, the chance that any is false is at most 0.05.

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
