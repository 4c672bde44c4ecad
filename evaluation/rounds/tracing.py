"""What became of fixes: found by lineage, from items to judgments, versions, checkpoints and evaluations.

As many queries for many fixes as for one; no text is read.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Exists, F, OuterRef

from evaluation.errors.reading import keys_among
from evaluation.measured import given
from evaluation.models import ErrorRead, EvalRun, Fix, FixCase, FixItem, RunTarget
from evaluation.specs import is_usual
from labeling.curation.withdrawing import is_withdrawn
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Judgment
from labeling.rag.taxonomy import current
from labeling.reviewlist import standing
from training.lineage import checkpoints_of
from training.models import Checkpoint


@dataclass(frozen=True, slots=True)
class Used:
    """A dataset version that holds judgments of the fix's items: how many items and rows of it."""

    version: DatasetVersion
    items: int
    rows: int


@dataclass(slots=True)
class Trace:
    """The steps of a fix as they are now: the numbers of its siblings, how many lessons it has and of which clusters,
    its items in order of which so many are `judged`, as a freeze counts them, and what came of them. `measured` has the
    newest evaluation of each checkpoint on the suite that can tell whether the fix closed.

    `keys` count for its category, as tags and in readings; `read` has what the readers of its analysis made of each
    case, by uid: whether it is of the category.
    """

    fix: Fix
    siblings: set[int] = field(default_factory=set)
    lessons: int = 0
    taught: set[str] = field(default_factory=set)
    items: list[int] = field(default_factory=list)
    judged: int = 0
    used: list[Used] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    measured: list[tuple[EvalRun, RunTarget]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    read: dict[str, bool] = field(default_factory=dict)

    @property
    def unmeasured(self) -> list[Checkpoint]:
        """The checkpoints of which no evaluation on the suite can tell yet."""
        known = {target.checkpoint_id for _, target in self.measured}
        return [checkpoint for checkpoint in self.checkpoints if checkpoint.pk not in known]


def traces_of(fixes: Sequence[Fix]) -> list[Trace]:
    """The steps of these fixes, in their order."""
    found = {fix.pk: Trace(fix) for fix in fixes}
    _add_cases(found)
    _add_items(found)
    for key, used in _versions(fixes).items():
        found[key].used = used
    trained = checkpoints_of({each.version.pk for trace in found.values() for each in trace.used})
    for trace in found.values():
        reached = {c.pk: c for each in trace.used for c in trained[each.version.pk]}
        trace.checkpoints = [
            reached[key] for key in sorted(reached) if reached[key].line == Checkpoint.Line.POLICY
        ]
    _add_measured(list(found.values()))
    _add_read([trace for trace in found.values() if trace.measured])
    return list(found.values())


def _add_cases(traces: dict[int, Trace]) -> None:
    rows = FixCase.objects.filter(fix__in=traces).order_by()
    for fix, role, case, cluster, prompt in rows.values_list(
        "fix_id", "role", "case_id", "case__cluster", "case__prompt_hash"
    ):
        if role == FixCase.Role.SIBLING:
            traces[fix].siblings.add(case)
        else:
            traces[fix].lessons += 1
            traces[fix].taught.add(cluster or prompt)


def _add_items(traces: dict[int, Trace]) -> None:
    said = standing(item=OuterRef("item")).filter(~is_withdrawn())
    rows = FixItem.objects.filter(fix__in=traces).annotate(judged=Exists(said)).order_by("item_id")
    for fix, item, judged in rows.values_list("fix_id", "item_id", "judged"):
        traces[fix].items.append(item)
        traces[fix].judged += judged


def _versions(fixes: Sequence[Fix]) -> dict[int, list[Used]]:
    """The versions frozen since that hold a judgment of an item of a fix, the newest first."""
    rows = (
        Judgment.objects.filter(
            item__fix_items__fix__in=fixes,
            dataset_entries__version__created_at__gte=F("item__fix_items__fix__created_at"),
        )
        .order_by()
        .values_list("item__fix_items__fix", "dataset_entries__version")
        .annotate(items=Count("item", distinct=True), rows=Count("dataset_entries__row", distinct=True))
    )
    counted = sorted(rows, key=lambda row: -row[1])
    versions = DatasetVersion.objects.select_related("project").defer("recipe", "lint", "choice")
    known = versions.in_bulk({version for _, version, _, _ in counted})
    found: dict[int, list[Used]] = defaultdict(list)
    for fix, version, items, row_count in counted:
        found[fix].append(Used(known[version], items, row_count))
    return found


def _add_measured(traces: Sequence[Trace]) -> None:
    """The newest evaluation of each checkpoint that tells of the fix, the newest checkpoint first."""
    wanted = {checkpoint.pk for trace in traces for checkpoint in trace.checkpoints}
    rows = RunTarget.objects.filter(
        checkpoint__in=wanted,
        run__suite__in={trace.fix.run.suite_id for trace in traces},
        run__status=Status.SUCCEEDED,
        run__arm=None,
    ).select_related("run__version__suite", "checkpoint")
    asked = list(rows.defer("run__facts").order_by("run_id", "index"))
    for trace in traces:
        newest = {target.checkpoint_id: target for target in asked if _tells_of(trace.fix, target.run)}
        places = [newest.get(checkpoint.pk) for checkpoint in reversed(trace.checkpoints)]
        trace.measured = [(target.run, target) for target in places if target is not None]


def _tells_of(fix: Fix, run: EvalRun) -> bool:
    """Whether a run measured the fix's metric on its suite and split, as a product asks or as the fix's run did."""
    return (
        (run.suite_id, run.split) == (fix.run.suite_id, fix.run.split)
        and (is_usual(run.spec) or given(run) == given(fix.run))
        and fix.metric in {run.primary, *(spec["name"] for spec in run.metrics)}
    )


def _add_read(traces: Sequence[Trace]) -> None:
    """What the readers of the analyses said, of fixes that were measured."""
    now = {project.pk: current(project) for project in {trace.fix.project for trace in traces}}
    wanted = {trace.fix.analysis_id for trace in traces} - {None}
    rows = ErrorRead.objects.filter(analysis__in=wanted, read_at__isnull=False).order_by()
    found: dict[int | None, dict[str, list[str]]] = defaultdict(dict)
    for analysis, case, categories in rows.values_list("analysis_id", "case__uid", "categories"):
        found[analysis][case] = categories
    for trace in traces:
        trace.keys = keys_among(now[trace.fix.project_id], trace.fix.category.key)
        read = found[trace.fix.analysis_id]
        trace.read = {case: not trace.keys.isdisjoint(categories) for case, categories in read.items()}
