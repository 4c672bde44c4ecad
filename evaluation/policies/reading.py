"""What pages, commands and the API show of a policy and its runs, in as many queries for many runs as for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from evaluation.models import PolicyRun, PolicyStep, RetrainPolicy
from evaluation.policies.facts import Charge, Facts, recipe_of, used
from evaluation.policies.timetable import read_zone, shown
from labeling.curation.altering import news_of, sentence
from labeling.curation.describing import recipe_sentences
from labeling.models import Project

Kind, State, Outcome = PolicyStep.Kind, PolicyStep.State, PolicyRun.Outcome
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
    """A step as it is shown: a status, a word for it, and how long it took or takes."""

    step: PolicyStep
    title: str
    status: str
    label: str

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

    @property
    def of(self) -> dict[str, PolicyStep]:
        """The steps by what they do."""
        return {line.step.kind: line.step for line in self.steps}

    @property
    def took(self) -> str:
        return duration(self.run.created_at, self.run.ended_at)


def runs_of(project: Project) -> QuerySet[PolicyRun]:
    """The runs of a project, the newest first, with what lists show of them; no payload is read."""
    steps = PolicyStep.objects.select_related("freeze", "version", "training", "checkpoint", "evaluation").only(
        "run", "kind", "state", "sentence", "seconds", "cost", "started_at", "ended_at",
        "freeze__status", "freeze__progress", "version__number", "checkpoint__name",
        "training__name", "training__status", "training__progress", "training__waiting",
        "evaluation__status", "evaluation__progress",
    ).order_by("id")  # fmt: skip
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
    status = "cancelled" if step.state == State.SKIPPED else step.state
    return StepLine(step, TITLES[Kind(step.kind)], status, str(label))


def what_happens(policy: RetrainPolicy, facts: Facts) -> list[str]:
    """What a run will do, step by step, in plain words."""
    origin = facts.origin
    if origin is None or facts.known is None:
        return []
    number = origin.dataset_version.number
    by = f"the recipe of version {number}" if policy.recipe is None else "the policy's recipe"
    blocked = f", even what the check would block, because: {policy.override}" if policy.override else ""
    changed = ", ".join(f"{name} {value}" for name, value in policy.values.items()) or "the same settings"
    engine = f" by {policy.engine}" if policy.engine else ""
    return [
        f"Freeze a version by {by}{blocked}. {' '.join(recipe_sentences(recipe_of(policy, origin)))}",
        f"Train like {origin.name}: {origin.method.upper()} with {origin.spec.get('adaptation')}, from {origin.start}, "
        f"with {changed}.",
        f"Evaluate the new checkpoint on {policy.suite}{engine}, against what is in production, else the base model.",
        f"Hold it against the gate of {policy.suite}.",
        "Leave it as a candidate, and tell those who are to be told. A person promotes; the policy never does.",
    ]


def altered_words(facts: Facts) -> str:
    """What was altered since the version trained on last that may give other rows; empty where nothing was. No run
    starts because of it: a count of judgments is of what people said."""
    known = facts.known
    return sentence(news_of(known), f"version {known.number}") if known is not None else ""


def uses(policy: RetrainPolicy, facts: Facts) -> list[tuple[str, str]]:
    """How much of each limit of seven days is used, in words."""
    rows: list[tuple[str, Sequence[Charge], float | None, str]] = [
        ("Runs", facts.starts, policy.runs_a_week, ",.0f"),
        ("Hours", facts.hours, policy.hours_a_week, ",.2f"),
        ("Cost", facts.costs, policy.cost_a_week, ",.2f"),
    ]
    return [
        (
            label,
            f"{used(charges, facts.now):{how}} in 7 days, {'no limit' if limit is None else f'of {limit:{how}}'}",
        )
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
