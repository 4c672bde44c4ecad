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

from evaluation.statistics.checking import share_between, shares
from evaluation.statistics.clustered import Clusters, codes_of, standard_error, sums_of
from evaluation.statistics.winrate import around, centre_and_error
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

    As `evaluation.statistics.win_rate`: half a prompt won, half a prompt lost and one tied are added. None with fewer
    than FEWEST_PROMPTS prompts or clusters of them: t tests at the small levels of early looks need as many.
    """
    found = shares(values)
    share_between(tail, "The level of a look")
    places = codes_of(clusters, len(found))
    sizes = np.bincount(places).astype(np.float64)
    groups = len(sizes)
    if groups < FEWEST_PROMPTS:
        return None
    centre, error = centre_and_error(sums_of(found, places), sizes)
    half = float(stats.t.isf(tail / 2, groups - 1)) * error
    t = (centre - 0.5) / error
    return RepeatedRate(
        rate=around(float(found.mean()), centre, half, len(found)),
        z=math.copysign(float(stats.norm.isf(stats.t.sf(abs(t), groups - 1))), t),
        spread=error * math.sqrt(len(found) + 2 * sizes.mean()),
    )


def repeated_share(
    values: Sequence[float], clusters: Clusters = None, *, tail: float = 0.05
) -> Estimate | None:
    """Mean of one share a prompt (how many of its annotators said so), Wilson's interval at the effective size with
    Student's quantile at this level. None with fewer than FEWEST_PROMPTS prompts or clusters."""
    found = shares(values)
    share_between(tail, "The level of a look")
    places = codes_of(clusters, len(found))
    groups = len(np.bincount(places))
    if groups < FEWEST_PROMPTS:
        return None
    share = float(found.mean())
    variance, binomial = standard_error(sums_of(found - share, places) / len(found)) ** 2, share * (1 - share)
    effective = min(binomial / variance, 1e9) if variance > 1e-12 and binomial > 0 else float(groups)
    quantile = float(stats.t.isf(tail / 2, groups - 1))
    return Estimate(share, *wilson_bounds(share, effective, quantile), len(found))
