"""A suite with a planted family of failures, a fix opened for it, and what came of the fix, without a model."""

import uuid
from typing import Any

from evaluation.errors.failures import start_analysis
from evaluation.errors.reading import next_failure, record
from evaluation.models import Analysis, Case, EvalRun, Fix, FixCase, RunTarget, SuiteVersion
from evaluation.rounds.ledger import Entry, entries_of, fixes_of
from evaluation.rounds.opening import Opened, open_fix
from evaluation.suites import freeze_version
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, ErrorCategory, Project, User
from labeling.rag.taxonomy import categories_of
from tests import world
from tests.evaluation.finished import Values, checkpoint, finished, suite_of
from training.models import Checkpoint, TrainingRun

CASES, FAMILY = 100, 40
KEY = "wrong_citation"


def category_of(project: Project, key: str = KEY) -> ErrorCategory:
    return next(each for each in categories_of(project) if each.key == key)


def is_family(case: int) -> bool:
    return case < FAMILY


def base_marks(case: int, metric: str) -> float:
    """All of the family fails, and of the others every second one."""
    return 0.0 if is_family(case) else float(case % 2)


def cured(case: int, metric: str) -> float:
    """Of the family nine in ten pass, and one in ten of the other failing cases, by chance."""
    if is_family(case):
        return float(case % 10 != 0)
    return 1.0 if case % 2 else float(case % 20 == 0)


def shaken(case: int, metric: str) -> float:
    """One in ten of all failing cases passes, of whatever kind."""
    if is_family(case):
        return float(case % 10 == 0)
    return 1.0 if case % 2 else float(case % 20 == 0)


def planted(project: Project, *, cases: int = CASES, name: str = "Support") -> SuiteVersion:
    return suite_of(project, cases, name=name, tags=lambda n: [KEY] if is_family(n) else ["other"])


def failed_run(project: Project, marks: Values = base_marks, **options: Any) -> EvalRun:
    options.setdefault("version", None) or options.update(version=planted(project))
    return finished(project, {"base": marks}, **options)


def opened(project: Project, run: EvalRun | None = None, **options: Any) -> Opened:
    run = run or failed_run(project)
    return open_fix(
        project=project,
        category=options.pop("category", None) or category_of(project),
        target=RunTarget.objects.select_related("run__suite", "run__version__suite").get(run=run, index=0),
        person=world.person("emma"),
        **options,
    )


def cases_of(fix: Fix, role: str) -> list[Case]:
    return [each.case for each in FixCase.objects.filter(fix=fix, role=role).select_related("case")]


def analysed(run: EvalRun, reader: User, most: int = CASES) -> Analysis:
    """An analysis of the baseline of which so many failures were read, as what they are or as incomplete."""
    analysis = start_analysis(run=run, target=run.targets.get(index=0), person=reader)
    for _ in range(most):
        read = next_failure(analysis=analysis, person=reader)
        if read is None:
            break
        keys = [KEY] if is_family(read.case.position) else ["incomplete"]
        record(read=read, categories=keys, person=reader)
    return analysis


def judged_and_frozen(project: Project) -> DatasetVersion:
    """Ben judges everything, and Emma freezes it whatever the check finds."""
    world.judge_all(project, world.person("ben"))
    return world.frozen(project, near_duplicates=None, decontaminate=(), test_share=0.0)


def trained_on(project: Project, version: DatasetVersion, name: str = "after") -> Checkpoint:
    """A checkpoint as a finished run on this version leaves it."""
    start = checkpoint(project, "base")
    run = TrainingRun.objects.create(
        project=project, name=name, method="dpo", dataset_version=version, base=start.base, start=start, spec={},
        folder=uuid.uuid4().hex, status=Status.SUCCEEDED,
    )  # fmt: skip
    return Checkpoint.objects.create(
        project=project,
        base=start.base,
        parent=start,
        run=run,
        name=name,
        kind="adapter",
        path=f"runs/{name}",
    )


def evaluated(fix: Fix, made: Checkpoint, marks: Values, **options: Any) -> EvalRun:
    """The checkpoint on the suite as it is now, beside the fix's target."""
    version = freeze_version(suite=fix.run.suite, person=None)
    targets = {"base": options.pop("base", base_marks), made.name: marks}
    return finished(fix.project, targets, version=version, checkpoints={made.name: made}, **options)


def closed_by(project: Project, marks: Values, **options: Any) -> Entry:
    """The whole way of a fix to the marks of its checkpoint."""
    fix = opened(project).fix
    made = trained_on(project, judged_and_frozen(project))
    evaluated(fix, made, marks, **options)
    return entry(fix)


def entry(fix: Fix) -> Entry:
    return entries_of([fixes_of(fix.project).get(pk=fix.pk)])[0]
