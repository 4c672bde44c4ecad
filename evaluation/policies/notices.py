"""What a policy tells people and programs: composed once, and stored with a delivery for every channel that wants it.

A notice is stored in the transaction of what it tells of: neither is there without the other. The broker hears of its
deliveries after that; the sweep finds those of which it did not.
"""

from functools import partial
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from evaluation.models import Channel, Delivery, Notice, PolicyRun, PolicyStep, RetrainPolicy
from labeling.broker import send
from labeling.models import Project

Event, Outcome, Kind = Notice.Event, PolicyRun.Outcome, PolicyStep.Kind
DELIVER = "evaluation.jobs.deliver_notice"
EVENTS = {
    Outcome.CANDIDATE: Event.CANDIDATE,
    Outcome.NOTHING_NEW: Event.NOTHING_NEW,
    Outcome.BUDGET: Event.BUDGET,
}
SUBJECTS = {
    Event.CANDIDATE: "a candidate is ready",
    Event.STOPPED: "a retraining stopped",
    Event.BUDGET: "the retrain budget is reached",
    Event.NOTHING_NEW: "nothing new to train on",
    Event.TEST: "a test message",
}
USUAL = [Event.CANDIDATE, Event.STOPPED, Event.BUDGET]


def announce_end(run: PolicyRun) -> None:
    """Tell of a run that ended; called in the transaction that ends it."""
    event = EVENTS.get(Outcome(run.outcome), Event.STOPPED)
    place = reverse("evaluation:policy_run", args=[run.project.slug, run.pk])
    _announce(run.project, event, f"run {run.pk}", run.sentence, place, data=_facts(run), run=run)


def announce_budget(policy: RetrainPolicy, sentence: str) -> None:
    """Tell that a run is due and the budget is used up: once for each start that it keeps waiting."""
    place = reverse("evaluation:policy", args=[policy.project.slug])
    key = f"budget at turn {policy.turn}"
    if Notice.objects.filter(project=policy.project, key=key).exists():
        return
    try:
        with transaction.atomic():
            _announce(policy.project, Event.BUDGET, key, sentence, place, data={})
    except IntegrityError:
        return  # another worker said it


def announce_test(channel: Channel) -> Delivery:
    """Send a test to one channel."""
    place = reverse("evaluation:notices", args=[channel.project.slug])
    words = "This is a test: messages about retraining arrive here."
    with transaction.atomic():
        notice = _announce(
            channel.project, Event.TEST, f"test {uuid4().hex}", words, place, data={}, only=channel
        )
    return notice.deliveries.get()


def _announce(
    project: Project,
    event: str,
    key: str,
    sentence: str,
    place: str,
    *,
    data: dict[str, Any],
    run: PolicyRun | None = None,
    only: Channel | None = None,
) -> Notice:
    now = timezone.now()
    address = f"{settings.PREFLOOP_URL.rstrip('/')}{place}"
    payload = {
        "type": f"retrain.{event}",
        "timestamp": now.isoformat(),
        "data": {"project": project.slug, "sentence": sentence, "url": address, **data},
    }
    notice = Notice.objects.create(
        project=project,
        run=run,
        event=event,
        key=key,
        subject=" ".join(f"{project.name}: {SUBJECTS[Event(event)]}".split())[:200],
        text=f"{sentence}\n\n{address}\n",
        payload=payload,
    )
    told = Channel.objects.filter(project=project, archived_at=None)
    wanted = [only] if only else [channel for channel in told if event in channel.events]
    for delivery in Delivery.objects.bulk_create(
        Delivery(notice=notice, channel=channel, due_at=now) for channel in wanted
    ):
        transaction.on_commit(partial(send, DELIVER, delivery.pk))
    return notice


def _facts(run: PolicyRun) -> dict[str, Any]:
    """What a program may want to know of a run that ended."""
    steps = {step.kind: step for step in run.steps.select_related("version", "checkpoint", "training")}
    version, training = steps[Kind.FREEZE].version, steps[Kind.TRAIN]
    return {
        "policy_run": run.pk,
        "trigger": run.trigger,
        "outcome": run.outcome,
        "dataset_version": version.number if version else None,
        "training_run": training.training_id,
        "checkpoint": training.checkpoint.name if training.checkpoint else None,
        "evaluation": steps[Kind.EVALUATE].evaluation_id,
        "gate_passed": steps[Kind.GATE].findings.get("passed"),
    }
