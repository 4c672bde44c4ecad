"""Intervals of any statistic by resampling whole clusters: BCa, or plain percentiles.

BCa is Efron's (1987, JASA 82) bias-corrected and accelerated interval, its acceleration from a jackknife over
clusters. Its normal quantile is widened to sqrt(G / (G - 1)) times that of t on G - 1 degrees of freedom
(Hesterberg 2015, The American Statistician 69: expanded intervals): plain bootstrap intervals of few pieces are too
narrow. With many pieces the two agree.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from scipy import stats

from evaluation.statistics.checking import Floats, numbers
from evaluation.statistics.clustered import Clusters, Codes, codes_of, sums_of, t95
from labeling.estimates import Estimate
from labeling.resampling import MIN_UNITS

Method = Literal["bca", "percentile"]
Statistic = Callable[[Codes], float]

SCREEN, EXPORT = 2_000, 10_000  # resamples


def bootstrap_estimate(
    statistic: Statistic,
    n: int,
    clusters: Clusters = None,
    *,
    method: Method = "bca",
    resamples: int = SCREEN,
    seed: int = 0,
) -> Estimate | None:
    """The statistic of n cases, computed anew in every resample, with its interval.

    `statistic` takes the numbers of cases, 0 to n - 1, some of them more than once and some not at all, and
    returns a number, NaN where it is undefined. Draws from `seed`: the same seed gives the same interval.
    None with fewer than MIN_UNITS clusters, without variation, where the statistic itself is undefined or
    where it is in over 5 % of the resamples.
    """
    codes = codes_of(clusters, n)
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max(initial=-1)) + 1)]
    groups = len(members)
    if groups < MIN_UNITS:
        return None
    value = float(statistic(np.arange(n)))
    generator = np.random.default_rng(seed)
    picks = generator.integers(0, groups, size=(resamples, groups))
    draws = np.array([statistic(np.concatenate([members[code] for code in pick])) for pick in picks])
    if method == "percentile":
        return _between(value, draws, 0.025, 0.975, n)
    left_out = np.array([statistic(np.flatnonzero(codes != code)) for code in range(groups)])
    return _bca(value, draws, left_out, n)


def bootstrap_mean(
    values: Sequence[float], clusters: Clusters = None, *, method: Method = "bca", seed: int = 0
) -> Estimate | None:
    """Mean with its bootstrap interval over clusters: what `bootstrap_estimate` gives, by sums and at once."""
    scores = numbers(values, "scores")
    codes = codes_of(clusters, len(scores))
    sums, sizes = sums_of(scores, codes), np.bincount(codes).astype(np.float64)
    groups = len(sums)
    if groups < MIN_UNITS:
        return None
    value = float(scores.mean())
    generator = np.random.default_rng(seed)
    picks = generator.integers(0, groups, size=(SCREEN, groups))
    draws = sums[picks].sum(axis=1) / sizes[picks].sum(axis=1)
    if method == "percentile":
        return _between(value, draws, 0.025, 0.975, len(scores))
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    return _bca(value, draws, left_out, len(scores))


def _bca(value: float, draws: Floats, left_out: Floats, n: int) -> Estimate | None:
    groups = len(left_out)
    deviations = left_out.mean() - left_out
    spread = float(np.sum(deviations**2))
    if not math.isfinite(spread) or spread <= (1e-12 * max(1.0, abs(value))) ** 2:
        return None
    acceleration = float(np.sum(deviations**3)) / (6 * spread**1.5)
    defined = draws[np.isfinite(draws)]
    if len(defined) == 0:
        return None
    below = (np.mean(defined < value) + np.mean(defined <= value)) / 2  # ties count half
    bias = float(stats.norm.ppf(min(max(float(below), 1 / len(defined)), 1 - 1 / len(defined))))
    quantile = math.sqrt(groups / (groups - 1)) * t95(groups - 1)

    def corrected(z: float) -> float:
        shifted = bias + z
        room = 1 - acceleration * shifted
        return float(stats.norm.cdf(bias + shifted / room)) if room > 0 else float(shifted > 0)

    return _between(value, draws, corrected(-quantile), corrected(quantile), n)


def _between(value: float, draws: Floats, low: float, high: float, n: int) -> Estimate | None:
    defined = draws[np.isfinite(draws)]
    if not math.isfinite(value) or len(defined) < 0.95 * len(draws):
        return None
    lower, upper = (float(end) for end in np.quantile(defined, [low, high]))
    if upper - lower <= 1e-12 * max(1.0, abs(value)):
        return None
    return Estimate(value, min(lower, value), max(upper, value), n)
