"""End a run of a policy, once: its outcome, where it stopped, what that took, and the word that goes out about it."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from evaluation.models import PolicyRun, PolicyStep
from evaluation.policies.notices import announce_end
from evaluation.policies.steps import cost_of

State = PolicyStep.State


def end(run: PolicyRun, outcome: str, sentence: str, *, findings: dict[str, Any] | None = None) -> bool:
    """False where the run had ended already. The word about it is stored with it, or not at all."""
    with transaction.atomic():
        now = timezone.now()
        mine = PolicyRun.objects.filter(pk=run.pk, outcome="")
        if mine.update(outcome=outcome, sentence=sentence, ended_at=now) != 1:
            return False
        left = PolicyStep.objects.filter(run=run).exclude(state=State.DONE).order_by("id")
        stopped = left.select_related("training", "evaluation", "freeze").first()
        if stopped is not None:
            _stop(stopped, sentence, findings)
            left.exclude(pk=stopped.pk).update(state=State.SKIPPED)
        run.refresh_from_db()
        announce_end(run)
    return True


def _stop(step: PolicyStep, sentence: str, findings: dict[str, Any] | None) -> None:
    now = timezone.now()
    step.state, step.sentence, step.ended_at = State.STOPPED, sentence, now
    step.started_at = step.started_at or now
    step.findings = findings or {}
    if step.freeze is not None:
        step.version = step.freeze.version
    if step.training is not None:
        step.seconds = step.training.seconds
    if step.evaluation is not None:
        step.seconds, step.cost = step.evaluation.seconds, cost_of(step.evaluation)
    step.save()
