"""The table of an error analysis: of each kind how often it was read, what it costs, and what is planned against it.

Statistics are imported where they are computed, so that pages do not wait for them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.errors.failures import Evaluated, evaluated
from evaluation.errors.sending import sent_of
from evaluation.models import Analysis, CategoryPlan, ErrorRead
from evaluation.verdicts_cases import share
from labeling.estimates import Estimate
from labeling.models import ErrorCategory, Stage
from labeling.rag.taxonomy import all_categories, current

EXAMPLES = 3


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
    unit if the kind vanished, `sole` if only those failures did that have no other kind.

    `became` names the categories that it was split into: its reads must be looked at again.
    """

    key: str
    name: str
    words: str
    stage: str
    read: int
    share: Estimate
    ceiling: Estimate | None
    sole: Estimate | None
    alone: int
    effort: float | None = None
    owner: str = ""
    owner_id: int | None = None
    status: str = CategoryPlan.Status.OPEN.value
    note: str = ""
    examples: list[Read] = field(default_factory=list)
    sent: int = 0
    became: list[str] = field(default_factory=list)

    @property
    def is_gold(self) -> bool:
        """Whether what is wrong is the known answer, not the model's."""
        return self.stage == Stage.GOLD

    @property
    def stage_words(self) -> str:
        return str(Stage(self.stage).label)

    @property
    def status_words(self) -> str:
        return str(CategoryPlan.Status(self.status).label)

    @property
    def ceiling_words(self) -> str:
        return points_of(self.ceiling)

    @property
    def sole_words(self) -> str:
        return points_of(self.sole)

    @property
    def per_effort_words(self) -> str:
        return points_of(self.per_effort) if self.effort else ""

    @property
    def per_effort(self) -> Estimate | None:
        """The ceiling for each day of work, in the metric's unit; None until somebody has reckoned the effort."""
        if self.ceiling is None or not self.effort:
            return None
        found, days = self.ceiling, self.effort
        return Estimate(found.value / days, found.low / days, found.high / days, found.n)


def points_of(estimate: Estimate | None) -> str:
    """A part of a metric in points with its interval: 3.1 [1.2, 5.0]."""
    if estimate is None:
        return "not enough data"
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


@dataclass(frozen=True, slots=True)
class StageRow:
    """The failures that were read whose kinds arise in one stage, each counted once."""

    key: str
    name: str
    read: int
    share: Estimate
    ceiling: Estimate | None

    @property
    def ceiling_words(self) -> str:
        return points_of(self.ceiling)


@dataclass(frozen=True)
class Table:
    """All of an analysis: rows of errors, rows of mislabelled known answers, and stages."""

    analysis: Analysis
    found: Evaluated
    reads: list[Read]
    rows: list[CategoryRow]
    stages: list[StageRow]
    gold: Estimate | None
    untagged: int
    waiting: int

    @property
    def errors(self) -> list[CategoryRow]:
        return [row for row in self.rows if not row.is_gold]

    @property
    def mislabelled(self) -> list[CategoryRow]:
        return [row for row in self.rows if row.is_gold]

    @property
    def reachable(self) -> Estimate | None:
        """The best value that can be reached: the end of the metric's scale, less what wrong known answers take."""
        if self.gold is None:
            return None
        low, value, high = 1 - self.gold.high, 1 - self.gold.value, 1 - self.gold.low
        if self.found.metric.higher_is_better:
            return Estimate(value, low, high, self.gold.n)
        return self.gold

    @property
    def next(self) -> list[CategoryRow]:
        """What to fix next: kinds that are still open, the highest ceiling first."""
        closed = (CategoryPlan.Status.FIXED, CategoryPlan.Status.LEFT)
        rows = [row for row in self.errors if row.ceiling is not None and row.status not in closed]
        return sorted(rows, key=lambda row: -row.ceiling.value if row.ceiling else 0.0)


def table_of(analysis: Analysis) -> list[CategoryRow]:
    """The rows of an analysis, the commonest kind first, mislabelled known answers among them."""
    return read_table(analysis).rows


def read_table(analysis: Analysis) -> Table:
    """Everything that the reads of an analysis say, as the taxonomy is now."""
    found = evaluated(analysis.run, analysis.target, analysis.metric)
    known = {category.key: category for category in all_categories(analysis.project)}
    now = current(analysis.project)
    reads = reads_of(analysis, found, now)
    ceiling = ceilings(found, analysis.failing, reads)
    plans = {
        plan.category_id: plan
        for plan in CategoryPlan.objects.filter(project=analysis.project).select_related("owner")
    }
    sent = sent_of(analysis)
    counts = Counter(key for read in reads for key in read.categories)
    rows = [
        _row(known[key], count, reads, ceiling, plans.get(known[key].pk), sent, now.get(key, [key]))
        for key, count in sorted(counts.items(), key=lambda pair: (-pair[1], known[pair[0]].position))
    ]
    stages = {key: category.stage for key, category in known.items()}
    gold = [row for row in rows if row.is_gold]
    return Table(
        analysis=analysis,
        found=found,
        reads=reads,
        rows=rows,
        stages=_stages(reads, stages, ceiling),
        gold=ceiling(lambda read: any(stages[key] == Stage.GOLD for key in read.categories))
        if gold
        else None,
        untagged=sum(not read.categories for read in reads),
        waiting=ErrorRead.objects.filter(analysis=analysis, read_at=None).count(),
    )


def reads_of(analysis: Analysis, found: Evaluated, now: dict[str, list[str]]) -> list[Read]:
    """What was read, in the order of the analysis. A key that was merged is what it was merged into; one that was split
    stays, as nobody has said which of its parts it is."""
    rows = ErrorRead.objects.filter(analysis=analysis, read_at__isnull=False).order_by("place")
    lines = {line.id: line for line in found.lines}
    return [
        Read(
            id=pk,
            place=place,
            case=case,
            uid=lines[case].uid,
            categories=frozenset(_now(key, now) for key in categories),
            gain=found.gains[case],
            tags=lines[case].tags,
        )
        for pk, place, case, categories in rows.values_list("pk", "place", "case_id", "categories")
        if case in found.gains
    ]


def _now(key: str, now: dict[str, list[str]]) -> str:
    later = now.get(key, [key])
    return later[0] if len(later) == 1 else key


Ceiling = Callable[[Callable[[Read], bool]], Estimate | None]


def ceilings(found: Evaluated, failing: int, reads: Sequence[Read]) -> Ceiling:
    """What gives the ceiling of the reads that are of a kind; None where too few were read."""
    if not reads:
        return lambda is_of: None
    import numpy as np

    from evaluation.statistics import Drawn

    places = np.array([found.places[read.case] for read in reads], dtype=np.intp)
    drawn = Drawn(places, failing, np.array(found.weights, dtype=np.float64), found.clusters)
    return lambda is_of: drawn.ceiling([read.gain if is_of(read) else 0.0 for read in reads])


def _row(
    category: ErrorCategory,
    count: int,
    reads: Sequence[Read],
    ceiling: Ceiling,
    plan: CategoryPlan | None,
    sent: Iterable[str],
    now: list[str],
) -> CategoryRow:
    key, own = category.key, [read for read in reads if category.key in read.categories]
    uids = {read.uid for read in own}
    return CategoryRow(
        key=key,
        name=category.name,
        words=category.words,
        stage=category.stage,
        read=count,
        share=share(count, len(reads)),
        ceiling=ceiling(lambda read: key in read.categories),
        sole=ceiling(lambda read: read.categories == {key}),
        alone=sum(len(read.categories) == 1 for read in own),
        examples=own[:EXAMPLES],
        sent=len(uids & set(sent)),
        became=now if len(now) > 1 else [],
        **_planned(plan),
    )


def _planned(plan: CategoryPlan | None) -> dict[str, Any]:
    if plan is None:
        return {}
    return {
        "effort": plan.effort,
        "owner": str(plan.owner) if plan.owner else "",
        "owner_id": plan.owner_id,
        "status": plan.status,
        "note": plan.note,
    }


def _stages(reads: Sequence[Read], stages: dict[str, str], ceiling: Ceiling) -> list[StageRow]:
    counts: dict[str, int] = defaultdict(int)
    for read in reads:
        for stage in {stages[key] for key in read.categories}:
            counts[stage] += 1
    return [
        StageRow(
            key=stage.value,
            name=str(stage.label),
            read=counts[stage.value],
            share=share(counts[stage.value], len(reads)),
            ceiling=ceiling(_arises_in(stage.value, stages)),
        )
        for stage in Stage
        if counts[stage.value]
    ]


def _arises_in(stage: str, stages: dict[str, str]) -> Callable[[Read], bool]:
    return lambda read: any(stages[key] == stage for key in read.categories)
