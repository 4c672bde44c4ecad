"""How far reviewers of RAG answers agree on chunks, on whether the question is answered, and on the text they mark."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from labeling.agreement import alpha_estimate
from labeling.estimates import Estimate
from labeling.measures import Statistic
from labeling.resampling import MIN_UNITS, Floats, by_group, group_codes, percentile, resample, unseen_share

if TYPE_CHECKING:
    from labeling.judged import Judged

BEYOND, SHARE = "beyond chance", "share"
Stretch = tuple[int, int]


def span_statistics(judged: "Judged") -> Iterator[Statistic]:
    """Alpha of what each reviewer said of chunks and of the whole answer, and how far they mark the same characters."""
    relevance, clusters = _by_chunk(judged)
    words = "Relevance of a chunk: Krippendorff's alpha, ordinal"
    yield Statistic("alpha_relevance", words, BEYOND, alpha_estimate(relevance, "ordinal", clusters=clusters))
    addressed: dict[Any, dict[Any, Any]] = defaultdict(dict)
    for item, person, said in zip(judged.item, judged.person, judged.reviewed, strict=True):
        if said["answers_question"] is not None:
            addressed[item][person] = said["answers_question"]
    words = "Whether the question is answered: Krippendorff's alpha, ordinal"
    ordinal = alpha_estimate(addressed, "ordinal", clusters=judged.prompts)
    yield Statistic("alpha_addressed", words, BEYOND, ordinal)
    marked = _marked(judged)
    alpha, shared = (of(marked, judged.prompts) for of in (marked_alpha, marked_f1))
    words = "Characters marked as an error or not: Krippendorff's alpha"
    yield Statistic("alpha_marked", words, BEYOND, alpha)
    yield Statistic("f1_marked", "Of the text that one of two people marks, both do (F1)", SHARE, shared)


def errors_in(spans: Iterable[dict[str, Any]] | None) -> list[Stretch]:
    """The stretches that are marked as an error: those with a category, or with no chunk that supports them."""
    return [(s["start"], s["end"]) for s in spans or [] if s.get("category") or not s.get("chunks")]


def marked_alpha(
    marked: dict[Any, tuple[int, list[list[Stretch]]]], clusters: dict[Any, Any], seed: int = 0
) -> Estimate | None:
    """Krippendorff's alpha, nominal, where each character of each text is a unit that is marked or not.

    `marked` maps item → (length of the text, one list of stretches a reviewer, two reviewers or more). Characters of a
    text hang together, so whole prompts are resampled; n is the number of items.
    """
    items = [item for item, (length, _) in marked.items() if length]
    rows = np.array([_alpha_row(*marked[item]) for item in items], dtype=np.float64).reshape(-1, 3)
    sums = by_group(rows, group_codes(items, clusters))
    if len(sums) < MIN_UNITS:
        return None
    total = sums.sum(axis=0, keepdims=True)
    value = float(_alphas(total)[0])
    if total[0, 0] == 0:
        chance = 1 - float(np.sum((total[0, 1:] / total[0, 1:].sum()) ** 2))
        low = 1 - unseen_share(len(sums)) / chance if chance > 0 else 0.0
        return Estimate(1.0, max(-1.0, low), 1.0, len(items)) if chance > 0 else None
    return percentile(value, _alphas(resample(sums, seed)), len(sums), len(items))


def marked_f1(
    marked: dict[Any, tuple[int, list[list[Stretch]]]], clusters: dict[Any, Any], seed: int = 0
) -> Estimate | None:
    """F1 of the characters that two reviewers mark, over all pairs of reviewers of an item; n is the number of items
    of which anybody marked something. `marked` as in `marked_alpha`."""
    items = [item for item, (_, people) in marked.items() if any(people)]
    rows = np.array([_f1_row(*marked[item]) for item in items], dtype=np.float64).reshape(-1, 2)
    sums = by_group(rows, group_codes(items, clusters))
    if len(sums) < MIN_UNITS:
        return None
    value = float(sums[:, 0].sum() / sums[:, 1].sum())
    draws = resample(sums, seed)
    return percentile(value, draws[:, 0] / draws[:, 1], len(sums), len(items))


def _alphas(sums: Floats) -> Floats:
    """Alpha of rows of (disagreement, characters marked, characters not marked); NaN where all are one of them."""
    marked, clear = sums[:, 1], sums[:, 2]
    expected = 2 * marked * clear
    ratio = (marked + clear - 1) * sums[:, 0] / np.where(expected > 0, expected, 1.0)
    return np.where(expected > 0, 1 - ratio, np.nan)


def _alpha_row(length: int, people: list[list[Stretch]]) -> tuple[float, float, float]:
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


def _marked(judged: "Judged") -> dict[Any, tuple[int, list[list[Stretch]]]]:
    """item → length of its answer and what each reviewer marked, of items with two who were asked to mark."""
    found: dict[int, list[list[Stretch]]] = defaultdict(list)
    for item, said in zip(judged.item, judged.reviewed, strict=True):
        if "spans" not in (said["unasked"] or []):
            found[item].append(errors_in(said["spans"]))
    several = ((item, people) for item, people in found.items() if len(people) > 1)
    return {item: (_length(judged.lengths.get(item, [])), people) for item, people in several}


def _length(lengths: Sequence[int]) -> int:
    return lengths[0] if lengths else 0


def _by_chunk(judged: "Judged") -> tuple[dict[Any, dict[Any, Any]], dict[Any, Any]]:
    table: dict[Any, dict[Any, Any]] = defaultdict(dict)
    clusters = {}
    for item, person, said in zip(judged.item, judged.person, judged.reviewed, strict=True):
        for position, grade in enumerate(said["relevance"] or []):
            if grade is not None:
                table[item, position][person] = grade
                clusters[item, position] = judged.prompts[item]
    return table, clusters
