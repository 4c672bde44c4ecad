"""What each answer leans to: the response shown first, the longer one, what others said. One number an answer.

A number is from 0 to 1, the mean over the pairs of responses that the answer orders; NaN where it says nothing of it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from labeling.estimates import Estimate
from labeling.judged import A_WINS, B_WINS, Judged, Relations, relations
from labeling.models import Project, Task
from labeling.rag.answers import GOOD
from labeling.resampling import Codes, Floats, share_estimate


@dataclass(frozen=True, slots=True)
class Leanings:
    """`left`: the response shown earlier wins; `longer`: the one with more characters wins; `agrees`: the share of the
    others' answers to the item that say the same. Ratings order responses by their sum, and agree within one step."""

    left: Floats
    longer: Floats
    agrees: Floats


def leanings(project: Project, judged: Judged) -> Leanings:
    """The leanings of every answer, in their order. For comparisons, rankings, ratings and reviews; a review of one
    answer leans to no side."""
    if project.task == Task.RAG:
        nothing = np.full(len(judged), np.nan)
        return Leanings(nothing, nothing, _alike(judged))
    pairs, count = relations(judged), len(judged)
    wins = np.where(pairs.said == A_WINS, 1.0, np.where(pairs.said == B_WINS, 0.0, np.nan))
    agrees = _near(judged) if project.task == Task.RATING else _same(pairs, count)
    return Leanings(
        _along(pairs, wins, pairs.earlier, count), _along(pairs, wins, pairs.longer, count), agrees
    )


def share(values: Floats, clusters: Codes) -> Estimate | None:
    """The mean of the values that are known, with its interval; values of one cluster hang together."""
    known = np.isfinite(values)
    return share_estimate(values[known], clusters[known])


def share_by_person(values: Floats, clusters: Codes, person: Codes) -> dict[int, Estimate | None]:
    """`share` for each person."""
    order = np.argsort(person, kind="stable")
    people, starts = np.unique(person[order], return_index=True)
    parts = np.split(order, starts[1:])
    return {int(who): share(values[part], clusters[part]) for who, part in zip(people, parts, strict=True)}


def _along(pairs: Relations, wins: Floats, side: Codes, count: int) -> Floats:
    """How often the response on this side wins, of the pairs where there is one."""
    outcome = np.where(side == 1, wins, 1 - wins)
    known = np.isfinite(outcome) & (side >= 0)
    return _mean(pairs.answer[known], outcome[known], count)


def _same(pairs: Relations, count: int) -> Floats:
    alike = _count(pairs.unit * 4 + pairs.said) - 1
    others = _count(pairs.unit) - 1
    several = others > 0
    return _mean(pairs.answer[several], alike[several] / others[several], count)


def _alike(judged: Judged) -> Floats:
    """The share of the others' verdicts on the item that are the same."""
    items = np.array(judged.item, dtype=np.int64)
    same = _count(items * 2 + np.array([label == GOOD for label in judged.label], dtype=np.int64)) - 1
    others = _count(items) - 1
    return np.where(others > 0, same / np.maximum(others, 1), np.nan)


def _near(judged: Judged) -> Floats:
    """For ratings: the share of the others' values that are at most one step away."""
    numbers: dict[Any, int] = {}
    rows = [
        (place, numbers.setdefault((item, key, position), len(numbers)), value)
        for place, item in enumerate(judged.item)
        for key, values in judged.rated[place].items()
        for position, value in enumerate(values)
    ]
    answer, unit, value = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    base = int(value.max(initial=0) - value.min(initial=0)) + 3
    keys = unit * base + (value - value.min(initial=0) + 1)
    known, counts = np.unique(keys, return_counts=True)
    near = np.sum([_looked_up(keys + step, known, counts) for step in (-1, 0, 1)], axis=0) - 1
    others = _count(unit) - 1
    several = others > 0
    return _mean(answer[several], near[several] / others[several], len(judged))


def _looked_up(keys: Codes, known: Codes, counts: Codes) -> Codes:
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, counts[place], 0)


def _count(keys: Codes) -> Codes:
    """How often each entry occurs."""
    _, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(counts[place])


def _mean(answer: Codes, values: Floats, count: int) -> Floats:
    """The mean of the values of each answer; NaN without one."""
    n = np.bincount(answer, minlength=count)
    return np.where(n > 0, np.bincount(answer, values, count) / np.maximum(n, 1), np.nan)
