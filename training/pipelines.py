"""Pipelines: SFT, a reward model and a policy in one launch. Each step starts when what it needs is there.

A step is an ordinary run; this module only decides when to launch which. It looks after every run that ends, and in
the sweep, with the pipeline's row locked: two workers that look at once start a step once.
"""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project, User
from training.beginning import own_settings
from training.compatibility import check_files
from training.launching import checked_rows, launch
from training.models import Checkpoint, Pipeline, PipelineStep, TrainingRun
from training.specs import ROLLOUTS
from training.specs.methods import LOW_RANK
from training.standing import places, steps_of

Role = PipelineStep.Role
NAME_LENGTH = 100
REWARD_ADAPTATIONS = ("full", *LOW_RANK, "ia3")


@dataclass(frozen=True)
class Asked:
    """A step as it was asked for: a checkpoint that is there, or what to train."""

    method: str
    given: Checkpoint | None = None
    dataset_version: DatasetVersion | None = None
    values: dict[str, Any] | None = None
    gold: Checkpoint | None = None


class StepRefused(Refused):
    """A step of a pipeline cannot be as it was asked for; `role` says which."""

    def __init__(self, role: str, sentence: str) -> None:
        super().__init__(sentence)
        self.role = role


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
    adaptations = {role: _checked(role, step) for role, step in asked.items()}
    _check_chain(asked, adaptations, start)
    with transaction.atomic():
        pipeline = Pipeline.objects.create(project=project, name=name, start=start, created_by=person)
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


def _checked(role: str, step: Asked) -> str | None:
    """The adaptation of a step that is trained; None of one that is given. Raises StepRefused."""
    try:
        if step.given is not None:
            is_reward = step.given.line == Checkpoint.Line.REWARD
            if is_reward != (role == Role.REWARD):
                wanted = "a reward model" if role == Role.REWARD else "a model that answers"
                raise Refused(f"{step.given} is not {wanted}; choose another checkpoint, or train one.")
            check_files(step.given)
            return None
        if step.dataset_version is None:
            raise Refused(f"dataset_version was not given, and this step is to train {step.method}.")
        spec, _ = checked_rows(
            method=step.method, dataset_version=step.dataset_version, values=step.values or {}
        )
    except Refused as refusal:
        raise StepRefused(role, refusal.sentence) from refusal
    return spec.adaptation


def _check_chain(asked: dict[Role, Asked], adaptations: dict[Role, str | None], start: Checkpoint) -> None:
    """Will the steps fit each other when their turn comes? Raises StepRefused with the one that would not."""
    if start.line == Checkpoint.Line.REWARD:
        raise Refused(f"{start} is a reward model; begin with a model that answers.")
    sft, reward, policy = (adaptations[role] for role in (Role.SFT, Role.REWARD, Role.POLICY))
    if policy is None or asked[Role.POLICY].method not in ROLLOUTS:
        raise StepRefused(Role.POLICY, f"The last step learns from rewards; choose {', '.join(ROLLOUTS)}.")
    if reward is not None and reward not in REWARD_ADAPTATIONS:
        raise StepRefused(
            Role.REWARD,
            f"adaptation was given as {reward}, and a policy can read reward models trained with "
            f"{', '.join(REWARD_ADAPTATIONS)}; choose one of them.",
        )
    if sft is not None and sft != "full" and policy not in LOW_RANK:
        raise StepRefused(
            Role.POLICY,
            f"adaptation was given as {policy}, and the policy goes on with an adapter of {sft}; choose lora or "
            "qlora here, or train all weights in the first step.",
        )
    if sft is not None and sft not in ("full", *LOW_RANK):
        raise StepRefused(
            Role.SFT,
            f"adaptation was given as {sft}, and no policy can go on with that; choose lora or full.",
        )


def advance(pipeline: Pipeline) -> None:
    """Launch every step whose turn it is. Safe to call at any time: a step starts one run."""
    with transaction.atomic():
        pipeline = (
            Pipeline.objects.select_for_update(of=("self",))
            .select_related("project", "start__base", "start__parent", "created_by")
            .get(pk=pipeline.pk)
        )
        if pipeline.cancelled_at is not None:
            return
        steps = steps_of(pipeline)
        for step in steps.values():
            if step.given is None and step.run is None and not step.refusal:
                _launch(pipeline, steps, step)


def _launch(
    pipeline: Pipeline,
    steps: dict[str, PipelineStep],
    step: PipelineStep,
    again_of: TrainingRun | None = None,
) -> None:
    """Start a step's run where everything that it needs is there; note why it cannot be started."""
    found = places(pipeline, steps, step.role)
    if None in found.values():
        return
    assert step.dataset_version is not None
    begins: dict[str, Any] = found
    try:
        step.run = launch(
            project=pipeline.project,
            method=step.method,
            dataset_version=step.dataset_version,
            values=step.values,
            person=pipeline.created_by,
            name=f"{pipeline.name}-{step.method}",
            gold=step.gold,
            again_of=again_of,
            **begins,
        )
        step.refusal = ""
    except Refused as refusal:
        step.run, step.refusal = None, refusal.sentence
    step.save(update_fields=["run", "refusal"])


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
    with transaction.atomic():
        pipeline = (
            Pipeline.objects.select_for_update(of=("self",))
            .select_related("project", "start__base", "start__parent", "created_by")
            .get(pk=pipeline.pk)
        )
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
        before, step.run = step.run, None
        _launch(pipeline, steps, step, again_of=before)
        if step.refusal:
            raise Refused(step.refusal)


def take_place(*, run: TrainingRun, of: TrainingRun) -> None:
    """Let a run that was started with changes stand for its step from now on. Nothing where `of` stands for none."""
    with transaction.atomic():
        step = PipelineStep.objects.filter(run=of, method=run.method).first()
        if step is None:
            return
        step.run, step.values, step.dataset_version = (
            run,
            own_settings(run.method, run.spec),
            run.dataset_version,
        )
        step.save(update_fields=["run", "values", "dataset_version"])


def cancel(pipeline: Pipeline) -> None:
    """Start no further step, and stop the one that is at work."""
    with transaction.atomic():
        pipeline = Pipeline.objects.select_for_update().get(pk=pipeline.pk)
        Pipeline.objects.filter(pk=pipeline.pk, cancelled_at=None).update(cancelled_at=timezone.now())
        for step in steps_of(pipeline).values():
            if step.run is not None:
                step.run.request_cancel()


def go_on(pipeline: Pipeline) -> None:
    """Take up a pipeline that was cancelled: steps that were stopped start anew from their last checkpoint."""
    with transaction.atomic():
        if not Pipeline.objects.filter(pk=pipeline.pk, cancelled_at__isnull=False).update(cancelled_at=None):
            raise Refused(f"{pipeline.name} was not cancelled.")
        for step in steps_of(pipeline).values():
            if step.run is not None and step.run.status == Status.CANCELLED:
                step.run.resume()
        advance(pipeline)
