"""How often one model's answer is preferred to another's: win rate with ties, and its sign test."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from evaluation.statistics.checking import MIN_CASES, Floats, is_binary, shares
from evaluation.statistics.clustered import Clusters, codes_of, sums_of, t95
from evaluation.statistics.intervals import proportion_estimate
from labeling.estimates import Estimate


@dataclass(frozen=True, slots=True)
class WinRate:
    """`rate` is (wins + ties / 2) / judgments. `wins`, `losses` and `ties` count prompts, whose outcomes are
    averaged first: a model that wins in one order only has a tie. `p_value` is of the exact two-sided sign test
    on the decisive prompts; 1 without any.
    """

    rate: Estimate | None
    wins: int
    losses: int
    ties: int
    p_value: float | None


def win_rate(outcomes: Sequence[float], clusters: Clusters = None) -> WinRate:
    """Win rate of judgments with outcomes 0 to 1 (1 a win, 0.5 a tie), `clusters` being their prompts.

    Without ties and clusters the interval is Wilson's. Otherwise it is a t interval over prompts after half a
    prompt won, half a prompt lost and one tied are added, cut at 0 and 1: on independent prompts that is
    Agresti and Min's (2005, Statistics in Medicine 24) interval for wins less losses, with t instead of normal
    quantiles. Rate and p are None with fewer than MIN_CASES judgments or two prompts.
    """
    found = shares(outcomes)
    codes = codes_of(clusters, len(found))
    sizes = np.bincount(codes).astype(np.float64)
    sums = sums_of(found, codes)
    means = np.round(sums / sizes, 12)
    wins, losses = int(np.count_nonzero(means > 0.5)), int(np.count_nonzero(means < 0.5))
    enough = len(found) >= MIN_CASES and len(sizes) >= 2
    p = float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return WinRate(
        rate=_rate(found, clusters, sums, sizes) if enough else None,
        wins=wins,
        losses=losses,
        ties=len(means) - wins - losses,
        p_value=p if enough else None,
    )


def _rate(outcomes: Floats, clusters: Clusters, sums: Floats, sizes: Floats) -> Estimate | None:
    n, groups = len(outcomes), len(sizes)
    if groups == n and is_binary(outcomes):
        return proportion_estimate(list(outcomes), clusters)
    centre, error = centre_and_error(sums, sizes)
    return around(float(outcomes.mean()), centre, t95(groups - 1) * error, n)


def centre_and_error(sums: Floats, sizes: Floats) -> tuple[float, float]:
    """Of a win rate, from the sums and sizes of its prompts, after half a prompt won, half a prompt lost and one tied
    are added: the error is never 0."""
    added = sizes.mean()
    total = sizes.sum() + 2 * added
    centre = float(sums.sum() + added) / total
    squares = float(np.sum((sums - centre * sizes) ** 2))
    squares += added**2 * ((1 - centre) ** 2 / 2 + centre**2 / 2 + (0.5 - centre) ** 2)
    return centre, squares**0.5 / total


def around(value: float, centre: float, half: float, n: int) -> Estimate:
    """The interval about the centre, cut at 0 and 1, which holds the value."""
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(value, min(low, value), max(high, value), n)
