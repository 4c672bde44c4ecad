"""Measure weights: their hash, how many they are, and how far they are from what they stand on."""

import uuid
from typing import Any

from django.db import IntegrityError, transaction

from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from training.errands import clear, see_through, write_spec
from training.merging import PROMPTS
from training.models import BaseModel, Checkpoint, Measurement
from training.registry import adapter_kind, foundation

RECIPE = "deltas"
LIVE = (Status.QUEUED, Status.RUNNING)
KEPT = ("modules", "norm", "relative", "use", "adapter", "against", "seconds")


def start_measurement(*, checkpoint: Checkpoint, project: Project, person: User | None) -> Measurement:
    """Queue a measurement; one that is under way is returned as it is. Raises Refused where nothing can be read."""
    if checkpoint.kind == Checkpoint.Kind.BASE and not checkpoint.base.is_local:
        raise Refused(
            f"{checkpoint.base.location} is not a folder of this machine; there is nothing to read."
        )
    if kind := PROMPTS.get(adapter_kind(checkpoint)):
        raise Refused(f"{kind} changes no weight; there is nothing to measure.")
    try:
        with transaction.atomic():
            made = Measurement.objects.create(
                project=project, checkpoint=checkpoint, folder=uuid.uuid4().hex, created_by=person
            )
            made.enqueue()
    except IntegrityError:
        return Measurement.objects.get(checkpoint=checkpoint, status__in=LIVE)
    return made


def run_measurement(measurement: Measurement) -> None:
    """Claim the measurement and carry it to an end, or give it back to begin again. Safe to repeat."""
    if measurement.claim():
        measurement.carry(lambda: _measure(measurement))
        measurement.refresh_from_db()
        clear(measurement)


def _measure(measurement: Measurement) -> None:
    checkpoint = measurement.checkpoint
    is_base = checkpoint.kind == Checkpoint.Kind.BASE
    against, revision = (None, None) if is_base else foundation(checkpoint)
    spec = {"method": RECIPE, "folder": checkpoint.path, "against": against, "revision": revision}
    write_spec(measurement.path, spec)
    see_through(measurement, RECIPE, lambda result: _keep(measurement, result))


def _keep(measurement: Measurement, result: dict[str, Any]) -> None:
    """Store what was found, unless the bytes are not those that were registered."""
    checkpoint, found = measurement.checkpoint, result["content_hash"]
    if checkpoint.content_hash not in ("", found):
        measurement.finish(
            Status.FAILED,
            f"The folder was changed: its content hash is {found[:12]}… now and was "
            f"{checkpoint.content_hash[:12]}… when it was registered. "
            "Put the first weights back, or register these under another name.",
        )
        return
    with transaction.atomic():
        if not measurement.finish(Status.SUCCEEDED, progress=1.0, result={"seconds": result["seconds"]}):
            return
        facts: dict[str, Any] = {"content_hash": found, "parameters": checkpoint.parameters}
        if checkpoint.kind == Checkpoint.Kind.BASE:
            facts["parameters"] = result["parameters"]
            BaseModel.objects.filter(pk=checkpoint.base_id).update(**facts)
        else:
            facts["deltas"] = {name: result[name] for name in KEPT}
        Checkpoint.objects.filter(pk=checkpoint.pk).update(**facts)
