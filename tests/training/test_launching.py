"""Emma starts runs: what is frozen, what is refused, and that nothing leaks from evaluation into training."""

import hashlib
import json
from typing import Any

import pytest
from django.urls import reverse

from evaluation.suites import suite_from_split
from labeling.curation import exporting, rowfile
from labeling.errors import Refused
from labeling.models import Project, User
from labeling.protection import protect
from tests import world
from tests.training.runs import judged_version, launched, pretend, root_checkpoint
from training import launching
from training.launching import drive
from training.models import TrainingRun
from training.processes import STOPPED
from training.specs import TrainJob, parse, parse_spec


def test_emma_starts_a_run_and_its_whole_spec_is_frozen(project: Project, emma: User) -> None:
    run = launched(project, values={"epochs": 2.0, "lora_r": 8}, person=emma)
    assert (run.status, run.created_by, run.method) == ("queued", emma, "sft")
    assert (run.spec["epochs"], run.spec["lora_r"], run.spec["lora_alpha"]) == (2.0, 8, 16)
    assert "learning_rate" in run.spec


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "method 'magic' is unknown; choose one of"),
        ({"values": {"epochs": -1.0}}, "epochs was given as -1.0; allowed is a number above 0"),
        ({"values": {"color": "red"}}, "color is not a setting of SftSpec"),
        ({"values": {"beta": 0.1}}, "beta is not a setting of SftSpec"),
    ],
)
def test_a_spec_out_of_bounds_is_refused_and_nothing_is_stored(
    project: Project, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused) as refusal:
        launched(project, **options)
    assert words in refusal.value.sentence
    assert TrainingRun.objects.count() == 0


def test_a_version_without_training_rows_is_refused(project: Project) -> None:
    world.fill(project, 2)
    world.judge_all(project, world.person("ben"))
    seed = next(
        s for s in range(100) if not world.frozen(project, test_share=0.9, seed=s).splits.get("train")
    )
    version = world.frozen(project, test_share=0.9, seed=seed)
    with pytest.raises(Refused, match="has no training rows; freeze one with a smaller test share"):
        launched(project, version)


def test_a_version_whose_training_prompts_became_a_suite_is_refused(project: Project) -> None:
    first = judged_version(project)
    second = world.frozen(project, seed=7)
    suite_from_split(version=second, split="test", person=None)
    with pytest.raises(Refused, match=r"training split are used for evaluation by now; freeze a new version"):
        launched(project, first)
    launched(project, world.frozen(project, seed=1))
    assert TrainingRun.objects.count() == 1


def test_a_version_whose_rows_were_changed_is_refused(project: Project) -> None:
    version = judged_version(project)
    (version.path / rowfile.FILE_NAME).write_bytes(b"PAR1")
    with pytest.raises(Refused, match="somebody changed the file"):
        launched(project, version)


def test_a_prompt_that_becomes_a_case_while_the_run_waits_is_not_trained_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project)
    row = next(rowfile.read(run.dataset_version.path, split="train"))
    protect(project=project, prompts={row["prompt_hash"]: ""}, reason="a suite made meanwhile")
    monkeypatch.setattr(launching, "run_recipe", lambda *_: pytest.fail("the recipe must not start"))
    drive(run)
    run.refresh_from_db()
    assert run.status == "failed"
    assert "used for evaluation by now" in run.error


@pytest.mark.parametrize(
    ("method", "columns"), [("sft", {"prompt", "completion"}), ("dpo", {"prompt", "chosen", "rejected"})]
)
def test_the_recipe_finds_its_rows_and_its_spec_in_the_run_folder(
    project: Project, monkeypatch: pytest.MonkeyPatch, method: str, columns: set[str]
) -> None:
    run = launched(project, method=method)
    monkeypatch.setattr(launching, "run_recipe", pretend(code=1))
    drive(run)
    rows = [json.loads(line) for line in (run.path / "data" / "train.jsonl").read_text().splitlines()]
    spec = json.loads((run.path / "spec.json").read_text())
    assert len(rows) == run.dataset_version.splits["train"]["rows"]
    assert set(rows[0]) == columns
    assert (spec["method"], spec["data"]["hash"]) == (method, run.dataset_version.content_hash)
    assert (spec["base"], spec["start"]) == ("hub/tiny", None)


def spec_of(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the process of this run is told."""
    monkeypatch.setattr(launching, "run_recipe", pretend(code=STOPPED))
    drive(run)
    return dict(json.loads((run.path / "spec.json").read_text()))


def test_held_out_rows_are_written_for_the_recipe_and_each_file_is_known_by_its_hash(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project, judged_version(project, validation_share=0.2, test_share=0.2))
    data = spec_of(run, monkeypatch)["data"]
    assert (data["train"], data["eval"]) == ("data/train.jsonl", "data/validation.jsonl")
    for name in (data["train"], data["eval"]):
        assert data["files"][name] == hashlib.sha256((run.path / name).read_bytes()).hexdigest()


def test_without_a_held_out_split_there_is_nothing_to_evaluate_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project, judged_version(project, test_share=0))
    assert spec_of(run, monkeypatch)["data"]["eval"] is None


def test_what_the_recipe_is_told_is_what_its_own_specs_allow(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = parse(TrainJob, spec_of(launched(project), monkeypatch))
    assert parse_spec(job.method, job.train).model_dump() == TrainingRun.objects.get().spec


@pytest.mark.parametrize("name", ["spec.json", "data/train.jsonl", "data/test.jsonl"])
def test_a_file_edited_on_disk_fails_the_run_before_its_process(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run = launched(project)
    spec_of(run, monkeypatch)
    (run.path / name).write_text((run.path / name).read_text() + " ")
    monkeypatch.setattr(launching, "run_recipe", lambda *_: pytest.fail("the recipe must not start"))
    drive(TrainingRun.objects.get())
    run.refresh_from_db()
    assert run.status == "failed"
    assert f"{name} of this run was changed on disk after it was prepared" in run.error


def test_a_run_that_is_cancelled_while_its_rows_are_written_ends_before_its_process(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project)
    verify = exporting.verify
    monkeypatch.setattr(exporting, "verify", lambda version: (verify(version), run.request_cancel()))
    monkeypatch.setattr(launching, "run_recipe", lambda *_: pytest.fail("the recipe must not start"))
    drive(TrainingRun.objects.get())
    run.refresh_from_db()
    assert (run.status, (run.path / "spec.json").exists()) == ("cancelled", False)


def test_emma_starts_a_run_from_the_page(project: Project, emma: User) -> None:
    version, root = judged_version(project), root_checkpoint()
    form = {
        "method": "dpo",
        "dataset_version": version.pk,
        "start": root.pk,
        "adaptation": "lora",
        "beta": "0.2",
        "name": "mine",
    }
    page = world.sign_in(emma).post(reverse("training:new_run", args=[project.slug]), form, follow=True)
    run = TrainingRun.objects.get()
    assert page.status_code == 200
    assert "mine" in page.text
    assert (run.spec["beta"], run.spec["learning_rate"]) == (0.2, 5e-6)


def test_emma_reads_on_the_page_why_a_run_cannot_start(project: Project, emma: User) -> None:
    version, root = judged_version(project), root_checkpoint()
    form = {
        "method": "sft",
        "dataset_version": version.pk,
        "start": root.pk,
        "adaptation": "lora",
        "epochs": "1000",
    }
    page = world.sign_in(emma).post(reverse("training:new_run", args=[project.slug]), form)
    assert page.status_code == 422
    assert "epochs was given as 1000.0; allowed is a number above 0 and at most 100" in page.text


def test_a_run_and_its_checkpoint_show_on_their_pages(
    project: Project, leo: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.training.runs import RESULT

    events = [("start", 0, {"total_steps": 4}), ("log", 2, {"loss": 3.0}), ("log", 4, {"loss": 1.0})]
    run = launched(project, name="my-run")
    monkeypatch.setattr(launching, "run_recipe", pretend(result=RESULT, events=events))
    drive(run)
    client = world.sign_in(leo)
    page = client.get(reverse("training:run", args=[project.slug, run.pk]))
    assert "my-run" in page.text
    assert "Succeeded" in page.text
    assert "my-run" in client.get(reverse("training:checkpoints", args=[project.slug])).text
    assert (
        "my-run"
        in client.get(reverse("training:runs", args=[project.slug]), headers={"hx-request": "true"}).text
    )


def test_a_version_of_another_kind_than_the_method_reads_is_refused_with_what_it_gives(
    project: Project,
) -> None:
    judged_version(project)
    prompts = world.frozen(project, kind="prompts", test_share=0)
    with pytest.raises(Refused, match="rows of the kind prompts, which can be given as prompts, not as sft"):
        launched(project, prompts)
    launched(project, world.frozen(project, kind="sft", test_share=0))


def test_the_page_of_a_version_names_the_runs_that_trained_on_it(project: Project, leo: User) -> None:
    run = launched(project)
    page = world.sign_in(leo).get(reverse("labeling:dataset", args=[project.slug, 1])).text
    assert reverse("training:run", args=[project.slug, run.pk]) in page
    assert "nothing yet" not in page
