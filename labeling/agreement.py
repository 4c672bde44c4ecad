"""How far people agree beyond chance: Cohen's kappa, Fleiss' kappa, Krippendorff's alpha, with intervals.

A statistic is None where it is undefined: nothing shared, or (kappa) a rater who used one category only, or
(alpha) one category in all. Intervals are seeded percentile bootstraps over units, or over clusters of units
(rows that share a prompt are not independent). They need MIN_UNITS independent pieces; fewer give None.

With no disagreement at all the bootstrap would say ±0, but "we saw none in n" is evidence, not certainty. So
the lower end becomes 1 - U / (chance of disagreement), with Wilson's upper bound U on the share of units (or
of clusters) that disagree, and the upper end 1. Raw agreement of independent units has Wilson's interval
itself.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeling.estimates import Estimate, cluster_codes, wilson_bounds

Level = Literal["nominal", "ordinal", "interval"]
Weights = Literal["none", "linear", "quadratic"]
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

MIN_UNITS = 10
RESAMPLES = 1_000
DRAWS_AT_ONCE = 4_000_000  # weights held in memory at a time: 32 MB


class PairAgreement(NamedTuple):
    """Two raters on the units both judged; None where the data cannot say."""

    rater_a: Hashable
    rater_b: Hashable
    kappa: Estimate | None
    raw: Estimate | None


def raw_agreement(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Share of units on which two raters gave the same label; None (or NaN) marks a missing label."""
    pairs = _shared(a, b)
    return sum(x == y for x, y in pairs) / len(pairs) if pairs else None


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable], weights: Weights = "none") -> float | None:
    """Cohen's kappa (1960; weighted 1968) of two raters: 1 - observed / chance disagreement, from -1 to 1.

    `a` and `b` hold one label a unit, in the same order; None (or NaN) marks a missing label. Weights count
    steps between the sorted categories in use. None if no unit is shared or a rater used one category only.
    """
    pairs = _shared(a, b)
    categories = _categories([label for pair in pairs for label in pair], ordered=weights != "none")
    place = {label: number for number, label in enumerate(categories)}
    table = np.zeros((len(categories), len(categories)))
    for x, y in pairs:
        table[place[x], place[y]] += 1
    left, right = table.sum(axis=1), table.sum(axis=0)
    if np.count_nonzero(left) < 2 or np.count_nonzero(right) < 2:
        return None
    steps = np.abs(np.subtract.outer(np.arange(len(categories)), np.arange(len(categories))))
    cost = {"none": steps > 0, "linear": steps, "quadratic": steps**2}[weights]
    return float(1 - (cost * table).sum() * len(pairs) / (cost * np.outer(left, right)).sum())


def fleiss_kappa(counts: Sequence[Sequence[int]]) -> float | None:
    """Fleiss' kappa (1971) from a units x categories table of how many raters chose each category.

    Every unit needs the same number of raters (ValueError; Krippendorff's alpha has no such need). None
    without a unit, with fewer than two raters, or where all labels are one category.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.size == 0:
        return None
    raters = table.sum(axis=1)
    if np.any(raters != raters[0]):
        raise ValueError(
            f"Fleiss' kappa needs the same number of raters on every unit, not {raters.min():g} to "
            f"{raters.max():g}; use Krippendorff's alpha for uneven tables."
        )
    chance = float(np.sum((table.sum(axis=0) / table.sum()) ** 2)) if raters[0] else 1.0
    if raters[0] < 2 or chance == 1.0:
        return None
    observed = float(np.mean((np.sum(table**2, axis=1) - raters) / (raters * (raters - 1))))
    return (observed - chance) / (1 - chance)


def krippendorff_alpha(table: Sequence[Sequence[Hashable]], level: Level = "nominal") -> float | None:
    """Krippendorff's alpha (2011, "Computing Krippendorff's Alpha-Reliability") from a units x raters table.

    None (or NaN) marks a missing label; rows may differ in length. Ordinal and interval labels must be
    numbers (ValueError). Units with fewer than two labels are left out. None if no unit remains or one
    category is used.
    """
    rows = [[label for label in row if not _missing(label)] for row in table]
    rows = [row for row in rows if len(row) >= 2]
    if not rows:
        return None
    counts, delta = _counts_and_distances(rows, level)
    alpha = float(_alphas(_alpha_rows(counts, delta).sum(axis=0, keepdims=True), counts.shape[1], delta)[0])
    return alpha if math.isfinite(alpha) else None


def pairwise_kappas(
    labels: Mapping[Hashable, Mapping[Hashable, Hashable]],
    *,
    clusters: Mapping[Hashable, Hashable] | None = None,
    seed: int = 0,
) -> list[PairAgreement]:
    """Cohen's kappa and raw agreement of every two raters, over the units both judged.

    `labels` maps unit -> rater -> label. `clusters` maps unit -> cluster key (a unit without one stands
    alone); then whole clusters are resampled. Pairs come in the order in which raters first appear; the same
    seed gives the same intervals.
    """
    raters = list(dict.fromkeys(rater for given in labels.values() for rater in given))
    column = {rater: number for number, rater in enumerate(raters)}
    categories = _categories([x for given in labels.values() for x in given.values() if not _missing(x)])
    place = {label: number for number, label in enumerate(categories)}
    codes = np.full((len(labels), len(raters)), -1, dtype=np.intp)
    for row, given in enumerate(labels.values()):
        for rater, label in given.items():
            codes[row, column[rater]] = place.get(label, -1)
    groups = _groups(list(labels), clusters)
    return [
        PairAgreement(raters[i], raters[j], *_pair(codes[:, i], codes[:, j], len(categories), groups, seed))
        for i, j in combinations(range(len(raters)), 2)
    ]


def alpha_estimate(
    labels: Mapping[Hashable, Mapping[Hashable, Hashable]],
    level: Level = "nominal",
    *,
    clusters: Mapping[Hashable, Hashable] | None = None,
    seed: int = 0,
) -> Estimate | None:
    """Krippendorff's alpha with its interval; n is the number of units with two labels or more.

    `labels`, `clusters` and `seed` as in `pairwise_kappas`; `level` as in `krippendorff_alpha`.
    """
    kept = {unit: [x for x in given.values() if not _missing(x)] for unit, given in labels.items()}
    kept = {unit: row for unit, row in kept.items() if len(row) >= 2}
    if len(kept) < MIN_UNITS:
        return None
    counts, delta = _counts_and_distances(list(kept.values()), level)
    rows = _by_group(_alpha_rows(counts, delta), _groups(list(kept), clusters))
    value = float(_alphas(rows.sum(axis=0, keepdims=True), counts.shape[1], delta)[0])
    if np.all(np.count_nonzero(counts, axis=1) == 1):
        share = counts.sum(axis=0) / counts.sum()
        return _without_disagreement(1 - float(np.sum(share**2)), len(rows), len(kept))
    return _percentile(value, _alphas(_resample(rows, seed), counts.shape[1], delta), len(rows), len(kept))


def _pair(
    a: Codes, b: Codes, categories: int, groups: Codes, seed: int
) -> tuple[Estimate | None, Estimate | None]:
    both = (a >= 0) & (b >= 0)
    a, b, groups, n = a[both], b[both], groups[both], int(np.count_nonzero(both))
    if n < MIN_UNITS:
        return None, None
    one_hot = np.eye(categories)
    units = np.hstack([(a == b).astype(np.float64)[:, None], one_hot[a], one_hot[b]])
    rows = _by_group(units, groups)
    if len(rows) < MIN_UNITS:
        return None, None
    total = rows.sum(axis=0, keepdims=True)
    kappa, agreed = float(_kappas(total)[0]), float(total[0, 0]) / n
    draws = _resample(rows, seed)
    if len(rows) == n or agreed in (0.0, 1.0):
        raw: Estimate | None = Estimate(agreed, *wilson_bounds(agreed, len(rows)), n)
    else:
        raw = _percentile(agreed, 2 * draws[:, 0] / draws[:, 1:].sum(axis=1), len(rows), n)
    if agreed == 1.0:
        chance = 1 - float(np.sum((total[0, 1 : 1 + categories] / n) ** 2))
        return _without_disagreement(chance, len(rows), n), raw
    return _percentile(kappa, _kappas(draws), len(rows), n), raw


def _kappas(sums: Floats) -> Floats:
    """Kappa of each row [agreements, counts of a, counts of b]; NaN where a rater used one category."""
    agreed, (left, right) = sums[:, 0], np.split(sums[:, 1:], 2, axis=1)
    n = left.sum(axis=1)
    chance = np.sum(left * right, axis=1) / n**2
    varied = (left.max(axis=1) < n) & (right.max(axis=1) < n)
    return np.where(varied, 1 - (1 - agreed / n) / np.where(varied, 1 - chance, 1.0), np.nan)


def _alpha_rows(counts: Floats, delta: Floats | None) -> Floats:
    """A unit's disagreement, then its counts. Ordinal distances depend on how often each category is used in
    the whole sample, so there (delta None) the unit's coincidence matrix is kept instead of one number."""
    scale = 1 / (counts.sum(axis=1) - 1)
    if delta is not None:
        return np.hstack([(np.sum((counts @ delta) * counts, axis=1) * scale)[:, None], counts])
    pairs = counts[:, :, None] * counts[:, None, :] * scale[:, None, None]
    return np.hstack([pairs.reshape(len(counts), -1), counts])


def _alphas(sums: Floats, categories: int, delta: Floats | None) -> Floats:
    """Alpha of each row built by `_alpha_rows` and summed; NaN where only one category is left."""
    counts = sums[:, -categories:]
    if delta is not None:
        observed, expected = sums[:, 0], np.sum((counts @ delta) * counts, axis=1)
    else:
        middle = np.cumsum(counts, axis=1) - counts / 2
        steps = (middle[:, :, None] - middle[:, None, :]) ** 2
        observed = np.sum(sums[:, :-categories].reshape(steps.shape) * steps, axis=(1, 2))
        expected = np.einsum("rc,rck,rk->r", counts, steps, counts)
    defined = expected > 0
    ratio = (counts.sum(axis=1) - 1) * observed / np.where(defined, expected, 1.0)
    return np.where(defined, 1 - ratio, np.nan)


def _counts_and_distances(rows: list[list[Hashable]], level: Level) -> tuple[Floats, Floats | None]:
    categories = _categories([label for row in rows for label in row], ordered=level != "nominal")
    place = {label: number for number, label in enumerate(categories)}
    counts = np.zeros((len(rows), len(categories)))
    for number, row in enumerate(rows):
        for label in row:
            counts[number, place[label]] += 1
    if level == "ordinal":
        return counts, None
    if level == "nominal":
        return counts, 1 - np.eye(len(categories))
    values = np.asarray(categories, dtype=np.float64)
    return counts, np.subtract.outer(values, values) ** 2


def _resample(rows: Floats, seed: int) -> Floats:
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


def _percentile(value: float, draws: Floats, pieces: int, n: int) -> Estimate | None:
    """The middle 95 % of the draws. None with too few pieces, no width, or over 5 % undefined draws."""
    defined = draws[np.isfinite(draws)]
    if pieces < MIN_UNITS or not math.isfinite(value) or len(defined) < 0.95 * len(draws):
        return None
    low, high = (float(end) for end in np.quantile(defined, [0.025, 0.975]))
    return Estimate(value, min(low, value), max(high, value), n) if high - low > 1e-12 else None


def _without_disagreement(chance: float, pieces: int, n: int) -> Estimate | None:
    """No disagreement seen (see the module's docstring); None if all labels are one category."""
    if pieces < MIN_UNITS or chance <= 0:
        return None
    unseen = 1 - wilson_bounds(1.0, pieces)[0]
    return Estimate(1.0, max(-1.0, 1 - unseen / chance), 1.0, n)


def _by_group(rows: Floats, groups: Codes) -> Floats:
    numbers, places = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(sums, places, rows)
    return sums


def _groups(units: list[Hashable], clusters: Mapping[Hashable, Hashable] | None) -> Codes:
    keys = range(len(units)) if clusters is None else (clusters.get(unit) for unit in units)
    return np.asarray(cluster_codes(keys), dtype=np.intp)


def _shared(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[Hashable, Hashable]]:
    return [(x, y) for x, y in zip(a, b, strict=True) if not (_missing(x) or _missing(y))]


def _categories(labels: list[Hashable], ordered: bool = False) -> list[Hashable]:
    """The labels in use. Where order matters they must be numbers: words sort by spelling, not by meaning."""
    found = dict.fromkeys(labels)
    if not ordered:
        return list(found)
    numbers = [label for label in found if isinstance(label, int | float)]
    if len(numbers) < len(found):
        raise ValueError("Ordinal, interval and weighted agreement need numbers as labels, not words.")
    return [*sorted(numbers)]


def _missing(label: Hashable) -> bool:
    return label is None or label != label
