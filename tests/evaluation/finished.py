"""Evaluations that have ended, without engines: cases, marks and numbers as a job would have left them."""

import hashlib
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest.mock import patch

from django.utils import timezone

from evaluation.marking import together
from evaluation.models import (
    Case,
    CaseResult,
    CaseScore,
    EvalRun,
    Output,
    RunTarget,
    Score,
    Split,
    Suite,
    SuiteVersion,
)
from evaluation.plans import COMPOSITE, Plan, parse_spec
from evaluation.scorers import Mark, find_scorer, read_params
from evaluation.scoring import compute_scores, run_facts
from evaluation.specs import MetricSpec, RunSpec
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project
from training.models import BaseModel, Checkpoint, TrainingRun

Values = Callable[[int, str], float | None]  # (case from 0, metric) to a value; None is an error
Tags = Callable[[int], list[str]]


def passing(share: float, seed: int = 0) -> Values:
    """A target that passes about this share of cases, the same ones each time."""

    def value(case: int, metric: str) -> float:
        drawn = random.Random(f"{seed}/{case}/{metric}").random()
        return float(drawn < share) if metric != "perplexity" else 18.0 + 6 * (1 - share) + 8 * drawn

    return value


def better_than(first: Values, gain: float, loss: float = 0.0, seed: int = 1) -> Values:
    """A target that passes some of what another fails, and fails some of what it passes."""

    def value(case: int, metric: str) -> float | None:
        before, drawn = first(case, metric), random.Random(f"{seed}/{case}/{metric}").random()
        if metric == "perplexity" or before is None:
            return None if before is None else before * (1.05 - gain / 2 + drawn / 10)
        return float(drawn < gain) if before == 0 else float(drawn >= loss)

    return value


def always(number: float | None) -> Values:
    return lambda case, metric: number


def suite_of(
    project: Project, cases: int, *, name: str = "Support", tags: Tags | None = None, sealed: int = 0
) -> SuiteVersion:
    """A frozen version of a suite; the last `sealed` cases are under seal."""
    suite = Suite.objects.create(project=project, name=name, scoring=[])
    version = SuiteVersion.objects.create(
        suite=suite,
        number=1,
        frozen_at=timezone.now(),
        content_hash=digest(f"{name}{cases}"),
        cases=cases,
        sealed=sealed,
    )
    Case.objects.bulk_create(
        Case(
            suite=suite,
            position=n,
            preview=f"Question {n}?",
            prompt=[{"role": "user", "content": f"How do I return order {n}?"}],
            prompt_hash=digest(f"{name}{n}"),
            reference=f"Open Orders, choose order {n}, press Return.",
            rejected=f"No idea about order {n}.",
            tags=tags(n) if tags else ["refunds" if n % 3 else "billing"],
            sealed=n >= cases - sealed,
            content_hash=digest(f"case {n}"),
        )
        for n in range(cases)
    )
    return version


def checkpoint(
    project: Project, name: str, *, on: str = "tiny", rows: int | None = None, production: bool = False
) -> Checkpoint:
    """A checkpoint trained `on` a base, or with the name "base" that one; `rows` are of the version it learned, each of
    one judgment."""
    base, _ = BaseModel.objects.get_or_create(name=on, defaults={"location": f"hub/{on}"})
    if name == "base":
        root, _ = Checkpoint.objects.get_or_create(
            base=base, kind=Checkpoint.Kind.BASE, defaults={"name": name, "path": base.location}
        )
        return root
    found = Checkpoint.objects.filter(project=project, name=name).first()
    return found or Checkpoint.objects.create(
        project=project,
        base=base,
        name=name,
        kind=Checkpoint.Kind.ADAPTER,
        path=f"runs/{name}",
        content_hash=digest(name),
        stage=Checkpoint.Stage.PRODUCTION if production else Checkpoint.Stage.CANDIDATE,
        run=_training_run(project, base, name, rows) if rows else None,
    )


def _training_run(project: Project, base: BaseModel, name: str, rows: int) -> TrainingRun:
    number = project.dataset_versions.count() + 1
    version = DatasetVersion.objects.create(
        project=project, number=number, kind="pairs", recipe={}, content_hash=digest(name), dropped={},
        splits={"train": {"rows": rows}}, folder=uuid.uuid4().hex, last_judgment_id=0,
    )  # fmt: skip
    start = checkpoint(project, "base")
    return TrainingRun.objects.create(
        project=project, name=name, method="sft", dataset_version=version, base=base, start=start, spec={},
        folder=uuid.uuid4().hex, status=Status.SUCCEEDED,
    )  # fmt: skip


def edited(version: SuiteVersion, *, position: int) -> tuple[SuiteVersion, Case]:
    """The next version, in which the case there has another prompt; and that case as it was."""
    newer = SuiteVersion.objects.create(suite=version.suite, number=2, content_hash="x", cases=version.cases)
    old = Case.objects.get(suite=version.suite, position=position)
    Case.objects.filter(pk=old.pk).update(removed=2)
    Case.objects.create(
        suite=version.suite, uid=old.uid, added=2, position=position, prompt=[], prompt_hash="y"
    )
    return newer, old


def finished(
    project: Project,
    targets: Mapping[str, Values],
    *,
    cases: int = 60,
    version: SuiteVersion | None = None,
    metrics: Sequence[str] = ("exact",),
    tags: Tags | None = None,
    split: str = Split.DEV,
    name: str = "Support, weekly",
    weights: Mapping[str, float] | None = None,
    checkpoints: Mapping[str, Checkpoint] | None = None,
    dirty: Mapping[str, int] | None = None,
    **spec: Any,
) -> EvalRun:
    """A run that has succeeded: the first of the targets is the baseline. Metrics are named as their scorers; with two
    weights or more, the primary metric is all weighted ones together."""
    version = version or suite_of(project, cases, tags=tags, sealed=cases if split == Split.SEALED else 0)
    run = EvalRun.objects.create(
        project=project, suite=version.suite, version=version, split=split, name=name, engine="fake",
        spec=run_spec(metrics, weights or {}, **spec), folder=uuid.uuid4().hex, status=Status.SUCCEEDED,
        started_at=timezone.now(), finished_at=timezone.now(),
    )  # fmt: skip
    rows = list(Case.objects.in_split(version, split))
    for index, (who, values) in enumerate(targets.items()):
        own = (checkpoints or {}).get(who) or checkpoint(project, who)
        target = RunTarget.objects.create(
            run=run,
            index=index,
            name=who,
            checkpoint=own,
            facts={"id": str(index), "base": "hub/tiny"},
            identity=digest(who),
        )
        _answer(run, target, rows, values, metrics)
    plan = Plan(run)
    Score.objects.bulk_create(compute_scores(plan))
    met = {target.checkpoint_id: _met(rows, (dirty or {}).get(target.name, 0)) for target in plan.rows}
    with (  # no version has a file to look into
        patch("evaluation.scoring.dirty_cases", return_value=met),
        patch("evaluation.scoring.judgments_behind", side_effect=_judgments),
    ):
        run.facts = run_facts(plan)
    run.save()
    return run


def _judgments(checkpoint: Checkpoint, beat: object) -> int:
    return checkpoint.run.dataset_version.splits["train"]["rows"] if checkpoint.run else 0


def _met(cases: Sequence[Case], count: int) -> dict[int, str]:
    return {case.pk: "prompt" for case in cases[:count]}


def run_spec(metrics: Sequence[str], weights: Mapping[str, float], **spec: Any) -> dict[str, Any]:
    made = []
    for key in metrics:
        scorer = find_scorer(key)
        params = read_params(scorer, {}).model_dump(mode="json")
        made.append(
            MetricSpec(
                name=key, scorer=key, version=scorer.version, params=params, weight=weights.get(key, 0.0)
            )
        )
    primary = COMPOSITE if sum(weight > 0 for weight in weights.values()) > 1 else metrics[0]
    return RunSpec(metrics=tuple(made), primary=primary, **spec).model_dump(mode="json")


def _answer(
    run: EvalRun, target: RunTarget, cases: Sequence[Case], values: Values, metrics: Sequence[str]
) -> None:
    outputs = [
        Output(
            project=run.project, key=digest(f"{run.pk}/{target.pk}/{n}"), kind="answer", tokens=40 + n % 25,
            text=f"{target.name} says: open order {case.position}, then return it.",
            finish="length" if n % 29 == 0 else "stop",
            ms=300 + 7.0 * (n % 40) + 25 * target.index, cost=0.0004 + 0.00001 * (n % 7), prompt_hash=digest(str(n)),
        )
        for n, case in enumerate(cases)
    ]  # fmt: skip
    Output.objects.bulk_create(outputs, batch_size=500)
    results = [
        CaseResult(run=run, case=case, target=target, output=output)
        for case, output in zip(cases, outputs, strict=True)
    ]
    CaseResult.objects.bulk_create(results, batch_size=500)
    rows = [
        _mark(result, metric, values(result.case.position, metric))
        for result in results
        for metric in metrics
    ]
    if run.primary == COMPOSITE:
        rows += [_together(run, rows[n : n + len(metrics)]) for n in range(0, len(rows), len(metrics))]
    CaseScore.objects.bulk_create(rows, batch_size=500)


def _together(run: EvalRun, rows: Sequence[CaseScore]) -> CaseScore:
    """The primary metric of one result, as a job marks it."""
    marks = {row.metric: Mark(row.value, row.size, row.state, row.reason) for row in rows}  # type: ignore[arg-type]
    found = together([spec for spec in parse_spec(run.spec).metrics if spec.weight > 0], marks)
    return CaseScore(
        result=rows[0].result, metric=COMPOSITE, state=found.state, value=found.value, reason=found.reason
    )


def _mark(result: CaseResult, metric: str, value: float | None) -> CaseScore:
    if value is None:
        return CaseScore(
            result=result, metric=metric, state=CaseScore.State.ERROR, reason="the judge said nothing"
        )
    size = 10.0 if metric in ("perplexity", "loss_per_token", "loss_per_byte") else None
    return CaseScore(result=result, metric=metric, state=CaseScore.State.SCORED, value=value, size=size)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
