"""Gates on paired scores: is the candidate better, or not worse by more than a margin?

Bounds are one-sided, so at alpha = 0.05 the two together are a 90 % interval. 0/1 scores use Tango's (1998,
Statistics in Medicine 17) score bound for paired shares, which keeps near its level at any margin and has width
without a single flip; in clusters both flips and cases are divided by the design effect (at least 1) and the
quantile is t on G - 1 degrees of freedom. Other scores, and weighted ones, use the clustered t bound with
Hall's (1992, JRSS B 54) transformation for skewness: one-sided t tests of skewed differences alarm too often on
one side and too seldom on the other.

Higher scores are better: turn the sign of a measure where lower is. "Not passed" is not "no change": read the
verdict, and say with `cases_needed` how many cases would tell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from scipy import optimize, stats

from evaluation.statistics import power as planning
from evaluation.statistics.checking import (
    MIN_CASES,
    Floats,
    is_binary,
    numbers,
    same_length,
    share_between,
    weights_of,
)
from evaluation.statistics.clustered import Clusters, cluster_sums, codes_of, standard_error
from evaluation.statistics.intervals import weighted_error

Verdict = Literal["passed", "failed", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate says of mean(b - a), in the unit of the scores.

    `low` and `high` are the lower and the upper one-sided bound at `alpha`, `p_value` is one-sided: of the
    claim that the gate would pass on. `margin` is 0 for superiority. "failed" means the data refute the claim
    at `alpha`; "inconclusive" that they neither support nor refute it.
    """

    difference: float
    low: float
    high: float
    p_value: float
    margin: float
    alpha: float
    n: int
    verdict: Verdict


def superiority(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Clusters = None,
    *,
    weights: Sequence[float] | None = None,
    alpha: float = 0.05,
) -> Gate | None:
    """Passed where the lower bound of mean(b - a) is above 0, failed where the upper bound is below 0."""
    return _from_below(_evidence(a, b, clusters, weights), 0.0, alpha)


def non_inferiority(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Clusters = None,
    *,
    margin: float,
    weights: Sequence[float] | None = None,
    alpha: float = 0.05,
) -> Gate | None:
    """Passed where the lower bound of mean(b - a) is above -margin, failed where the upper one is below it.

    `margin` is above 0, in the unit of the scores: 0.02 is two percentage points of a pass rate.
    """
    _margin(margin)
    return _from_below(_evidence(a, b, clusters, weights), margin, alpha)


def cases_needed(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Clusters = None,
    *,
    weights: Sequence[float] | None = None,
    margin: float = 0.0,
    effect: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int | None:
    """How many cases in all, those at hand included, the gate would need to pass with this power.

    `effect` is the true difference to plan for: if left out, the one seen for superiority (margin 0), none
    for non-inferiority. The spread is that of the cases at hand: for 0/1 scores the share of flips by Connor
    (1987), with half a flip each way added, for others the variance (Miller 2024, section 5), and clusters
    and weights count by their design effect. None where nothing varies, or the effect is not above -margin.
    """
    found = _evidence(a, b, clusters, weights)
    if found is None:
        return None
    planned = effect if effect is not None else (found.difference if margin == 0 else 0.0)
    if planned + margin <= 0:
        return None
    if isinstance(found, _Flips):
        cases = planning.mcnemar_cases(
            max(found.discordant, abs(planned), margin),
            planned,
            margin=margin,
            design_effect=found.design,
            alpha=alpha,
            power=power,
            one_sided=True,
        )
    else:
        variance = found.error**2 * found.n
        cases = planning.mean_cases(
            variance, planned, margin=margin, alpha=alpha, power=power, one_sided=True
        )
    return cases


class _Evidence(Protocol):
    """What is known of a mean difference: `tail(d)` is the p of the claim that it is above d."""

    @property
    def difference(self) -> float: ...
    @property
    def n(self) -> int: ...
    def tail(self, at: float) -> float: ...
    def bounds(self, alpha: float) -> tuple[float, float]: ...


class _Mean(NamedTuple):
    """A mean with its error, and the skewness of the `groups` cluster sums behind it."""

    difference: float
    error: float
    freedom: float
    skewness: float
    groups: int
    n: int

    def tail(self, at: float) -> float:
        """By Hall's transformation of t: cubic, monotone, and t itself where nothing is skewed."""
        t, pull = (self.difference - at) / self.error, self.skewness / math.sqrt(self.groups)
        return float(stats.t.sf(t + pull * t**2 / 3 + pull**2 * t**3 / 27 + pull / 6, self.freedom))

    def bounds(self, alpha: float) -> tuple[float, float]:
        quantile = float(stats.t.isf(alpha, self.freedom))
        low, high = self._inverse(quantile), self._inverse(-quantile)
        return self.difference - low * self.error, self.difference - high * self.error

    def _inverse(self, quantile: float) -> float:
        pull = self.skewness / math.sqrt(self.groups)
        if abs(pull) < 1e-6:
            return quantile - pull / 6
        return 3 / pull * (float(np.cbrt(1 + pull * (quantile - pull / 6))) - 1)


class _Flips(NamedTuple):
    """Flips up and down among n cases, each counting as 1 / design of an independent one."""

    fixed: int
    broken: int
    n: int
    groups: int
    design: float

    @property
    def difference(self) -> float:
        return (self.fixed - self.broken) / self.n

    @property
    def discordant(self) -> float:
        return (self.fixed + self.broken + 1) / (self.n + 2)

    def tail(self, at: float) -> float:
        return float(stats.t.sf(self._score(at), self._freedom))

    def bounds(self, alpha: float) -> tuple[float, float]:
        quantile, edge = float(stats.t.isf(alpha, self._freedom)), 1 - 1e-12
        low, high = -1.0, 1.0
        if self._score(-edge) > quantile:
            low = float(optimize.brentq(lambda d: self._score(d) - quantile, -edge, self.difference))
        if self._score(edge) < -quantile:
            high = float(optimize.brentq(lambda d: self._score(d) + quantile, self.difference, edge))
        return low, high

    @property
    def _freedom(self) -> float:
        """Of Student's t; infinite is the normal law."""
        return math.inf if self.groups == self.n else self.groups - 1

    def _score(self, at: float) -> float:
        """Tango's statistic of the hypothesis that the difference is `at`; 0 where nothing speaks against
        it."""
        b, c, n = self.fixed / self.design, self.broken / self.design, self.n / self.design
        middle = (2 * n - b + c) * at - b - c
        root = math.sqrt(max(0.0, middle**2 + 8 * n * c * at * (1 - at)))
        variance = n * ((root - middle) / (2 * n) + at * (1 - at))
        distance = b - c - n * at
        if abs(distance) <= 1e-12 * n:
            return 0.0
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def _evidence(
    a: Sequence[float], b: Sequence[float], clusters: Clusters, weights: Sequence[float] | None
) -> _Mean | _Flips | None:
    """None with fewer than MIN_CASES cases or two clusters, and where scores other than 0/1 never differ."""
    first, second = numbers(a, "scores"), numbers(b, "scores")
    same_length(first, second)
    change, n = second - first, len(first)
    share = weights_of(weights, n)
    share = share / share.sum() if n else share
    codes = codes_of(clusters, n)
    groups = len(np.unique(codes[share > 0]))
    if np.count_nonzero(share) < MIN_CASES or groups < 2:
        return None
    if weights is None and is_binary(first, second):
        return _flips(change, clusters, groups)
    mean = float(share @ change)
    kept = share > 0
    residuals = share * (change - mean)
    error, freedom = weighted_error(residuals[kept], share[kept], codes[kept])
    if error <= 1e-12 * float(np.abs(change).max()):
        return None
    skewness = float(stats.skew(cluster_sums(residuals, clusters)))
    return _Mean(mean, error, freedom, skewness, groups, n)


def _flips(change: Floats, clusters: Clusters, groups: int) -> _Flips:
    n, mean = len(change), float(change.mean())
    alone = float(np.sum((change - mean) ** 2)) / n**2
    together = standard_error(cluster_sums(change - mean, clusters) / n) ** 2
    design = n / groups if alone == 0 else max(1.0, together / alone)
    fixed, broken = int(np.count_nonzero(change > 0)), int(np.count_nonzero(change < 0))
    return _Flips(fixed, broken, n, groups, 1.0 if groups == n else design)


def _from_below(found: _Evidence | None, margin: float, alpha: float) -> Gate | None:
    share_between(alpha, "alpha")
    if found is None:
        return None
    low, high = found.bounds(alpha)
    verdict: Verdict = "inconclusive"
    if low > -margin:
        verdict = "passed"
    elif high < -margin:
        verdict = "failed"
    return Gate(found.difference, low, high, found.tail(-margin), margin, alpha, found.n, verdict)


def _margin(margin: float) -> None:
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"A margin is above zero, not {margin:g}; test for superiority at zero.")
