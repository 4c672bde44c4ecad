"""The five steps of a run: what each looks at first, what it begins by the verbs there are, and what came of it."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from evaluation.findings import Findings
from evaluation.models import EvalRun, Output, PolicyRun, PolicyStep
from evaluation.planning import plan_evaluation
from evaluation.policies.facts import charges, left_waiting, used
from evaluation.policies.reading import duration
from labeling.curation.altering import news_of
from labeling.curation.freezes import start_freeze
from labeling.curation.freezing import newer_judgments
from labeling.curation.recipe import read_recipe
from labeling.errors import Refused
from labeling.lifecycle import Lifecycle
from training.launching import launch
from training.models import Checkpoint
from training.retraining import trains_alike

Kind, Outcome = PolicyStep.Kind, PolicyRun.Outcome
Found = dict[str, Any]
Steps = Sequence[PolicyStep]


class Stop(Exception):
    """The run ends at this step, for a reason that is no fault."""

    def __init__(self, outcome: str, sentence: str, findings: Found | None = None) -> None:
        super().__init__(sentence)
        self.outcome, self.sentence, self.findings = outcome, sentence, findings


def _of(steps: Steps, kind: str) -> PolicyStep:
    return next(step for step in steps if step.kind == kind)


def _anything_new(run: PolicyRun, steps: Steps) -> Found:
    """Stop where nothing was judged or altered since; another recipe than before may still make other rows."""
    known, recipe = run.known, run.plan["recipe"]
    if run.plan.get("goes_on"):
        return _frozen_before(run, f"Version {known.number} was frozen before")
    if run.plan["chosen"]:
        number = run.origin.dataset_version.number
        raise Refused(
            f"{run.origin.name} was trained on version {number}, which was chosen out of another one; give the policy "
            "a recipe of its own, or another run to follow."
        )
    if recipe == known.recipe and not newer_judgments(known) and not news_of(known):
        return _frozen_before(run, f"Nothing was judged or altered since version {known.number} was frozen")
    return {}


def _frozen_before(run: PolicyRun, words: str) -> Found:
    """The version that is known already, for what was trained on it and still waits for the gate."""
    return {"version": run.known, "sentence": f"{words}; {_waiting(run, words)} waits for its gate."}


def _waiting(run: PolicyRun, words: str) -> Checkpoint:
    """What the policy trained on the known version before, and asked no gate about. Stops where there is nothing."""
    rows = left_waiting(run.policy).filter(run__dataset_version=run.known)
    wanted = run.plan.get("goes_on")
    found = (rows.filter(pk=wanted) if wanted else rows).select_related("run__policy_step").first()
    if found is None:
        raise Stop(Outcome.NOTHING_NEW, f"{words}; there is nothing new to train on.")
    return found


def _freeze(run: PolicyRun, steps: Steps) -> Found:
    return {
        "freeze": start_freeze(
            project=run.project,
            recipe=read_recipe(run.plan["recipe"]),
            person=run.created_by,
            override=run.plan["override"],
        )
    }


def _frozen(run: PolicyRun, step: PolicyStep) -> Found:
    assert step.freeze is not None
    version = step.freeze.version
    assert version is not None
    if trains_alike(version, run.known):
        return _frozen_before(
            run, f"The judgments as they are now give the same training rows as version {run.known.number}"
        )
    rows = version.splits.get("train", {}).get("rows", 0)
    return {"version": version, "sentence": f"Version {version.number} has {rows:,} training rows."}


def _trained_or_hours(run: PolicyRun, steps: Steps) -> Found:
    """What was trained on these rows before, which is never done twice; else there must be hours left to train."""
    if _of(steps, Kind.FREEZE).version == run.known:
        checkpoint = _waiting(run, f"Version {run.known.number} was trained on before")
        trained_by = checkpoint.run.policy_step.run_id  # type: ignore[union-attr]
        return {"checkpoint": checkpoint, "sentence": f"{checkpoint} was trained on it by run {trained_by}."}
    limit = run.policy.hours_a_week
    now = timezone.now()
    if limit is not None and (hours := used(charges(run.policy, now)["hours"], now)) >= limit:
        raise Stop(
            Outcome.BUDGET,
            f"{hours:,.1f} of {limit:,.1f} hours of training and evaluation were used in the last 7 days; nothing was "
            "trained.",
        )
    return {}


def _train(run: PolicyRun, steps: Steps) -> Found:
    version, origin = _of(steps, Kind.FREEZE).version, run.origin
    assert version is not None
    return {
        "training": launch(
            project=run.project,
            method=run.plan["method"],
            dataset_version=version,
            start=origin.start,
            reward=origin.reward,
            gold=origin.gold,
            values=run.plan["values"],
            person=run.created_by,
            again_of=origin,
        )
    }


def _trained(run: PolicyRun, step: PolicyStep) -> Found:
    assert step.training is not None
    checkpoint = Checkpoint.objects.get(run=step.training)
    return {
        "checkpoint": checkpoint,
        "seconds": step.training.seconds,
        "sentence": f"{checkpoint.name} was trained in {_took(step.training)}.",
    }


def _money_left(run: PolicyRun, steps: Steps) -> Found:
    left = _left(run)
    if left is not None and left <= 0:
        raise Stop(
            Outcome.BUDGET,
            f"{_of(steps, Kind.TRAIN).checkpoint} was trained, but the {run.policy.cost_a_week:,.2f} that endpoints "
            "may cost in 7 days are used; raise the budget or wait until it has room, then let this run go on.",
        )
    return {}


def _left(run: PolicyRun) -> float | None:
    """Money that an evaluation may cost yet; None where there is no limit."""
    limit, now = run.policy.cost_a_week, timezone.now()
    return None if limit is None else limit - used(charges(run.policy, now)["costs"], now)


def _evaluate(run: PolicyRun, steps: Steps) -> Found:
    checkpoint, left = _of(steps, Kind.TRAIN).checkpoint, _left(run)
    assert checkpoint is not None
    return {
        "evaluation": plan_evaluation(
            project=run.project,
            suite=run.suite,
            checkpoints=[checkpoint],
            person=run.created_by,
            engine=run.plan["engine"],
            sampling=run.plan["sampling"],
            limits={} if left is None else {"budget": left},
        )
    }


def _evaluated(run: PolicyRun, step: PolicyStep) -> Found:
    assert step.evaluation is not None
    cost = cost_of(step.evaluation)
    paid = f" and {cost:,.2f}" if cost else ""
    return {
        "seconds": step.evaluation.seconds,
        "cost": cost,
        "sentence": f"{step.evaluation.version} was answered and scored in {_took(step.evaluation)}{paid}.",
    }


def cost_of(run: EvalRun) -> float | None:
    """What was paid for in the project while the evaluation ran, its judges included; None where nothing was."""
    if run.started_at is None or run.finished_at is None:
        return None
    rows = Output.objects.filter(
        project=run.project_id,
        cost__isnull=False,
        created_at__gte=run.started_at,
        created_at__lte=run.finished_at,
    )
    total: float | None = rows.aggregate(total=Sum("cost"))["total"]
    return total


def _examine(run: PolicyRun, steps: Steps) -> Found:
    """Hold the candidate against the champion. Where only sealed cases are missing, a person measures on them."""
    from evaluation.gates import examine

    evaluation, checkpoint = _of(steps, Kind.EVALUATE).evaluation, _of(steps, Kind.TRAIN).checkpoint
    assert evaluation is not None
    target = evaluation.targets.select_related("checkpoint__base", "endpoint").get(checkpoint=checkpoint)
    findings = examine(evaluation, target)
    left = [each for each in findings.open if each.key != "sealed"]
    if left:
        raise Stop(Outcome.GATE, f"{findings.sentence} {_open_words(findings)}", findings.as_dict())
    more = "" if findings.passed else " The sealed cases are left to whoever decides."
    return {"findings": findings.as_dict(), "sentence": f"{findings.sentence} Every condition holds.{more}"}


def _open_words(findings: Findings) -> str:
    said = "; ".join(each.label[:1].lower() + each.label[1:] for each in findings.open)
    return f"The gate does not pass. Open: {said}."


def _offer(run: PolicyRun, steps: Steps) -> Found:
    checkpoint = _of(steps, Kind.TRAIN).checkpoint
    assert checkpoint is not None
    if checkpoint.stage != Checkpoint.Stage.CANDIDATE:
        words = f"{checkpoint.name} passed the gate, and is {checkpoint.get_stage_display().lower()} already."
    else:
        words = f"{checkpoint.name} passed the gate and is a candidate; somebody decides about it."
    return {"checkpoint": checkpoint, "sentence": words}


def _took(job: Lifecycle) -> str:
    return duration(job.started_at, job.finished_at)


LOOK: dict[str, Callable[[PolicyRun, Steps], Found]] = {
    Kind.FREEZE: _anything_new,
    Kind.TRAIN: _trained_or_hours,
    Kind.EVALUATE: _money_left,
    Kind.GATE: _examine,
    Kind.CANDIDATE: _offer,
}
BEGIN: dict[str, Callable[[PolicyRun, Steps], Found]] = {
    Kind.FREEZE: _freeze,
    Kind.TRAIN: _train,
    Kind.EVALUATE: _evaluate,
}
SETTLE: dict[str, Callable[[PolicyRun, PolicyStep], Found]] = {
    Kind.FREEZE: _frozen,
    Kind.TRAIN: _trained,
    Kind.EVALUATE: _evaluated,
}
