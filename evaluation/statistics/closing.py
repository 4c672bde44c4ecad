"""Did failing cases of one kind close more often than failing cases of any kind do when they are run again?

Cases that were picked because they failed pass more often the second time, whatever was done to them (regression
towards the mean). So the share that closes is held against that of other failing cases, which nothing was done about.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from evaluation.statistics.checking import MIN_CASES, Floats, shares
from evaluation.statistics.clustered import Clusters, Codes, codes_of, sums_of
from evaluation.statistics.intervals import proportion_estimate
from labeling.estimates import Estimate

DRAWS, AT_ONCE = 9_999, 303


@dataclass(frozen=True, slots=True)
class Excess:
    """`treated` and `control` are the shares that closed, `difference` the first less the second.

    `p_value` is one-sided: of the claim that the treated close more often. None where either group has fewer than
    MIN_CASES cases or two clusters.
    """

    treated: Estimate | None
    control: Estimate | None
    difference: Estimate | None
    p_value: float | None


def closing_excess(
    treated: Sequence[float],
    control: Sequence[float],
    treated_clusters: Clusters = None,
    control_clusters: Clusters = None,
    *,
    seed: int = 0,
) -> Excess:
    """Compare two groups of cases that all failed before: 1 for each that passes now, else 0.

    The interval of the difference is Newcombe's (1998, Statistics in Medicine 17, method 10) from the two shares' own,
    which know the clusters. Independent cases are tested by Fisher's exact test; with clusters, whole clusters change
    groups DRAWS times from `seed`. Both keep their level however few cases there are.
    """
    first, second = shares(treated), shares(control)
    one, two = proportion_estimate(treated, treated_clusters), proportion_estimate(control, control_clusters)
    if one is None or two is None or min(len(first), len(second)) < MIN_CASES:
        return Excess(one, two, None, None)
    codes = codes_of(treated_clusters, len(first)), codes_of(control_clusters, len(second))
    alone = all(len(np.unique(code)) == len(code) for code in codes)
    p_value = _fisher(first, second) if alone else _permuted(first, second, *codes, seed)
    return Excess(one, two, newcombe(one, two), p_value)


def newcombe(one: Estimate, two: Estimate) -> Estimate:
    """The difference of two independent shares with the interval that their own intervals make."""
    value = one.value - two.value
    low = value - math.hypot(one.value - one.low, two.high - two.value)
    high = value + math.hypot(one.high - one.value, two.value - two.low)
    return Estimate(value, max(-1.0, low), min(1.0, high), one.n + two.n)


def _fisher(first: Floats, second: Floats) -> float:
    closed, every = int(first.sum()), int(first.sum() + second.sum())
    tail = stats.hypergeom.sf(closed - 1, len(first) + len(second), every, len(first))
    return min(1.0, float(tail))


def _permuted(first: Floats, second: Floats, one: Codes, two: Codes, seed: int) -> float:
    """p of the difference of the shares where as many clusters as the treated have are drawn from all of them."""
    sums = np.concatenate([sums_of(first, one), sums_of(second, two)])
    sizes = np.concatenate([sums_of(np.ones(len(first)), one), sums_of(np.ones(len(second)), two)])
    groups, rng = len(np.unique(one)), np.random.default_rng(seed)
    reached, hits = float(first.mean() - second.mean()) - 1e-12, 0
    for begin in range(0, DRAWS, AT_ONCE):
        drawn = rng.random((min(AT_ONCE, DRAWS - begin), len(sums))).argsort(axis=1)[:, :groups]
        here, cases = sums[drawn].sum(axis=1), sizes[drawn].sum(axis=1)
        gaps = here / cases - (sums.sum() - here) / (sizes.sum() - cases)
        hits += int(np.count_nonzero(gaps >= reached))
    return (1 + hits) / (DRAWS + 1)
