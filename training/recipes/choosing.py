"""Choose k of n rows by quality and diversity: pure functions on NumPy arrays.

Rows are vectors of length 1 after `unit`; their distance is one minus the cosine, 0 to 2. Every pick carries its
reasons. Equal scores go to the earlier row, so the same input gives the same picks.

Sources: farthest-first traversal, Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5, as core-set selection Sener and
Savarese 2018, arXiv 1708.00489; spherical k-means, Dhillon and Modha 2001, doi 10.1023/A:1007612920971; seeding by
squared distance, Arthur and Vassilvitskii 2007; quality before diversity in instruction data, Zhou et al. 2023 (LIMA),
arXiv 2305.11206, and Liu et al. 2024 (DEITA), arXiv 2312.15685.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating]
Ints: TypeAlias = npt.NDArray[np.intp]

CHUNK = 4096  # rows whose distances to all centres are in memory at a time
ROUNDS = 30  # of k-means, at most


@dataclass(frozen=True)
class Pick:
    """One chosen row and why. `distance` is that to the nearest row chosen before (`near`, None for the first), of
    k-means that to the middle of its cluster; `group` is the number of rows in that cluster."""

    row: int
    score: float
    quality: float
    distance: float
    near: int | None = None
    group: int | None = None


def unit(vectors: Floats) -> Floats:
    """[n, d] float32 → the same with their mean taken away and length 1 each; a row that is the mean stays zero.

    Without that the states of language models all point one way, and no two texts are far apart (Mu and Viswanath
    2018, arXiv 1702.01417).
    """
    vectors = vectors.astype(np.float32, copy=False)
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    lengths[lengths <= 1e-6 * np.linalg.norm(vectors, axis=1, keepdims=True)] = np.inf
    centred /= lengths
    return centred


def ranked(values: Floats) -> Floats:
    """[n] → each value's place among all, 0 the lowest and 1 the highest; equal values share one, nan is last."""
    known = np.where(np.isnan(values), -np.inf, values)
    _, place, counts = np.unique(known, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    return ((2 * last - counts + 1) / 2)[place] / max(len(values) - 1, 1)


def worse(values: Floats) -> Floats:
    """[n] → the share of the others that are lower than each value, 0 to 1; nan is lower than any number."""
    known = np.where(np.isnan(values), -np.inf, values)
    return np.searchsorted(np.sort(known), known, side="left") / max(len(values) - 1, 1)


def farthest(
    vectors: Floats, quality: Floats, k: int, *, weight: float, before: Sequence[int] = ()
) -> list[Pick]:
    """Farthest-first: each pick has the highest `weight` · quality + (1 - weight) · distance to what is chosen already.

    The distance counts as a share of the largest one left, so that it weighs the same at the last pick as at the first.
    The first pick is that of the highest quality if quality weighs at all, and where it is equal the most typical row.
    `before` are rows that are chosen already.
    """
    open_ = np.ones(len(vectors), dtype=bool)
    nearest = np.full(len(vectors), np.inf, dtype=np.float32)
    near = np.full(len(vectors), -1, dtype=np.intp)
    picks: list[Pick] = []

    def take(row: int) -> None:
        open_[row] = False
        distance = distances(vectors, row)
        closer = distance < nearest
        nearest[closer], near[closer] = distance[closer], row

    for row in before:
        take(row)
    for _ in range(k):
        if not picks and not before:
            typical = vectors @ vectors.mean(axis=0)
            score = weight * quality + (1 - weight) * (typical - typical.min()) / (np.ptp(typical) or 1.0)
            best = quality == quality.max() if weight else open_
            row = int(np.argmax(np.where(best, score, -np.inf)))
        else:
            widest = float(nearest[open_].max(initial=0.0)) or 1.0
            score = weight * quality + (1 - weight) * nearest / widest
            row = int(np.argmax(np.where(open_, score, -np.inf)))
        far, by = (0.0, None) if near[row] == -1 else (float(nearest[row]), int(near[row]))
        picks.append(Pick(row, float(score[row]), float(quality[row]), far, near=by))
        take(row)
    return picks


def kmeans(vectors: Floats, quality: Floats, k: int, *, weight: float, seed: int) -> list[Pick]:
    """One pick of each of k clusters: the highest `weight` · quality + (1 - weight) · closeness to its middle.

    Picks come from the largest cluster to the smallest. Where fewer than k different rows exist, the rest are chosen
    farthest-first.
    """
    centres = _seeds(vectors, k, np.random.default_rng(seed))
    for _ in range(ROUNDS):
        of, distance = _assigned(vectors, centres)
        moved = _middles(vectors, of, centres)
        still = np.allclose(moved, centres, atol=1e-6)
        centres = moved
        if still:
            break
    of, distance = _assigned(vectors, centres)
    sizes = np.bincount(of, minlength=len(centres))
    widest = np.zeros(len(centres), dtype=np.float32)
    np.maximum.at(widest, of, distance)
    closeness = 1 - np.divide(distance, widest[of], out=np.zeros_like(distance), where=widest[of] > 0)
    score = weight * quality + (1 - weight) * closeness
    best = np.lexsort((np.arange(len(of)), -score, of))  # by cluster, the best row of each first
    first = best[np.r_[True, of[best][1:] != of[best][:-1]]]
    picks = [
        Pick(
            int(row), float(score[row]), float(quality[row]), float(distance[row]), group=int(sizes[of[row]])
        )
        for row in first
    ]
    picks.sort(key=lambda pick: -(pick.group or 0))
    if len(picks) == k:
        return picks
    chosen = [pick.row for pick in picks]
    return picks + farthest(vectors, quality, k - len(picks), weight=weight, before=chosen)


def distances(vectors: Floats, row: int) -> Floats:
    """[n] distances of every row to one of them."""
    return np.clip(1 - vectors @ vectors[row], 0, 2)


def nearest_chosen(vectors: Floats, chosen: Sequence[int]) -> tuple[Ints, Floats]:
    """For each row the chosen row that is nearest to it, and the distance: [n] and [n]."""
    of, distance = _assigned(vectors, vectors[list(chosen)])
    return np.asarray(chosen, dtype=np.intp)[of], distance


def reach(vectors: Floats, chosen: Sequence[int], looked_at: Ints) -> float:
    """The mean distance of the rows `looked_at` to the nearest chosen one: how much of what there is is represented."""
    return float(_assigned(vectors[looked_at], vectors[list(chosen)])[1].mean(dtype=np.float64))


def map_of(vectors: Floats) -> Floats:
    """[n, d] → [n, 2]: the two directions in which the rows differ most (principal components)."""
    _, _, directions = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    flat = vectors @ directions[:2].T
    return flat if flat.shape[1] == 2 else np.column_stack([flat, np.zeros(len(flat))])


def _assigned(vectors: Floats, centres: Floats) -> tuple[Ints, Floats]:
    """The centre nearest to each row, and the distance; the earlier of two that are equally near."""
    of = np.empty(len(vectors), dtype=np.intp)
    distance = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), CHUNK):
        part = slice(start, start + CHUNK)
        alike = vectors[part] @ centres.T
        of[part] = alike.argmax(axis=1)
        distance[part] = 1 - alike[np.arange(len(alike)), of[part]]
    return of, np.clip(distance, 0, 2)


def _seeds(vectors: Floats, k: int, random: np.random.Generator) -> Floats:
    """k-means++: each further centre drawn by squared distance; fewer than k where no other row is left."""
    chosen = [int(random.integers(len(vectors)))]
    nearest = distances(vectors, chosen[0])
    while len(chosen) < k:
        weights = np.cumsum(np.square(nearest, dtype=np.float64))
        if weights[-1] <= 1e-9:
            break
        drawn = int(np.searchsorted(weights, random.random() * weights[-1], side="right"))
        chosen.append(min(drawn, len(vectors) - 1))
        nearest = np.minimum(nearest, distances(vectors, chosen[-1]))
    return vectors[chosen]


def _middles(vectors: Floats, of: Ints, centres: Floats) -> Floats:
    """The direction of each cluster's mean; a cluster that has lost its rows stays where it was."""
    order = np.argsort(of, kind="stable")
    held, starts = np.unique(of[order], return_index=True)
    moved = centres.copy()
    sums = np.add.reduceat(vectors[order], starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    moved[held] = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centres[held])
    return moved
