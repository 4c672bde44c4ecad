"""Pipelines: SFT, a reward model and a policy in one launch. Each step starts when what it needs is there.

A step is an ordinary run; this module only decides when to launch which. It looks after every run that ends, and in
the sweep. A run is stored with the pipeline's row locked: two workers that look at once start a step once.
"""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from training.beginning import own_settings
from training.chaining import Asked, check_chain
from training.launching import checked_spec, queued, resume
from training.models import Checkpoint, Pipeline, PipelineStep, TrainingRun
from training.standing import places, status_of, steps_of

Role = PipelineStep.Role
NAME_LENGTH = 100


def launch_pipeline(
    *,
    project: Project,
    start: Checkpoint,
    sft: Asked,
    reward: Asked,
    policy: Asked,
    person: User | None,
    name: str = "",
) -> Pipeline:
    """Store the chain and start the steps that wait for nothing. Raises StepRefused, before anything is stored."""
    if len(name) > NAME_LENGTH:
        raise Refused(f"The name has {len(name)} characters; up to {NAME_LENGTH} are allowed.")
    asked = {Role.SFT: sft, Role.REWARD: reward, Role.POLICY: policy}
    check_chain(project, start, asked)
    with transaction.atomic():
        pipeline = Pipeline.objects.create(
            project=project, name=name, start=sft.given or start, created_by=person
        )
        if not name:
            pipeline.name = f"{policy.method}-chain-{pipeline.pk}"
            pipeline.save(update_fields=["name"])
        for role, step in asked.items():
            PipelineStep.objects.create(
                pipeline=pipeline,
                role=role,
                method=step.method,
                given=step.given,
                gold=step.gold,
                dataset_version=None if step.given else step.dataset_version,
                values=step.values or {},
            )
    advance(pipeline)
    return pipeline


def advance(pipeline: Pipeline) -> None:
    """Launch every step whose turn it is. Safe to call at any time: a step starts one run."""
    pipeline = _read(pipeline)
    for role, step in steps_of(pipeline).items():
        if pipeline.cancelled_at is None and step.given is None and step.run is None and not step.refusal:
            _launch(pipeline, role)


def _read(pipeline: Pipeline) -> Pipeline:
    rows = Pipeline.objects.select_related("project", "start__base", "start__parent", "created_by")
    return rows.get(pk=pipeline.pk)


def _launch(pipeline: Pipeline, role: str, *, before: TrainingRun | None = None) -> str:
    """Start a step's run where everything that it needs is there; note and return why it cannot be started.

    `before` is the run whose place it takes. Everything is checked first, which can take long with many rows; then,
    with the pipeline locked, the run is stored if nothing has changed meanwhile.
    """
    steps = steps_of(pipeline)
    step, found = steps[role], places(pipeline, steps, role)
    start, reward = found["start"], found.get("reward")
    if None in found.values() or start is None or step.dataset_version is None:
        return ""
    name, spec, refusal = f"{pipeline.name}-{step.method}", None, ""
    begins: dict[str, Any] = {
        "dataset_version": step.dataset_version,
        "start": start,
        "reward": reward,
        "gold": step.gold,
    }
    try:
        spec = checked_spec(method=step.method, values=step.values, name=name, **begins)
    except Refused as refused:
        refusal = refused.sentence
    with transaction.atomic():
        locked = Pipeline.objects.select_for_update().get(pk=pipeline.pk)
        now = steps_of(locked)[role]
        if locked.cancelled_at is not None or now.run != before or now.values != step.values:
            return ""
        if spec is not None:
            now.run = queued(
                spec=spec,
                project=pipeline.project,
                person=pipeline.created_by,
                name=name,
                again_of=before,
                **begins,
            )
        now.refusal = refusal if before is None else ""
        now.save(update_fields=["run", "refusal"])
    return refusal


def follow(run_id: int) -> None:
    """Go on with the pipeline of a run, if it is of one and has ended."""
    step = PipelineStep.objects.filter(run=run_id, run__status=Status.SUCCEEDED).select_related("pipeline")
    for found in step:
        advance(found.pipeline)


def sweep() -> None:
    """Go on with the pipelines whose next step could have started: a worker may have died at the wrong moment."""
    waits = Q(steps__given=None, steps__run=None, steps__refusal="")
    for pipeline in Pipeline.objects.filter(waits, cancelled_at=None).distinct():
        advance(pipeline)


def restart(pipeline: Pipeline, role: str) -> None:
    """Train one step anew, with the same settings. Steps behind it keep what they have. Raises Refused."""
    pipeline = _read(pipeline)
    steps = steps_of(pipeline)
    step = steps[role]
    if step.given is not None:
        raise Refused(
            f"This step uses {step.given}, which was there before; there is nothing to train again."
        )
    if step.run is not None and not step.run.is_over:
        raise Refused(f"{step.run.name} is still {step.run.status}; cancel it first.")
    if None in places(pipeline, steps, role).values():
        raise Refused("The steps before this one have not made what it needs; start those again first.")
    Pipeline.objects.filter(pk=pipeline.pk).update(cancelled_at=None)
    if refusal := _launch(pipeline, role, before=step.run):
        raise Refused(refusal)
    advance(pipeline)


def take_place(*, run: TrainingRun, of: TrainingRun) -> None:
    """Let a run that was started with changes stand for its step from now on. Nothing where `of` stands for none."""
    step = PipelineStep.objects.filter(run=of, method=run.method).first()
    if step is None:
        return
    with transaction.atomic():
        Pipeline.objects.select_for_update().get(pk=step.pipeline_id)
        values = own_settings(run.method, run.spec)
        PipelineStep.objects.filter(pk=step.pk, run=of).update(
            run=run, values=values, dataset_version=run.dataset_version, gold=run.gold
        )


def cancel(pipeline: Pipeline) -> None:
    """Start no further step, and stop those at work. Nothing where all is done."""
    with transaction.atomic():
        pipeline = Pipeline.objects.select_for_update().get(pk=pipeline.pk)
        steps = steps_of(pipeline)
        if status_of(pipeline, steps) == Status.SUCCEEDED:
            return
        Pipeline.objects.filter(pk=pipeline.pk, cancelled_at=None).update(cancelled_at=timezone.now())
        for step in steps.values():
            if step.run is not None:
                step.run.request_cancel()


def go_on(pipeline: Pipeline) -> None:
    """Take up a pipeline that was cancelled: steps that were stopped go on from their last checkpoint."""
    pipeline = _read(pipeline)
    stopped = [step.run for step in steps_of(pipeline).values() if step.run is not None]
    if pipeline.cancelled_at is None:
        raise Refused(f"{pipeline.name} was not cancelled.")
    if any(run.status == Status.STOPPING for run in stopped):
        raise Refused("A step is still stopping; try again in a moment.")
    for run in stopped:
        if run.status == Status.CANCELLED:
            resume(run)
    Pipeline.objects.filter(pk=pipeline.pk).update(cancelled_at=None)
    advance(pipeline)
