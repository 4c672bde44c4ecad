"""Arranging pipelines: launched on a version, and their runs ended as if their processes had."""

from typing import Any

from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project
from tests.training.folders import write_adapter, write_model
from tests.training.runs import RESULT
from training.chaining import Asked
from training.jobs import drive_run
from training.models import Checkpoint, Pipeline, PipelineStep, TrainingRun
from training.pipelines import launch_pipeline
from training.registry import register_checkpoint
from training.standing import standing, steps_of


def launched(project: Project, root: Checkpoint, version: DatasetVersion, **steps: Any) -> Pipeline:
    asked = {
        "sft": Asked("sft", dataset_version=version, values={"epochs": 2.0}),
        "reward": Asked("reward", dataset_version=version),
        "policy": Asked("ppo", dataset_version=version, values={"rollout_size": 32}),
        **steps,
    }
    return launch_pipeline(project=project, start=root, person=None, **asked)


def run_of(pipeline: Pipeline, role: str) -> TrainingRun:
    run = PipelineStep.objects.get(pipeline=pipeline, role=role).run
    assert run is not None
    return run


def states(pipeline: Pipeline) -> dict[str, str]:
    pipeline.refresh_from_db()
    steps = steps_of(pipeline)
    return {role: standing(pipeline, steps, role).status for role in steps}


def end(run: TrainingRun, status: Status = Status.SUCCEEDED, *, kind: str = "adapter") -> Checkpoint | None:
    """Let a run end as if its process had, and the worker's message be done."""
    run.claim()
    run.finish(status, "" if status == Status.SUCCEEDED else "It ended badly.")
    if status != Status.SUCCEEDED:
        drive_run(run.pk)
        return None
    final = run.path / "final"
    if kind == "full":
        head = "ForSequenceClassification" if run.method == "reward" else "ForCausalLM"
        write_model(final, head=head)
    else:
        task = "SEQ_CLS" if run.method == "reward" else "CAUSAL_LM"
        write_adapter(final, run.base.location, task=task)
    made = register_checkpoint(run=run, result=RESULT | {"kind": kind})
    drive_run(run.pk)
    return made
