"""The two intervals that all statistics of annotation quality share, over units that may hang together.

Units with the same cluster key (rows that share a prompt) are not independent: whole clusters are resampled,
or counted as fewer units. Both intervals need MIN_UNITS independent pieces; with fewer there is no interval.
"""

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labeling.estimates import Z95, Estimate, cluster_codes, wilson_bounds

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Clusters = Mapping[Hashable, Hashable]

MIN_UNITS = 10
RESAMPLES = 1_000
DRAWS_AT_ONCE = 4_000_000  # weights held in memory at a time: 32 MB


def group_codes(units: Sequence[Hashable], clusters: Clusters | None) -> Codes:
    """A number for each unit's cluster; a unit without a key, and every unit without `clusters`, stands alone."""
    keys = range(len(units)) if clusters is None else (clusters.get(unit) for unit in units)
    return np.asarray(cluster_codes(keys), dtype=np.intp)


def by_group(rows: Floats, groups: Codes) -> Floats:
    """Sums of the rows of each group: groups x columns."""
    numbers, places = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(sums, places, rows)
    return sums


def resample(rows: Floats, seed: int) -> Floats:
    """Sums of RESAMPLES bootstrap samples of the rows: RESAMPLES x columns.

    Rows that are alike are drawn together by one multinomial: the same distribution as drawing row by row,
    and 999 units with 27 different answers cost 27 draws.
    """
    different, times = np.unique(rows, axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    step = max(1, DRAWS_AT_ONCE // len(different))
    sizes = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
    share = times / len(rows)
    return np.vstack([generator.multinomial(len(rows), share, size) @ different for size in sizes])


def percentile(value: float, draws: Floats, pieces: int, n: int) -> Estimate | None:
    """The middle 95 % of the draws. None with too few pieces, no width, or over 5 % undefined draws."""
    defined = draws[np.isfinite(draws)]
    if pieces < MIN_UNITS or not math.isfinite(value) or len(defined) < 0.95 * len(draws):
        return None
    low, high = (float(end) for end in np.quantile(defined, [0.025, 0.975]))
    return Estimate(value, min(low, value), max(high, value), n) if high - low > 1e-12 else None


def unseen_share(pieces: int) -> float:
    """The largest share of units (Wilson's bound, 95 %) that may differ where none of `pieces` did."""
    return 1 - wilson_bounds(1.0, pieces)[0]


def mean_estimate(values: Floats, groups: Codes, *, ends: tuple[float, float], seed: int) -> Estimate | None:
    """Mean of one value a unit, with a bootstrap over groups; n is the number of units.

    `ends` are the least and the greatest value possible. Where all units lie on one end, the interval reaches
    as far from it as if `unseen_share` of them lay on the other.
    """
    rows = by_group(np.stack([np.round(values, 12), np.ones(len(values))], axis=1), groups)
    if len(rows) < MIN_UNITS:
        return None
    value = min(max(float(np.mean(values)), ends[0]), ends[1])
    reach = unseen_share(len(rows)) * (ends[1] - ends[0])
    if np.allclose(values, ends[1], rtol=0, atol=1e-9):
        return Estimate(ends[1], ends[1] - reach, ends[1], len(values))
    if np.allclose(values, ends[0], rtol=0, atol=1e-9):
        return Estimate(ends[0], ends[0], ends[0] + reach, len(values))
    draws = resample(rows, seed)
    return percentile(value, draws[:, 0] / draws[:, 1], len(rows), len(values))


def share_estimate(outcomes: Floats, groups: Codes | None = None) -> Estimate | None:
    """Share of outcomes (each 0 to 1; a tie may be 0.5) with an interval that stays within 0 to 1.

    Independent outcomes: Wilson. Groups: Wilson at the effective sample size n / deff with t on G - 1 degrees
    of freedom, after Korn and Graubard (1998, Survey Methodology 24), who use Clopper-Pearson; deff is the
    variance with groups over the binomial one, at least 1. Where all outcomes are 0 or all 1 it cannot be
    seen, and each group counts as one outcome.
    """
    n = len(outcomes)
    pieces = n if groups is None else len(np.unique(groups))
    if pieces < MIN_UNITS:
        return None
    share = float(outcomes.mean())
    if groups is None or pieces == n:
        return Estimate(share, *wilson_bounds(share, n), n)
    binomial = n * share * (1 - share)
    if binomial == 0:
        return Estimate(share, *wilson_bounds(share, pieces), n)
    sums = by_group((outcomes - share)[:, None], groups)
    spread = pieces / (pieces - 1) * float(np.sum(sums**2))
    return Estimate(share, *wilson_bounds(share, n / max(1.0, spread / binomial), t95(pieces - 1)), n)


def t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, by Cornish and Fisher's expansion (Abramowitz and Stegun 26.7.5).

    Within 0.00002 of the exact value from nine degrees of freedom on; fewer pieces than ten give no interval.
    """
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + float(sum(term / freedom**power for power, term in enumerate(terms, start=1)))
