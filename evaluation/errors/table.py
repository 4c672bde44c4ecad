"""The table of an error analysis: of each kind how often it was read, what it costs, and what is planned against it.

Statistics are imported where they are computed, so that pages do not wait for them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.errors.failures import Evaluated, evaluated
from evaluation.errors.reading import called_now
from evaluation.errors.sending import sent_of
from evaluation.models import Analysis, CategoryPlan, ErrorRead, EvalRun
from evaluation.verdicts_cases import share
from labeling.estimates import Estimate
from labeling.models import ErrorCategory, Stage
from labeling.rag.taxonomy import all_categories, current

EXAMPLES = 3
Ceiling = Callable[[Sequence[float]], Estimate | None]


@dataclass(frozen=True, slots=True)
class Read:
    """One failure that was read: what its categories are called now. `gain` is what its case could still gain."""

    id: int
    place: int
    case: int
    uid: str
    categories: frozenset[str]
    gain: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class CategoryRow:
    """One kind of error. `share` is of the failures that were read; `ceiling` is how much the metric can rise in its
    unit if the kind vanished, `sole` if only those failures did that have no other kind. `plan` is an empty one where
    nobody made any.

    `became` names the categories that it was split into: its reads must be looked at again.
    """

    category: ErrorCategory
    read: int
    share: Estimate
    ceiling: Estimate | None
    sole: Estimate | None
    alone: int
    plan: CategoryPlan
    examples: list[Read]
    sent: int
    became: list[str]

    @property
    def key(self) -> str:
        return self.category.key

    @property
    def is_gold(self) -> bool:
        """Whether what is wrong is the known answer, not the model's."""
        return self.category.stage == Stage.GOLD

    @property
    def per_effort(self) -> Estimate | None:
        """The ceiling for each day of work, in the metric's unit; None until somebody has reckoned the effort."""
        found, days = self.ceiling, self.plan.effort
        if found is None or not days:
            return None
        return Estimate(found.value / days, found.low / days, found.high / days, found.n)


def points_of(estimate: Estimate | None) -> str:
    """A part of a metric in points with its interval: 3.1 [1.2, 5.0]."""
    if estimate is None:
        return "not enough data"
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


@dataclass(frozen=True, slots=True)
class StageRow:
    """The failures that were read whose kinds arise in one stage, each counted once."""

    stage: Stage
    read: int
    share: Estimate
    ceiling: Estimate | None


@dataclass(frozen=True)
class Table:
    """All of an analysis: rows of kinds, the commonest first, and stages. `sent` are the items that its cases became,
    by the uid of the case."""

    analysis: Analysis
    found: Evaluated
    reads: list[Read]
    rows: list[CategoryRow]
    stages: list[StageRow]
    sent: Mapping[str, int]

    @property
    def errors(self) -> list[CategoryRow]:
        return [row for row in self.rows if not row.is_gold]

    @property
    def mislabelled(self) -> list[CategoryRow]:
        return [row for row in self.rows if row.is_gold]

    @property
    def untagged(self) -> int:
        return sum(not read.categories for read in self.reads)

    @property
    def reachable(self) -> Estimate | None:
        """The best value that can be reached: the end of the metric's scale, less what wrong known answers take."""
        lost = next((row.ceiling for row in self.stages if row.stage == Stage.GOLD), None)
        if lost is None or not self.found.metric.higher_is_better:
            return lost
        return Estimate(1 - lost.value, 1 - lost.high, 1 - lost.low, lost.n)

    @property
    def next(self) -> list[CategoryRow]:
        """What to fix next: kinds that are still open, the highest ceiling first."""
        closed = (CategoryPlan.Status.FIXED, CategoryPlan.Status.LEFT)
        return dearest(row for row in self.errors if row.plan.status not in closed)


def dearest(rows: Iterable[CategoryRow]) -> list[CategoryRow]:
    """Those whose ceiling is known, the highest first."""
    known = [(row.ceiling.value, row) for row in rows if row.ceiling]
    return [row for _, row in sorted(known, key=lambda pair: -pair[0])]


def find_table(run: EvalRun, index: int, metric: str) -> Table | None:
    """What an analysis of this target of a run says; None where nobody began one."""
    rows = Analysis.objects.filter(run=run, target__index=index, metric=metric).select_related("target")
    analysis = rows.first()
    if analysis is None:
        return None
    analysis.run, analysis.project = run, run.project
    return read_table(analysis)


def read_table(analysis: Analysis) -> Table:
    """Everything that the reads of an analysis say, as the taxonomy is now."""
    found = evaluated(analysis.run, analysis.target, analysis.metric)
    known = {category.key: category for category in all_categories(analysis.project)}
    now = current(analysis.project)
    reads = reads_of(analysis, found, now)
    ceiling = ceilings(found, [read.case for read in reads])
    plans = CategoryPlan.objects.filter(project=analysis.project).select_related("owner")
    planned = {plan.category_id: plan for plan in plans}
    sent = sent_of(analysis)
    counts = Counter(key for read in reads for key in read.categories)
    kinds = sorted((known[key] for key in counts), key=lambda kind: (-counts[kind.key], kind.position))
    rows = [
        _row(kind, planned.get(kind.pk) or CategoryPlan(category=kind), reads, ceiling, sent, now[kind.key])
        for kind in kinds
    ]
    stages = {key: category.stage for key, category in known.items()}
    return Table(analysis, found, reads, rows, _stages(reads, stages, ceiling), sent)


def reads_of(analysis: Analysis, found: Evaluated, now: Mapping[str, list[str]]) -> list[Read]:
    """What was read, in the order of the analysis, with its categories as they are called now."""
    rows = ErrorRead.objects.filter(analysis=analysis, read_at__isnull=False).order_by("place")
    lines = {line.id: line for line in found.lines}
    return [
        Read(
            id=pk,
            place=place,
            case=case,
            uid=lines[case].uid,
            categories=frozenset(called_now(categories, now)),
            gain=found.gains[case],
            tags=lines[case].tags,
        )
        for pk, place, case, categories in rows.values_list("pk", "place", "case_id", "categories")
        if case in found.gains
    ]


def ceilings(found: Evaluated, cases: Sequence[int]) -> Ceiling:
    """What gives the ceiling of some gains, one for each of these cases, a random sample of those that fail; None where
    they are too few."""
    if not cases:
        return lambda gains: None
    import numpy as np

    from evaluation.statistics import Drawn

    places = {line.id: place for place, line in enumerate(found.lines)}
    drawn = np.array([places[case] for case in cases], dtype=np.intp)
    weights = np.array(found.weights, dtype=np.float64)
    return Drawn(drawn, len(found.gains), weights, found.clusters).ceiling


def _row(
    category: ErrorCategory,
    plan: CategoryPlan,
    reads: Sequence[Read],
    ceiling: Ceiling,
    sent: Mapping[str, int],
    now: list[str],
) -> CategoryRow:
    key, only = category.key, {category.key}
    own = [read for read in reads if key in read.categories]
    return CategoryRow(
        category=category,
        read=len(own),
        share=share(len(own), len(reads)),
        ceiling=ceiling([read.gain * (key in read.categories) for read in reads]),
        sole=ceiling([read.gain * (read.categories == only) for read in reads]),
        alone=sum(read.categories == only for read in own),
        plan=plan,
        examples=own[:EXAMPLES],
        sent=sum(read.uid in sent for read in own),
        became=now if len(now) > 1 else [],
    )


def _stages(reads: Sequence[Read], stages: Mapping[str, str], ceiling: Ceiling) -> list[StageRow]:
    found = [{stages[key] for key in read.categories} for read in reads]
    counts = Counter(stage for each in found for stage in each)
    return [
        StageRow(
            stage=stage,
            read=counts[stage],
            share=share(counts[stage], len(reads)),
            ceiling=ceiling([read.gain * (stage in each) for read, each in zip(reads, found, strict=True)]),
        )
        for stage in Stage
        if counts[stage]
    ]
