"""How far people agree beyond chance: Cohen's kappa, Fleiss' kappa, Krippendorff's alpha, with intervals.

A statistic is None where it is undefined: nothing shared, or (kappa) a rater who used one category only, or
(Fleiss, alpha) one category in all. Intervals are seeded percentile bootstraps over units, or over clusters of
units (rows that share a prompt are not independent). They need MIN_UNITS independent pieces; fewer give None.

With no disagreement at all the bootstrap would say ±0, but "we saw none in n" is evidence, not certainty. So
the lower end becomes 1 - U / (chance of disagreement), with Wilson's upper bound U on the share of units (or
of clusters) that disagree, and the upper end 1; where disagreements have weights, one not seen yet counts like
one by chance. Raw agreement is a share and has Wilson's interval.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from labeling.estimates import Estimate
from labeling.resampling import (
    MIN_UNITS,
    Clusters,
    Codes,
    Floats,
    by_group,
    group_codes,
    percentile,
    resample,
    share_estimate,
    unseen_share,
)

Level = Literal["nominal", "ordinal", "interval"]
Weights = Literal["none", "linear", "quadratic"]
Labels = Mapping[Hashable, Mapping[Hashable, Hashable]]


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

    `a` and `b` hold one label a unit, in the same order; None (or NaN) marks a missing label. With weights,
    labels are numbers (ValueError) and a disagreement costs their distance, or its square. None if no unit is
    shared or a rater used one category only.
    """
    pairs = _shared(a, b)
    if not pairs:
        return None
    cost, place = _costs([label for pair in pairs for label in pair], weights)
    first, second = (np.array([place[label] for label in labels]) for labels in zip(*pairs, strict=True))
    kappa = float(_kappas(_kappa_rows(first, second, cost).sum(axis=0, keepdims=True), cost)[0])
    return kappa if math.isfinite(kappa) else None


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
    if raters[0] < 2:
        return None
    kappa = float(_fleiss(_fleiss_rows(table).sum(axis=0, keepdims=True))[0])
    return kappa if math.isfinite(kappa) else None


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
    alpha = float(alphas(_alpha_rows(counts, delta).sum(axis=0, keepdims=True), counts.shape[1], delta)[0])
    return alpha if math.isfinite(alpha) else None


def pairwise_kappas(
    labels: Labels, weights: Weights = "none", *, clusters: Clusters | None = None, seed: int = 0
) -> list[PairAgreement]:
    """Cohen's kappa and raw agreement of every two raters, over the units both judged.

    `labels` maps unit -> rater -> label; `weights` as in `cohen_kappa`. `clusters` maps unit -> cluster key (a
    unit without one stands alone); then whole clusters are resampled. Pairs come in the order in which raters
    first appear; the same seed gives the same intervals.
    """
    raters = list(dict.fromkeys(rater for given in labels.values() for rater in given))
    column = {rater: number for number, rater in enumerate(raters)}
    cost, place = _costs([x for given in labels.values() for x in given.values()], weights)
    codes = np.full((len(labels), len(raters)), -1, dtype=np.intp)
    for row, given in enumerate(labels.values()):
        for rater, label in given.items():
            codes[row, column[rater]] = place.get(label, -1)
    groups = group_codes(list(labels), clusters)
    return [
        PairAgreement(raters[i], raters[j], *_pair(codes[:, i], codes[:, j], cost, groups, seed))
        for i, j in combinations(range(len(raters)), 2)
    ]


def fleiss_estimate(
    labels: Labels, *, raters: int, clusters: Clusters | None = None, seed: int = 0
) -> Estimate | None:
    """Fleiss' kappa with its interval over the units that have exactly `raters` labels, whoever gave them.

    `labels`, `clusters` and `seed` as in `pairwise_kappas`; n is the number of units counted. ValueError for
    fewer than two raters.
    """
    if raters < 2:
        raise ValueError(f"Fleiss' kappa compares at least 2 labels a unit, not {raters}; raise `raters`.")
    kept = _kept(labels)
    kept = {unit: row for unit, row in kept.items() if len(row) == raters}
    if not kept:
        return None
    table = _counts_and_distances(list(kept.values()), "nominal")[0]
    rows = by_group(_fleiss_rows(table), group_codes(list(kept), clusters))
    if np.all(np.count_nonzero(table, axis=1) == 1):
        return without_disagreement(table, len(rows))
    value = float(_fleiss(rows.sum(axis=0, keepdims=True))[0])
    return percentile(value, _fleiss(resample(rows, seed)), len(rows), len(kept))


def alpha_estimate(
    labels: Labels, level: Level = "nominal", *, clusters: Clusters | None = None, seed: int = 0
) -> Estimate | None:
    """Krippendorff's alpha with its interval; n is the number of units with two labels or more.

    `labels`, `clusters` and `seed` as in `pairwise_kappas`; `level` as in `krippendorff_alpha`.
    """
    kept = _kept(labels)
    if len(kept) < MIN_UNITS:
        return None
    counts, delta = _counts_and_distances(list(kept.values()), level)
    rows = by_group(_alpha_rows(counts, delta), group_codes(list(kept), clusters))
    if np.all(np.count_nonzero(counts, axis=1) == 1):
        return without_disagreement(counts, len(rows))
    value = float(alphas(rows.sum(axis=0, keepdims=True), counts.shape[1], delta)[0])
    return percentile(value, alphas(resample(rows, seed), counts.shape[1], delta), len(rows), len(kept))


def _pair(
    a: Codes, b: Codes, cost: Floats, groups: Codes, seed: int
) -> tuple[Estimate | None, Estimate | None]:
    both = (a >= 0) & (b >= 0)
    a, b, groups, n = a[both], b[both], groups[both], int(np.count_nonzero(both))
    raw = share_estimate((a == b).astype(np.float64), groups)
    if raw is None:
        return None, None
    rows = by_group(_kappa_rows(a, b, cost), groups)
    if raw.value == 1.0:
        return without_disagreement(np.eye(len(cost))[a], len(rows)), raw
    kappa = float(_kappas(rows.sum(axis=0, keepdims=True), cost)[0])
    return percentile(kappa, _kappas(resample(rows, seed), cost), len(rows), n), raw


def _kappa_rows(a: Codes, b: Codes, cost: Floats) -> Floats:
    """A unit's disagreement, then its category by each of the two raters (one hot)."""
    one_hot = np.eye(len(cost))
    return np.hstack([cost[a, b][:, None], one_hot[a], one_hot[b]])


def _kappas(sums: Floats, cost: Floats) -> Floats:
    """Kappa of each row built by `_kappa_rows` and summed; NaN where a rater used one category."""
    observed, (left, right) = sums[:, 0], np.split(sums[:, 1:], 2, axis=1)
    n = left.sum(axis=1)
    chance = np.sum((left @ cost) * right, axis=1) / n
    varied = (left.max(axis=1) < n) & (right.max(axis=1) < n)
    return np.where(varied, 1 - observed / np.where(varied, chance, 1.0), np.nan)


def _fleiss_rows(table: Floats) -> Floats:
    """A unit's share of agreeing pairs, a one that counts it, then its counts."""
    raters = table.sum(axis=1)
    agreeing = (np.sum(table**2, axis=1) - raters) / (raters * (raters - 1))
    return np.hstack([agreeing[:, None], np.ones((len(table), 1)), table])


def _fleiss(sums: Floats) -> Floats:
    """Fleiss' kappa of each row built by `_fleiss_rows` and summed; NaN where one category is left."""
    observed, counts = sums[:, 0] / sums[:, 1], sums[:, 2:]
    varied = np.count_nonzero(counts, axis=1) > 1
    chance = np.sum((counts / counts.sum(axis=1, keepdims=True)) ** 2, axis=1)
    return np.where(varied, 1 - (1 - observed) / np.where(varied, 1 - chance, 1.0), np.nan)


def _alpha_rows(counts: Floats, delta: Floats | None) -> Floats:
    """A unit's disagreement, then its counts. Ordinal distances depend on how often each category is used in
    the whole sample, so there (delta None) the unit's coincidence matrix is kept instead of one number."""
    scale = 1 / (counts.sum(axis=1) - 1)
    if delta is not None:
        return np.hstack([(np.sum((counts @ delta) * counts, axis=1) * scale)[:, None], counts])
    pairs = counts[:, :, None] * counts[:, None, :] * scale[:, None, None]
    return np.hstack([pairs.reshape(len(counts), -1), counts])


def alphas(sums: Floats, categories: int, delta: Floats | None) -> Floats:
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


def without_disagreement(counts: Floats, pieces: int) -> Estimate | None:
    """No disagreement seen (see the module's docstring); None if all labels are one category."""
    chance = 1 - float(np.sum((counts.sum(axis=0) / counts.sum()) ** 2))
    if pieces < MIN_UNITS or chance <= 0:
        return None
    return Estimate(1.0, max(-1.0, 1 - unseen_share(pieces) / chance), 1.0, len(counts))


def _kept(labels: Labels) -> dict[Hashable, list[Hashable]]:
    """The labels of each unit that has two or more."""
    rows = {unit: [x for x in given.values() if not _missing(x)] for unit, given in labels.items()}
    return {unit: row for unit, row in rows.items() if len(row) >= 2}


def _costs(labels: Sequence[Hashable], weights: Weights) -> tuple[Floats, dict[Hashable, int]]:
    """What each disagreement costs, categories x categories, and each category's row."""
    categories = _categories([x for x in labels if not _missing(x)], ordered=weights != "none")
    place = {label: number for number, label in enumerate(categories)}
    if weights == "none":
        return 1 - np.eye(len(categories)), place
    values = np.asarray(categories, dtype=np.float64)
    steps = np.abs(np.subtract.outer(values, values))
    return (steps if weights == "linear" else steps**2), place


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
