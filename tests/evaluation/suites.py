"""Short verbs to arrange suites in tests."""

from collections.abc import Sequence
from typing import Any

from evaluation.models import Case, Decision, EvalRun, RunTarget, Score, Split, Suite, SuiteVersion
from evaluation.plans import primary_of
from evaluation.suites import create_suite, living, put_cases
from evaluation.suites.content import Content
from evaluation.suites.reading import read_case
from labeling.lifecycle import Status
from labeling.models import Project, User
from training.models import Checkpoint


def asked(prompt: str, **fields: Any) -> Content:
    """What a case holds that asks this."""
    return Content(prompt=[{"role": "user", "content": prompt}], **fields)


def filled(project: Project, count: int, *, name: str = "Support questions", **fields: Any) -> Suite:
    """A suite with so many cases."""
    suite = create_suite(project=project, name=name, person=None)
    put(suite, *({"id": f"q{n}", "prompt": f"Question {n}?", **fields} for n in range(count)))
    return suite


def put(suite: Suite, *rows: dict[str, Any]) -> None:
    put_cases(suite=suite, drafts=[read_case(row) for row in rows], person=None)


def first(suite: Suite) -> Case:
    return living(suite).select_related("suite").order_by("position")[0]


def candidate(project: Project, base: Checkpoint, name: str) -> Checkpoint:
    return Checkpoint.objects.create(
        project=project, base=base.base, parent=base, name=name, kind=Checkpoint.Kind.ADAPTER, path=name
    )


def finished_run(
    version: SuiteVersion,
    *targets: Checkpoint,
    split: str = Split.DEV,
    spread: float = 0.2,
    n: int = 100,
    status: str = Status.SUCCEEDED,
    metrics: Sequence[dict[str, Any]] = (),
) -> EvalRun:
    """A run that scored these targets, the first of them as the baseline, with the spread of their differences in the
    primary metric."""
    primary = primary_of({metric["name"]: metric["weight"] for metric in metrics}) or "preference"
    run = EvalRun.objects.create(
        project=version.suite.project,
        suite=version.suite,
        version=version,
        split=split,
        name=f"run of {targets[-1]}",
        engine="fake",
        spec={"primary": primary, "metrics": list(metrics)},
        folder="x",
        status=status,
    )
    rows = [
        RunTarget.objects.create(
            run=run, index=index, name=target.name, checkpoint=target, facts={}, identity=target.name
        )
        for index, target in enumerate(targets)
    ]
    for row in rows[1:] if status == Status.SUCCEEDED else ():
        for metric, value in ((primary, spread), ("another", 99.0)):
            Score.objects.create(
                run=run, target=row, versus=rows[0], metric=metric, value=0.1, n=n, spread=value
            )
    return run


def decided(run: EvalRun, about: Checkpoint, *, by: User) -> Decision:
    return Decision.objects.create(
        project=run.project,
        run=run,
        candidate=about,
        action=Decision.Action.KEPT,
        record="kept",
        content_hash="0" * 64,
        created_by=by,
    )
