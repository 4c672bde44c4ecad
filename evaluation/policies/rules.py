"""The rules of a retrain policy: set and changed by those who may train; what makes no sense is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import time
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from evaluation.engines import ENGINES
from evaluation.models import RetrainPolicy, Suite
from evaluation.policies.timetable import DAYS, MOST_TIMES, read_time, read_zone
from evaluation.specs import SamplingSpec
from evaluation.targets import SERVICES
from labeling.curation.recipe import read_recipe, stored
from labeling.curation.sources import source_projects
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from training.beginning import own_settings
from training.models import TrainingRun
from training.specs import SpecRefused, parse, parse_spec

MOST_EVERY = 10_000_000
BOUNDS = {
    "every": ("Every so many judgments", 1, MOST_EVERY),
    "runs_a_week": ("Runs a week", 1, 1000),
    "hours_a_week": ("Hours a week", 0.01, 10_000),
    "cost_a_week": ("The cost of a week", 0.01, 1_000_000),
    "pause_after": ("Failures in a row before it pauses", 1, 100),
}
LONGEST_OVERRIDE = 500


@dataclass(frozen=True)
class Rules:
    """A policy before it is stored; the fields are those of evaluation.models.RetrainPolicy."""

    suite: Suite | None = None
    is_on: bool = True
    days: list[int] = field(default_factory=lambda: list(range(7)))
    times: list[str] = field(default_factory=list)
    zone: str = "UTC"
    every: int | None = None
    origin: TrainingRun | None = None
    recipe: Mapping[str, Any] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    override: str = ""
    engine: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    runs_a_week: int | None = None
    hours_a_week: float | None = None
    cost_a_week: float | None = None
    quiet_from: time | None = None
    quiet_to: time | None = None
    pause_after: int = 3


NAMES = [each.name for each in fields(Rules)]


def rules_of(policy: RetrainPolicy) -> Rules:
    """Stored rules, to be changed."""
    return Rules(**{name: getattr(policy, name) for name in NAMES})


def set_policy(*, project: Project, changes: Mapping[str, Any], person: User | None) -> RetrainPolicy:
    """Set a project's policy, or change what is given of it. Raises Refused; then nothing has changed.

    A changed schedule begins now: times that are past are not made up. A run under way keeps what it was told.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        policy = RetrainPolicy.objects.select_related("suite", "origin").filter(project=project).first()
        rules = checked(
            project,
            replace(rules_of(policy) if policy else Rules(zone=settings.TIME_ZONE), **changes),
            person,
        )
        before = (policy.times, policy.days, policy.zone, policy.is_on) if policy else None
        if policy is None:
            policy = RetrainPolicy(project=project, served_at=timezone.now())
        for name in NAMES:
            setattr(policy, name, getattr(rules, name))
        if before != (policy.times, policy.days, policy.zone, policy.is_on):
            policy.served_at = timezone.now()
        policy.changed_by = person
        policy.save()
    return policy


def let_go_on(policy: RetrainPolicy) -> None:
    """Let a policy that paused after failures start again: those before now count no more."""
    RetrainPolicy.objects.filter(pk=policy.pk).update(resumed_at=timezone.now())


def checked(project: Project, rules: Rules, person: User | None) -> Rules:
    """The rules as they are stored. Raises Refused with what is wrong with them."""
    if rules.suite is None:
        raise Refused("suite was not given; say on which suite a new checkpoint is measured.")
    if rules.suite.project_id != project.pk:
        raise Refused("The suite is of another project; choose one of this project.")
    if rules.suite.archived_at is not None:
        raise Refused(f"{rules.suite} was put away; take it out again on its page, or choose another suite.")
    if not rules.suite.scoring:
        raise Refused(f"{rules.suite} has no scorer yet; choose at least one on its page.")
    if rules.engine and (rules.engine not in ENGINES or rules.engine == SERVICES):
        known = ", ".join(known for known in ENGINES if known != SERVICES)
        raise Refused(f"The engine given is {rules.engine!r}; choose one of {known}, or none.")
    if len(rules.override) > LONGEST_OVERRIDE:
        raise Refused(
            f"The reason has {len(rules.override)} characters; up to {LONGEST_OVERRIDE} are allowed."
        )
    _check_bounds(rules)
    _check_origin(project, rules)
    return replace(_timed(rules), recipe=_recipe(project, rules, person), sampling=_sampling(rules))


def _check_bounds(rules: Rules) -> None:
    for name, (words, low, high) in BOUNDS.items():
        value = getattr(rules, name)
        if value is not None and not low <= value <= high:
            raise Refused(f"{words} was given as {value:g}; allowed is {low:g} to {high:,}.")


def _timed(rules: Rules) -> Rules:
    read_zone(rules.zone)
    if len(rules.times) > MOST_TIMES:
        raise Refused(f"{len(rules.times)} times were given; up to {MOST_TIMES} a day are allowed.")
    times = sorted({f"{read_time(text):%H:%M}" for text in rules.times})
    days = sorted(set(rules.days))
    if any(day not in range(len(DAYS)) for day in days):
        raise Refused(f"The days were given as {days}; they are numbers from 0 (Monday) to 6 (Sunday).")
    if times and not days:
        raise Refused(f"{', '.join(times)} was given without a day; choose at least one, or no time.")
    if (rules.quiet_from is None) != (rules.quiet_to is None):
        raise Refused("Quiet hours were given with one end only; give both, or none.")
    if rules.quiet_from is not None and rules.quiet_from == rules.quiet_to:
        raise Refused("Quiet hours begin and end at the same time; give two different ones, or none.")
    return replace(rules, times=times, days=days)


def _check_origin(project: Project, rules: Rules) -> None:
    origin = rules.origin
    if origin is None:
        if rules.values:
            raise Refused("Settings were given without the run that they change; choose the run to follow.")
        return
    if origin.project_id != project.pk:
        raise Refused("The run to follow is of another project; choose one of this project.")
    if origin.status != Status.SUCCEEDED:
        raise Refused(f"{origin.name} has not succeeded; choose a run that has.")
    if origin.method == "reward":
        raise Refused(
            f"{origin.name} trains a reward model, which gives no answers to evaluate; follow a run that does."
        )
    if origin.dataset_version.parent_id and rules.recipe is None:
        raise Refused(
            f"{origin.name} was trained on rows chosen out of another version; give a recipe, or another run to follow."
        )
    try:
        parse_spec(origin.method, {**own_settings(origin.method, origin.spec), **rules.values})
    except SpecRefused as refusal:
        raise Refused(f"{str(refusal).removesuffix('.')}.") from refusal


def _recipe(project: Project, rules: Rules, person: User | None) -> dict[str, Any] | None:
    if rules.recipe is None:
        return None
    recipe = read_recipe(rules.recipe)
    source_projects(project, recipe, person)
    return stored(recipe)


def _sampling(rules: Rules) -> dict[str, Any]:
    try:
        parse(SamplingSpec, {name: value for name, value in rules.sampling.items() if value is not None})
    except SpecRefused as refusal:
        raise Refused(f"{str(refusal).removesuffix('.')}.") from refusal
    return {name: value for name, value in rules.sampling.items() if value is not None}
