"""A round ties one turn of the loop; whoever alters a judgment in it makes it stale, and the page says which."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.urls import reverse

from evaluation.models import Round
from evaluation.rounds.sheet import as_dict, as_markdown, sheet_of
from evaluation.rounds.staleness import stale_of
from evaluation.rounds.tying import change_round, fill_in, start_round
from evaluation.studies.counting import count
from evaluation.studies.looking import changed_behind, changed_since, take_look
from labeling.annotating import reopen
from labeling.curation.altering import alterations_of
from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused
from labeling.guidelines import save_guideline
from labeling.models import DatasetVersion, Project, User
from labeling.reviewing import accept
from labeling.values import PairwiseAnswer
from tests import world
from tests.evaluation import studying
from tests.evaluation.altering import (
    answered_anew,
    edited_guidelines,
    first_slot,
    returned,
    settled,
    withdrawn_item,
    withdrawn_person,
)
from tests.evaluation.finished import finished, passing, suite_of
from tests.evaluation.fixing import trained_on
from tests.evaluation.suites import decided
from training.models import Checkpoint, TrainingRun

pytestmark = [pytest.mark.django_db, pytest.mark.data_layer]


@pytest.fixture
def version(project: Project, ben: User) -> DatasetVersion:
    save_guideline(project=project, text="Prefer what is true.", person=None)
    world.fill(project, 6)
    world.judge_all(project, ben)
    return world.frozen(project)


@pytest.fixture
def made(project: Project, version: DatasetVersion) -> Checkpoint:
    return trained_on(project, version)


def test_a_round_of_a_version_ties_what_lineage_finds_and_is_made_once(
    project: Project, version: DatasetVersion, made: Checkpoint, emma: User
) -> None:
    run = finished(project, {"base": passing(0.5), "after": passing(0.7)}, checkpoints={"after": made})
    run.checkpoints.add(made)
    decision = decided(run, made, by=emma)
    round = start_round(project=project, person=emma, version=version)
    assert (round.name, round.dataset_version, round.decision) == ("Round 1", version, decision)
    assert [list(getattr(round, name).all()) for name in ("runs", "checkpoints", "evaluations")] == [
        [made.run],
        [made],
        [run],
    ]
    sheet = sheet_of(round)
    assert [(each.guideline.number, each.judgments) for each in sheet.guidelines] == [(1, 6)]
    assert sheet.stale.words == ""
    assert sheet.missing == ["a study"]
    assert start_round(project=project, person=emma, version=version) == round
    assert start_round(project=project, person=emma, decision=decision) == round


@pytest.mark.django_db(transaction=True)
def test_a_button_that_two_press_at_once_makes_one_round(
    project: Project, version: DatasetVersion, emma: User
) -> None:
    made = world.together([partial(start_round, project=project, person=emma, version=version)] * 2)
    assert {round.pk for round in made} == {Round.objects.get().pk}


def test_a_round_of_a_decision_finds_the_data_behind_the_candidate(
    project: Project, version: DatasetVersion, made: Checkpoint, emma: User
) -> None:
    run = finished(project, {"base": passing(0.5), "after": passing(0.7)}, checkpoints={"after": made})
    round = start_round(project=project, person=emma, decision=decided(run, made, by=emma))
    assert round.dataset_version == version
    assert list(round.evaluations.all()) == [run]
    assert list(round.checkpoints.all()) == [made]


def test_a_program_changes_a_round_and_fills_it_in(
    project: Project, version: DatasetVersion, emma: User, leo: User
) -> None:
    round = start_round(project=project, person=emma, version=version)
    made = trained_on(project, version)
    run = finished(project, {"base": passing(0.5), "after": passing(0.7)}, checkpoints={"after": made})
    decision = decided(run, made, by=emma)
    client, at = world.sign_in(emma), reverse("api-round", args=[project.slug, round.pk])
    given = {"name": "The first", "decision": decision.pk, "evaluations": [run.pk], "dataset_version": None}
    told = client.patch(at, given, "application/json").json()
    assert (told["round"]["name"], told["decision"]["id"]) == ("The first", decision.pk)
    assert ([each["id"] for each in told["evaluations"]], told["dataset_version"]) == ([run.pk], None)
    filled = client.post(reverse("api-round-fill", args=[project.slug, round.pk])).json()
    assert (filled["new"], [each["id"] for each in filled["checkpoints"]]) == (3, [made.pk])
    assert client.patch(at, {"evaluations": []}, "application/json").json()["evaluations"] == []
    for wrong in ({"runs": [10**30]}, {"study": 0}, {"name": " " * 3 + "x" * 200}):
        assert client.patch(at, wrong, "application/json").status_code == 422, wrong
    assert world.sign_in(leo).patch(at, given, "application/json").status_code == 403


def test_what_came_since_is_filled_in_and_nothing_is_taken_out(
    project: Project, version: DatasetVersion, emma: User
) -> None:
    round = start_round(project=project, person=emma, version=version)
    assert sheet_of(round).missing == [
        *("a training run", "a checkpoint", "an evaluation", "a study", "a decision")
    ]
    stranger = finished(project, {"base": passing(0.5)}, version=suite_of(project, 8, name="Another"))
    change_round(round=round, values={"evaluations": [stranger]})
    made = trained_on(project, version)
    assert fill_in(round=round) == 2
    assert list(round.checkpoints.all()) == [made]
    assert list(round.evaluations.all()) == [stranger]
    assert fill_in(round=round) == 0


ALTERATIONS = [
    (answered_anew, "Since it was frozen: 1 judgment was given anew."),
    (returned, "Since it was frozen: 1 judgment was given a state of review that the recipe leaves out."),
    (settled, "Since it was frozen: 1 judgment is of an item that was settled."),
    (withdrawn_item, "Since it was frozen: 1 judgment was withdrawn."),
    (withdrawn_person, "Since it was frozen: 6 judgments were withdrawn."),
    (edited_guidelines, "Since it was frozen: the guidelines were edited once."),
]


@pytest.mark.parametrize(("alter", "words"), ALTERATIONS, ids=lambda each: getattr(each, "__name__", ""))
def test_altering_a_judgment_in_it_makes_a_round_stale_and_says_which(
    project: Project, version: DatasetVersion, alter: Callable[[Project], None], words: str
) -> None:
    round = start_round(project=project, person=None, version=version)
    assert sheet_of(round).stale.words == ""
    alter(project)
    assert sheet_of(round).stale.words == words
    later = start_round(project=project, person=None, version=_frozen_after(project))
    found = stale_of([round, later])
    assert (found[round.pk].words, found[later.pk].words) == (words, "")


def test_a_round_is_stale_too_where_only_data_of_its_runs_or_of_their_reward_models_was_altered(
    project: Project, version: DatasetVersion, leo: User
) -> None:
    round = start_round(project=project, person=None, version=version)
    later = trained_on(project, _frozen_after(project), "later")
    reward = trained_on(project, _frozen_after(project, 60), "reward")
    TrainingRun.objects.filter(pk=later.run_id).update(reward=reward)
    change_round(round=round, values={"runs": [later.run]})
    withdraw(project=project, by=None, item_id=project.items.get(preview="Question 60?").pk)
    assert stale_of([round])[round.pk].words == "Since helpfulness v3 was frozen: 1 judgment was withdrawn."
    withdraw(project=project, by=None, item_id=project.items.get(preview="Question 50?").pk)
    words = (
        "Since helpfulness v2 was frozen: 1 judgment was withdrawn. "
        "Since helpfulness v3 was frozen: 2 judgments were withdrawn."
    )
    found = as_dict(sheet_of(round))
    assert found["stale"] == words
    assert [(each["dataset_version"], each["count"]) for each in found["altered"]] == [
        ("helpfulness v2", 1),
        ("helpfulness v3", 2),
    ]
    assert [(each["dataset_version"], each["judgments"]) for each in found["guidelines"]] == [
        ("helpfulness v1", 6),
        ("helpfulness v2", 7),
        ("helpfulness v3", 8),
    ]
    client = world.sign_in(leo)
    for name, place in (("round", [round.pk]), ("rounds", [])):
        assert words in client.get(reverse(f"evaluation:{name}", args=[project.slug, *place])).text


def test_a_judgment_of_its_study_that_was_altered_makes_a_round_stale_on_page_list_and_api(
    project: Project, leo: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    studying.answering(monkeypatch)
    study = studying.begun(project)
    studying.judge(study, "ben", "loss", most=30)
    take_look(study=study, person=None)
    round = Round.objects.create(project=project, name="Spring", study=study)
    assert sheet_of(round).stale.words == ""
    withdraw(project=project, by=None, item_id=first_slot(project).item_id)
    words = "Since the study's last look: 1 judgment was changed or withdrawn."
    client = world.sign_in(leo)
    for name, place in (("round", [round.pk]), ("rounds", [])):
        page = client.get(reverse(f"evaluation:{name}", args=[project.slug, *place])).text
        assert words.replace("'", "&#x27;") in page
    assert client.get(reverse("api-rounds", args=[project.slug])).json()["rounds"][0]["stale"] == words
    read = client.get(reverse("api-round", args=[project.slug, round.pk])).json()
    assert read["stale"] == words
    assert read["altered"] == [{"dataset_version": None, "kind": "study", "count": 1}]
    look = study.looks.get()
    assert changed_behind([study.pk]) == {study.pk: changed_since(look, count(study))}


def _frozen_after(project: Project, start: int = 50) -> DatasetVersion:
    """A version that knows of the alteration; of a judgment more, so that something is left to freeze."""
    world.fill(project, 1, start=start)
    world.judge_all(project, world.person("bea"))
    return world.frozen(project)


def test_other_peoples_work_and_an_accepted_review_leave_it_as_it_was(
    project: Project, version: DatasetVersion, bea: User, cleo: User
) -> None:
    world.fill(project, 2, start=20)
    world.judge_all(project, bea)
    accept(project=project, assignment_id=first_slot(project).pk, reviewer=cleo)
    other = world.make_project("Another")
    world.fill(other, 1)
    world.judge_all(other, bea)
    answered_anew_of_bea = other.assignments.get()
    again = reopen(project=other, person=bea, assignment_id=answered_anew_of_bea.pk)
    world.send(again, bea, PairwiseAnswer.model_validate({"verdict": "first"}), revises=1)
    save_guideline(project=other, text="Another text.", person=None)
    assert alterations_of([version]) == {version.pk: []}


def test_a_round_is_exported_with_hashes_of_all_that_is_in_it(
    project: Project, version: DatasetVersion, made: Checkpoint, leo: User
) -> None:
    Checkpoint.objects.filter(pk=made.pk).update(content_hash="cd" * 32)
    run = finished(project, {"base": passing(0.5), "after": passing(0.7)}, checkpoints={"after": made})
    run.checkpoints.add(made)
    round = start_round(project=project, person=None, version=version)
    client = world.sign_in(leo)
    found = client.get(reverse("evaluation:round_file", args=[project.slug, round.pk, "json"])).json()
    assert found["dataset_version"]["content_hash"] == version.content_hash
    assert found["guidelines"][0]["sha256"] == hashlib.sha256(b"Prefer what is true.").hexdigest()
    assert found["evaluations"][0]["suite_hash"] == run.version.content_hash
    digest = found.pop("sha256")
    whole = json.dumps(found, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert digest == hashlib.sha256(whole.encode()).hexdigest()
    text = client.get(reverse("evaluation:round_file", args=[project.slug, round.pk, "md"])).text
    for part in ("# Round 1", version.content_hash, "cd" * 32, digest):
        assert part in text
    answered_anew(project)
    assert "Since it was frozen: 1 judgment was given anew." in as_markdown(sheet_of(round))


def test_names_and_foreign_links_are_refused(project: Project, version: DatasetVersion) -> None:
    one = start_round(project=project, person=None, version=version, name="Spring")
    two = Round.objects.create(project=project, name="Summer")
    foreign = world.frozen(judged(world.make_project("Another")))
    for values, words in (
        ({"name": "Spring"}, "There is a round named Spring"),
        ({"name": " "}, "The name has 0 letters"),
        ({"dataset_version": foreign}, "another v1 is of another project"),
        ({"note": "n" * 20_001}, "The note has 20,001 characters"),
    ):
        with pytest.raises(Refused, match=words):
            change_round(round=two, values=values)
    with pytest.raises(Refused, match="neither a version nor a decision"):
        fill_in(round=two)
    with pytest.raises(Refused, match="name one of them"):
        start_round(project=project, person=None)
    assert change_round(round=one, values={"name": "Autumn", "note": "Fewer commas."}).name == "Autumn"


def judged(project: Project) -> Project:
    world.fill(project, 2)
    world.judge_all(project, world.person("ben"))
    return project


def test_twenty_rounds_take_as_many_queries_as_two(
    project: Project,
    version: DatasetVersion,
    made: Checkpoint,
    leo: User,
    django_assert_max_num_queries: Any,
) -> None:
    client, url = world.sign_in(leo), reverse("evaluation:rounds", args=[project.slug])
    answered_anew(project)
    for number in range(2):
        Round.objects.create(project=project, name=f"Round {number}", dataset_version=version).runs.add(
            made.run
        )
    client.get(url)
    with django_assert_max_num_queries(40) as few:
        assert "Since it was frozen: 1 judgment was given anew." in client.get(url).text
    for number in range(2, 20):
        Round.objects.create(project=project, name=f"Round {number}", dataset_version=version).runs.add(
            made.run
        )
    with django_assert_max_num_queries(len(few.captured_queries)):
        client.get(url)


def test_emma_makes_a_round_by_a_button_and_changes_it_and_leo_only_reads(
    project: Project, version: DatasetVersion, made: Checkpoint, emma: User, leo: User
) -> None:
    client, url = world.sign_in(emma), reverse("evaluation:rounds", args=[project.slug])
    assert "No round was made yet" in client.get(url).text
    there = client.get(reverse("labeling:dataset", args=[project.slug, version.number]))
    assert f'action="{url}"' in there.text
    page = client.post(url, {"version": version.number}, follow=True)
    assert "Every judgment in it is as it was" in page.text
    assert "after" in page.text
    round = Round.objects.get()
    edit = reverse("evaluation:round_edit", args=[project.slug, round.pk])
    assert client.get(edit).status_code == 200
    saved = client.post(edit, {"name": "Spring", "note": "", "dataset_version": version.pk}, follow=True)
    assert "Not in it yet: a training run, a checkpoint" in saved.text
    filled = client.post(reverse("evaluation:round_fill", args=[project.slug, round.pk]), follow=True)
    assert "2 links added." in filled.text
    wrong = client.post(edit, {"name": "", "note": ""})
    assert wrong.status_code == 422
    reader = world.sign_in(leo)
    assert "Spring" in reader.get(url).text
    assert reader.get(edit).status_code == 403
    assert reader.post(url, {"version": version.number}).status_code == 403


def test_rounds_by_api(project: Project, version: DatasetVersion, emma: User) -> None:
    client, url = world.sign_in(emma), reverse("api-rounds", args=[project.slug])
    made = client.post(url, {"dataset_version": version.number}, content_type="application/json")
    assert made.status_code == 201, made.text
    round = Round.objects.get()
    read = client.get(reverse("api-round", args=[project.slug, round.pk])).json()
    assert read == json.loads(json.dumps(as_dict(sheet_of(round)), default=str))
    assert client.get(url).json()["rounds"][0]["stale"] is None
    assert client.post(url, {}, content_type="application/json").status_code == 422
