"""Train again on the newest judgments: freeze by the recipe of an earlier run, then start a run with its settings."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

from labeling.curation.describing import recipe_sentences
from labeling.curation.freezing import LintBlocked, freeze, newer_judgments
from labeling.curation.recipe import read_recipe
from labeling.errors import Refused
from labeling.lifecycle import TERMINAL, Status
from labeling.models import DatasetVersion, Project, User
from training.beginning import own_settings
from training.launching import launch
from training.models import Checkpoint, Retraining, TrainingRun
from training.processes import Stop, beat

# How packages above say that they retrain a project by themselves: a sentence while they do, nothing otherwise.
ELSEWHERE: list[Callable[[Project], str]] = []


@dataclass(frozen=True)
class Outlook:
    """What a click would do, and why it may not be done; `refusal` is empty where it may."""

    origin: TrainingRun
    newer: int
    steps: list[str]
    refusal: str


def origin_of(project: Project, *, answering: bool = False) -> TrainingRun | None:
    """The run that retraining follows: that of the newest checkpoint in production, else the newest that succeeded;
    only one of a model that gives answers, where asked for."""
    rows = TrainingRun.objects.filter(project=project, status=Status.SUCCEEDED)
    if answering:
        rows = rows.exclude(method="reward")
    rows = rows.select_related("project", "dataset_version__project", "start__base", "base")
    in_production = rows.filter(checkpoint__stage=Checkpoint.Stage.PRODUCTION).order_by("-id").first()
    return in_production or rows.order_by("-id").first()


def outlook(origin: TrainingRun) -> Outlook:
    """Say what retraining would do, step by step."""
    version = origin.dataset_version
    newer = newer_judgments(version)
    recipe = "" if version.parent_id else " ".join(recipe_sentences(version.recipe))
    steps = [
        f"Freeze a new version by the recipe of version {version.number}, with the {newer:,} judgments that came "
        f"since. {recipe}",
        f"Start a run like {origin.name}: {origin.method.upper()} with {origin.spec.get('adaptation')}, from "
        f"{origin.start}, with the same settings.",
        "Leave the checkpoint as a candidate: nothing is promoted by itself.",
    ]
    refusal = _refusal(version, newer) or _elsewhere(origin.project)
    return Outlook(origin, newer, [step.strip() for step in steps], refusal)


def _refusal(version: DatasetVersion, newer: int) -> str:
    if version.parent_id:
        return (
            f"Version {version.number} was chosen out of another one, by hand or by quality; freeze the newest "
            "judgments, choose again, and start the run from its page."
        )
    if not newer:
        return (
            f"Nothing was judged since version {version.number} was frozen; there is nothing new to train on."
        )
    return ""


def _elsewhere(project: Project) -> str:
    return next((words for under_way in ELSEWHERE if (words := under_way(project))), "")


def hold(project: Project) -> None:
    """Hold a project's turn to be retrained until the transaction ends: whoever starts at the same moment, by hand or
    by itself, comes after and finds what was stored. Raises Refused where it is being retrained."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    if Retraining.objects.filter(project=project).exclude(status__in=TERMINAL).exists():
        raise Refused("This project is being retrained already; wait for it, or cancel it.")
    if words := _elsewhere(project):
        raise Refused(words)


def start_retraining(origin: TrainingRun, *, person: User | None, override: str = "") -> Retraining:
    """Queue it; `override` is a reason to freeze even what the check would block.

    Raises Refused where there is nothing new, or the project is being retrained already.
    """
    if refusal := outlook(origin).refusal:
        raise Refused(refusal)
    with transaction.atomic():
        hold(origin.project)
        job = Retraining.objects.create(
            project=origin.project, origin=origin, created_by=person, override=override.strip()
        )
        job.enqueue()
    return job


def run_retraining(job: Retraining) -> None:
    """Claim the job and carry it to an end. Safe to repeat: the same judgments give the same version, and one run."""
    if job.claim():
        job.carry(lambda: _retrain(job))


def _retrain(job: Retraining) -> None:
    origin = job.origin
    try:
        version = job.version or freeze(
            project=job.project,
            recipe=read_recipe(origin.dataset_version.recipe),
            person=job.created_by,
            override=job.override,
            beat=lambda share: beat(job, share),
        )
    except LintBlocked as blocked:
        raise Refused(f"{blocked.sentence} Nothing was trained.") from blocked
    except Stop:
        job.finish(Status.CANCELLED)
        return
    if version == origin.dataset_version:
        raise Refused(
            f"The judgments since give the same rows as version {version.number}; nothing was trained."
        )
    if not job.heartbeat(version=version):
        return  # another worker has it
    with transaction.atomic():  # the run is there if and only if this job has ended
        run = launch(
            project=job.project,
            method=origin.method,
            dataset_version=version,
            start=origin.start,
            reward=origin.reward,
            gold=origin.gold,
            values=own_settings(origin.method, origin.spec),
            person=job.created_by,
            again_of=origin,
        )
        if not job.finish(Status.SUCCEEDED, progress=1.0, run=run, version=version):
            transaction.set_rollback(True)
