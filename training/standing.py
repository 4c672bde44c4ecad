"""How far a pipeline is: what its steps have made, what they wait for, and what has changed before them since."""

from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from labeling.lifecycle import ACTIVE, Status
from training.models import Checkpoint, Pipeline, PipelineStep
from training.registry import trunk

Role = PipelineStep.Role


def with_steps(rows: QuerySet[Pipeline]) -> QuerySet[Pipeline]:
    """Pipelines with their steps and what is shown of them, in as many queries as for one."""
    return rows.select_related("start__base", "start__parent", "created_by").prefetch_related(
        Prefetch("steps", queryset=_steps())
    )


def _steps() -> QuerySet[PipelineStep]:
    rows = PipelineStep.objects.select_related(
        "given__base",
        "given__parent",
        "gold",
        "dataset_version__project",
        "run__checkpoint__parent",
        "run__start",
        "run__base",
        "run__reward",
        "run__dataset_version",
    )
    return rows.defer("run__result").order_by("id")


def steps_of(pipeline: Pipeline) -> dict[str, PipelineStep]:
    """The steps by role, in their order: those that came with it (`with_steps`), else as they are now."""
    came = "steps" in getattr(pipeline, "_prefetched_objects_cache", {})
    return {
        step.role: step for step in (pipeline.steps.all() if came else _steps().filter(pipeline=pipeline))
    }


def made(step: PipelineStep) -> Checkpoint | None:
    """What a step has come to; None as long as it has not."""
    if step.given is not None:
        return step.given
    if step.run is None or step.run.status != Status.SUCCEEDED:
        return None
    return getattr(step.run, "checkpoint", None)


def needs(steps: dict[str, PipelineStep], role: str) -> tuple[str, ...]:
    """The steps that a step begins from. A reward model waits for SFT only where that trains all weights."""
    sft = steps[Role.SFT]
    is_full = sft.given is None and sft.values.get("adaptation") == "full"
    return {Role.POLICY: (Role.SFT, Role.REWARD), Role.REWARD: (Role.SFT,) if is_full else ()}.get(
        Role(role), ()
    )


def places(pipeline: Pipeline, steps: dict[str, PipelineStep], role: str) -> dict[str, Checkpoint | None]:
    """Where a step starts, and what rewards it; None stands for what is not there yet.

    A reward model grows on the whole weights below the policy's adapter: so they share a base.
    """
    answers = made(steps[Role.SFT])
    if role == Role.SFT:
        return {"start": pipeline.start}
    if role == Role.POLICY:
        return {"start": answers, "reward": made(steps[Role.REWARD])}
    grows_on = answers if needs(steps, role) else pipeline.start
    return {"start": trunk(grows_on) if grows_on is not None else None}


@dataclass(frozen=True)
class Standing:
    """How far a step is: a status, a word for it, what it waits for, and what has changed before it since."""

    status: str
    label: str
    waits_for: tuple[str, ...] = ()
    outdated: str = ""


def standing(pipeline: Pipeline, steps: dict[str, PipelineStep], role: str) -> Standing:
    """How far a step is, from what is stored of it."""
    step = steps[role]
    if step.given is not None:
        return Standing("done", "Was there before")
    if step.run is not None:
        return Standing(step.run.status, step.run.get_status_display(), outdated=_outdated(steps, step))
    if step.refusal:
        return Standing("refused", "Could not start")
    if pipeline.cancelled_at is not None:
        return Standing("cancelled", "Not started")
    behind = [other for other in needs(steps, role) if made(steps[other]) is None]
    return Standing("waiting", "Waiting", tuple(Role(other).label.lower() for other in behind))


def _outdated(steps: dict[str, PipelineStep], step: PipelineStep) -> str:
    """Which step that this one's run began from was trained again since; empty where none was."""
    assert step.run is not None
    changed = [
        Role(role).label.lower()
        for role in needs(steps, step.role)
        if (run := steps[role].run) is not None and made(steps[role]) is not None and run.pk > step.run.pk
    ]
    return f"The {' and the '.join(changed)} was trained again since." if changed else ""


def status_of(pipeline: Pipeline, steps: dict[str, PipelineStep]) -> Status:
    """How far the whole is: that of the first step that went wrong, else of what is left to do."""
    found = [standing(pipeline, steps, role).status for role in steps]
    if any(each in ("failed", "refused") for each in found):
        return Status.FAILED
    if all(each in ("done", "succeeded") for each in found):
        return Status.SUCCEEDED
    if pipeline.cancelled_at is not None or "cancelled" in found:
        return Status.CANCELLED
    return Status.RUNNING if any(each in ACTIVE for each in found) else Status.QUEUED
