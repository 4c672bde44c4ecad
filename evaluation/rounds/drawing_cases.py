"""Which cases of a category are held out as siblings, and which become lessons. Whole clusters go one way."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from evaluation.errors.failures import evaluated, find_metric
from evaluation.errors.reading import keys_of, read_as
from evaluation.errors.sending import sent_of, siblings_among
from evaluation.models import Analysis, EvalRun, Fix, FixCase, RunTarget
from evaluation.sheets import Line, Metric, lines_of
from evaluation.suites import living
from labeling.errors import Refused
from labeling.models import ErrorCategory

MARK = "sibling:"


@dataclass(frozen=True, slots=True)
class Drawn:
    """The cases of a category by their numbers. `gone` had left the suite, or were changed in it, since the run."""

    siblings: list[int]
    lessons: list[int]
    gone: int


def metric_of(run: EvalRun, name: str) -> Metric:
    """A metric of the run in which a case passes or fails by itself, the primary one where none is named. Raises
    Refused."""
    found = find_metric(run, name)
    if found.versus_half:
        raise Refused(f"{found.name} sets each answer against the baseline's; choose a metric of its own.")
    return found


def draw(
    *,
    category: ErrorCategory,
    target: RunTarget,
    metric: str,
    analysis: Analysis | None,
    held_out: float,
) -> Drawn:
    """Split the cases of the category. Cases marked `sibling:KEY`, and siblings of whatever fix, are siblings; of the
    others those that the analysis sent to labeling never are."""
    run = target.run
    failing, lines = evaluated(run, target, metric).gains, lines_of(run)
    keys = keys_of(category.project, category.key)
    marked = {line.id for line in lines if any(f"{MARK}{key}" in line.tags for key in keys)}
    tagged = read_as(analysis, keys)[0] if analysis is not None else set()
    sent: Collection[str] = sent_of(analysis) if analysis is not None else ()
    pool = [line for line in lines if line.id in marked or line.uid in tagged or keys & set(line.tags)]
    alive = _alive(run, [line.id for line in pool])
    there = [line for line in pool if line.id in alive]
    sure = marked | siblings_among(line.id for line in there)
    held = _held(category, there, sure, sent, held_out)
    return Drawn(
        siblings=[line.id for line in there if line.unit in held],
        lessons=[line.id for line in there if line.unit not in held and line.id in failing],
        gone=len(pool) - len(there),
    )


def _held(
    category: ErrorCategory,
    pool: Sequence[Line],
    sure: Collection[int],
    sent: Collection[str],
    share: float,
) -> set[str]:
    """The clusters that are siblings: those of cases that surely are, and of those of which nothing was sent, in the
    order of a hash, as many more as make up the share."""
    every = {line.unit for line in pool}
    held = {line.unit for line in pool if line.id in sure}
    free = every - held - {line.unit for line in pool if line.uid in sent}
    drawn = sorted(free, key=lambda unit: sha256(f"{category.key}\0{unit}".encode()).digest())
    wanted = math.ceil(share * len(every)) - len(held)
    return held | set(drawn[: max(0, wanted)])


def _alive(run: EvalRun, keys: Iterable[int]) -> set[int]:
    return set(living(run.suite).filter(pk__in=list(keys), sealed=False).values_list("pk", flat=True))


def shown_cases(fix: Fix) -> list[FixCase]:
    """The cases of a fix with what a list shows of them; prompts are not read."""
    rows = fix.cases.select_related("case").order_by("role", "case__position", "pk")
    return list(rows.only("fix", "role", "case__preview"))
