"""Which cases of a category are held out as siblings, and which become lessons. Whole clusters go one way."""

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Count

from evaluation.errors.sending import sent_of
from evaluation.models import Analysis, Case, EvalRun, Fix, FixCase, RunTarget
from evaluation.rounds.tagging import keys_of, tagged_uids
from evaluation.sheets import Line, Metric, lines_of, metrics_of, read_sheet
from evaluation.suites import living
from evaluation.verdicts_cases import fails
from labeling.errors import Refused
from labeling.models import ErrorCategory

MARK = "sibling:"


@dataclass(slots=True)
class Drawn:
    """The cases of a category by their numbers. `failing` are those of all cases that fail at the target; `gone` had
    left the suite, or were changed in it, since the run."""

    siblings: list[int] = field(default_factory=list)
    lessons: list[int] = field(default_factory=list)
    failing: set[int] = field(default_factory=set)
    gone: int = 0


def metric_of(run: EvalRun, name: str = "") -> Metric:
    """A metric of the run in which a case passes or fails, the primary one where none is named. Raises Refused."""
    metrics = metrics_of(run)
    found = next((metric for metric in metrics if metric.name == (name or metrics[0].name)), None)
    if found is None:
        known = ", ".join(metric.name for metric in metrics)
        raise Refused(f"{run.name} has no metric {name[:60]!r}; it has {known}.")
    if not found.is_bounded or found.versus_half:
        known = ", ".join(each.name for each in metrics if each.is_bounded and not each.versus_half)
        raise Refused(
            f"In {found.name} no case passes or fails by itself; choose a metric between 0 and 1"
            f"{f': {known}' if known else ''}."
        )
    return found


def draw(
    *,
    category: ErrorCategory,
    run: EvalRun,
    target: RunTarget,
    metric: Metric,
    analysis: Analysis | None,
    held_out: float,
) -> Drawn:
    """Split the cases of the category. Cases marked `sibling:KEY` are siblings whatever is drawn; those that the
    analysis sent to labeling never are."""
    lines = lines_of(run)
    cells = read_sheet(run, metrics=[metric], targets={target.index}).scored(target.index, metric.name)
    found = Drawn(failing={line.id for line in lines if line.id in cells and fails(metric, cells[line.id])})
    keys = keys_of(category)
    marked = {line.id for line in lines if any(f"{MARK}{key}" in line.tags for key in keys)}
    tagged = tagged_uids(analysis, keys) if analysis is not None else set()
    pool = [line for line in lines if line.id in marked or line.uid in tagged or keys & set(line.tags)]
    alive = _alive(run, [line.id for line in pool])
    found.gone = sum(line.id not in alive for line in pool)
    pool = [line for line in pool if line.id in alive]
    sent = sent_of(analysis) if analysis is not None else set()
    held = _held(category, pool, marked, held_out) - {line.unit for line in pool if line.uid in sent}
    found.siblings = [line.id for line in pool if line.unit in held]
    found.lessons = [line.id for line in pool if line.unit not in held and line.id in found.failing]
    return found


def _held(
    category: ErrorCategory, pool: Sequence[Line], marked: Collection[int], held_out: float
) -> set[str]:
    """The clusters that are siblings: those marked, those that were siblings of an earlier fix of the category, and as
    many more, in the order of a hash, as make up the share."""
    earlier = FixCase.objects.filter(fix__category=category, role=FixCase.Role.SIBLING)
    before = set(
        earlier.filter(case__in=[line.id for line in pool]).order_by().values_list("case_id", flat=True)
    )
    held = {line.unit for line in pool if line.id in marked or line.id in before}
    others = sorted({line.unit for line in pool} - held, key=lambda unit: _place(category.key, unit))
    wanted = math.ceil(held_out * (len(others) + len(held))) - len(held)
    return held | set(others[: max(0, wanted)])


def _place(key: str, unit: str) -> bytes:
    return hashlib.sha256(f"{key}\0{unit}".encode()).digest()


def _alive(run: EvalRun, keys: Iterable[int]) -> set[int]:
    return set(living(run.suite).filter(pk__in=list(keys), sealed=False).values_list("pk", flat=True))


def siblings_of(fixes: Sequence[Fix]) -> dict[int, set[int]]:
    """The numbers of the siblings of each of these fixes, by the fix's number: one query."""
    found: dict[int, set[int]] = {fix.pk: set() for fix in fixes}
    rows = FixCase.objects.filter(fix__in=fixes, role=FixCase.Role.SIBLING).order_by()
    for fix, case in rows.values_list("fix_id", "case_id"):
        found[fix].add(case)
    return found


def units_of_lessons(fixes: Sequence[Fix]) -> dict[int, set[str]]:
    """The clusters of the lessons of each of these fixes: their other cases are no control."""
    found: dict[int, set[str]] = {fix.pk: set() for fix in fixes}
    rows = FixCase.objects.filter(fix__in=fixes, role=FixCase.Role.LESSON).order_by()
    for fix, cluster, prompt in rows.values_list("fix_id", "case__cluster", "case__prompt_hash"):
        found[fix].add(cluster or prompt)
    return found


def shown_cases(fix: Fix) -> list[FixCase]:
    """The cases of a fix with what a list shows of them; prompts are not read."""
    rows = fix.cases.select_related("case").order_by("role", "case__position", "pk")
    return list(rows.only("fix", "role", "case", "case__uid", "case__preview", "case__position"))


def count_cases(fixes: Sequence[Fix]) -> dict[int, dict[str, int]]:
    """How many siblings and lessons each fix has: one query."""
    found: dict[int, dict[str, int]] = {fix.pk: dict.fromkeys(FixCase.Role.values, 0) for fix in fixes}
    rows = FixCase.objects.filter(fix__in=fixes).order_by().values_list("fix_id", "role")
    for fix, role, count in rows.annotate(n=Count("pk")):
        found[fix][role] = count
    return found


def case_rows(keys: Collection[int]) -> list[Case]:
    """These cases with their texts, in order."""
    return list(Case.objects.filter(pk__in=keys).order_by("position", "pk"))
