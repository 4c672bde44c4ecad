"""Two runs on the same cases: the mean difference, its tests, and the flips behind it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.statistics.checking import MIN_CASES, Floats, is_binary, numbers, same_length, weights_of
from evaluation.statistics.clustered import Clusters, cluster_sums
from evaluation.statistics.intervals import cut, mean_estimate, proportion_estimate, weighted_mean_estimate
from labeling.estimates import Z95, Estimate

PERMUTATIONS = 9_999
ENUMERATE_UP_TO = 14  # clusters: 2**14 sign patterns are fewer than 9,999 draws are worth


class McNemar(NamedTuple):
    """Two-sided p values that flips go both ways alike."""

    exact: float
    mid_p: float


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Candidate b against baseline a on the same cases.

    `difference` is mean(b - a); `p_value` is of the sign-flip permutation test of that same mean; `mid_p` is
    McNemar's, for 0/1 scores on independent cases only. `fixed`, `broken` and `tied` count cases where b
    scores above, below and like a; they add up to `n`. `churn` is the share of cases that changed: two equal
    means with a fifth of the cases changed is a finding of its own.
    """

    difference: Estimate | None
    p_value: float | None
    mid_p: float | None
    fixed: int
    broken: int
    tied: int
    n: int
    churn: Estimate | None = None


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Clusters = None,
    *,
    weights: Sequence[float] | None = None,
    seed: int = 0,
    permute: bool = True,
) -> PairedComparison:
    """Compare candidate `b` with baseline `a`, case by case.

    The interval is a t interval of the mean difference; for 0/1 scores on independent cases it is Agresti and
    Min's, for 0/1 scores in clusters it is cut at -1 and 1. The permutation test flips the sign of whole
    clusters: all sign patterns up to ENUMERATE_UP_TO clusters that differ, else PERMUTATIONS draws from
    `seed`. With `weights`, one a case, difference and test are of the weighted mean, there is no McNemar, and
    churn and counts stay unweighted. Without `permute` there is no permutation test and `p_value` is None.
    """
    first, second = numbers(a, "scores"), numbers(b, "scores")
    same_length(first, second)
    change, n = second - first, len(first)
    w = weights_of(weights, n)
    sums = cluster_sums(w * change, clusters)
    fixed, broken = int(np.count_nonzero(change > 0)), int(np.count_nonzero(change < 0))
    binary = is_binary(first, second)
    independent = binary and len(sums) == n and weights is None
    if independent:
        difference = flip_difference(fixed, broken, n)
    elif weights is None:
        difference = cut(mean_estimate(list(change), clusters), (-1.0, 1.0) if binary else None)
    else:
        difference = weighted_mean_estimate(
            list(change), weights, clusters, ends=(-1.0, 1.0) if binary else None
        )
    enough = n >= MIN_CASES and len(sums) >= 2
    return PairedComparison(
        difference=difference,
        p_value=_sign_flip_p(sums, seed) if enough and permute else None,
        mid_p=mcnemar(fixed, broken).mid_p if enough and independent else None,
        fixed=fixed,
        broken=broken,
        tied=n - fixed - broken,
        n=n,
        churn=proportion_estimate([float(moved) for moved in change != 0], clusters) if enough else None,
    )


def flip_difference(fixed: int, broken: int, n: int) -> Estimate | None:
    """(fixed - broken) / n with the interval of Agresti and Min (2005), which has width even without a
    flip."""
    if n < MIN_CASES:
        return None
    b, c, m = fixed + 0.5, broken + 0.5, n + 2
    value, centre = (fixed - broken) / n, (b - c) / m
    half = Z95 * math.sqrt(b + c - (b - c) ** 2 / m) / m
    return Estimate(value, max(-1.0, centre - half), min(1.0, centre + half), n)


def mcnemar(b: int, c: int) -> McNemar:
    """McNemar's (1947) test on b cases flipped one way and c the other: exact binomial, and mid-p, the better
    default (Fagerland, Lydersen and Laake 2013). Without flips both are 1."""
    _flips(b, c)
    tail = 2 * float(stats.binom.cdf(min(b, c), b + c, 0.5))
    return McNemar(exact=min(1.0, tail), mid_p=tail - float(stats.binom.pmf(min(b, c), b + c, 0.5)))


def mcnemar_chi2(b: int, c: int) -> float:
    """p of McNemar's chi-squared with continuity correction (Edwards 1948), for comparison with other tools;
    trust it from 25 flips on. Without flips 1."""
    _flips(b, c)
    return float(stats.chi2.sf(max(0, abs(b - c) - 1) ** 2 / (b + c), 1)) if b + c else 1.0


def _flips(b: int, c: int) -> None:
    if b < 0 or c < 0:
        raise ValueError(f"Flips are counts, not {b} and {c}.")


def _sign_flip_p(sums: Floats, seed: int) -> float:
    """p of |sum| under random signs. Clusters that sum to zero change nothing and are left out."""
    sums = sums[np.abs(sums) > 1e-12 * np.abs(sums).max(initial=0.0)]
    sizes = np.abs(sums)
    if len(sums) and np.ptp(sizes) <= 1e-12 * sizes.max():
        # Flips of one size: what random signs do with them is the binomial law.
        return mcnemar(int(np.count_nonzero(sums > 0)), int(np.count_nonzero(sums < 0))).exact
    groups, reached = len(sums), abs(float(sums.sum())) * (1 - 1e-9)  # equal sums differ by rounding
    if groups <= ENUMERATE_UP_TO:
        patterns = (np.arange(2**groups)[:, None] >> np.arange(groups)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ sums) >= reached))
    return (1 + int(np.count_nonzero(np.abs(_drawn(sums, seed)) >= reached))) / (PERMUTATIONS + 1)


def _drawn(sums: Floats, seed: int) -> Floats:
    """PERMUTATIONS sums under random signs. Eight clusters share a random byte, which looks their sum up among the 256
    that there are: several times as fast as a sign for each."""
    padded = np.append(sums, np.zeros(-len(sums) % 8)).reshape(-1, 8)
    signs = 2.0 * ((np.arange(256)[:, None] >> np.arange(8)) & 1) - 1
    drawn = np.frombuffer(np.random.default_rng(seed).bytes(len(padded) * PERMUTATIONS), dtype=np.uint8)
    totals = np.zeros(PERMUTATIONS)
    for each, bytes_ in zip(padded @ signs.T, drawn.reshape(-1, PERMUTATIONS), strict=True):
        totals += each[bytes_]
    return totals
