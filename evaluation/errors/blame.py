"""What an intervention measured: of each failing case the stage to blame, of each stage its ceiling, and whether tags
of people say the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.cache import cache

from evaluation.errors.attribution import (
    BLAMED,
    MENDED,
    PASSES,
    UNKNOWN,
    Arms,
    Use,
    gain_of,
    holds,
    stage_of,
    use_of,
)
from evaluation.errors.failures import Evaluated, evaluated
from evaluation.errors.interventions import ARMS
from evaluation.errors.table import Read, ceilings, points_of
from evaluation.models import Case, CaseResult, CaseScore, EvalRun, Intervention
from evaluation.questions import context_text
from evaluation.sheets import Metric, read_sheet
from evaluation.suites.writing import chunks
from evaluation.verdicts_cases import last_words, share
from labeling.estimates import Estimate
from labeling.lifecycle import Status
from labeling.models import Stage

DAY = 86_400
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
    """A stage with its failing cases. `ceiling` is None for cases that blame nobody."""

    key: str
    cases: int
    share: Estimate
    ceiling: Estimate | None

    @property
    def words(self) -> str:
        return WORDS[self.key]

    @property
    def measured(self) -> bool:
        """Whether the ceiling is what an arm gained; else it is all that is left of the scale."""
        return self.key in MENDED

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
    key = f"evaluation:blame:2:{':'.join(arms[name].folder for name in sorted(arms))}"
    found: list[Blame] | None = cache.get(key)
    if found is None:
        found = _blames(intervention, arms)
        cache.set(key, found, DAY)
    return found


def _failing(intervention: Intervention, arms: dict[str, EvalRun]) -> Evaluated:
    """The failures that it is about: those of the analysis, or on the whole split those of the retrieved arm."""
    analysis = intervention.analysis
    run, target = analysis.run, analysis.target
    if intervention.scope == Intervention.Scope.WHOLE:
        run = arms["retrieved"]
        target = run.targets.get(index=0)
    return evaluated(run, target, analysis.metric)


def _blames(intervention: Intervention, arms: dict[str, EvalRun]) -> list[Blame]:
    before = _failing(intervention, arms)
    values = [_values(arms[contexts], before.metric) for contexts in ARMS]
    whole = intervention.scope == Intervention.Scope.WHOLE
    wanted = list(before.gains) if whole else intervention.analysis.order[: intervention.cases]
    found = []
    for some in chunks(wanted):
        cases, uses = Case.objects.only("contexts", "gold").in_bulk(some), _uses(arms["gold"], some)
        for case in some:
            texts = cases[case].contexts, cases[case].gold
            held = holds(*([context_text(each) for each in kind] for kind in texts))
            retrieved, gold, none, shuffled = (column.get(case) for column in values)
            asked = Arms(retrieved, gold, none, shuffled, held, uses.get(case, "departs"))
            stage = stage_of(asked)
            found.append(Blame(case, stage, gain_of(asked, stage), asked.values))
    return found


def _values(run: EvalRun, metric: Metric) -> dict[int, float]:
    """The values of an arm by case, turned so that 1 is best. A case that got no answer has none: what is counted as a
    failure elsewhere says nothing of a stage."""
    cells = read_sheet(run, metrics=[metric], targets={0}).scored(0, metric.name)
    return {
        case: cell.mean if metric.higher_is_better else 1 - cell.mean
        for case, cell in cells.items()
        if not cell.errors
    }


def _uses(run: EvalRun, cases: Sequence[int]) -> dict[int, Use]:
    """What each answer with the gold contexts did with them: as a groundedness scorer of the run says, else by its
    words."""
    rows = CaseResult.objects.filter(run=run, case__in=cases, sample=0, output__isnull=False)
    texts = rows.values_list("case_id", "output__text", "case__gold", "case__prompt", "case__reference")
    found = {
        case: use_of(text, [context_text(each) for each in gold], last_words(prompt), reference or "")
        for case, text, gold, prompt, reference in texts
    }
    judged = next((spec["name"] for spec in run.metrics if spec["scorer"] == "groundedness"), "")
    return found | _judged(run, judged, cases) if judged else found


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
    if not found:
        return []
    ceiling = ceilings(_failing(intervention, arms_of(intervention)), [row.case for row in found])
    counts = Counter(row.stage for row in found)
    return [
        MeasuredStage(
            key=stage,
            cases=counts[stage],
            share=share(counts[stage], len(found)),
            ceiling=ceiling([row.gain * (row.stage == stage) for row in found]) if stage in BLAMED else None,
        )
        for stage in (*BLAMED, PASSES, UNKNOWN)
        if counts[stage] or stage in BLAMED[:4]
    ]


def agreement(reads: Sequence[Read], found: Sequence[Blame], stages: dict[str, str]) -> Agreement:
    """People's tags against what was measured, on the cases that have both."""
    measured = {each.case: each.stage for each in found if each.stage in BLAMED}
    both = [
        ({stages[key] for key in read.categories}, measured[read.case])
        for read in reads
        if read.case in measured and read.categories
    ]
    counts = Counter((stage, blamed) for tagged, blamed in both for stage in tagged)
    same = sum(blamed in tagged for tagged, blamed in both)
    people = [stage for stage in Stage.values if any(key == stage for key, _ in counts)]
    columns = [stage for stage in BLAMED if any(key == stage for _, key in counts)]
    return Agreement(
        same=share(same, len(both)) if both else None,
        grid=[(str(Stage(stage).label), [counts[stage, column] for column in columns]) for stage in people],
        columns=[str(Stage(column).label) for column in columns],
    )
