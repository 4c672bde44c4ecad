"""How far people's rankings of the same responses agree: Kendall's tau-b and Kendall's W, with intervals.

`rankings` maps item -> rater -> one rank for each response of the item, always in the same order (1 is best,
equal ranks are ties). Items may have different numbers of responses and raters. A statistic is taken within
each item and averaged over items; intervals are seeded percentile bootstraps over items or over clusters of
them (see `labeling.resampling`), and fewer than MIN_UNITS independent pieces give None.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeling.estimates import Estimate
from labeling.resampling import Clusters, Codes, Floats, by_group, group_codes, mean_estimate

Rankings = Mapping[Hashable, Mapping[Hashable, Sequence[float]]]
Signs = NDArray[np.int8]


class PairTau(NamedTuple):
    """Two raters on the items both ranked: the mean of their tau-b; None where the data cannot say."""

    rater_a: Hashable
    rater_b: Hashable
    tau: Estimate | None


class Comparison(NamedTuple):
    """What a rater said of two responses: `outcome` is 1 for the first, 0 for the second, 0.5 for a tie.

    Comparisons with the same `cluster` are not independent; None stands alone. `weight` is how many comparisons
    this one counts as.
    """

    rater: Hashable
    first: Hashable
    second: Hashable
    outcome: float
    weight: float = 1.0
    cluster: Hashable = None


class _Batch(NamedTuple):
    """All rankings of items with one number of responses."""

    items: Codes  # the item of each ranking
    raters: Codes
    signs: Signs  # rankings x pairs of responses: the sign of the difference of their ranks


def kendall_tau_b(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Kendall's tau-b (1945) of two rankings of the same responses, -1 to 1, ties corrected for.

    (C - D) / sqrt(pairs not tied in a * pairs not tied in b). None where one of them ties everything. ValueError
    if they differ in length or hold something that is not a number.
    """
    signs = _signs(rank_table("these responses", [a, b])).astype(np.float64)
    scale = np.sqrt(np.sum(signs**2, axis=1).prod())
    return float(signs[0] @ signs[1] / scale) if scale else None


def kendall_w(rankings: Sequence[Sequence[float]]) -> float | None:
    """Kendall's coefficient of concordance W of raters x responses, 0 to 1, corrected for ties.

    12 S / (m^2 (k^3 - k) - m T) over mid-ranks, T the sum of t^3 - t over the groups of ties (Kendall 1948,
    Rank Correlation Methods). Where m raters rank at random, W is 1 / m on average, not 0. None with fewer
    than two raters or where everyone ties everything. ValueError as in `kendall_tau_b`.
    """
    if len(rankings) < 2:
        return None
    signs = _signs(rank_table("these responses", rankings))
    w = float(_w_by_item(_Batch(np.zeros(len(signs), np.intp), np.arange(len(signs)), signs), 1)[0])
    return None if np.isnan(w) else w


def pairwise_taus(rankings: Rankings, *, clusters: Clusters | None = None, seed: int = 0) -> list[PairTau]:
    """The mean over items of tau-b, for every two raters, over the items both ranked.

    An item that one of them tied entirely is left out; n is the number of items that count. `clusters` maps
    item -> cluster key. Pairs come in the order in which raters first appear.
    """
    names = _raters(rankings)
    groups = group_codes(list(rankings), clusters)
    found: dict[tuple[int, int], list[tuple[Codes, Floats]]] = {}
    for batch in _batches(rankings):
        unit = _unit(batch.signs)
        for pair in combinations(np.unique(batch.raters).tolist(), 2):
            items, first, second = _both(batch, *pair)
            taus = np.sum(unit[first] * unit[second], axis=1)
            defined = batch.signs[first].any(axis=1) & batch.signs[second].any(axis=1)
            found.setdefault(pair, []).append((items[defined], taus[defined]))
    return [
        PairTau(names[a], names[b], _mean(found.get((a, b), []), groups, (-1.0, 1.0), seed))
        for a, b in combinations(range(len(names)), 2)
    ]


def tau_estimate(rankings: Rankings, *, clusters: Clusters | None = None, seed: int = 0) -> Estimate | None:
    """The mean over items of the mean tau-b of every two of the item's raters.

    Rankings that tie everything are left out; n is the number of items with two rankings left. `clusters` and
    `seed` as in `pairwise_taus`.
    """
    groups = group_codes(list(rankings), clusters)
    found = []
    for batch in _batches(rankings):
        unit = _unit(batch.signs)
        kept = batch.signs.any(axis=1)
        items, raters = np.unique(batch.items[kept], return_counts=True)
        together = np.sum(by_group(unit[kept], batch.items[kept]) ** 2, axis=1)
        several = raters > 1
        taus = (together - raters)[several] / (raters * (raters - 1))[several]
        found.append((items[several], taus))
    return _mean(found, groups, (-1.0, 1.0), seed)


def w_estimate(rankings: Rankings, *, clusters: Clusters | None = None, seed: int = 0) -> Estimate | None:
    """The mean over items of Kendall's W of the item's raters; read it against 1 / raters, not against 0.

    n is the number of items ranked by two people or more and not tied entirely by all. `clusters` and `seed`
    as in `pairwise_taus`.
    """
    groups = group_codes(list(rankings), clusters)
    found = []
    for batch in _batches(rankings):
        w = _w_by_item(batch, len(rankings))
        items = np.flatnonzero(np.isfinite(w))
        found.append((items, w[items]))
    return _mean(found, groups, (0.0, 1.0), seed)


def comparisons_of(rankings: Rankings, *, clusters: Clusters | None = None) -> Iterator[Comparison]:
    """All pairs of each ranking as comparisons; a response's name is (item, place), rank 1 is best.

    The k (k - 1) / 2 pairs of a ranking of k responses follow from k - 1 of them, so each weighs 2 / k. The
    cluster is the item's in `clusters`, or the item. ValueError for a ranking that is not complete.
    """
    for item, given in rankings.items():
        key = (clusters or {}).get(item)
        cluster = ("item", item) if key is None else ("cluster", key)
        table = rank_table(f"item {item!r}", list(given.values())).tolist() if given else []
        for rater, ranks in zip(given, table, strict=True):
            for i, j in combinations(range(len(ranks)), 2):
                outcome = 0.5 if ranks[i] == ranks[j] else float(ranks[i] < ranks[j])
                yield Comparison(rater, (item, i), (item, j), outcome, 2 / len(ranks), cluster)


def rank_table(name: str, rankings: Sequence[Sequence[float]]) -> Floats:
    """Rankings x responses; ValueError, with `name` in it, for what is not full rankings of the same responses."""
    lengths = sorted({len(ranking) for ranking in rankings})
    if len(lengths) > 1:
        raise ValueError(
            f"The rankings of {name} have {lengths[0]} to {lengths[-1]} places; everyone must rank all of "
            "the same responses. Leave an unfinished ranking out."
        )
    table = np.array(rankings, dtype=np.float64)
    if np.isnan(table).any():
        raise ValueError(
            f"A ranking of {name} has a response without a rank; give each response a number, or leave the "
            "ranking out."
        )
    return table


def _batches(rankings: Rankings) -> Iterator[_Batch]:
    number = {rater: place for place, rater in enumerate(_raters(rankings))}
    tables: dict[int, list[tuple[int, list[int], Floats]]] = {}
    for item, (name, given) in enumerate(rankings.items()):
        if given:
            table = rank_table(f"item {name!r}", list(given.values()))
            tables.setdefault(table.shape[1], []).append((item, [number[rater] for rater in given], table))
    for responses, rows in tables.items():
        if responses > 1:
            items = np.repeat([item for item, _, _ in rows], [len(raters) for _, raters, _ in rows])
            raters = np.array([rater for _, raters, _ in rows for rater in raters], dtype=np.intp)
            yield _Batch(items, raters, _signs(np.vstack([table for _, _, table in rows])))


def _signs(ranks: Floats) -> Signs:
    pairs = list(combinations(range(ranks.shape[1]), 2))
    signs = np.empty((len(ranks), len(pairs)), dtype=np.int8)
    for column, (i, j) in enumerate(pairs):
        signs[:, column] = np.sign(ranks[:, i] - ranks[:, j])
    return signs


def _unit(signs: Signs) -> Floats:
    """Sign vectors of length 1 (0 where all is tied): tau-b of two rankings is their inner product."""
    length = np.sqrt(np.maximum(np.count_nonzero(signs, axis=1), 1))
    return np.asarray(signs / length[:, None])


def _both(batch: _Batch, a: int, b: int) -> tuple[Codes, Codes, Codes]:
    """The items both ranked, and the rows of their rankings."""
    rows_a, rows_b = np.flatnonzero(batch.raters == a), np.flatnonzero(batch.raters == b)
    items, in_a, in_b = np.intersect1d(
        batch.items[rows_a], batch.items[rows_b], assume_unique=True, return_indices=True
    )
    return items, rows_a[in_a], rows_b[in_b]


def _w_by_item(batch: _Batch, items: int) -> Floats:
    """W of every item, NaN where it is undefined.

    A mid-rank less the mean rank is half the sum of the response's signs, and a rater's squares of these add
    up to (k^3 - k - T) / 12: so W is |sum over raters|^2 / (m * sum over raters of |.|^2).
    """
    responses = round((1 + np.sqrt(1 + 8 * batch.signs.shape[1])) / 2)
    centred = np.zeros((len(batch.signs), responses))
    for column, (i, j) in enumerate(combinations(range(responses), 2)):
        centred[:, i] += batch.signs[:, column] / 2
        centred[:, j] -= batch.signs[:, column] / 2
    raters = np.bincount(batch.items, minlength=items)
    spread = np.bincount(batch.items, np.sum(centred**2, axis=1), items)
    together = np.zeros(items)
    for ranks in centred.T:
        together += np.bincount(batch.items, ranks, items) ** 2
    defined = (raters > 1) & (spread > 0)
    return np.where(defined, together / np.where(defined, raters * spread, 1.0), np.nan)


def _mean(
    found: list[tuple[Codes, Floats]], groups: Codes, ends: tuple[float, float], seed: int
) -> Estimate | None:
    if not found:
        return None
    items = np.concatenate([part for part, _ in found])
    values = np.concatenate([part for _, part in found])
    return mean_estimate(values, groups[items], ends=ends, seed=seed)


def _raters(rankings: Rankings) -> list[Hashable]:
    return list(dict.fromkeys(rater for given in rankings.values() for rater in given))
