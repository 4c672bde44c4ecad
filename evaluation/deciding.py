"""Decisions about candidates: promote, keep the champion, roll back. Each leaves a record that is never changed."""

import hashlib
from typing import Any

from django.db import transaction

from evaluation.findings import Findings, gate_of
from evaluation.models import Decision, EvalRun, Gate, RunTarget, Suite
from evaluation.records import record_of, rollback_record
from evaluation.specs import is_usual
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from training.models import Checkpoint, StageChange
from training.staging import REASON_LENGTH, StageMoved, in_production, set_stage

Stage = Checkpoint.Stage
SHARES = {
    "contamination": "The share of contaminated cases",
    "missing": "The share of cases without a value",
    "agreement": "The agreement of judges",
}


def set_gate(*, suite: Suite, values: dict[str, Any], person: User | None) -> Gate:
    """Change the conditions of a suite. Raises Refused where they make no sense."""
    with transaction.atomic():
        Suite.objects.select_for_update().get(pk=suite.pk)
        gate = gate_of(suite)
        for name, value in values.items():
            setattr(gate, name, value)
        _check_gate(gate)
        gate.changed_by = person
        gate.save()
    return gate


def _check_gate(gate: Gate) -> None:
    for name, words in SHARES.items():
        if not 0 <= getattr(gate, name) <= 1:
            raise Refused(f"{words} was given as {getattr(gate, name):g}; it lies from 0 to 1.")
    if not 0 < gate.alpha <= 0.5:
        raise Refused(f"Alpha was given as {gate.alpha:g}; it is above 0 and at most 0.5.")
    margins = [gate.margin, gate.forgetting_margin, *(rail["margin"] for rail in gate.guardrails)]
    if min(margins) <= 0:
        raise Refused(f"A margin was given as {min(margins):g}; every margin is above 0.")
    _check_guardrails(gate)
    if gate.forgetting is not None:
        if gate.forgetting.project_id != gate.suite.project_id:
            raise Refused("The suite against forgetting is of another project; choose one of this project.")
        if gate.forgetting_id == gate.suite_id:
            raise Refused("The suite against forgetting is this one itself; choose another.")


def _check_guardrails(gate: Gate) -> None:
    names = [str(rail["metric"]) for rail in gate.guardrails]
    known = [str(metric["name"]) for metric in gate.suite.scoring]
    for name in names:
        if name not in known:
            raise Refused(
                f"{gate.suite} has no metric {name[:60]!r}; it has {', '.join(known) or 'none yet'}."
            )
    if len(set(names)) < len(names):
        raise Refused("A metric was given as a guardrail twice; give each once.")


def decide(
    *,
    run: EvalRun,
    target: RunTarget,
    promote: bool,
    person: User | None,
    reason: str = "",
    despite: bool = False,
    seen: tuple[int | None, int | None] | None = None,
) -> Decision:
    """Promote the candidate, or keep the champion, on what this run shows.

    Where the gate does not pass, only `despite` it and with a reason. `seen` is what whoever decides had before them:
    the checkpoint in production and the last decision of this run, by their numbers. Raises Refused; StageMoved where
    what was seen is not so any more.
    """
    from evaluation.gates import examine

    candidate, reason = candidate_of(run, target), _checked(reason)
    findings = examine(run, target)
    if promote and not findings.passed:
        _refuse_open(findings, despite, reason)
    with transaction.atomic():
        candidate = Checkpoint.objects.select_for_update().select_related("base").get(pk=candidate.pk)
        champion = in_production(candidate)
        _refuse_moved(run, target, candidate, champion, promote, seen)
        if promote:
            set_stage(
                checkpoint=candidate,
                before=candidate.stage,
                after=Stage.PRODUCTION,
                replaces=champion.pk if champion else None,
                person=person,
                reason=(reason or findings.sentence)[:REASON_LENGTH],
            )
        return _write(
            project=run.project,
            run=run,
            candidate=candidate,
            champion=champion,
            findings=findings,
            action=Decision.Action.PROMOTED if promote else Decision.Action.KEPT,
            reason=reason,
            person=person,
            record=record_of(run, target, findings, champion, promote, person, reason),
        )


def roll_back(
    *, project: Project, checkpoint: Checkpoint, person: User | None, reason: str, back_to: int | None = None
) -> Decision:
    """Put what was in production before this checkpoint back. `back_to` is the one that was seen to come back.

    Raises Refused where there was none, and StageMoved where somebody changed what is in production meanwhile.
    """
    reason = _checked(reason)
    if not reason:
        raise Refused("Rolling back needs a reason; say in a sentence what went wrong.")
    with transaction.atomic():
        checkpoint = Checkpoint.objects.select_for_update().get(pk=checkpoint.pk, project=project)
        if checkpoint.stage != Stage.PRODUCTION:
            raise StageMoved(f"{checkpoint.name} is not in production; there is nothing to roll back.")
        before = predecessor(checkpoint)
        if before is None:
            raise Refused(
                f"Nothing was in production before {checkpoint.name}; archive it, or promote another."
            )
        if back_to not in (None, before.pk):
            raise StageMoved(f"By now {before.name} would come back; look at the page again, then decide.")
        set_stage(
            checkpoint=before,
            before=before.stage,
            after=Stage.PRODUCTION,
            replaces=checkpoint.pk,
            person=person,
            reason=f"Rolled back from {checkpoint.name}: {reason}"[:REASON_LENGTH],
        )
        return _write(
            project=project,
            run=None,
            candidate=before,
            champion=checkpoint,
            findings=None,
            action=Decision.Action.ROLLED_BACK,
            reason=reason,
            person=person,
            record=rollback_record(project, checkpoint, before, person, reason),
        )


def predecessor(checkpoint: Checkpoint) -> Checkpoint | None:
    """What this one took the place of when it was promoted, by the changes of stage that were written down. To come
    back by a roll back is no promotion: what was rolled back then does not come back."""
    promoted = _promotion_of(checkpoint)
    if promoted is None:
        return None
    left = StageChange.objects.filter(
        before=Stage.PRODUCTION,
        pk__lt=promoted.pk,
        checkpoint__project=checkpoint.project_id,
        checkpoint__base=checkpoint.base_id,
        checkpoint__line=checkpoint.line,
    ).exclude(checkpoint=checkpoint)
    change = left.select_related("checkpoint__base").first()
    return change.checkpoint if change else None


def _promotion_of(checkpoint: Checkpoint) -> StageChange | None:
    """The newest change that put it into production and was no roll back."""
    returns = Decision.objects.filter(action=Decision.Action.ROLLED_BACK, candidate=checkpoint)
    for change in StageChange.objects.filter(checkpoint=checkpoint, after=Stage.PRODUCTION):
        if not returns.filter(created_at__gte=change.created_at).exists():
            return change
        returns = returns.filter(created_at__lt=change.created_at)
    return None


def candidate_of(run: EvalRun, target: RunTarget) -> Checkpoint:
    """The checkpoint of a run's target that may be decided about. Raises Refused with the reason why not."""
    if run.status != Status.SUCCEEDED:
        raise Refused(f"{run.name} has no complete results yet; wait for its end.")
    if not is_usual(run.spec):
        raise Refused(
            f"{run.name} gave its targets other contexts than a product does, or chosen cases only; decide by a run on "
            "all cases."
        )
    if target.run_id != run.pk or target.is_baseline:
        raise Refused("Choose a candidate of this evaluation; the baseline is what it is measured by.")
    candidate = target.checkpoint
    if candidate is None or candidate.project_id != run.project_id:
        raise Refused(f"{target.name} is not a checkpoint of this project; only those can be promoted.")
    return candidate


def last_decision(run: EvalRun) -> Decision | None:
    """What was decided last on this run."""
    return Decision.objects.filter(run=run).select_related("created_by", "candidate").first()


def _refuse_open(findings: Findings, despite: bool, reason: str) -> None:
    said = "; ".join(each.label[:1].lower() + each.label[1:] for each in findings.open)
    if not despite:
        raise Refused(
            f"The gate does not pass. Open: {said}. Mend that, or let an owner promote despite it with a reason."
        )
    if not reason:
        raise Refused("Promoting despite the gate needs a reason; say in a sentence why.")


def _refuse_moved(
    run: EvalRun,
    target: RunTarget,
    candidate: Checkpoint,
    champion: Checkpoint | None,
    promote: bool,
    seen: tuple[int | None, int | None] | None,
) -> None:
    """Refuse what was decided already, or on what is not so any more. Called while the candidate's row is held."""
    last = last_decision(run)
    if seen is not None:
        if seen[1] != (last.pk if last else None) and last is not None:
            who = last.created_by or "Somebody"
            raise StageMoved(
                f"{who} decided meanwhile: {last.candidate} was {_done(last)}. Look at that, then decide again."
            )
        if seen[0] != (champion.pk if champion else None) and candidate.stage != Stage.PRODUCTION:
            now = f"{champion.name} is" if champion else "nothing is"
            raise StageMoved(f"By now {now} in production; look at the page again, then decide.")
    if candidate.stage == Stage.PRODUCTION:
        raise StageMoved(f"{candidate.name} is in production already; there is nothing left to decide.")
    kept = last is not None and (last.candidate_id, last.action) == (candidate.pk, Decision.Action.KEPT)
    if last is not None and kept and not promote:
        raise Refused(f"It was decided already not to promote {target.name}; see decision {last.pk}.")


def _done(decision: Decision) -> str:
    return "promoted" if decision.action == Decision.Action.PROMOTED else "not promoted"


def _checked(reason: str) -> str:
    """The reason in one line. Raises Refused where it is too long."""
    reason = " ".join(reason.split())
    if len(reason) > REASON_LENGTH:
        raise Refused(f"The reason has {len(reason)} characters; up to {REASON_LENGTH} are allowed.")
    return reason


def _write(
    *,
    project: Project,
    run: EvalRun | None,
    candidate: Checkpoint,
    champion: Checkpoint | None,
    findings: Findings | None,
    action: str,
    reason: str,
    person: User | None,
    record: str,
) -> Decision:
    return Decision.objects.create(
        project=project,
        run=run,
        candidate=candidate,
        champion=champion,
        verdict=findings.verdict if findings else "",
        passed=findings.passed if findings else None,
        action=action,
        reason=reason,
        findings=findings.as_dict() if findings else {},
        record=record,
        content_hash=hashlib.sha256(record.encode()).hexdigest(),
        created_by=person,
    )
