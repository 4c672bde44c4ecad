"""Emma trains again on what people said since: what is spelled out, what one click does, and that it is one run."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.curation import rowfile
from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from labeling.reviewing import accept, resolve
from tests import world
from tests.training.runs import RESULT, judged_version, launched
from training import retraining
from training.models import Retraining, TrainingRun
from training.registry import register_checkpoint
from training.retraining import origin_of, outlook, run_retraining, start_retraining


def trained(project: Project, **options: Any) -> TrainingRun:
    """A run that has succeeded, with its checkpoint."""
    run = launched(project, **options)
    run.claim()
    run.finish(Status.SUCCEEDED, result=RESULT)
    register_checkpoint(run=run, result=RESULT)
    return run


def more_judgments(project: Project) -> None:
    world.fill(project, 6, start=project.items.count())
    world.judge_all(project, world.person("ben"))


@pytest.fixture
def origin(project: Project) -> TrainingRun:
    return trained(project, values={"epochs": 2.0, "lora_r": 8})


@pytest.fixture
def browser(emma: User) -> Client:
    client = Client()
    client.force_login(emma)
    return client


def test_the_page_spells_out_what_will_happen_and_one_click_does_it(
    project: Project, origin: TrainingRun, browser: Client
) -> None:
    more_judgments(project)
    address = reverse("training:retrain", args=[project.slug])
    text = browser.get(address).content.decode()
    assert "6 judgments came since" in text
    assert "Freeze a new version by the recipe of version 1" in text
    assert f"Start a run like {origin.name}: SFT with lora" in text
    browser.post(address, {"override": "a test"})
    job = Retraining.objects.get()
    run_retraining(job)
    job.refresh_from_db()
    assert (job.status, job.error) == (Status.SUCCEEDED, "")
    assert job.run is not None
    assert job.version is not None
    assert (job.version.number, job.run.dataset_version, job.run.again_of) == (2, job.version, origin)
    assert job.run.spec == origin.spec
    assert job.run.name in browser.get(address).content.decode()


def test_without_new_judgments_there_is_nothing_to_do(origin: TrainingRun, browser: Client) -> None:
    with pytest.raises(Refused, match="Nothing was judged or altered since version 1 was frozen"):
        start_retraining(origin, person=None)
    address = reverse("training:retrain", args=[origin.project.slug])
    assert "Freeze and train" not in browser.get(address).content.decode()


def test_what_was_withdrawn_leaves_the_training_rows(
    project: Project, origin: TrainingRun, browser: Client
) -> None:
    withdraw(project=project, by=None, item_id=project.items.order_by("pk").values_list("pk", flat=True)[0])
    words = "Since version 1 was frozen: 1 judgment was withdrawn."
    page = browser.get(reverse("training:retrain", args=[project.slug])).text
    assert words in page
    assert "by the recipe of version 1, of the judgments as they are now." in page
    assert browser.get(reverse("api-retrain", args=[project.slug])).json()["altered"] == words
    run_retraining(start_retraining(origin, person=None, override="a test"))
    made = TrainingRun.objects.exclude(pk=origin.pk).get()
    assert made.dataset_version.splits["train"]["rows"] == origin.dataset_version.splits["train"]["rows"] - 1


def test_what_a_version_left_out_and_was_reviewed_or_settled_since_is_new(
    project: Project, cleo: User
) -> None:
    world.fill(project, 24)
    world.judge_all(project, world.person("ben"), ["tie", "tie"])
    slots = list(project.assignments.order_by("pk"))
    for slot in slots[:20]:
        accept(project=project, assignment_id=slot.pk, reviewer=cleo)
    origin = trained(project, version=world.frozen(project, statuses=("accepted",)))
    assert "Nothing was judged or altered" in outlook(origin).refusal
    for slot in slots[20:]:
        accept(project=project, assignment_id=slot.pk, reviewer=cleo)
    resolve(project=project, item_id=slots[0].item_id, person=cleo, label="1")
    found = outlook(origin)
    assert found.altered == (
        "Since version 1 was frozen: 4 judgments that it left out were given a state of review that the recipe takes; "
        "1 item that it has no row of was settled."
    )
    assert found.refusal == ""


def test_where_only_rows_that_are_held_out_are_others_nothing_is_trained(
    project: Project, origin: TrainingRun
) -> None:
    version = origin.dataset_version
    training = {row["prompt_hash"] for row in rowfile.read(version.path, split="train")}
    held_out = project.items.exclude(prompt_hash__in=training).order_by("pk")[0]
    withdraw(project=project, by=None, item_id=held_out.pk)
    job = start_retraining(origin, person=None, override="a test")
    run_retraining(job)
    job.refresh_from_db()
    assert (job.status, TrainingRun.objects.count()) == (Status.FAILED, 1)
    assert "give the same training rows as version 1; nothing was trained" in job.error


def test_a_project_is_retrained_once_at_a_time(project: Project, origin: TrainingRun) -> None:
    more_judgments(project)
    start_retraining(origin, person=None)
    with pytest.raises(Refused, match="is being retrained already"):
        start_retraining(origin, person=None)
    assert Retraining.objects.count() == 1


def test_a_worker_that_died_after_the_freeze_starts_one_run_the_second_time(
    project: Project, origin: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    more_judgments(project)
    job = start_retraining(origin, person=None, override="a test")

    def die(**_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retraining, "launch", die)
        with pytest.raises(KeyboardInterrupt):
            run_retraining(job)
    job.refresh_from_db()
    assert (job.version is not None, job.run) == (True, None)
    Retraining.objects.filter(pk=job.pk).update(status=Status.QUEUED)
    run_retraining(Retraining.objects.get(pk=job.pk))
    run_retraining(Retraining.objects.get(pk=job.pk))
    assert TrainingRun.objects.exclude(pk=origin.pk).count() == 1


def test_what_the_check_of_a_freeze_blocks_is_not_trained_on(project: Project, origin: TrainingRun) -> None:
    more_judgments(project)
    job = start_retraining(origin, person=None)
    run_retraining(job)
    job.refresh_from_db()
    assert (job.status, job.run, job.version) == (Status.FAILED, None, None)
    assert job.error.endswith("Nothing was trained.")


def test_the_run_behind_what_is_in_production_is_followed(project: Project, origin: TrainingRun) -> None:
    later = trained(project, version=judged_version(project))
    assert origin_of(project) == later
    origin.checkpoint.stage = "production"
    origin.checkpoint.save()
    assert origin_of(project) == origin
    assert outlook(origin).newer > 0


def test_ben_may_not_retrain(project: Project, origin: TrainingRun) -> None:
    client = Client()
    client.force_login(world.person("ben"))
    assert client.post(reverse("training:retrain", args=[project.slug])).status_code == 403
    assert not Retraining.objects.exists()


def test_a_program_reads_what_would_happen_and_does_it(project: Project, browser: Client) -> None:
    address = reverse("api-retrain", args=[project.slug])
    assert "start one first" in browser.get(address).text
    origin = trained(project)
    refused = browser.post(address)
    assert (refused.status_code, Retraining.objects.count()) == (422, 0)
    more_judgments(project)
    told = browser.get(address).json()
    assert (told["origin"], told["newer"], told["refusal"], len(told["steps"])) == (origin.pk, 6, "", 3)
    done = browser.post(address, {"override": "a test"})
    assert (done.status_code, done.json()["status"]) == (202, "queued")
    assert Retraining.objects.get().override == "a test"
