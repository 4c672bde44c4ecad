"""How far reviewers of RAG answers agree on chunks, on whether the question is answered, and on the text they mark."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from labeling.agreement import alpha_estimate, alphas, without_disagreement
from labeling.estimates import Estimate
from labeling.judged import Judged
from labeling.measures import Statistic
from labeling.rag.answers import Stretch, errors_in
from labeling.resampling import MIN_UNITS, by_group, group_codes, percentile, resample, unseen_share

BEYOND, SHARE = "beyond chance", "share"
NOMINAL = 1 - np.eye(2)
Table = dict[Any, dict[Any, Any]]
Marked = dict[Any, tuple[int, list[list[Stretch]]]]
"""item → length of the text, and the stretches that each reviewer marks, two reviewers or more."""


def span_statistics(judged: Judged) -> Iterator[Statistic]:
    """Alpha of what each reviewer said of chunks and of the whole answer, and how far they mark the same characters."""
    relevance, addressed, clusters = _said(judged)
    words = "Relevance of a chunk: Krippendorff's alpha, ordinal"
    yield Statistic("alpha_relevance", words, BEYOND, alpha_estimate(relevance, "ordinal", clusters=clusters))
    words = "Whether the question is answered: Krippendorff's alpha, ordinal"
    ordinal = alpha_estimate(addressed, "ordinal", clusters=judged.prompts)
    yield Statistic("alpha_addressed", words, BEYOND, ordinal)
    marked = _marked(judged)
    words = "Characters marked as an error or not: Krippendorff's alpha"
    yield Statistic("alpha_marked", words, BEYOND, marked_alpha(marked, judged.prompts))
    words = "Of the text that one of two people marks, both do (F1)"
    yield Statistic("f1_marked", words, SHARE, marked_f1(marked, judged.prompts))


def marked_alpha(marked: Marked, clusters: dict[Any, Any]) -> Estimate | None:
    """Krippendorff's alpha, nominal, where each character of each text is a unit that is marked or not.

    Characters of a text hang together, so whole prompts are resampled; n is the number of items.
    """
    items = [item for item, (length, _) in marked.items() if length]
    rows = np.array([_alpha_row(*marked[item]) for item in items], dtype=np.float64).reshape(-1, 3)
    sums = by_group(rows, group_codes(items, clusters))
    if len(sums) < MIN_UNITS:
        return None
    if not rows[:, 0].any():
        return without_disagreement(rows[:, 1:], len(sums))
    value = float(alphas(sums.sum(axis=0, keepdims=True), 2, NOMINAL)[0])
    return percentile(value, alphas(resample(sums, 0), 2, NOMINAL), len(sums), len(items))


def marked_f1(marked: Marked, clusters: dict[Any, Any]) -> Estimate | None:
    """F1 of the characters that two reviewers mark, over all pairs of reviewers of an item; n is the number of items
    of which anybody marked something."""
    items = [item for item, (_, people) in marked.items() if any(people)]
    rows = np.array([_f1_row(*marked[item]) for item in items], dtype=np.float64).reshape(-1, 2)
    sums = by_group(rows, group_codes(items, clusters))
    if len(sums) < MIN_UNITS:
        return None
    both, either = sums.sum(axis=0)
    unseen = unseen_share(len(sums))
    if both == either:
        return Estimate(1.0, 1 - unseen, 1.0, len(items))
    if both == 0:
        return Estimate(0.0, 0.0, unseen, len(items))
    draws = resample(sums, 0)
    return percentile(float(both / either), draws[:, 0] / draws[:, 1], len(sums), len(items))


def _alpha_row(length: int, people: list[list[Stretch]]) -> tuple[float, float, float]:
    """Disagreement as `alphas` sums it, and how often a character is marked and is not."""
    m, disagreement, marked = len(people), 0.0, 0
    for characters, k in _segments(length, people):
        disagreement += characters * 2 * k * (m - k) / (m - 1)
        marked += characters * k
    return disagreement, marked, length * m - marked


def _f1_row(length: int, people: list[list[Stretch]]) -> tuple[float, float]:
    both = sum(characters * k * (k - 1) for characters, k in _segments(length, people))
    either = sum(characters * k * (len(people) - 1) for characters, k in _segments(length, people))
    return both, either


def _segments(length: int, people: list[list[Stretch]]) -> Iterator[tuple[int, int]]:
    """The text cut where anybody's mark begins or ends: (characters, how many people mark them), those that somebody
    marks."""
    steps: dict[int, int] = defaultdict(int)
    for spans in people:
        for start, end in spans:
            steps[max(0, start)] += 1
            steps[min(length, end)] -= 1
    k, before = 0, 0
    for at in sorted(steps):
        if k and at > before:
            yield at - before, k
        k, before = k + steps[at], at


def _marked(judged: Judged) -> Marked:
    """Of items with two who were asked to mark."""
    found: dict[int, list[list[Stretch]]] = defaultdict(list)
    for item, said in zip(judged.item, judged.reviewed, strict=True):
        if "spans" not in (said["unasked"] or []):
            found[item].append(errors_in(said["spans"]))
    return {item: (judged.lengths[item][0], people) for item, people in found.items() if len(people) > 1}


def _said(judged: Judged) -> tuple[Table, Table, dict[Any, Any]]:
    """(item, chunk) → person → relevance; item → person → whether the question is answered; (item, chunk) → prompt."""
    relevance: Table = defaultdict(dict)
    addressed: Table = defaultdict(dict)
    clusters = {}
    for item, person, said in zip(judged.item, judged.person, judged.reviewed, strict=True):
        if said["answers_question"] is not None:
            addressed[item][person] = said["answers_question"]
        for position, grade in enumerate(said["relevance"] or []):
            if grade is not None:
                relevance[item, position][person] = grade
                clusters[item, position] = judged.prompts[item]
    return relevance, addressed, clusters
