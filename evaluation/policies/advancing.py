"""Carry a run of a policy from step to step: freeze, train, evaluate, gate, candidate.

The work is done by the jobs that there are; this module only begins the next one. A step's job is stored together with
the step, while the run's row is held: two workers that look at once begin it once, and a killed one loses nothing. It
never promotes: what passes the gate is left as a candidate, for a person to decide.
"""

import logging
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from evaluation.models import PolicyRun, PolicyStep
from evaluation.policies import steps as doing
from evaluation.policies.ending import end
from evaluation.policies.moves import next_move
from labeling.errors import Refused

log = logging.getLogger(__name__)

State, Outcome = PolicyStep.State, PolicyRun.Outcome


def follow(run: PolicyRun) -> None:
    """Do whatever is to be done now. Safe to call at any time, for any run; a fault that stays ends the run."""
    try:
        while _advance(*read(run.pk)):
            pass
    except Exception as fault:
        log.exception("policy run %s met an unexpected fault", run.pk)
        _note_fault(run, fault)


def sweep() -> None:
    """Go on with every run under way: a message may be lost, and a worker may have died."""
    for run in PolicyRun.objects.filter(outcome="").order_by("pk"):
        follow(run)


def read(run_id: int) -> tuple[PolicyRun, list[PolicyStep]]:
    """A run with its steps and their jobs, as they are now."""
    run = PolicyRun.objects.select_related(
        "project", "policy", "suite", "created_by", "known", "origin__dataset_version",
        "origin__start__base", "origin__reward", "origin__gold",
    ).get(pk=run_id)  # fmt: skip
    steps = PolicyStep.objects.filter(run=run).order_by("id").select_related(
        "freeze", "version__project", "training", "checkpoint__base", "evaluation__suite", "evaluation__version"
    )  # fmt: skip
    return run, list(steps.defer("training__result", "evaluation__facts"))


def cancel(run: PolicyRun) -> bool:
    """Stop a run: its job is asked to, and no further step begins. False where it is over."""
    with transaction.atomic():
        locked = PolicyRun.objects.select_for_update().get(pk=run.pk)
        if locked.is_over:
            return False
        locked.cancel_requested_at = locked.cancel_requested_at or timezone.now()
        locked.save(update_fields=["cancel_requested_at"])
        for step in read(run.pk)[1]:
            if step.job is not None:
                step.job.request_cancel()
    follow(run)
    return True


def _advance(run: PolicyRun, steps: list[PolicyStep]) -> bool:
    """Make one move; False where there is none, or another worker made it."""
    move = next_move(run, steps)
    if move is None:
        return False
    if move.what == "end" or move.step is None:
        return end(run, move.outcome, move.sentence)
    try:
        if move.what == "settle":
            return _settle(move.step, doing.SETTLE[move.step.kind](run, move.step))
        return _begin(run, steps, move.step)
    except doing.Stop as stop:
        return end(run, stop.outcome, stop.sentence, findings=stop.findings)
    except Refused as refusal:
        return end(run, Outcome.REFUSED, refusal.sentence)


def _begin(run: PolicyRun, steps: list[PolicyStep], step: PolicyStep) -> bool:
    """Begin a step: what takes long is looked at first, then its job is stored with the run's row held. What the look
    has found already needs no job."""
    found = doing.LOOK[step.kind](run, steps)
    with transaction.atomic():
        locked = PolicyRun.objects.select_for_update().get(pk=run.pk)
        step = PolicyStep.objects.select_for_update().get(pk=step.pk)
        if locked.is_over or locked.cancel_requested_at is not None or step.state != State.WAITING:
            return False
        if not found and (begin := doing.BEGIN.get(step.kind)):
            found = begin(run, steps)
        for name, value in found.items():
            setattr(step, name, value)
        now = timezone.now()
        is_work = step.job is not None
        step.state, step.started_at = (State.RUNNING, now) if is_work else (State.DONE, now)
        step.ended_at = None if is_work else now
        step.save()
    return True


def _settle(step: PolicyStep, found: dict[str, Any]) -> bool:
    """Note what a step's job came to."""
    running = PolicyStep.objects.filter(pk=step.pk, state=State.RUNNING)
    return running.update(state=State.DONE, ended_at=timezone.now(), **found) == 1


def _note_fault(run: PolicyRun, fault: Exception) -> None:
    run = PolicyRun.objects.get(pk=run.pk)
    PolicyRun.objects.filter(pk=run.pk, faults=run.faults).update(faults=run.faults + 1)
    if run.faults + 1 >= settings.PREFLOOP_MAX_ATTEMPTS:
        end(run, Outcome.FAILED, f"Unexpected {type(fault).__name__}: {fault}. It is not tried again.")
