"""Answers → marks: the questions of every scorer, and the values that it gives when they are answered."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeVar

from evaluation.engines.protocol import Answer
from evaluation.models import Case, CaseResult, CaseScore, Output
from evaluation.plans import COMPOSITE, Measured, Plan
from evaluation.questions import answer_of
from evaluation.scorers import Ask, Facts, Given, Mark, Marker, Scale, find_scorer, marking
from evaluation.specs import MetricSpec

CHUNK = 200
MOST_NATS = 700.0  # a token; the exponential of more is no number
T = TypeVar("T")
Errors = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """One result as scorers look at it."""

    id: int
    target: str
    case: Facts
    given: Given


def questions_of(plan: Plan, source: str) -> Iterator[Ask]:
    """What the scorers want to know of a judge or a reward model about every answer of the run."""
    for seen in _looked_at(plan):
        for metric in plan.metrics:
            yield from metric.asks(seen.case, seen.given, source)


def mark_all(plan: Plan, errors: Errors, watch: Callable[[int, int], None]) -> None:
    """Give every result of the run its marks, those that have them already left alone. Safe to repeat.

    `errors` says, by key, why a question got no answer. `watch` is told (marked, total).
    """
    run = plan.run
    done = set(
        CaseScore.objects.filter(result__run=run).order_by().values_list("result", flat=True).distinct()
    )
    total = CaseResult.objects.filter(run=run).count()
    with ExitStack() as stack:
        markers = {
            metric.spec.name: stack.enter_context(marking(metric.scorer, metric.params))
            for metric in plan.metrics
        }
        for chunk in _chunked(seen for seen in _looked_at(plan) if seen.id not in done):
            CaseScore.objects.bulk_create(
                _marks(plan, chunk, markers, errors), batch_size=500, ignore_conflicts=True
            )
            done |= {seen.id for seen in chunk}
            watch(len(done), total)


def _looked_at(plan: Plan) -> Iterator[Seen]:
    """Every result of a run in the order of its cases, the baseline's first."""
    run = plan.run
    names = {row.pk: str(row.index) for row in plan.rows}
    cases = Case.objects.of_run(run)
    for some in _chunked(plan.facts(case) for case in cases.iterator(chunk_size=CHUNK)):
        by_id = {case.id: case for case in some}
        results = list(
            CaseResult.objects.filter(run=run, case__in=by_id)
            .select_related("output")
            .order_by("case__position", "target__index", "sample")
        )
        baseline = {
            (row.case_id, row.sample): row.output.text
            for row in results
            if names[row.target_id] == "0" and row.output is not None
        }
        for row in results:
            name = names[row.target_id]
            output = row.output
            given = Given(
                text=output.text if output else None,
                finish=output.finish if output else "",
                tokens=output.tokens if output else None,
                baseline=baseline.get((row.case_id, row.sample)),
                is_baseline=name == "0",
            )
            yield Seen(row.pk, name, by_id[row.case_id], given)


def _marks(
    plan: Plan, chunk: Sequence[Seen], markers: Mapping[str, Marker], errors: Errors
) -> list[CaseScore]:
    """The marks of some results: what was told is looked up for all of them at once."""
    asked: list[tuple[Seen, Measured, dict[str, str]]] = []
    for seen in chunk:
        for metric in plan.metrics:
            asked.append((seen, metric, _keys(plan, seen, metric)))
    wanted = {key for _, _, keys in asked for key in keys.values()}
    outputs = (
        {row.key: row for row in Output.objects.filter(project=plan.run.project_id, key__in=wanted)}
        if wanted
        else {}
    )
    found: list[CaseScore] = []
    marks: dict[int, dict[str, Mark]] = {}
    for seen, metric, keys in asked:
        told = {id: _told(outputs.get(key), key, errors) for id, key in keys.items()}
        mark = markers[metric.spec.name](seen.case, replace(seen.given, told=told))
        marks.setdefault(seen.id, {})[metric.spec.name] = mark
        found.append(_row(seen.id, metric.spec.name, mark))
    if plan.spec.primary == COMPOSITE:
        weighted = [metric.spec for metric in plan.metrics if metric.spec.weight > 0]
        found += [_row(result, COMPOSITE, together(weighted, given)) for result, given in marks.items()]
    return found


def _keys(plan: Plan, seen: Seen, metric: Measured) -> dict[str, str]:
    """The keys of a scorer's questions by its own ids for them."""
    keys: dict[str, str] = {}
    for source, asked in (
        ("target", plan.asked[seen.target]),
        (metric.source, plan.asked.get(metric.source)),
    ):
        if asked is not None:
            for ask in metric.asks(seen.case, seen.given, source):
                keys[ask.id] = asked.request(ask).id
    return keys


def _told(output: Output | None, key: str, errors: Errors) -> Answer:
    if output is not None:
        return answer_of(output, "")
    return Answer(id=key, target="", kind="complete", error=errors.get(key, "no answer"))


def _row(result: int, metric: str, mark: Mark) -> CaseScore:
    return CaseScore(
        result_id=result,
        metric=metric,
        state=mark.state,
        value=mark.value,
        size=mark.size,
        reason=mark.reason[:300],
        detail=dict(mark.detail) if mark.detail else None,
    )


def together(weighted: Sequence[MetricSpec], marks: Mapping[str, Mark]) -> Mark:
    """The primary metric of one result: the mean of its weighted metrics, each brought to 0 to 1, by their weights.

    A result of which one of them is missing has none: a mean of the others would measure something else.
    """
    for spec in weighted:
        if marks[spec.name].state != "scored":
            return Mark(state=marks[spec.name].state, reason=f"{spec.name}: {marks[spec.name].reason}")
    total = sum(spec.weight for spec in weighted)
    return Mark(value=sum(spec.weight * brought(spec, marks[spec.name]) for spec in weighted) / total)


def brought(spec: MetricSpec, mark: Mark) -> float:
    """A mark's value between 0 and 1, of which 1 is best: where floor and ceiling say what those are, on the metric's
    own scale, and else, of a metric between 0 and 1, turned where less is better."""
    scorer = find_scorer(spec.scorer)
    value = mark.value if mark.size is None else (mark.value or 0.0) / mark.size
    assert value is not None
    if scorer.scale == Scale.PERPLEXITY:
        value = math.exp(min(value, MOST_NATS))
    if spec.floor is None or spec.ceiling is None:
        return value if scorer.higher_is_better else 1 - value
    return min(1.0, max(0.0, (value - spec.floor) / (spec.ceiling - spec.floor)))


def _chunked(rows: Iterable[T]) -> Iterator[list[T]]:
    chunk: list[T] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
