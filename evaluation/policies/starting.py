"""Start a run of a policy: by hand, or when its time has come. Two who start at once start one.

Whoever starts moves the policy's turn on by compare-and-set, in the transaction that stores the run: a second worker
that decided by the same facts loses. A scheduled time that was missed is made up once, because a start serves all
times before it. A run that goes on with an earlier one's checkpoint trains nothing, so it serves no time.
"""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from evaluation.models import PolicyRun, PolicyStep, RetrainPolicy
from evaluation.policies.facts import Facts, facts_of, recipe_of, waiting_of
from evaluation.policies.notices import announce_budget
from evaluation.policies.standing import Owed, hindrance, owed
from labeling.broker import send
from labeling.curation.recipe import read_recipe, stored
from labeling.errors import Refused
from labeling.models import Project, User
from training.beginning import own_settings
from training.models import TrainingRun
from training.retraining import hold

log = logging.getLogger(__name__)

Trigger = PolicyRun.Trigger
JOB = "evaluation.jobs.advance_policy_run"
BY_HAND = Owed(Trigger.BUTTON, None, "")


def policy_of(project: Project) -> RetrainPolicy | None:
    """The policy of a project with what is shown of it; None where there is none yet."""
    rows = RetrainPolicy.objects.select_related(
        "project", "suite", "changed_by", "origin__dataset_version__project", "origin__start", "origin__base"
    )
    return rows.filter(project=project).first()


def start(*, project: Project, person: User | None) -> PolicyRun:
    """Start a run by hand. Raises Refused with what keeps it from starting."""
    policy = policy_of(project)
    if policy is None:
        raise Refused(f"{project} has no retrain policy yet; set one up on its page first.")
    return _by_hand(policy, facts_of(policy, timezone.now()), person)


def go_on(*, run: PolicyRun, person: User | None) -> PolicyRun:
    """Start a run by hand that evaluates what an earlier one trained and asks the gate, whatever was judged since; the
    limit of runs a week is no limit for it. Raises Refused."""
    policy, checkpoint = policy_of(run.project), waiting_of(run)
    if policy is None or checkpoint is None or checkpoint.run is None:
        raise Refused(f"Run {run.pk} left no checkpoint that waits for its gate; start a new run instead.")
    facts = replace(
        facts_of(policy, timezone.now()),
        known=checkpoint.run.dataset_version,
        newer=run.newer,
        newest_judgment=run.newest_judgment,
        starts=(),
    )
    return _by_hand(policy, facts, person, goes_on=checkpoint.pk)


def _by_hand(
    policy: RetrainPolicy, facts: Facts, person: User | None, *, goes_on: int | None = None
) -> PolicyRun:
    stops = hindrance(policy, facts, by_hand=True)
    if stops is not None:
        raise Refused(stops.sentence)
    run = _begin(policy, facts, BY_HAND, person, goes_on=goes_on)
    if run is None:
        raise Refused("The project began to be retrained at the same moment; look at that run.")
    return run


def look(now: datetime | None = None) -> list[PolicyRun]:
    """Start every run that is due and may start. Called each minute; safe to call at any time by any number."""
    started = []
    for project in Project.objects.filter(retrain_policy__is_on=True).order_by("pk"):
        try:
            run = _looked(project, now or timezone.now())
        except Exception:  # one policy that cannot be read keeps no other from its turn
            log.exception("the retrain policy of %s could not be looked at", project)
            continue
        if run is not None:
            started.append(run)
    return started


def _looked(project: Project, now: datetime) -> PolicyRun | None:
    policy = policy_of(project)
    if policy is None:
        return None
    facts = facts_of(policy, now)
    due = owed(policy, facts)
    if due is None:
        return None
    stops = hindrance(policy, facts)
    if stops is None:
        return _begin(policy, facts, due, policy.changed_by)
    if stops.key == "budget":
        announce_budget(policy, stops.sentence)
    return None


def _begin(
    policy: RetrainPolicy, facts: Facts, due: Owed, person: User | None, *, goes_on: int | None = None
) -> PolicyRun | None:
    """Store the run with its steps; None where another worker was faster, or a person who retrains by hand."""
    assert facts.origin is not None
    assert facts.known is not None
    plan = {**_plan(policy, facts.origin), "goes_on": goes_on}
    served = {} if goes_on else {"served_at": facts.now}
    try:
        with transaction.atomic():
            hold(policy.project)
            same = RetrainPolicy.objects.filter(pk=policy.pk, turn=policy.turn)
            if same.update(turn=F("turn") + 1, **served) != 1:
                return None
            run = PolicyRun.objects.create(
                project=policy.project,
                policy=policy,
                trigger=due.trigger,
                due_at=due.due_at,
                newer=facts.newer,
                newest_judgment=facts.newest_judgment,
                origin=facts.origin,
                known=facts.known,
                suite=policy.suite,
                plan=plan,
                created_by=person,
            )
            PolicyStep.objects.bulk_create(PolicyStep(run=run, kind=kind) for kind in PolicyStep.Kind.values)
            transaction.on_commit(lambda: send(JOB, run.pk))
    except Refused:  # one at a time
        return None
    return run


def _plan(policy: RetrainPolicy, origin: TrainingRun) -> dict[str, Any]:
    """Everything that the run is told, as it is now: what is changed later does not change a run under way."""
    return {
        "recipe": stored(read_recipe(recipe_of(policy, origin))),
        "chosen": bool(origin.dataset_version.parent_id) and policy.recipe is None,
        "method": origin.method,
        "values": {**own_settings(origin.method, origin.spec), **policy.values},
        "override": policy.override,
        "engine": policy.engine,
        "sampling": policy.sampling,
    }
