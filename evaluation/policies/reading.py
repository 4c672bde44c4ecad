"""What pages, commands and the API show of a policy and its runs, in as many queries for many runs as for one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from evaluation.models import PolicyRun, PolicyStep, RetrainPolicy
from evaluation.policies.facts import Facts, used
from evaluation.policies.timetable import read_zone, shown
from labeling.curation.describing import recipe_sentences
from labeling.models import Project

Kind, State, Outcome = PolicyStep.Kind, PolicyStep.State, PolicyRun.Outcome
STATUS = {
    State.WAITING: "waiting",
    State.RUNNING: "running",
    State.DONE: "done",
    State.STOPPED: "stopped",
    State.SKIPPED: "cancelled",
}
OUTCOME_STATUS = {
    "": "running",
    Outcome.CANDIDATE: "done",
    Outcome.NOTHING_NEW: "cancelled",
    Outcome.BLOCKED: "failed",
    Outcome.REFUSED: "failed",
    Outcome.FAILED: "failed",
    Outcome.GATE: "stopped",
    Outcome.BUDGET: "stopped",
    Outcome.CANCELLED: "cancelled",
}
TITLES = {
    Kind.FREEZE: "Freeze the judgments",
    Kind.TRAIN: "Train",
    Kind.EVALUATE: "Evaluate against the champion",
    Kind.GATE: "Ask the gate",
    Kind.CANDIDATE: "Leave a candidate",
}


@dataclass(frozen=True)
class StepLine:
    """A step as it is shown: a status, a word for it, its job, and how long it took or takes."""

    step: PolicyStep
    title: str
    status: str
    label: str
    job: Any
    target: int | None = None

    @property
    def took(self) -> str:
        return duration(self.step.started_at, self.step.ended_at)


@dataclass(frozen=True)
class RunLine:
    """A run as lists show it."""

    run: PolicyRun
    status: str
    label: str
    steps: list[StepLine]

    @property
    def at(self) -> StepLine | None:
        """The step that is at work, or where it stopped."""
        return next((line for line in self.steps if line.step.state not in (State.DONE, State.SKIPPED)), None)

    def of(self, kind: str) -> PolicyStep:
        return next(line.step for line in self.steps if line.step.kind == kind)

    @property
    def version(self) -> Any:
        return self.of(Kind.FREEZE).version

    @property
    def checkpoint(self) -> Any:
        return self.of(Kind.TRAIN).checkpoint

    @property
    def evaluation(self) -> Any:
        return self.of(Kind.EVALUATE).evaluation

    @property
    def took(self) -> str:
        return duration(self.run.created_at, self.run.ended_at)


def runs_of(project: Project) -> QuerySet[PolicyRun]:
    """The runs of a project, the newest first, with what lists show of them; no payload is read."""
    steps = PolicyStep.objects.select_related(
        "freeze", "version__project", "training", "checkpoint", "evaluation"
    )
    steps = steps.only(
        *("run", "kind", "state", "sentence", "seconds", "cost", "started_at", "ended_at"),
        *(
            "freeze__status",
            "freeze__progress",
            "version__number",
            "version__project__slug",
            "version__project__name",
        ),
        *(
            "training__name",
            "training__status",
            "training__progress",
            "training__waiting",
            "checkpoint__name",
        ),
        *(
            "checkpoint__stage",
            "evaluation__name",
            "evaluation__status",
            "evaluation__progress",
            "evaluation__stage",
        ),
    ).order_by("id")
    rows = PolicyRun.objects.filter(project=project).select_related("created_by").defer("plan")
    return rows.prefetch_related(Prefetch("steps", steps))


def line_of(run: PolicyRun) -> RunLine:
    """A run of `runs_of` as a line."""
    label = (
        run.get_outcome_display() if run.outcome else "Cancelling" if run.cancel_requested_at else "Under way"
    )
    return RunLine(run, OUTCOME_STATUS[run.outcome], label, [_step(step) for step in run.steps.all()])


def _step(step: PolicyStep) -> StepLine:
    label = State(step.state).label
    if step.state == State.RUNNING and step.job is not None:
        label = step.job.get_status_display()
    return StepLine(step, TITLES[Kind(step.kind)], STATUS[State(step.state)], str(label), step.job)


def what_happens(policy: RetrainPolicy, facts: Facts) -> list[str]:
    """What a run will do, step by step, in plain words."""
    origin = facts.origin
    if origin is None or facts.known is None:
        return []
    recipe = policy.recipe if policy.recipe is not None else origin.dataset_version.recipe
    by = (
        "the policy's recipe"
        if policy.recipe is not None
        else f"the recipe of version {origin.dataset_version.number}"
    )
    said = (
        f", with {', '.join(f'{name} {value}' for name, value in policy.values.items())}"
        if policy.values
        else ""
    )
    blocked = "even what the check would block, because: " + policy.override if policy.override else ""
    engine = f" by {policy.engine}" if policy.engine else ""
    return [
        f"Freeze a version by {by}{f', {blocked}' if blocked else ''}. {' '.join(recipe_sentences(recipe))}",
        f"Train like {origin.name}: {origin.method.upper()} with {origin.spec.get('adaptation')}, from {origin.start}"
        f"{said or ', with the same settings'}.",
        f"Evaluate the new checkpoint on {policy.suite}{engine}, against what is in production, else the base model.",
        f"Hold it against the gate of {policy.suite}.",
        "Leave it as a candidate, and tell those who are to be told. A person promotes; the policy never does.",
    ]


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit of seven days is used; `limit` None: there is none."""

    label: str
    used: str
    limit: str


def uses(policy: RetrainPolicy, facts: Facts) -> list[Use]:
    rows: list[tuple[str, Any, float | None, str]] = [
        ("Runs", facts.starts, policy.runs_a_week, ",.0f"),
        ("Hours", facts.hours, policy.hours_a_week, ",.2f"),
        ("Cost", facts.costs, policy.cost_a_week, ",.2f"),
    ]
    return [
        Use(label, format(used(charges, facts.now), how), "no limit" if limit is None else format(limit, how))
        for label, charges, limit, how in rows
    ]


def duration(began: datetime | None, ended: datetime | None) -> str:
    """How long something took, or takes so far, in words; empty where it has not begun."""
    if began is None:
        return ""
    seconds = int(((ended or timezone.now()) - began).total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def quiet_words(policy: RetrainPolicy) -> str:
    if policy.quiet_from is None or policy.quiet_to is None:
        return "none"
    return f"{policy.quiet_from:%H:%M} to {policy.quiet_to:%H:%M} ({policy.zone}); a run under way goes on"


def due_words(run: PolicyRun) -> str:
    """Why a run was started, with the scheduled time where it had one."""
    if run.due_at is None:
        by = f" by {run.created_by}" if run.trigger == PolicyRun.Trigger.BUTTON and run.created_by else ""
        return f"{run.get_trigger_display()}{by}"
    return f"{run.get_trigger_display()}, due {shown(run.due_at, read_zone(run.policy.zone))}"
