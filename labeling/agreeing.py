"""Which statistics of agreement a kind of task has, taken from its answers."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from labeling.agreement import alpha_estimate, fleiss_estimate, pairwise_kappas
from labeling.bias import noise_ceiling
from labeling.crowd_bt import crowd_bt
from labeling.estimates import Estimate
from labeling.judged import Judged, ranks_of
from labeling.measures import PairLine, Statistic
from labeling.models import Project, Task
from labeling.rag.agreeing import span_statistics
from labeling.rag.answers import BAD, GOOD
from labeling.rankings import comparisons_of, pairwise_taus, tau_estimate, w_estimate
from labeling.reliability import dawid_skene
from labeling.values import TIE
from labeling.wording import COMPARED

MOST_COMPARED = 20
MOST_FITTED = {Task.PAIRWISE: 20_000, Task.RANKING: 5_000, Task.RAG: 20_000}
BEYOND, SHARE = "beyond chance", "share"
DECIDED = ("0", "1", GOOD, BAD)
SIGNED = {"0": -1, "1": 1, TIE: 0}
Table = dict[Any, dict[Any, Any]]


def statistics(project: Project, judged: Judged) -> list[Statistic]:
    """How far everybody agrees, as suits the task: for comparisons alpha and Fleiss' kappa, with strength also alpha
    on the scale from A much better to B much better; for rankings tau-b and W; for ratings alpha by attribute;
    for reviews alpha of the verdict, of relevance, and how far the same text is marked."""
    kinds: dict[str, Callable[[Project, Judged], Iterable[Statistic]]] = {
        Task.PAIRWISE: _pairwise,
        Task.RANKING: _ranking,
        Task.RATING: _rating,
        Task.RAG: _review,
    }
    return list(kinds[project.task](project, judged)) if project.task in kinds and len(judged) else []


def pair_lines(project: Project, judged: Judged, names: dict[int, str]) -> list[PairLine]:
    """The MOST_COMPARED people who judged most, two by two, those who agree least first; none for ratings."""
    if project.task not in COMPARED:
        return []
    people = {person for person, _ in Counter(judged.person).most_common(MOST_COMPARED)}
    values: dict[tuple[Any, Any], dict[str, Estimate | None]] = {}
    for key, a, b, estimate in _pair_values(project, judged, people):
        values.setdefault((min(a, b), max(a, b)), {})[key] = estimate
    lines = [PairLine(names[a], names[b], found) for (a, b), found in values.items() if any(found.values())]
    first = "tau" if project.task == Task.RANKING else "kappa"

    def place(line: PairLine) -> float:
        estimate = line.values.get(first)
        return 2.0 if estimate is None else estimate.value

    return sorted(lines, key=place)


def reliability(project: Project, judged: Judged) -> dict[int, Estimate | None]:
    """How often each person is right, by Dawid and Skene or, for rankings, Crowd-BT; from the newest items, as many as
    MOST_FITTED says, that two or more have judged. Empty for ratings.

    Of comparisons only those that decide count: given "tie" and "both bad" as classes, the model makes them those of
    hard items, on which people differ, and everybody seems wrong there.
    """
    if project.task not in MOST_FITTED:
        return {}
    shared = sorted((item for item, n in Counter(judged.item).items() if n > 1), reverse=True)
    newest = set(shared[: MOST_FITTED[Task(project.task)]])
    if project.task != Task.RANKING:
        rows = zip(judged.item, judged.person, judged.label, strict=True)
        decided = (row for row in rows if row[0] in newest and row[2] in DECIDED)
        fitted = dawid_skene(decided, clusters=judged.prompts)
        return {} if fitted is None else _by_person(fitted.accuracy)
    ranks = {item: given for item, given in _ranks(judged).items() if item in newest}
    model = crowd_bt(comparisons_of(ranks, clusters=judged.prompts))
    return {} if model is None else _by_person(model.eta)


def ceiling(project: Project, judged: Judged, consistent: Estimate | None) -> Estimate | None:
    """The most that anything can agree with one answer; None where repeats are too few or the task is no choice."""
    if consistent is None or project.task not in (Task.PAIRWISE, Task.RAG):
        return None
    return noise_ceiling(consistent, max(2, len(set(judged.label))))


def _pairwise(project: Project, judged: Judged) -> Iterable[Statistic]:
    labels, prompts = _labels(judged), judged.prompts
    yield Statistic("alpha", "Krippendorff's alpha", BEYOND, alpha_estimate(labels, clusters=prompts))
    if project.ask_strength:
        graded = alpha_estimate(_graded(judged), "ordinal", clusters=prompts)
        words = "Krippendorff's alpha of which is better and how much, ordinal"
        yield Statistic("alpha_strength", words, BEYOND, graded)
    sizes = Counter(len(given) for given in labels.values() if len(given) > 1)
    if sizes:
        raters = sizes.most_common(1)[0][0]
        fleiss = fleiss_estimate(labels, raters=raters, clusters=prompts)
        yield Statistic("fleiss", f"Fleiss' kappa of items with {raters} answers", BEYOND, fleiss)


def _review(project: Project, judged: Judged) -> Iterable[Statistic]:
    yield from _pairwise(project, judged)
    yield from span_statistics(judged)


def _ranking(project: Project, judged: Judged) -> Iterable[Statistic]:
    ranks, prompts = _ranks(judged), judged.prompts
    tau = tau_estimate(ranks, clusters=prompts)
    yield Statistic("tau", "Kendall's tau-b of two people, on average over items", BEYOND, tau)
    w = w_estimate(ranks, clusters=prompts)
    yield Statistic("w", "Kendall's W, on average over items", SHARE, w)


def _rating(project: Project, judged: Judged) -> Iterable[Statistic]:
    for attribute in project.attributes:
        key, words = attribute["key"], attribute["words"]
        table: Table = {}
        prompts: dict[Any, int] = {}
        for place, item in enumerate(judged.item):
            for position, value in enumerate(judged.rated[place].get(key, [])):
                table.setdefault((item, position), {})[judged.person[place]] = value
                prompts[item, position] = judged.prompts[item]
        ordinal = alpha_estimate(table, "ordinal", clusters=prompts)
        yield Statistic(f"alpha_ordinal.{key}", f"{words}: Krippendorff's alpha, ordinal", BEYOND, ordinal)
        interval = alpha_estimate(table, "interval", clusters=prompts)
        yield Statistic(f"alpha_interval.{key}", f"{words}: Krippendorff's alpha, interval", BEYOND, interval)


def _pair_values(
    project: Project, judged: Judged, people: set[int]
) -> Iterable[tuple[str, Any, Any, Estimate | None]]:
    prompts = judged.prompts
    if project.task == Task.RANKING:
        for line in pairwise_taus(_ranks(judged, people), clusters=prompts):
            yield "tau", line.rater_a, line.rater_b, line.tau
        return
    for pair in pairwise_kappas(_labels(judged, people), clusters=prompts):
        yield "kappa", pair.rater_a, pair.rater_b, pair.kappa
        yield "raw", pair.rater_a, pair.rater_b, pair.raw
    if project.ask_strength:
        for pair in pairwise_kappas(_graded(judged, people), "linear", clusters=prompts):
            yield "weighted", pair.rater_a, pair.rater_b, pair.kappa


def _labels(judged: Judged, people: set[int] | None = None) -> Table:
    return _table(judged, judged.label, people)


def _ranks(judged: Judged, people: set[int] | None = None) -> Table:
    known = {label: ranks_of(label) for label in set(judged.label)}
    return _table(judged, [known[label] for label in judged.label], people)


def _graded(judged: Judged, people: set[int] | None = None) -> Table:
    """From -3, A much better, to 3, B much better; ties are 0, and "both bad" says nothing of it."""
    signs = [SIGNED.get(label) for label in judged.label]
    values = [None if s is None else s * (n or 1) for s, n in zip(signs, judged.strength, strict=True)]
    return _table(judged, values, people)


def _table(judged: Judged, values: list[Any], people: set[int] | None) -> Table:
    """item → person → value, without those that have none."""
    table: Table = {}
    for item, person, value in zip(judged.item, judged.person, values, strict=True):
        if value is not None and (people is None or person in people):
            table.setdefault(item, {})[person] = value
    return table


def _by_person(found: dict[Any, Estimate | None]) -> dict[int, Estimate | None]:
    return {int(person): estimate for person, estimate in found.items()}
