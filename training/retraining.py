"""Train again on the newest judgments: freeze by the recipe of an earlier run, then start a run with its settings."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

from labeling.curation import rowfile
from labeling.curation.altering import news_of, sentence
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
    """What a click would do, and why it may not be done; `refusal` is empty where it may. `altered` says what may give
    other rows beside the `newer` judgments."""

    origin: TrainingRun
    newer: int
    altered: str
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
    newer, altered = newer_judgments(version), sentence(news_of(version), f"version {version.number}")
    came = "of the judgments as they are now"
    if newer:
        came = f"with the {newer:,} judgment{'' if newer == 1 else 's'} that came since"
    recipe = "" if version.parent_id else " ".join(recipe_sentences(version.recipe))
    steps = [
        f"Freeze a new version by the recipe of version {version.number}, {came}. {recipe}",
        f"Start a run like {origin.name}: {origin.method.upper()} with {origin.spec.get('adaptation')}, from "
        f"{origin.start}, with the same settings.",
        "Leave the checkpoint as a candidate: nothing is promoted by itself.",
    ]
    refusal = _refusal(version, bool(newer or altered)) or _elsewhere(origin.project)
    return Outlook(origin, newer, altered, [step.strip() for step in steps], refusal)


def _refusal(version: DatasetVersion, anything_new: bool) -> str:
    if version.parent_id:
        return (
            f"Version {version.number} was chosen out of another one, by hand or by quality; freeze the newest "
            "judgments, choose again, and start the run from its page."
        )
    if not anything_new:
        return (
            f"Nothing was judged or altered since version {version.number} was frozen; there is nothing new to train "
            "on."
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


def trains_alike(one: DatasetVersion, other: DatasetVersion) -> bool:
    """Whether two versions are one, or differ in rows that are held out only, such as those whose prompts are
    protected."""
    if one == other:
        return True
    if one.kind != other.kind or one.splits.get("train") != other.splits.get("train"):
        return False
    return rowfile.content_hash(one.path, split="train") == rowfile.content_hash(other.path, split="train")


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
    origin, known = job.origin, job.origin.dataset_version
    try:
        version = job.version or freeze(
            project=job.project,
            recipe=read_recipe(known.recipe),
            person=job.created_by,
            override=job.override,
            beat=lambda share: beat(job, share),
        )
    except LintBlocked as blocked:
        raise Refused(f"{blocked.sentence} Nothing was trained.") from blocked
    except Stop:
        job.finish(Status.CANCELLED)
        return
    if trains_alike(version, known):
        raise Refused(
            f"The judgments as they are now give the same training rows as version {known.number}; nothing was trained."
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
