"""Win rates and shares whose intervals hold at every look of a study, and the statistic that is held to a boundary.

One value a prompt: the mean of what its annotators said, so several people on one prompt are one piece of evidence,
and each prompt counts alike. `tail` is the two-sided level of this look, 2 Phi(-c) of its critical value c; quantiles
are Student's at that level (Jennison and Turnbull 2000, section 3.8: the significance level approach). Around an
estimate they give the repeated confidence interval of Jennison and Turnbull (1989, JRSS B 51): all looks' intervals
hold the truth together with probability 1 - alpha, whenever and for whatever reason the study stops.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from evaluation.statistics.checking import Floats, share_between, shares
from evaluation.statistics.clustered import Clusters, Codes, codes_of, sums_of
from labeling.estimates import Estimate, wilson_bounds

FEWEST_PROMPTS = 20


@dataclass(frozen=True, slots=True)
class RepeatedRate:
    """A win rate with its repeated interval; `z` is the normal deviate of its distance from one half, the size that is
    held to the boundary: the interval leaves out one half exactly where |z| is beyond it. `spread` is the standard
    deviation of one prompt (of one cluster, by its size)."""

    rate: Estimate
    z: float
    spread: float


def repeated_win_rate(
    values: Sequence[float], clusters: Clusters = None, *, tail: float = 0.05
) -> RepeatedRate | None:
    """Win rate of prompts valued 0 to 1 (1 won, 0.5 a tie), `clusters` being what makes prompts depend on each other.

    As `evaluation.statistics.win_rate`: half a prompt won, half a prompt lost and one tied are added, so that the error
    is never 0. None with fewer than FEWEST_PROMPTS prompts or clusters of them: t tests at the small levels of early
    looks need as many.
    """
    found = shares(values)
    share_between(tail, "The level of a look")
    places = codes_of(clusters, len(found))
    sizes = np.bincount(places).astype(np.float64)
    groups = len(sizes)
    if groups < FEWEST_PROMPTS:
        return None
    sums, added = sums_of(found, places), sizes.mean()
    total = len(found) + 2 * added
    centre = float(sums.sum() + added) / total
    squares = float(np.sum((sums - centre * sizes) ** 2))
    squares += added**2 * ((1 - centre) ** 2 / 2 + centre**2 / 2 + (0.5 - centre) ** 2)
    error = math.sqrt(squares) / total
    half = float(stats.t.isf(tail / 2, groups - 1)) * error
    value = float(found.mean())
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    estimate = Estimate(value, min(low, value), max(high, value), len(found))
    return RepeatedRate(estimate, _normal((centre - 0.5) / error, groups - 1), error * math.sqrt(total))


def repeated_share(
    values: Sequence[float], clusters: Clusters = None, *, tail: float = 0.05
) -> Estimate | None:
    """Mean of one share a prompt (how many of its annotators said so), Wilson's interval at the effective size with
    Student's quantile at this level. None with fewer than FEWEST_PROMPTS prompts or clusters."""
    found = shares(values)
    share_between(tail, "The level of a look")
    places = codes_of(clusters, len(found))
    groups = int(places.max()) + 1 if len(places) else 0
    if groups < FEWEST_PROMPTS:
        return None
    share = float(found.mean())
    return Estimate(share, *_bounds(found, share, places, groups, tail), len(found))


def _bounds(found: Floats, share: float, places: Codes, groups: int, tail: float) -> tuple[float, float]:
    sums = sums_of(found - share, places)
    variance = groups / (groups - 1) * float(np.sum(sums**2)) / len(found) ** 2
    binomial = share * (1 - share)
    effective = min(binomial / variance, 1e9) if variance > 1e-12 and binomial > 0 else float(groups)
    return wilson_bounds(share, effective, float(stats.t.isf(tail / 2, groups - 1)))


def _normal(t: float, freedom: int) -> float:
    """The normal deviate with the same tail as Student's t."""
    return math.copysign(float(stats.norm.isf(stats.t.sf(abs(t), freedom))), t)
