"""What is stored that decides whether a policy starts a run now, read in a few queries that do not grow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from evaluation.models import PolicyRun, PolicyStep, RetrainPolicy
from labeling.curation.freezing import judgments_since
from labeling.lifecycle import TERMINAL, Status
from labeling.models import DatasetVersion, Judgment
from training.models import Checkpoint, Retraining, TrainingRun
from training.retraining import origin_of

WEEK = timedelta(days=7)
Outcome, Kind = PolicyRun.Outcome, PolicyStep.Kind
FAILURES = (Outcome.FAILED, Outcome.REFUSED, Outcome.BLOCKED)
THROUGH = (Outcome.CANDIDATE, Outcome.GATE)  # it was trained and measured
Charge = tuple[datetime, float]  # when something was used, and how much


@dataclass(frozen=True)
class Facts:
    """`newer` judgments came since the version trained on last (`known`), `unseen` since the last start too.

    `starts`, `hours` and `costs` are what the runs of the last seven days used; `failures` ended badly in a row.
    """

    now: datetime
    origin: TrainingRun | None
    known: DatasetVersion | None
    newest_judgment: int
    newer: int
    unseen: int
    open_run: int | None
    by_hand: bool
    failures: int
    starts: Sequence[Charge]
    hours: Sequence[Charge]
    costs: Sequence[Charge]


def facts_of(policy: RetrainPolicy, now: datetime) -> Facts:
    origin = followed(policy)
    known = known_version(policy, origin)
    recipe = recipe_of(policy, origin)
    seen = known.last_judgment_id if known else 0
    last = PolicyRun.objects.filter(policy=policy).aggregate(seen=Max("newest_judgment"))["seen"] or 0
    newer = judgments_since(policy.project_id, recipe, seen)
    return Facts(
        now=now,
        origin=origin,
        known=known,
        newest_judgment=Judgment.objects.aggregate(newest=Max("pk"))["newest"] or 0,
        newer=newer,
        unseen=newer if last <= seen else judgments_since(policy.project_id, recipe, last),
        open_run=PolicyRun.objects.filter(project=policy.project_id, outcome="")
        .values_list("pk", flat=True)
        .first(),
        by_hand=Retraining.objects.filter(project=policy.project_id).exclude(status__in=TERMINAL).exists(),
        failures=failures_in_a_row(policy),
        **charges(policy, now),
    )


def followed(policy: RetrainPolicy) -> TrainingRun | None:
    """The run whose settings are followed: the one given, else that of what is in production, else the newest that
    trained a model which answers."""
    return policy.origin or origin_of(policy.project, answering=True)


def known_version(policy: RetrainPolicy, origin: TrainingRun | None) -> DatasetVersion | None:
    """The version that was trained on last, by the run that is followed or by this policy: where more had been judged,
    and of two alike the later one. What is taken back may give the rows of an older version again."""
    own = PolicyStep.objects.filter(
        run__policy=policy, kind=Kind.TRAIN, training__status=Status.SUCCEEDED
    ).select_related("run", "training__dataset_version__project")
    last, found = own.order_by("-id").first(), []
    if origin is not None:
        found.append((origin.dataset_version.last_judgment_id, origin.pk, origin.dataset_version))
    if last is not None and last.training is not None:
        version = last.training.dataset_version
        found.append((max(version.last_judgment_id, last.run.newest_judgment), last.training.pk, version))
    return max(found, key=itemgetter(0, 1))[2] if found else None


def left_waiting(policy: RetrainPolicy) -> QuerySet[Checkpoint]:
    """Candidates that the policy trained and no gate was asked about, because their evaluation failed, was stopped or
    was too dear; the newest first. What a person has decided about waits no more."""
    asked = PolicyStep.objects.filter(kind=Kind.GATE, run__steps__checkpoint=OuterRef("pk")).exclude(
        findings={}
    )
    rows = Checkpoint.objects.filter(run__policy_step__run__policy=policy, stage=Checkpoint.Stage.CANDIDATE)
    return rows.filter(~Exists(asked), decisions=None).order_by("-id")


def waiting_of(run: PolicyRun) -> Checkpoint | None:
    """What this run trained, or went on with, and no gate was asked about; None while it is under way."""
    if not run.is_over:
        return None
    own = Q(run__policy_step__run=run) | Q(pk__in=run.steps.filter(kind=Kind.TRAIN).values("checkpoint"))
    return left_waiting(run.policy).filter(own).select_related("run__dataset_version__project").first()


def recipe_of(policy: RetrainPolicy, origin: TrainingRun | None) -> Mapping[str, Any]:
    """The recipe that is frozen by: the one given, else that of the run that is followed."""
    if policy.recipe is not None:
        return dict(policy.recipe)
    return dict(origin.dataset_version.recipe) if origin is not None else {}


def failures_in_a_row(policy: RetrainPolicy) -> int:
    """How many of the latest runs failed, since one came through or a person let it go on."""
    rows = PolicyRun.objects.filter(policy=policy, outcome__in=(*FAILURES, *THROUGH))
    if policy.resumed_at is not None:
        rows = rows.filter(created_at__gt=policy.resumed_at)
    count = 0
    for outcome in rows.order_by("-id").values_list("outcome", flat=True)[:100]:
        if outcome in THROUGH:
            break
        count += 1
    return count


def charges(policy: RetrainPolicy, now: datetime) -> dict[str, list[Charge]]:
    """What the policy's runs of the last seven days used: starts count when they were, the rest when it ended."""
    since = now - WEEK
    steps = PolicyStep.objects.filter(run__policy=policy, kind__in=(Kind.TRAIN, Kind.EVALUATE))
    recent = steps.filter(Q(started_at__gt=since) | Q(ended_at__gt=since))
    rows = list(recent.values_list("training", "started_at", "ended_at", "seconds", "cost"))
    return {
        "starts": [(began, 1.0) for training, began, *_ in rows if training and began and began > since],
        "hours": [(ended, seconds / 3600) for _, _, ended, seconds, _ in rows if ended and seconds],
        "costs": [(ended, cost) for _, _, ended, _, cost in rows if ended and cost],
    }


def used(charges: Sequence[Charge], now: datetime) -> float:
    return sum(amount for when, amount in charges if when > now - WEEK)


def room_at(charges: Sequence[Charge], limit: float, now: datetime) -> datetime:
    """The first moment at which less than the limit was used in the seven days before it."""
    left = used(charges, now)
    for when, amount in sorted(charges):
        if left < limit:
            break
        left, now = left - amount, max(now, when + WEEK)
    return now
