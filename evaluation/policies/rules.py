"""The rules of a retrain policy: set and changed by those who may train; what makes no sense is refused."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from evaluation.engines import ENGINES
from evaluation.models import RetrainPolicy
from evaluation.planning_specs import run_spec
from evaluation.policies.timetable import DAYS, MOST_TIMES, read_time, read_zone
from evaluation.specs import SamplingSpec
from evaluation.targets import SERVICES, check_prices
from labeling.curation.recipe import read_recipe, stored
from labeling.curation.sources import source_projects
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from training.beginning import own_settings
from training.specs import SpecRefused, parse, parse_spec

BOUNDS = {
    "every": ("Every so many judgments", 1, 10_000_000),
    "runs_a_week": ("Runs a week", 1, 1000),
    "hours_a_week": ("Hours a week", 0.01, 10_000),
    "cost_a_week": ("The cost of a week", 0.01, 1_000_000),
    "pause_after": ("Failures in a row before it pauses", 1, 100),
}
LONGEST_OVERRIDE = 500


def set_policy(*, project: Project, changes: Mapping[str, Any], person: User | None) -> RetrainPolicy:
    """Set a project's policy, or change the fields that are given. Raises Refused; then nothing has changed.

    A changed schedule begins now: times that are past are not made up. A run under way keeps what it was told.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        policy = RetrainPolicy.objects.select_related("suite", "origin").filter(project=project).first()
        before = _schedule(policy) if policy else None
        policy = policy or RetrainPolicy(is_on=True, days=list(range(7)), zone=settings.TIME_ZONE)
        policy.project, policy.changed_by = project, person
        for name, value in changes.items():
            setattr(policy, name, value)
        _check(policy)
        if _schedule(policy) != before:
            policy.served_at = timezone.now()
        policy.save()
    return policy


def let_go_on(policy: RetrainPolicy) -> None:
    """Let a policy that paused after failures start again: those before now count no more."""
    RetrainPolicy.objects.filter(pk=policy.pk).update(resumed_at=timezone.now())


def _schedule(policy: RetrainPolicy) -> tuple[object, ...]:
    return policy.times, policy.days, policy.zone, policy.is_on


def _check(policy: RetrainPolicy) -> None:
    """Bring the rules into the shape in which they are stored. Raises Refused with what is wrong with them."""
    if not policy.suite_id:
        raise Refused("suite was not given; say on which suite a new checkpoint is measured.")
    if policy.suite.project_id != policy.project_id:
        raise Refused("The suite is of another project; choose one of this project.")
    if policy.suite.archived_at is not None:
        raise Refused(f"{policy.suite} was put away; take it out again on its page, or choose another suite.")
    if not policy.suite.scoring:
        raise Refused(f"{policy.suite} has no scorer yet; choose at least one on its page.")
    known = [name for name in ENGINES if name != SERVICES]
    if policy.engine and policy.engine not in known:
        raise Refused(f"The engine given is {policy.engine!r}; choose one of {', '.join(known)}, or none.")
    if len(policy.override) > LONGEST_OVERRIDE:
        raise Refused(
            f"The reason has {len(policy.override)} characters; up to {LONGEST_OVERRIDE} are allowed."
        )
    for name, (words, low, high) in BOUNDS.items():
        value = getattr(policy, name)
        if value is not None and not low <= value <= high:
            raise Refused(f"{words} was given as {value:g}; allowed is {low:g} to {high:,}.")
    _check_times(policy)
    _check_origin(policy)
    _check_specs(policy)
    judges = run_spec(policy.project, policy.suite, policy.suite.scoring, policy.sampling, {}).judges
    check_prices(policy.cost_a_week, [(judge["words"], judge["facts"]) for judge in judges.values()])
    if policy.recipe is not None:
        recipe = read_recipe(policy.recipe)
        source_projects(policy.project, recipe, policy.changed_by)
        policy.recipe = stored(recipe)


def _check_times(policy: RetrainPolicy) -> None:
    read_zone(policy.zone)
    if len(policy.times) > MOST_TIMES:
        raise Refused(f"{len(policy.times)} times were given; up to {MOST_TIMES} a day are allowed.")
    policy.times = sorted({f"{read_time(text):%H:%M}" for text in policy.times})
    policy.days = sorted(set(policy.days))
    if any(day not in range(len(DAYS)) for day in policy.days):
        raise Refused(
            f"The days were given as {policy.days}; they are numbers from 0 (Monday) to 6 (Sunday)."
        )
    if policy.times and not policy.days:
        raise Refused(f"{', '.join(policy.times)} was given without a day; choose at least one, or no time.")
    if (policy.quiet_from is None) != (policy.quiet_to is None):
        raise Refused("Quiet hours were given with one end only; give both, or none.")
    if policy.quiet_from is not None and policy.quiet_from == policy.quiet_to:
        raise Refused("Quiet hours begin and end at the same time; give two different ones, or none.")


def _check_origin(policy: RetrainPolicy) -> None:
    origin = policy.origin
    if origin is None:
        if policy.values:
            raise Refused("Settings were given without the run that they change; choose the run to follow.")
        return
    if origin.project_id != policy.project_id:
        raise Refused("The run to follow is of another project; choose one of this project.")
    if origin.status != Status.SUCCEEDED:
        raise Refused(f"{origin.name} has not succeeded; choose a run that has.")
    if origin.method == "reward":
        raise Refused(
            f"{origin.name} trains a reward model, which gives no answers to evaluate; follow a run that does."
        )
    if origin.dataset_version.parent_id and policy.recipe is None:
        raise Refused(
            f"{origin.name} was trained on rows chosen out of another version; give a recipe, or another run to follow."
        )


def _check_specs(policy: RetrainPolicy) -> None:
    origin = policy.origin
    policy.sampling = {name: value for name, value in policy.sampling.items() if value is not None}
    try:
        parse(SamplingSpec, policy.sampling)
        if origin is not None:
            parse_spec(origin.method, {**own_settings(origin.method, origin.spec), **policy.values})
    except SpecRefused as refusal:
        raise Refused(f"{str(refusal).removesuffix('.')}.") from refusal
