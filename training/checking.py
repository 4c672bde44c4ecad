"""Check a run before it is launched: what the trainer will see, token by token, and how fast it is."""

import shutil
import uuid
from typing import Any

from django.db import transaction

from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project, User
from training import devices
from training.compatibility import check_files
from training.launching import checked_spec, launch
from training.models import Checkpoint, Device, Preflight, TrainingRun
from training.preparing import check_prepared, prepare
from training.processes import BUSY, STOPPED, Stop, beat, failure_words, killed_words, run_recipe
from training.registry import read_result

RECIPE = "preflight"
BLOCKED = "blocked"


def start_check(
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
) -> Preflight:
    """Queue a check. Raises Refused, before anything is stored, where the run itself would be."""
    spec = checked_spec(
        method=method,
        dataset_version=dataset_version,
        start=start,
        values=values,
        name=name,
        reward=reward,
        gold=gold,
    )
    check = Preflight.objects.create(
        project=project,
        name=name,
        method=method,
        dataset_version=dataset_version,
        base=start.base,
        start=start,
        reward=reward,
        gold=gold,
        spec=spec.model_dump(),
        folder=uuid.uuid4().hex,
        created_by=person,
    )
    check.enqueue()
    return check


def run_check(check: Preflight) -> None:
    """Take a device, claim the check and carry it to an end, or give it back. Safe to repeat."""
    if check.status != Status.QUEUED:
        return
    token = uuid.uuid4()
    with devices.held(token) as device:
        if device is None:
            devices.note_waiting(check)
        elif check.claim(token, waiting=""):
            check.carry(lambda: _check(check, device))
            check.refresh_from_db()
    if check.is_over:
        shutil.rmtree(check.path / "data", ignore_errors=True)  # the run writes its own


def _check(check: Preflight, device: Device) -> None:
    def watch() -> None:
        if (check.path / "events.jsonl").exists():
            check.begin()
        beat(check)

    try:
        prepare(check, lambda: beat(check))
        check_prepared(check)
        check_files(check.start)
        code = run_recipe(RECIPE, check.path, watch, devices.environment(device))
    except Stop:
        code = STOPPED
    result = read_result(check.path)
    if result is not None:
        check.finish(Status.SUCCEEDED, progress=1.0, result=result)
    elif check.cancel_requested():
        check.finish(Status.CANCELLED)
    elif code in (STOPPED, BUSY) or code < 0:
        check.requeue(fault=killed_words(code), at_once=code != BUSY)
    else:
        check.finish(Status.FAILED, failure_words(check.path, code))


def blocked_words(check: Preflight) -> list[str]:
    """What a finished check found that forbids the run; empty where it may start."""
    findings = check.result.get("report", {}).get("findings", [])
    return [finding["words"] for finding in findings if finding["level"] == BLOCKED]


def launch_checked(check: Preflight, *, person: User | None) -> TrainingRun:
    """Start the run that was checked; asked again, it is the same run. Raises Refused where it must not start."""
    if check.run is not None:
        return check.run
    if check.status != Status.SUCCEEDED:
        raise Refused("The check has not ended well yet; wait for it, or start the run without it.")
    if blocked := blocked_words(check):
        raise Refused(f"The check forbids this run: {blocked[0]}.")
    with transaction.atomic():
        run = launch(
            project=check.project,
            method=check.method,
            dataset_version=check.dataset_version,
            start=check.start,
            reward=check.reward,
            gold=check.gold,
            values=check.spec,
            person=person,
            name=check.name,
        )
        taken = Preflight.objects.filter(pk=check.pk, run=None).update(run=run)
        if not taken:  # somebody else was faster: theirs stands
            transaction.set_rollback(True)
    if not taken:
        check.refresh_from_db(fields=["run"])
        assert check.run is not None
        return check.run
    return run
