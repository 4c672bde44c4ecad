"""Choosing rows as a job and on its pages: asked for, made by a real process, looked at, frozen."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from labeling.curation import rowfile
from labeling.curation.freezes import run_freeze
from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused
from labeling.models import DatasetVersion, Freeze, Project, User
from labeling.waiting import carried
from tests import world
from tests.tiny_model import tiny_model
from tests.training.runs import judged_version, pretend, root_checkpoint, write_event
from tests.training.test_recipes import run
from training import selecting
from training.models import Checkpoint, Selection
from training.registry import register_base
from training.selecting import freeze_selection, run_selection, start_selection

MADE = {
    "status": "succeeded",
    "rows": 20,
    "chosen": 2,
    "cut": 0,
    "misfits": 0,
    "seconds": 1.0,
    "dimensions": 8,
    "reach": 0.2,
    "reach_random": [0.4, 0.5],
    "worse": 0.9,
    "worse_random": [0.4, 0.6],
}


@pytest.fixture
def version(project: Project) -> DatasetVersion:
    return judged_version(project)


def begun(version: DatasetVersion, checkpoint: Checkpoint | None = None, **values: Any) -> Selection:
    values = {"k": 2, **values}
    return start_selection(
        version=version, checkpoint=checkpoint or root_checkpoint(), values=values, person=None
    )


def tiny() -> Checkpoint:
    return register_base(name="read by this", location=str(tiny_model()))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"k": 999}, r"has \d+ training rows; choose fewer than that, not 999"),
        ({"k": 0}, "k was given as 0; allowed is a whole number at least 1"),
        ({"weight": 1.5}, "weight was given as 1.5"),
        ({"quality": "charm"}, "allowed is one of agreement, length, difficulty, none"),
        ({"colour": "red"}, "colour is not a setting"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_before_anything_is_stored(
    version: DatasetVersion, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        begun(version, **values)
    assert Selection.objects.count() == 0


def test_a_kind_is_asked_only_for_what_its_rows_have(project: Project, version: DatasetVersion) -> None:
    prompts, text = (world.frozen(project, kind=kind) for kind in ("prompts", "text"))
    with pytest.raises(Refused, match="no response to be good or bad; choose them without quality"):
        begun(prompts)
    assert begun(prompts, quality="none", text="both").spec["text"] == "prompt"
    with pytest.raises(Refused, match="do not tell prompt and response apart"):
        begun(text, quality="difficulty")
    assert begun(text).spec["text"] == "response"


def test_nothing_is_chosen_from_a_stale_version(project: Project, version: DatasetVersion) -> None:
    withdraw(project=project, by=None, username="ben")
    with pytest.raises(Refused, match="withdrawn since"):
        begun(version)


def test_the_process_is_given_training_rows_only_and_how_sure_people_are(
    version: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []

    def run_recipe(recipe: str, run_dir: Path, watch: Any) -> int:
        given.extend(json.loads(line) for line in (run_dir / "rows.jsonl").read_text().splitlines())
        (run_dir / "vectors.f32").write_bytes(bytes(8))
        return pretend(result=MADE)(recipe, run_dir, watch)

    monkeypatch.setattr(selecting, "run_recipe", run_recipe)
    selection = begun(version)
    run_selection(selection)
    assert selection.status == "succeeded"
    assert {path.name for path in selection.path.iterdir()} == {"spec.json", "result.json"}
    frozen = list(rowfile.read(version.path))
    assert [row["row"] for row in given] == [n for n, row in enumerate(frozen) if row["split"] == "train"]
    for row in given:
        was = frozen[row["row"]]
        assert (row["response"], row["messages"]) == (was["chosen"], was["prompt"])
        assert row["quality"] == pytest.approx(2 / 3), "one person of one agreed"


def test_two_who_agree_count_for_more_than_one(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 12)
    world.judge_all(project, ben)
    for label in ["0", "1"] * 2:
        world.judge_next(project, bea, label)
    version = world.frozen(project, test_share=0.0, kind="sft")
    found = {round(row["quality"], 3) for row in selecting._described(version, "agreement")}
    assert found == {0.667, 0.75}, (
        "(1·1 + 1)/(1 + 2) and (1·2 + 1)/(2 + 2); where the two differ there is no best"
    )
    lengths = [row["quality"] for row in selecting._described(version, "length")]
    assert lengths == [4.0] * version.rows


def test_a_killed_process_is_given_back_and_progress_is_kept(
    version: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = [("progress", 30, {"done": 30, "total": 40})]
    monkeypatch.setattr(selecting, "run_recipe", pretend(code=-9, events=progress))
    selection = begun(version)
    run_selection(selection)
    selection.refresh_from_db()
    assert (selection.status, selection.progress, selection.attempt) == ("queued", 0.75, 1)
    monkeypatch.setattr(selecting, "run_recipe", pretend(result=MADE))
    run_selection(selection)
    assert (selection.status, selection.attempt) == ("succeeded", 2)


def test_what_is_given_back_is_carried_again_by_the_shell_that_waits(
    version: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = iter([pretend(code=-9), pretend(code=75), pretend(result=MADE)])
    monkeypatch.setattr(selecting, "run_recipe", lambda *given: next(ends)(*given))
    assert carried(begun(version), run_selection, poll=0.01).status == "succeeded"
    monkeypatch.setattr(selecting, "run_recipe", pretend(code=1))
    with pytest.raises(Refused, match="ended with code 1"):
        carried(begun(version), run_selection, poll=0.01)


def test_a_process_that_fails_says_why(version: DatasetVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [("error", 0, {"message": "the model gives vectors that are not numbers"})]
    monkeypatch.setattr(selecting, "run_recipe", pretend(code=1, events=events))
    selection = begun(version)
    run_selection(selection)
    assert (selection.status, selection.error) == ("failed", "the model gives vectors that are not numbers")
    with pytest.raises(Refused, match="Nothing is chosen yet"):
        freeze_selection(selection, person=None)


def test_a_cancelled_choice_stops(version: DatasetVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    selection = begun(version)

    def asked_to_stop(recipe: str, run_dir: Path, watch: Any) -> int:
        write_event(run_dir, "progress", 1, done=1, total=2)
        selection.request_cancel()
        with pytest.raises(selecting.Stop):
            watch()
        return 75

    monkeypatch.setattr(selecting, "run_recipe", asked_to_stop)
    run_selection(selection)
    assert selection.status == "cancelled"


def form(**changes: str) -> dict[str, Any]:
    """What the form of a choice sends."""
    return {
        "k": "5",
        "quality": "agreement",
        "weight": "40",
        "text": "prompt",
        "algorithm": "farthest",
        "checkpoint": Checkpoint.objects.get().pk,
        "max_length": "64",
        "seed": "1",
        **changes,
    }


def test_a_form_that_is_refused_keeps_what_was_typed(version: DatasetVersion, emma: User) -> None:
    root_checkpoint()
    client = world.sign_in(emma)
    choose = reverse("training:choose", args=[version.project.slug, version.number])
    assert "Fewer than the" in client.get(choose).text
    refused = client.post(choose, form(k="900"))
    assert refused.status_code == 422
    assert "choose fewer than that, not 900" in refused.text
    assert 'value="900"' in refused.text


def test_without_a_model_the_page_says_how_to_get_one(version: DatasetVersion, emma: User) -> None:
    choose = reverse("training:choose", args=[version.project.slug, version.number])
    assert "manage.py make_nano_model" in world.sign_in(emma).get(choose).text


@pytest.mark.slow
def test_emma_chooses_sees_why_and_freezes(
    version: DatasetVersion, project: Project, emma: User, leo: User
) -> None:
    tiny()
    client = world.sign_in(emma)
    choose = reverse("training:choose", args=[project.slug, version.number])
    to = client.post(choose, form())["Location"]
    selection = Selection.objects.get()
    assert "Waiting for a worker" in client.get(to).text
    run_selection(selection)
    assert selection.status == "succeeded", selection.error
    shown = client.get(to).text
    assert "5 of" in shown
    assert "the nearest one chosen before" in shown
    for pick in selecting.lines(selection, "picks"):
        assert reverse("labeling:dataset_row", args=[project.slug, version.number, pick["row"]]) in shown
    assert "Freeze these rows" not in world.sign_in(leo).get(to).text
    assert 'name="weight" value="40"' in client.get(f"{choose}?from={selection.pk}").text

    client.post(reverse("training:selection_freeze", args=[project.slug, selection.pk]))
    job = Freeze.objects.get()
    run_freeze(job)
    child = job.version
    assert child is not None, job.error
    assert child.splits["train"]["rows"] == 5
    assert child.choice == {
        "selection": selection.pk,
        "model": "read by this",
        "model_hash": "",
        "k": 5,
        "weight": 0.4,
        "quality": "agreement",
        "text": "prompt",
        "algorithm": "farthest",
        "max_length": 64,
        "seed": 1,
        "batch_size": 16,
    }
    page = client.get(reverse("labeling:dataset", args=[project.slug, child.number])).text
    assert f'out of <a href="{reverse("labeling:dataset", args=[project.slug, 1])}">version 1</a>' in page
    assert f"version {child.number}</a>" in client.get(to).text


@pytest.mark.slow
def test_the_same_from_a_shell(
    version: DatasetVersion, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "run_recipe", lambda recipe, run_dir, watch: run(run_dir))
    tiny()
    options = {"dataset": f"{version.project.slug}:1", "model": "read by this", "k": 6, "quality": "length"}
    call_command("choose_rows", **options, algorithm="kmeans", json=True)
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["chosen"] == 6
    assert len((Path(said["folder"]) / "picks.jsonl").read_text().splitlines()) == 6


def test_what_a_choice_needed_is_gone_however_it_ended(
    version: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_recipe(recipe: str, run_dir: Path, watch: Any) -> int:
        (run_dir / "vectors.f32").write_bytes(bytes(8))
        return 1

    monkeypatch.setattr(selecting, "run_recipe", run_recipe)
    failed = begun(version)
    run_selection(failed)
    assert {path.name for path in failed.path.iterdir()} == {"spec.json"}
    later = begun(version)
    later.path.mkdir()
    (later.path / "vectors.f32").write_bytes(bytes(8))
    selecting.forget_leftovers()
    assert (later.path / "vectors.f32").exists(), "it is still to be carried"
    later.request_cancel()
    selecting.forget_leftovers()
    assert list(later.path.iterdir()) == []


def test_a_second_choice_of_the_same_rows_knows_the_version_that_they_are(
    version: DatasetVersion, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = [n for n, row in enumerate(rowfile.read(version.path)) if row["split"] == "train"][:2]
    line = {"quality": 1.0, "worse": 0.5, "prompt": "p", "response": "r", "score": 1.0, "distance": 0.0}
    client = world.sign_in(emma)
    for seed in (1, 2):
        monkeypatch.setattr(selecting, "run_recipe", pretend(result=MADE))
        selection = begun(version, seed=seed)
        run_selection(selection)
        picks = [{**line, "row": row, "group": None, "near": None} for row in train]
        for name, content in (("picks", picks), ("left", []), ("map", []), ("curve", [])):
            text = "".join(json.dumps(each) + "\n" for each in content)
            (selection.path / f"{name}.jsonl").write_text(text)
        run_freeze(freeze_selection(selection, person=None))
        page = client.get(reverse("training:selection", args=[version.project.slug, selection.pk])).text
        assert "Frozen as" in page
        assert "Freeze these rows" not in page
    assert DatasetVersion.objects.filter(parent=version).count() == 1


def test_without_quality_nothing_weighs(version: DatasetVersion) -> None:
    assert begun(version, quality="none", weight=0.9).spec["weight"] == 0.0
