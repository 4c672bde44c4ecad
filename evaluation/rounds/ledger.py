"""The ledger: every fix with its steps, its numbers and its standing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.models import EvalRun, Fix, RunTarget
from evaluation.rounds.closing import (
    CLOSED,
    LABELED,
    NOT_BEGUN,
    NOT_CLOSED,
    OPEN,
    PARTLY,
    TRAINED,
    WORSE,
    Closing,
    closings_of,
)
from evaluation.rounds.drawing_cases import siblings_of, units_of_lessons
from evaluation.rounds.tracing import Trace, traces_of
from labeling.estimates import Estimate
from labeling.models import Project
from training.models import Checkpoint

STANDINGS = (NOT_BEGUN, LABELED, TRAINED, CLOSED, PARTLY, NOT_CLOSED, WORSE, OPEN)
SIGNS = {CLOSED: "closed", PARTLY: "partly", NOT_CLOSED: "open", WORSE: "worse", OPEN: "open"}


@dataclass(frozen=True, slots=True)
class Measure:
    """One checkpoint of a fix, as its newest evaluation measured it."""

    run: EvalRun
    target: RunTarget
    closing: Closing

    @property
    def checkpoint(self) -> Checkpoint:
        assert self.target.checkpoint is not None
        return self.target.checkpoint


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger. The newest measured checkpoint speaks for the fix."""

    fix: Fix
    trace: Trace
    measures: list[Measure] = field(default_factory=list)

    @property
    def latest(self) -> Measure | None:
        return self.measures[0] if self.measures else None

    @property
    def closing(self) -> Closing | None:
        return self.latest.closing if self.latest else None

    @property
    def standing(self) -> str:
        """How far the fix is, in words."""
        if self.latest is not None:
            return self.latest.closing.standing
        if self.trace.checkpoints:
            return TRAINED
        return LABELED if self.trace.judged else NOT_BEGUN

    @property
    def sign(self) -> str:
        return SIGNS.get(self.standing, "")

    @property
    def sentence(self) -> str:
        """What a product lead can forward."""
        name, trace = self.fix.category.name, self.trace
        if self.latest is not None:
            by = self.latest.checkpoint.name
            says = {
                CLOSED: f"{name} is closed by {by}",
                PARTLY: f"{name} is partly closed by {by}",
                NOT_CLOSED: f"{name} is not closed by {by}",
                WORSE: f"{name} got worse with {by}",
                OPEN: f"Whether {by} closes {name} cannot be told yet",
            }[self.standing]
            return f"{says}: {self.latest.closing.words}"
        if trace.checkpoints:
            newest, suite = trace.checkpoints[-1].name, self.fix.run.suite
            return f"{name} was trained on; evaluate {newest} on {suite} to see whether it closed."
        if trace.used:
            return f"{name} is in {trace.used[0].version}; train on it."
        if trace.judged:
            return f"{trace.judged:,} of {trace.items:,} items of {name} are judged; freeze a dataset version of them."
        return f"{trace.items:,} items of {name} wait to be judged."

    @property
    def reached(self) -> Estimate | None:
        """The rise of the metric that was measured, to be read beside the ceiling."""
        return self.closing.rise if self.closing else None

    def as_dict(self) -> dict[str, Any]:
        fix, trace = self.fix, self.trace
        return {
            "fix": fix.pk,
            "category": fix.category.key,
            "name": fix.category.name,
            "metric": fix.metric,
            "baseline": fix.target.name,
            "suite": fix.run.suite.name,
            "standing": self.standing,
            "sentence": self.sentence,
            "ceiling": _number(fix.ceiling),
            "siblings": trace.siblings,
            "lessons": trace.lessons,
            "items": trace.items,
            "judged": trace.judged,
            "versions": [
                {
                    "version": str(each.version),
                    "items": each.items,
                    "rows": each.rows,
                    "content_hash": each.version.content_hash,
                }
                for each in trace.used
            ],
            "checkpoints": [each.name for each in trace.checkpoints],
            "measures": [
                {
                    "checkpoint": each.checkpoint.name,
                    "evaluation": each.run.pk,
                    "standing": each.closing.standing,
                    "closed": _number(each.closing.closed),
                    "chance": _number(each.closing.chance),
                    "excess": _number(each.closing.excess),
                    "p": each.closing.p,
                    "change": _number(each.closing.change),
                    "rise": _number(each.closing.rise),
                    "failing": each.closing.failing,
                    "fixed": each.closing.fixed,
                    "broken": each.closing.broken,
                    "reason": each.closing.reason,
                }
                for each in self.measures
            ],
        }  # fmt: skip


def _number(found: Estimate | None) -> dict[str, float] | None:
    return found.as_dict() if found is not None else None


def fixes_of(project: Project) -> Any:
    """The fixes of a project with what the ledger shows of them, the newest first."""
    rows = Fix.objects.filter(project=project).select_related(
        "project",
        "category__project",
        "analysis",
        "run__suite",
        "run__version__suite",
        "target",
        "created_by",
    )
    return rows.defer("run__facts", "analysis__order")


def entries_of(fixes: Sequence[Fix]) -> list[Entry]:
    """The ledger's lines for these fixes, in their order."""
    siblings, taught = siblings_of(fixes), units_of_lessons(fixes)
    found = []
    for trace in traces_of(fixes):
        fix = trace.fix
        closings = closings_of(fix, trace.measured, siblings[fix.pk], taught[fix.pk])
        measures = [
            Measure(run, target, closing)
            for (run, target), closing in zip(trace.measured, closings, strict=True)
        ]
        found.append(Entry(fix, trace, measures))
    return found


def standings(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """How many fixes stand how, in the order of the steps."""
    counts = Counter(entry.standing for entry in entries)
    return [(words, counts[words]) for words in STANDINGS if counts[words]]
