"""Start, watch and stop a training run. The row is claimed by one worker; the work is done by a recipe process."""

import logging
import signal
import uuid
from typing import Any

from django.conf import settings
from django.db import transaction

from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project, User
from training import devices, tracking
from training.compatibility import check_files, check_reward, check_start, shape_for
from training.models import Checkpoint, Device, Preflight, RunEvent, TrainingRun
from training.oom import kernel_kills, retry_smaller
from training.preparing import check_prepared, prepare, refuse_leak
from training.processes import BUSY, STOPPED, Stop, beat, failure_words, killed_words, run_recipe
from training.recipes.smaller import smallest_words
from training.registry import read_result, register_checkpoint
from training.specs import SpecRefused, TrainSpec, parse_spec
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
    reward: Checkpoint | None = None,
    gold: Checkpoint | None = None,
    again_of: TrainingRun | None = None,
) -> TrainingRun:
    """Freeze the spec and queue the run. Raises Refused, before anything is stored, where it cannot be done.

    `reward` is the reward model of methods that sample answers, `gold` a second one that only watches; `again_of` is
    the run whose settings this one began from.
    """
    spec = checked_spec(
        method=method,
        dataset_version=dataset_version,
        start=start,
        values=values,
        name=name,
        reward=reward,
        gold=gold,
    )
    return queued(
        spec=spec,
        project=project,
        dataset_version=dataset_version,
        start=start,
        person=person,
        name=name,
        reward=reward,
        gold=gold,
        again_of=again_of,
    )


def queued(
    *,
    spec: TrainSpec,
    project: Project,
    dataset_version: DatasetVersion,
    start: Checkpoint,
    person: User | None,
    name: str,
    reward: Checkpoint | None,
    gold: Checkpoint | None,
    again_of: TrainingRun | None,
) -> TrainingRun:
    """Store a run of a spec that was checked (`checked_spec`), and queue it."""
    with transaction.atomic():
        run = TrainingRun.objects.create(
            project=project,
            name=name or f"{spec.method}-{dataset_version.number}-{uuid.uuid4().hex[:4]}",
            method=spec.method,
            dataset_version=dataset_version,
            base=start.base,
            start=start,
            reward=reward,
            gold=gold,
            again_of=again_of,
            spec=spec.model_dump(),
            folder=uuid.uuid4().hex,
            created_by=person,
        )
        run.enqueue()
    return run


def checked_spec(
    *,
    method: str,
    dataset_version: DatasetVersion,
    start: Checkpoint,
    values: dict[str, Any],
    name: str,
    reward: Checkpoint | None,
    gold: Checkpoint | None,
) -> TrainSpec:
    """The spec of a run that could be started now. Raises Refused with why it could not."""
    spec, shape = checked_rows(method=method, dataset_version=dataset_version, values=values)
    if len(name) > NAME_LENGTH:
        raise Refused(f"The name has {len(name)} characters; up to {NAME_LENGTH} are allowed.")
    check_start(start, spec, shape)
    check_reward(reward, start, spec)
    if gold is not None:
        check_reward(gold, start, spec, name="gold")
    return spec


def checked_rows(
    *, method: str, dataset_version: DatasetVersion, values: dict[str, Any]
) -> tuple[TrainSpec, str]:
    """What can be said of a run before it is known where it starts: its spec, and the shape that its rows come in.

    Raises Refused where settings or rows do not do.
    """
    try:
        spec = parse_spec(method, values)
    except SpecRefused as refusal:
        raise Refused(str(refusal)) from refusal
    shape = shape_for(method, dataset_version)
    if not dataset_version.splits.get("train"):
        raise Refused(f"{dataset_version} has no training rows; freeze one with a smaller test share.")
    refuse_leak(dataset_version)
    if getattr(spec, "sampler", "") == "vllm" and not settings.PREFLOOP_VLLM:
        raise Refused(
            "sampler was given as vllm, and this installation has none; set PREFLOOP_VLLM to its command (`make vllm` "
            "makes one for the CPU), or choose transformers."
        )
    return spec, shape


def resume(run: TrainingRun) -> None:
    """Let a run that failed or was cancelled go on from its last checkpoint. Raises Refused where it cannot."""
    checked_spec(
        method=run.method,
        dataset_version=run.dataset_version,
        start=run.start,
        values=run.spec,
        name=run.name,
        reward=run.reward,
        gold=run.gold,
    )
    if not run.resume():
        run.refresh_from_db()
        raise Refused(f"{run.name} is {run.status} and can be resumed only where it failed or was cancelled.")


def drive(run: TrainingRun) -> None:
    """Take a device, claim the run and carry it to an end, or give it back to be resumed. Without a free device it
    stays in the queue. Safe to call for any run at any time."""
    if run.status != Status.QUEUED:
        return
    token = uuid.uuid4()
    with devices.held(token) as device:
        if device is None:
            devices.note_waiting(run)
        elif run.claim(token, waiting=""):
            run.carry(lambda: _train(run, device))


def _train(run: TrainingRun, device: Device) -> None:
    watcher = _Watcher(run)
    try:
        prepare(run, watcher.beat)
    except Stop:
        _settle(run, STOPPED)
        return
    check_prepared(run)
    check_files(run.start)
    for judge in (run.reward, run.gold):
        if judge is not None:
            check_files(judge)
    tracking.tell(run)
    before = kernel_kills()
    code = run_recipe(run.method, run.path, watcher, devices.environment(device))
    after = kernel_kills()
    rose = before is not None and after is not None and after > before
    _settle(run, code, is_memory=rose and code == -signal.SIGKILL and run.heartbeat())


class _Watcher:
    """Called twice a second while the process runs."""

    def __init__(self, run: TrainingRun) -> None:
        self._run, self._tail = run, EventTail(run)
        self._size_before = self._size()

    def __call__(self) -> None:
        if self._size() > self._size_before:
            self._run.begin()
        for event in self._tail.read():
            _note(self._run, event)
        self.beat()

    def beat(self) -> None:
        run = self._run
        beat(run, run.step / run.total_steps if run.total_steps else None)

    def _size(self) -> int:
        """Bytes of the events of this process and of those before it."""
        try:
            return (self._run.path / "events.jsonl").stat().st_size
        except FileNotFoundError:
            return 0


def sweep() -> None:
    """Take up again the runs whose worker died, free their devices and start what waits for one."""
    TrainingRun.sweep()
    Preflight.sweep()
    devices.sweep()
    tracking.sweep()


def _note(run: TrainingRun, event: RunEvent) -> None:
    """Keep on the row what lists show of a run."""
    run.step = max(run.step, event.step)
    run.total_steps = event.values.get("total_steps", run.total_steps)
    if event.type == "log" and "loss" in event.values:
        run.loss_last = event.values["loss"]
        run.loss_first = run.loss_last if run.loss_first is None else run.loss_first
    facts = {name: getattr(run, name) for name in ("step", "total_steps", "loss_first", "loss_last")}
    TrainingRun.objects.filter(pk=run.pk).update(**facts)


def _settle(run: TrainingRun, code: int, *, is_memory: bool = False) -> None:
    """What the end of the process means for the run; `is_memory` says that the kernel killed it for want of it."""
    result = read_result(run.path)
    if result is not None and result["status"] == "succeeded":
        with transaction.atomic():
            facts = {"loss_first": result["loss_first"], "loss_last": result["loss_last"], "result": result}
            if run.finish(Status.SUCCEEDED, progress=1.0, **facts):
                register_checkpoint(run=run, result=result)
    elif run.cancel_requested():
        run.finish(Status.CANCELLED)
    elif is_memory and not retry_smaller(run.path, run.spec):
        run.finish(Status.FAILED, smallest_words(run.method))
    elif is_memory:
        run.requeue()
    elif code in (STOPPED, BUSY) or code < 0:
        log.warning("run %s stopped with code %s; it goes on from its last checkpoint", run.pk, code)
        run.requeue(fault=killed_words(code), at_once=code != BUSY)
    else:
        run.finish(Status.FAILED, failure_words(run.path, code))
