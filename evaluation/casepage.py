"""One case of a run with everything that is known of it: texts, answers, marks with their reasons, and its history."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluation.comparison import Side
from evaluation.differences import Span, word_difference
from evaluation.models import Case, CaseResult, CaseScore, EvalRun, RunTarget
from evaluation.questions import context_text
from evaluation.sheets import Metric, metrics_of
from labeling.lifecycle import Status

NEWEST = 60


@dataclass(frozen=True, slots=True)
class MarkLine:
    """One metric of one answer."""

    metric: Metric
    score: CaseScore

    @property
    def words(self) -> str:
        """The value as the metric is read; the state where there is none."""
        score = self.score
        if score.value is None:
            return str(score.get_state_display().lower())
        value = score.value if not score.size else score.value / score.size
        return f"{value:.3g}{f' {self.metric.unit}' if self.metric.unit and not score.size else ''}"

    @property
    def detail(self) -> dict[str, Any]:
        return self.score.detail or {}

    @property
    def shares(self) -> list[tuple[str, float]]:
        """The probabilities of a judge's labels, the likeliest first."""
        found = self.detail.get("probabilities")
        return sorted(found.items(), key=lambda pair: -pair[1]) if isinstance(found, dict) else []

    @property
    def orders(self) -> list[tuple[str, dict[str, Any]]]:
        """A pairwise judge's two readings."""
        found = self.detail.get("orders")
        return list(found.items()) if isinstance(found, dict) else []

    @property
    def rest(self) -> list[tuple[str, Any]]:
        """What else the scorer noted, as it is."""
        drawn = ("claims", "checks", "probabilities", "orders", "mass")
        return [
            (name.replace("_", " "), _plain(value))
            for name, value in self.detail.items()
            if name not in drawn
        ]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(each) for each in value)
    return "none" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target gave for the case, once for each sample, with its marks. `spans` is its text with what is different
    from the first side's; None where it is not compared."""

    name: str
    index: int
    run: int
    result: CaseResult
    marks: list[MarkLine]
    samples: int = 1
    is_baseline: bool = False
    spans: list[Span] | None = None

    @property
    def text(self) -> str:
        return self.result.output.text if self.result.output else ""


@dataclass(frozen=True, slots=True)
class Past:
    """The case's primary metric in one run: who was asked, and what came of it."""

    run: EvalRun
    marks: list[tuple[str, CaseScore]]


@dataclass(frozen=True)
class CasePage:
    """`answers` are those of the chosen sides, `beside` those of the run's other targets."""

    case: Case
    contexts: list[str]
    answers: list[Answer]
    beside: list[Answer]
    history: list[Past]

    @property
    def compared(self) -> bool:
        return any(answer.spans is not None for answer in self.answers)

    @property
    def alike(self) -> bool:
        """Whether all that is compared is the same, word for word."""
        return self.compared and all(
            span.kind == "same" for answer in self.answers for span in answer.spans or ()
        )


def read_case_page(run: EvalRun, sides: Sequence[Side], case_id: int) -> CasePage | None:
    """The page of a case of this run; None where the run has no such case."""
    case = Case.objects.of_run(run).filter(pk=case_id).select_related("suite").first()
    if case is None:
        return None
    answers = [answer for side in sides for answer in answers_to(side.run, case, side.target.index)]
    chosen = {(answer.run, answer.index) for answer in answers}
    beside = [answer for answer in answers_to(run, case) if (answer.run, answer.index) not in chosen]
    return CasePage(
        case=case,
        contexts=[context_text(context) for context in case.contexts],
        answers=_compared(answers, sides),
        beside=beside,
        history=_history(run, case),
    )


def _compared(answers: Sequence[Answer], sides: Sequence[Side]) -> list[Answer]:
    """The first sample of every other side set against that of the first side. With two sides each shows what it has
    alone; with more the first stands as it is, and what it has alone is struck out in the others."""
    firsts = {(each.run, each.index): each for each in reversed(answers) if each.result.output}
    told = [firsts.get((side.run.pk, side.target.index)) for side in sides]
    base, others = told[0], [each for each in told[1:] if each is not None]
    if base is None or not others:
        return list(answers)
    found = {id(each): word_difference(base.text, each.text) for each in others}
    spans = {key: difference.both for key, difference in found.items()}
    spans[id(base)] = [Span("same", base.text)]
    if len(sides) == 2:
        (difference,) = found.values()
        spans = {id(base): difference.first, id(others[0]): difference.second}
    return [replace(each, spans=spans.get(id(each))) for each in answers]


def answers_to(run: EvalRun, case: Case, index: int | None = None) -> list[Answer]:
    """The answers of a run's targets, or of one of them, to this case, by its uid: versions share those."""
    rows = CaseResult.objects.filter(run=run, case__uid=case.uid).select_related("target", "output")
    if index is not None:
        rows = rows.filter(target__index=index)
    metrics = {metric.name: metric for metric in metrics_of(run)}
    order = list(metrics)
    found = list(rows.order_by("target__index", "sample").prefetch_related("scores"))
    count: dict[int, int] = {}
    for row in found:
        count[row.target_id] = count.get(row.target_id, 0) + 1
    return [
        Answer(
            name=row.target.name,
            index=row.target.index,
            run=run.pk,
            result=row,
            marks=[
                MarkLine(metrics[score.metric], score)
                for score in sorted(row.scores.all(), key=lambda score: order.index(score.metric))
            ],
            samples=count[row.target_id],
            is_baseline=row.target.is_baseline,
        )
        for row in found
    ]


def first_answers(run: EvalRun, target: RunTarget, cases: Sequence[Case]) -> dict[int, str]:
    """What a target answered first to each of these cases, by the case's number."""
    rows = CaseResult.objects.filter(run=run, target=target, case__in=cases, output__isnull=False)
    return dict(rows.order_by("-sample").values_list("case_id", "output__text"))


def _history(run: EvalRun, case: Case) -> list[Past]:
    """What became of the case (by its uid) in the runs of its suite, newest first."""
    runs = EvalRun.objects.filter(suite=run.suite_id, status=Status.SUCCEEDED).only(
        "name", "spec", "created_at"
    )
    found = {each.pk: Past(each, []) for each in runs[:NEWEST]}
    scores = CaseScore.objects.filter(result__run__in=found, result__case__uid=case.uid, result__sample=0)
    for score in scores.select_related("result__target").order_by("result__target__index"):
        past = found[score.result.run_id]
        if score.metric == past.run.primary:
            past.marks.append((score.result.target.name, score))
    return [past for past in found.values() if past.marks]
