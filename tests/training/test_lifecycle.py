"""How a run ends: finished, failed, stopped, given back, resumed; each end once, whatever the process does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from evaluation import jobs as evaluation_jobs
from labeling import jobs as labeling_jobs
from labeling.curation import rowfile
from labeling.lifecycle import Status
from labeling.models import Project, User
from labeling.protection import protect
from tests import world
from tests.training.runs import RESULT, launched, pretend
from training import jobs as training_jobs
from training import launching
from training.launching import drive
from training.models import Checkpoint, TrainingRun
from training.processes import BUSY, STOPPED, Stop


@pytest.fixture
def run(project: Project) -> TrainingRun:
    return launched(project)


def driven(run: TrainingRun, monkeypatch: pytest.MonkeyPatch, process: Callable[..., int]) -> TrainingRun:
    monkeypatch.setattr(launching, "run_recipe", process)
    drive(TrainingRun.objects.get(pk=run.pk))
    return TrainingRun.objects.get(pk=run.pk)


def test_a_run_that_ends_well_gives_a_checkpoint_and_its_losses(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [("start", 0, {"total_steps": 4}), ("log", 2, {"loss": 3.0}), ("log", 4, {"loss": 1.0})]
    run = driven(run, monkeypatch, pretend(result=RESULT, events=events))
    assert (run.status, run.progress, run.step, run.total_steps) == ("succeeded", 1.0, 4, 4)
    assert (run.loss_first, run.loss_last) == (3.0, 1.0)
    assert (run.checkpoint.parent, run.checkpoint.content_hash) == (run.start, RESULT["content_hash"])


def test_a_message_that_comes_twice_trains_once(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    driven(run, monkeypatch, pretend(result=RESULT))
    driven(run, monkeypatch, lambda *_: pytest.fail("the recipe ran again"))
    assert Checkpoint.objects.filter(run=run).count() == 1


def test_a_run_that_fails_says_the_sentence_of_its_process(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [("error", 3, {"message": "The loss is not a number; lower the learning rate."})]
    run = driven(run, monkeypatch, pretend(code=1, events=events))
    assert (run.status, run.error) == ("failed", "The loss is not a number; lower the learning rate.")


def test_a_run_whose_process_says_nothing_fails_with_its_code_and_last_line(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(recipe: str, run_dir: Path, watch: Callable[[], None], *_: Any) -> int:
        (run_dir / "log.txt").write_text("Traceback…\nModuleNotFoundError: torch\n")
        return 1

    run = driven(run, monkeypatch, dies)
    assert run.status == "failed"
    assert "code 1: ModuleNotFoundError: torch" in run.error


@pytest.mark.parametrize(("code", "attempts"), [(STOPPED, 1), (BUSY, 1), (-15, 2)])
def test_a_run_that_was_stopped_from_outside_goes_back_to_the_queue_and_is_resumed(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch, code: int, attempts: int
) -> None:
    assert driven(run, monkeypatch, pretend(code=code)).status == "queued"
    again = driven(run, monkeypatch, pretend(result=RESULT))
    assert (again.status, again.attempt) == ("succeeded", attempts)


def test_a_run_whose_process_is_killed_every_time_fails_after_some_tries(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PREFLOOP_MAX_ATTEMPTS = 3
    for _ in range(3):
        found = driven(run, monkeypatch, pretend(code=-9))
    assert (found.status, found.attempt) == (Status.FAILED, 3)
    assert "killed" in found.error
    assert "memory" in found.error


def test_a_run_that_is_asked_to_stop_every_day_is_never_given_up(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PREFLOOP_MAX_ATTEMPTS = 3
    for _ in range(6):
        found = driven(run, monkeypatch, pretend(code=STOPPED))
    assert found.status == Status.QUEUED


def test_emma_stops_a_running_run(run: TrainingRun, emma: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def until_stopped(recipe: str, run_dir: Path, watch: Callable[[], None], *_: Any) -> int:
        watch()
        page = world.sign_in(emma).post(
            reverse("training:cancel", args=[run.project.slug, run.pk]), follow=True
        )
        assert "Stopping" in page.text
        with pytest.raises(Stop):
            watch()
        return STOPPED

    assert driven(run, monkeypatch, until_stopped).status == "cancelled"


def pressed(run: TrainingRun, who: User, name: str = "training:resume") -> str:
    address = reverse(name, args=[run.project.slug, run.pk])
    return world.sign_in(who).post(address, follow=True).content.decode()


def test_emma_resumes_a_run_that_failed_and_one_that_she_cancelled(
    run: TrainingRun, emma: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PREFLOOP_MAX_ATTEMPTS = 1
    assert driven(run, monkeypatch, pretend(code=-9)).status == "failed"
    assert "Queued" in pressed(run, emma)
    pressed(run, emma, "training:cancel")
    assert "Resume" in pressed(run, emma, "training:cancel")
    pressed(run, emma)
    found = driven(run, monkeypatch, pretend(result=RESULT))
    assert (found.status, found.attempt, found.error) == ("succeeded", 1, "")
    assert "is succeeded and can be resumed only where it failed or was cancelled" in pressed(run, emma)


def test_a_run_whose_prompts_became_a_suite_is_not_resumed(run: TrainingRun, emma: User) -> None:
    run.request_cancel()
    row = next(rowfile.read(run.dataset_version.path, split="train"))
    protect(project=run.project, prompts={row["prompt_hash"]: ""}, reason="a suite made meanwhile")
    assert "used for evaluation by now" in pressed(run, emma)
    assert TrainingRun.objects.get().status == "cancelled"


def test_a_program_resumes_a_run(run: TrainingRun, emma: User) -> None:
    address = reverse("api-run-resume", args=[run.project.slug, run.pk])
    client = world.sign_in(emma)
    assert client.post(address).status_code == 422
    run.request_cancel()
    answer = client.post(address)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def test_a_worker_that_lost_its_claim_stops_its_process_and_changes_nothing(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_away(recipe: str, run_dir: Path, watch: Callable[[], None], *_: Any) -> int:
        TrainingRun.objects.filter(pk=run.pk).update(claim_token="00000000-0000-0000-0000-000000000001")
        with pytest.raises(Stop):
            watch()
        return STOPPED

    found = driven(run, monkeypatch, taken_away)
    assert (found.status, str(found.claim_token)[-1]) == ("starting", "1")


def test_a_finished_process_whose_worker_died_is_not_run_again_in_vain(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven(run, monkeypatch, pretend(code=STOPPED))
    spec = (run.path / "spec.json").read_bytes()
    found = driven(run, monkeypatch, pretend(result=RESULT))
    assert (run.path / "spec.json").read_bytes() == spec
    assert found.checkpoint.name == run.name


def test_a_full_disk_fails_the_run_with_a_sentence(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    found = driven(run, monkeypatch, full)
    assert found.status == "failed"
    assert "free some space and start it again" in found.error


@pytest.mark.django_db
def test_a_message_about_a_row_that_is_gone_asks_for_nothing() -> None:
    for task in (
        training_jobs.drive_run,
        training_jobs.check_run,
        training_jobs.merge_adapter,
        labeling_jobs.run_import,
        labeling_jobs.run_freeze,
        labeling_jobs.measure_quality,
        evaluation_jobs.drive_evaluation,
    ):
        task(987_654)
