"""Fill a fresh installation so that a newcomer meets every page with something real on it."""

from collections.abc import Callable
from typing import Any

from django.db import Error, connection

from evaluation.demo.data import VOTERS, Votes, find_file, read
from evaluation.demo.loop import SFT, ensure_nano_model, import_file, prepare
from evaluation.demo.people import ANNOTATORS, make_people
from evaluation.demo.reviews import fill_reviews
from evaluation.models import EvalRun
from evaluation.planning import plan_evaluation
from evaluation.suites import suite_from_split
from labeling.annotating import Sent, submit
from labeling.curation.freezing import freeze
from labeling.curation.recipe import Recipe
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Judgment, Project, User
from labeling.queue import claim_next
from labeling.tasks import show
from labeling.values import PairwiseAnswer
from training.launching import launch
from training.models import TrainingRun

SLUG = "pandalm-demo"
JUDGED = 480
OVERRIDE = "The published test set as it is, for trying things out."


def fill(*, nano: dict[str, Any], say: Any) -> Project:
    """People, items, the first judgments, a dataset version, a base model and a queued run. Safe to repeat."""
    project = Project.objects.filter(slug=SLUG).first() or prepare(slug_words="PandaLM demo", whole=True)[0]
    make_people(project)
    if not project.items.exists():
        path = find_file()
        emma = User.objects.get(username="emma")
        say(f"{import_file(project, path, emma):,} items imported from {path.name}")
    if not Judgment.objects.filter(project=project).exists():
        _judge(project, say)
    fill_reviews(say=say)
    base = ensure_nano_model(**nano)
    say(f"base model {base.name}: {base.parameters or 0:,} parameters")
    emma = User.objects.get(username="emma")
    version = freeze(project=project, recipe=Recipe(), person=emma, override=OVERRIDE)
    suite_from_split(version=version, split="test", person=emma)
    if not TrainingRun.objects.filter(project=project).exists():
        launch(
            project=project,
            method="sft",
            dataset_version=version,
            start=base,
            values=dict(SFT),
            person=emma,
            name="first SFT",
        )
    return project


def evaluating(project: Project, *, say: Any) -> Callable[[], bool]:
    """What is to be called again until it returns False: it has the first run evaluated beside its base model as soon
    as it is trained, so that the first screen has a verdict while the newcomer looks around."""

    def look() -> bool:
        run = TrainingRun.objects.filter(project=project).order_by("pk").select_related("checkpoint").first()
        if run is None or EvalRun.objects.filter(project=project).exists():
            return False
        if run.status != Status.SUCCEEDED:
            return not run.is_over
        suite, emma = project.suites.earliest("pk"), User.objects.get(username="emma")
        plan_evaluation(project=project, suite=suite, checkpoints=[run.checkpoint], person=emma)
        say(f"{run.name} is trained; it is evaluated beside its base model now.")
        return False

    def look_on() -> bool:
        try:
            return look()
        except Refused as refusal:
            say(f"The first run is not evaluated: {refusal.sentence}")
            return False
        except Error:  # busy for longer than is waited for, or started again
            connection.close()
            return True
        except Exception as fault:  # the site goes on without it
            say(f"The first run is not evaluated: {fault!r}")
            return False

    return look_on


def _judge(project: Project, say: Any) -> None:
    """The published votes on the first items; the rest is left for whoever tries the demo."""
    rows = read(find_file())
    for name, voter in zip(ANNOTATORS, VOTERS, strict=True):
        votes, person = Votes.of(voter, rows), User.objects.get(username=name)
        for _ in range(JUDGED):
            assignment = claim_next(project=project, person=person)
            if assignment is None:
                break
            task = show(assignment=assignment, person=person)
            texts = [response.text for response in task.responses]
            submit(
                project=project,
                assignment_id=task.assignment_id,
                person=person,
                answer=PairwiseAnswer(verdict=votes.verdict(task.messages[0]["content"], *texts)),
                sent=Sent(token=task.token, client_key=task.client_key),
            )
    say(f"{Judgment.objects.filter(project=project).count():,} published votes replayed")
