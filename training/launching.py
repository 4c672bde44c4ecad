"""Start, watch and stop a training run. The row is claimed by one worker; the work is done by a recipe process."""

import json
import logging
import uuid
from typing import Any

from django.db import transaction

from labeling.curation import exporting, rowfile
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project, User
from labeling.protection import protected_hashes
from training.models import Checkpoint, RunEvent, TrainingRun
from training.processes import BUSY, STOPPED, Stop, failure_words, killed_words, run_recipe
from training.registry import read_result, register_checkpoint
from training.shapes import shape_for
from training.specs import SpecRefused, parse_spec
from training.telemetry import EventTail

log = logging.getLogger(__name__)

NAME_LENGTH = 120


def launch(
    *,
    project: Project,
    method: str,
    dataset_version: DatasetVersion,
    start: Checkpoint,
    values: dict[str, Any],
    person: User | None,
    name: str = "",
    again_of: TrainingRun | None = None,
) -> TrainingRun:
    """Freeze the spec and queue the run. Raises Refused, before anything is stored, where it cannot be done.

    `again_of` is the run whose settings this one began from.
    """
    try:
        spec = parse_spec(method, values)
    except SpecRefused as refusal:
        raise Refused(str(refusal)) from refusal
    exporting.check_shape(dataset_version, shape_for(method, dataset_version.kind))
    if not dataset_version.splits.get("train"):
        raise Refused(f"{dataset_version} has no training rows; freeze one with a smaller test share.")
    if len(name) > NAME_LENGTH:
        raise Refused(f"The name has {len(name)} characters; up to {NAME_LENGTH} are allowed.")
    _refuse_leak(dataset_version)
    with transaction.atomic():
        run = TrainingRun.objects.create(
            project=project,
            name=name or f"{method}-{dataset_version.number}-{uuid.uuid4().hex[:4]}",
            method=method,
            dataset_version=dataset_version,
            base=start.base,
            start=start,
            again_of=again_of,
            spec=spec.model_dump(),
            folder=uuid.uuid4().hex,
            created_by=person,
        )
        run.enqueue()
    return run


def _refuse_leak(version: DatasetVersion) -> None:
    """A prompt that became evaluation material after the freeze must not be trained on."""
    exporting.verify(version)
    protected = protected_hashes(project=version.project)
    leaked = {row["prompt_hash"] for row in rowfile.read(version.path, split="train")} & protected
    if leaked:
        raise Refused(
            f"{len(leaked)} prompts of {version}'s training split are used for evaluation by now; "
            "freeze a new version, which leaves them out."
        )


def drive(run: TrainingRun) -> None:
    """Claim the run and carry it to an end, or give it back to be resumed. Safe to call for any run at any time."""
    if run.claim():
        run.carry(lambda: _train(run))


def _train(run: TrainingRun) -> None:
    _prepare(run)
    code = run_recipe(run.method, run.path, _Watcher(run))
    _settle(run, code)


class _Watcher:
    """Called twice a second while the process runs."""

    def __init__(self, run: TrainingRun) -> None:
        self._run, self._tail = run, EventTail(run)

    def __call__(self) -> None:
        run = self._run
        for event in self._tail.read():
            _note(run, event)
        progress = run.step / run.total_steps if run.total_steps else None
        if not run.heartbeat(progress) or run.cancel_requested():
            raise Stop


def _note(run: TrainingRun, event: RunEvent) -> None:
    """Keep on the row what lists show of a run."""
    run.step = max(run.step, event.step)
    run.total_steps = event.values.get("total_steps", run.total_steps)
    if event.type == "log" and "loss" in event.values:
        run.loss_last = event.values["loss"]
        run.loss_first = run.loss_last if run.loss_first is None else run.loss_first
    facts = {name: getattr(run, name) for name in ("step", "total_steps", "loss_first", "loss_last")}
    TrainingRun.objects.filter(pk=run.pk).update(**facts)


def _prepare(run: TrainingRun) -> None:
    """Write what the process reads: verified rows and spec.json. A directory prepared earlier is left as it is."""
    if (run.path / "spec.json").exists():
        return
    version = run.dataset_version
    _refuse_leak(version)
    data = run.path / "data"
    data.mkdir(parents=True, exist_ok=True)
    with (data / "train.jsonl").open("wb") as file:
        file.writelines(exporting.jsonl(version, split="train", shape=shape_for(run.method, version.kind)))
    spec = {
        "method": run.method,
        "seed": run.spec["seed"],
        "base": run.base.location,
        "start": None if run.start.kind == Checkpoint.Kind.BASE else run.start.path,
        "data": {"train": "data/train.jsonl", "eval": None, "hash": version.content_hash},
        "train": run.spec,
    }
    building = run.path / "spec.json.building"
    building.write_text(json.dumps(spec, indent=1), encoding="utf-8")
    building.rename(run.path / "spec.json")


def _settle(run: TrainingRun, code: int) -> None:
    """What the end of the process means for the run."""
    result = read_result(run.path)
    if result is not None and result["status"] == "succeeded":
        with transaction.atomic():
            facts = {"loss_first": result["loss_first"], "loss_last": result["loss_last"], "result": result}
            if run.finish(Status.SUCCEEDED, progress=1.0, **facts):
                register_checkpoint(run=run, result=result)
    elif run.cancel_requested():
        run.finish(Status.CANCELLED)
    elif code in (STOPPED, BUSY) or code < 0:
        log.warning("run %s stopped with code %s; it goes on from its last checkpoint", run.pk, code)
        run.requeue(fault=killed_words(code), at_once=code != BUSY)
    else:
        run.finish(Status.FAILED, failure_words(run.path, code))
