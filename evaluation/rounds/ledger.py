"""The ledger: every fix with its steps, its numbers and its standing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import QuerySet

from evaluation.models import EvalRun, Fix, RunTarget
from evaluation.reading import WORSE
from evaluation.rounds.closing import CLOSED, NOT_CLOSED, OPEN, PARTLY, Closing, closings_of
from evaluation.rounds.tracing import Trace, traces_of
from labeling.models import Project
from training.models import Checkpoint

NOT_BEGUN, LABELED, TRAINED = "not begun", "labeled", "trained"
STANDINGS = (NOT_BEGUN, LABELED, TRAINED, CLOSED, PARTLY, NOT_CLOSED, WORSE, OPEN)


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

    trace: Trace
    measures: list[Measure]

    @property
    def fix(self) -> Fix:
        return self.trace.fix

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
            newest, fix = trace.checkpoints[-1].name, self.fix
            asked = f"evaluate {newest} on {fix.run.suite}, in {fix.metric}, to see whether it closed"
            return f"{name} was trained on; {asked}."
        if trace.used:
            return f"{name} is in {trace.used[0].version}; train on it."
        count = len(trace.items)
        if trace.judged:
            return (
                f"{trace.judged:,} of {count:,} items of {name} are judged; freeze a dataset version of them."
            )
        return f"{count:,} items of {name} wait to be judged."

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
            "ceiling": fix.ceiling.as_dict() if fix.ceiling else None,
            "siblings": len(trace.siblings),
            "lessons": trace.lessons,
            "items": len(trace.items),
            "item_ids": trace.items,
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
                    **asdict(each.closing),
                }
                for each in self.measures
            ],
        }


def fixes_of(project: Project) -> QuerySet[Fix]:
    """The fixes of a project with what the ledger shows of them, the newest first."""
    rows = Fix.objects.filter(project=project).select_related(
        *("project", "category__project", "analysis", "run__suite", "run__version__suite"),
        *("target", "created_by"),
    )
    return rows.defer("run__facts", "analysis__order")


def entries_of(fixes: Sequence[Fix]) -> list[Entry]:
    """The ledger's lines for these fixes, in their order."""
    return [
        Entry(
            trace,
            [
                Measure(*asked, closing)
                for asked, closing in zip(trace.measured, closings_of(trace), strict=True)
            ],
        )
        for trace in traces_of(fixes)
    ]
