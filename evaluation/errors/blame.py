"""What an intervention measured: of each failing case the stage to blame, of each stage its ceiling, and whether tags
of people say the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from evaluation.errors.attribution import BLAMED, PASSES, UNKNOWN, Arms, Use, gain_of, holds, stage_of, use_of
from evaluation.errors.failures import Evaluated, evaluated
from evaluation.errors.table import Read, ceilings, points_of
from evaluation.models import Case, CaseResult, CaseScore, EvalRun, Intervention
from evaluation.questions import context_text
from evaluation.sheets import Metric, read_sheet
from evaluation.verdicts_cases import last_words, share
from labeling.estimates import Estimate
from labeling.lifecycle import Status
from labeling.models import Stage

DAY = 86_400
CHUNK = 500
WORDS = {
    "retrieval": "Retrieval: what holds the answer was not found",
    "ranking": "Ranking: found, and lost among the others or in their order",
    "grounding": "Grounding: the answer contradicts the right texts or does not use them",
    "instruction": "Instruction: it read the right texts and failed in form or completeness",
    "gold": "Known answer: texts and reference say different things",
    PASSES: "Passes again with the retrieved contexts",
    UNKNOWN: "Not known: no gold context, or an arm gave no answer",
}


@dataclass(frozen=True, slots=True)
class Blame:
    """One case that was asked again: the stage to blame, and how much it would gain by it."""

    case: int
    stage: str
    gain: float
    values: tuple[float | None, float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class MeasuredStage:
    """A stage with its failing cases; `ceiling` is measured where an arm mends them, and what is left of the scale
    where none does. None for cases that blame nobody."""

    key: str
    words: str
    cases: int
    share: Estimate
    ceiling: Estimate | None
    measured: bool

    @property
    def ceiling_words(self) -> str:
        return points_of(self.ceiling) if self.key in BLAMED else ""


@dataclass(frozen=True)
class Agreement:
    """How often the stage that was measured is among the stages of people's tags. `grid` counts cases by (stage of a
    tag, measured stage)."""

    same: Estimate | None
    grid: list[tuple[str, list[int]]]
    columns: list[str]


def arms_of(intervention: Intervention) -> dict[str, EvalRun]:
    """The runs by their contexts."""
    rows = intervention.arms.select_related("run__version", "run__suite", "run__project")
    return {arm.contexts: arm.run for arm in rows}


def is_over(arms: dict[str, EvalRun]) -> bool:
    return bool(arms) and all(run.status == Status.SUCCEEDED for run in arms.values())


def blames(intervention: Intervention) -> list[Blame]:
    """The stage to blame of every case that was asked again and fails, kept for a day. All arms must have succeeded."""
    arms = arms_of(intervention)
    key = f"evaluation:blame:1:{':'.join(arms[name].folder for name in sorted(arms))}"
    found: list[Blame] | None = cache.get(key)
    if found is None:
        found = _blames(intervention, arms)
        cache.set(key, found, DAY)
    return found


def _blames(intervention: Intervention, arms: dict[str, EvalRun]) -> list[Blame]:
    name = intervention.analysis.metric
    before = evaluated(intervention.analysis.run, intervention.analysis.target, name)
    values = {contexts: _values(run, before.metric) for contexts, run in arms.items()}
    whole = intervention.scope == Intervention.Scope.WHOLE
    now = values["retrieved"]
    wanted = [case for case, value in now.items() if value < 0.5] if whole else list(now)
    uses = _uses(arms["gold"], wanted)
    found = []
    for start in range(0, len(wanted), CHUNK):
        cases = Case.objects.only("contexts", "gold").in_bulk(wanted[start : start + CHUNK])
        for case in wanted[start : start + CHUNK]:
            row = cases[case]
            held = holds(
                [context_text(each) for each in row.contexts], [context_text(each) for each in row.gold]
            )
            use = uses.get(case, "departs")
            asked = Arms(
                retrieved=values["retrieved"].get(case),
                gold=values["gold"].get(case),
                none=values["none"].get(case),
                shuffled=values["shuffled"].get(case),
                found=held,
                use=use,
            )
            stage = stage_of(asked)
            found.append(Blame(case, stage, gain_of(asked, stage), asked.values))
    return found


def _values(run: EvalRun, metric: Metric) -> dict[int, float]:
    """The values of an arm by case, turned so that 1 is best."""
    cells = read_sheet(run, metrics=[metric], targets={0}).scored(0, metric.name)
    return {case: cell.mean if metric.higher_is_better else 1 - cell.mean for case, cell in cells.items()}


def _uses(run: EvalRun, cases: Sequence[int]) -> dict[int, Use]:
    """What each answer with the gold contexts did with them: as a groundedness scorer of the run says, else by its
    words."""
    judged = next((spec["name"] for spec in run.metrics if spec["scorer"] == "groundedness"), "")
    found: dict[int, Use] = {}
    for start in range(0, len(cases), CHUNK):
        some = cases[start : start + CHUNK]
        rows = CaseResult.objects.filter(run=run, case__in=some, sample=0, output__isnull=False)
        texts = rows.values_list("case_id", "output__text", "case__gold", "case__prompt", "case__reference")
        for case, text, gold, prompt, reference in texts:
            given = [context_text(each) for each in gold]
            found[case] = use_of(text, given, last_words(prompt), reference or "")
        if judged:
            found |= _judged(run, judged, some)
    return found


def _judged(run: EvalRun, metric: str, cases: Sequence[int]) -> dict[int, Use]:
    rows = CaseScore.objects.filter(result__run=run, result__case__in=cases, result__sample=0, metric=metric)
    found: dict[int, Use] = {}
    for case, noted in rows.values_list("result__case_id", "detail"):
        detail = noted or {}
        if detail.get("abstained"):
            found[case] = "declines"
        elif "grounded" in detail:
            found[case] = "keeps" if detail["grounded"] else "departs"
    return found


def measured_stages(intervention: Intervention, found: Sequence[Blame]) -> list[MeasuredStage]:
    """Each stage with how much the metric can rise. On failing cases the counts are those of the analysis, of which
    these are a random sample; on the whole split they are those of the retrieved arm."""
    analysis = intervention.analysis
    if intervention.scope == Intervention.Scope.WHOLE:
        run = arms_of(intervention)["retrieved"]
        before = evaluated(run, run.targets.get(index=0), analysis.metric)
        failing = len(before.gains)
    else:
        before, failing = evaluated(analysis.run, analysis.target, analysis.metric), analysis.failing
    rows = [each for each in found if each.case in before.gains]
    counts = Counter(each.stage for each in rows)
    ceiling = _ceiling(before, failing, rows)
    return [
        MeasuredStage(
            key=stage,
            words=WORDS[stage],
            cases=counts[stage],
            share=share(counts[stage], len(rows)),
            ceiling=ceiling[stage] if stage in BLAMED else None,
            measured=stage in ("retrieval", "ranking"),
        )
        for stage in (*BLAMED, PASSES, UNKNOWN)
        if rows and (counts[stage] or stage in BLAMED[:4])
    ]


def _ceiling(before: Evaluated, failing: int, rows: Sequence[Blame]) -> dict[str, Estimate | None]:
    reads = [
        Read(0, place, row.case, "", frozenset({row.stage}), min(1.0, row.gain))
        for place, row in enumerate(rows)
    ]
    found = ceilings(before, failing, reads)
    return {stage: found(_is(stage)) for stage in BLAMED}


def _is(stage: str) -> Any:
    return lambda read: stage in read.categories


def agreement(reads: Sequence[Read], found: Sequence[Blame], stages: dict[str, str]) -> Agreement:
    """People's tags against what was measured, on the cases that have both."""
    measured = {each.case: each.stage for each in found if each.stage in BLAMED}
    both = [(read, measured[read.case]) for read in reads if read.case in measured and read.categories]
    counts = Counter(
        (stage, blamed) for read, blamed in both for stage in {stages[key] for key in read.categories}
    )
    same = sum(blamed in {stages[key] for key in read.categories} for read, blamed in both)
    people = [stage for stage in Stage.values if any(key == stage for key, _ in counts)]
    columns = [stage for stage in BLAMED if any(key == stage for _, key in counts)]
    return Agreement(
        same=share(same, len(both)) if both else None,
        grid=[(str(Stage(stage).label), [counts[stage, column] for column in columns]) for stage in people],
        columns=[str(Stage(column).label) for column in columns],
    )
