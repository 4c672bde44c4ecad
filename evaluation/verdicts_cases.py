"""What stands behind a run's numbers: failing cases by what they share, and the cases that changed most, to be read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import Count

from evaluation.models import Case, CaseResult, CaseScore, EvalRun, Split
from evaluation.scorers.base import Scale
from evaluation.sheets import Cell, Metric, Sheet, read_sheet
from evaluation.targets import digest
from labeling.estimates import Estimate, wilson_bounds

EACH, DAY = 5, 86_400
PASSING = 0.5
TEXT = 600


@dataclass(frozen=True, slots=True)
class Behind:
    """Of one target and metric: its failing cases by tag as (tag, failing, all), why others have no value, and the
    largest changes from the baseline as (case, baseline's value, target's value), the largest first. `failing` is None
    where a metric has no passing; `scored` cases have a value.
    """

    cases: int
    failing: int | None
    tags: list[tuple[str, int, int]]
    reasons: list[tuple[str, int]]
    scored: int
    worse: list[tuple[int, float, float]]
    better: list[tuple[int, float, float]]


@dataclass(frozen=True, slots=True)
class Example:
    """One changed case as it is read: the question, both answers, both values. Without answers (a metric that only
    reads probabilities), the answers are those of the case: what people chose and rejected."""

    case_id: int
    prompt: str
    values: tuple[str, str]
    answers: tuple[str, str]
    generated: bool


def behind(run: EvalRun, metric: Metric, index: int, tag: str = "") -> Behind:
    """What stands behind one target's number, kept for a day: the marks of a finished run do not change."""
    key = f"behind:{digest([run.pk, str(run.finished_at), metric.name, index, tag])}"
    found: Behind | None = cache.get(key)
    if found is None:
        found = _behind(run, metric, index, tag)
        cache.set(key, found, DAY)
    return found


def _behind(run: EvalRun, metric: Metric, index: int, tag: str) -> Behind:
    sheet = read_sheet(run, metrics=[metric], targets={0, index})
    lines = [line for line in sheet.lines if not tag or tag in line.tags]
    kept = {line.id for line in lines}
    second = {case: cell for case, cell in sheet.scored(index, metric.name).items() if case in kept}
    worse, better = _changes(metric, sheet, second)
    failing = [line for line in lines if line.id in second and fails(metric, second[line.id])]
    counts = Counter(each for line in failing for each in set(line.tags) if each != tag)
    everywhere = Counter(each for line in lines if line.id in second for each in set(line.tags))
    reasons = _reasons(run, metric, index) if not tag else []
    return Behind(
        cases=len(lines),
        failing=len(failing) if metric.is_bounded else None,
        tags=[
            (each, count, everywhere[each])
            for each, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
        reasons=reasons,
        scored=len(second),
        worse=worse[:EACH],
        better=better[:EACH],
    )


def fails(metric: Metric, cell: Cell) -> bool:
    """Whether a case is failed: below the middle of a metric between 0 and 1, or above it where less is better."""
    if not metric.is_bounded:
        return False
    return cell.mean < PASSING if metric.higher_is_better else cell.mean > PASSING


def value_of(metric: Metric, cell: Cell) -> float:
    """A case's value: the mean of its samples, of a rate the sum over its size."""
    if metric.scale in (Scale.RATE, Scale.PERPLEXITY):
        return cell.value / cell.size if cell.size else 0.0
    return cell.mean


def _changes(
    metric: Metric, sheet: Sheet, second: dict[int, Cell]
) -> tuple[list[tuple[int, float, float]], list[tuple[int, float, float]]]:
    first = sheet.scored(0, metric.name)
    sign = 1 if metric.higher_is_better else -1
    weights = {line.id: line.weight for line in sheet.lines}
    places = {line.id: place for place, line in enumerate(sheet.lines)}
    rows = []
    for case, cell in second.items():
        if metric.versus_half or case in first:
            before = 0.5 if metric.versus_half else value_of(metric, first[case])
            after = value_of(metric, cell)
            if before != after:
                rows.append((sign * (after - before) * weights[case], places[case], (case, before, after)))
    worse = [row for _, _, row in sorted(row for row in rows if row[0] < 0)]
    better = [row for _, _, row in sorted((-gain, place, row) for gain, place, row in rows if gain > 0)]
    return worse, better


def _reasons(run: EvalRun, metric: Metric, index: int) -> list[tuple[str, int]]:
    rows = CaseScore.objects.filter(result__run=run, result__target__index=index, metric=metric.name)
    rows = rows.exclude(state=CaseScore.State.SCORED).order_by()
    counted = rows.values_list("state", "reason").annotate(n=Count("pk")).order_by("-n", "reason")
    return [
        (f"{CaseScore.State(state).label}: {reason or 'no reason kept'}", n)
        for state, reason, n in counted[:20]
    ]


def share(count: int, of: int) -> Estimate:
    """A share with Wilson's interval."""
    low, high = wilson_bounds(count / of, of)
    return Estimate(count / of, low, high, of)


def examples(
    run: EvalRun, metric: Metric, index: int, changes: Sequence[tuple[int, float, float]]
) -> list[Example]:
    """The texts of these cases only. Sealed cases stay unread: whoever reads them, chooses by them."""
    if not changes or run.split == Split.SEALED:
        return []
    wanted = [case for case, _, _ in changes]
    cases = Case.objects.only("prompt", "reference", "rejected", "preview").in_bulk(wanted)
    given: dict[tuple[int, int], str] = {}
    rows = CaseResult.objects.filter(
        run=run, case__in=wanted, target__index__in={0, index}, sample=0
    ).order_by()
    for case, target, text, error in rows.values_list("case_id", "target__index", "output__text", "error"):
        given[case, target] = text or (f"No answer: {error}" if error else "")
    return [_example(metric, cases[case], given, index, (before, after)) for case, before, after in changes]


def _example(
    metric: Metric, case: Case, given: dict[tuple[int, int], str], index: int, values: tuple[float, float]
) -> Example:
    pair = given.get((case.pk, 0), ""), given.get((case.pk, index), "")
    generated = any(pair)
    answers = pair if generated else (case.reference or "", case.rejected or "")
    before, after = (_worded(metric, value) for value in values)
    return Example(
        case.pk,
        last_words(case.prompt) or case.preview,
        (before, after),
        (_cut(answers[0]), _cut(answers[1])),
        generated,
    )


def _worded(metric: Metric, value: float) -> str:
    if metric.is_bounded and value in (0.0, 1.0):
        return "passed" if (value == 1.0) == metric.higher_is_better else "failed"
    return f"{100 * value:.0f} %" if metric.is_bounded else f"{value:,.2f}"


def last_words(prompt: Any) -> str:
    """What the person asked last, cut where it is long."""
    said = (
        [turn.get("content", "") for turn in prompt if turn.get("role") == "user"]
        if isinstance(prompt, list)
        else []
    )
    return _cut(str(said[-1])) if said else ""


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT].rstrip()} …"
