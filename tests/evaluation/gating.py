"""Champions and candidates with marks that a test names case by case."""

from collections.abc import Sequence
from typing import Any

from evaluation.models import EvalRun, RunTarget, Suite
from labeling.models import Project
from tests.evaluation.finished import Values, checkpoint, finished, suite_of
from training.models import Checkpoint

Marks = Sequence[float | None]
EVEN = [float(n % 2) for n in range(200)]
UP = [float(n % 2 or n % 4 == 0) for n in range(200)]  # better than EVEN, beyond doubt
NOBODY = lambda case, metric: 1.0  # noqa: E731


def listed(marks: Marks, others: dict[str, Marks] | None = None) -> Values:
    """The marks of one target: of the first metric those given, of others theirs, or 1."""

    def value(case: int, metric: str) -> float | None:
        if metric == "exact":
            return marks[case]
        return (others or {}).get(metric, [1.0] * len(marks))[case]

    return value


def pair(project: Project, first: Marks, second: Marks, **options: Any) -> tuple[EvalRun, RunTarget]:
    """A run of "champion" and "candidate", which grew from it, with these marks; the candidate's target."""
    names = options.pop("names", ("champion", "candidate"))
    others = options.pop("others", {})
    values = {
        name: listed(marks, others.get(name)) for name, marks in zip(names, (first, second), strict=True)
    }
    options.setdefault("version", None) or options.update(
        version=suite_of(project, len(first), name=str(names))
    )
    run = finished(project, values, **options)
    Checkpoint.objects.filter(project=project, name=names[1]).update(
        parent=run.targets.get(index=0).checkpoint
    )
    Suite.objects.filter(pk=run.suite_id).update(
        scoring=[{"name": name, "scorer": name} for name in options.get("metrics", ["exact"])]
    )
    run.suite.refresh_from_db()
    return run, run.targets.select_related("checkpoint__base").get(name=names[1])


def marks(passed: int, count: int, *, start: int = 0) -> list[float]:
    """So many passes of so many cases, from a place on."""
    return [float(start <= place < start + passed) for place in range(count)]


def promoted(project: Project, name: str) -> Any:
    """A checkpoint of this name, in production."""
    return checkpoint(project, name, production=True)


def better(project: Project) -> tuple[EvalRun, RunTarget]:
    """A candidate that is better than the champion in production."""
    promoted(project, "champion")
    return pair(project, EVEN, UP)
