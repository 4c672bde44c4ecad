"""Judges and their versions."""

from typing import Any

import pytest

from evaluation.engines import ENGINES
from evaluation.engines.fake import FakeEngine
from evaluation.judges import (
    RUBRICS,
    Overtaken,
    VersionDraft,
    archive_judge,
    create_judge,
    find_judge_version,
    params_of,
    save_version,
)
from evaluation.models import Endpoint, Judge, JudgeVersion
from labeling.errors import Refused
from labeling.models import Project, User
from labeling.models.appendonly import Unchangeable
from tests import world
from tests.evaluation.judged import a_judge
from tests.training.runs import root_checkpoint
from training.models import Checkpoint


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "fake", FakeEngine)


def draft(version: JudgeVersion, **changes: Any) -> VersionDraft:
    values: dict[str, Any] = {
        "rubric": version.rubric,
        "labels": version.labels,
        "checkpoint": version.checkpoint,
        "endpoint": version.endpoint,
        "engine": version.engine,
    }
    return VersionDraft(**{**values, **changes})


def test_emma_makes_a_judge_and_its_rubric_is_what_the_scorer_asks_by(project: Project) -> None:
    version = a_judge(project, Judge.Kind.RUBRIC, rubric="Is it kind?\n\n")
    assert (version.number, version.rubric, str(version)) == (1, "Is it kind?", "Correctness rubric v1")
    assert params_of(version).labels == {"yes": 1.0, "no": 0.0}
    assert params_of(a_judge(project, Judge.Kind.PAIRWISE)).rubric == "Is it right?"


@pytest.mark.parametrize("kind", Judge.Kind.values)
def test_the_default_rubrics_can_be_saved_as_they_are(project: Project, kind: str) -> None:
    version = a_judge(project, kind, rubric=RUBRICS[Judge.Kind(kind)])
    assert version.rubric == RUBRICS[Judge.Kind(kind)].strip()


def test_a_change_makes_the_next_version_and_the_old_one_stays(project: Project, emma: User) -> None:
    first = a_judge(project)
    second = save_version(judge=first.judge, draft=draft(first, rubric="Is it short?"), person=emma, base=1)
    assert second.number == 2
    first.refresh_from_db()
    assert first.rubric == "Is it right?"
    with pytest.raises(Unchangeable):
        first.save()


def test_saving_the_same_again_makes_no_version(project: Project, emma: User) -> None:
    first = a_judge(project, Judge.Kind.RUBRIC)
    again = save_version(judge=first.judge, draft=draft(first, rubric="Is it right? \n"), person=emma, base=1)
    assert again == first
    assert first.judge.versions.count() == 1


def test_ada_is_told_when_emma_saved_a_version_meanwhile(project: Project, ada: User, emma: User) -> None:
    first = a_judge(project)
    save_version(judge=first.judge, draft=draft(first, rubric="Emma's"), person=emma, base=1)
    with pytest.raises(Overtaken, match="emma saved version 2") as late:
        save_version(judge=first.judge, draft=draft(first, rubric="Ada's"), person=ada, base=1)
    assert late.value.current.rubric == "Emma's"
    assert first.judge.versions.count() == 2


def test_a_judge_is_found_by_name_and_number(project: Project, emma: User) -> None:
    first = a_judge(project)
    second = save_version(judge=first.judge, draft=draft(first, rubric="Shorter"), person=emma)
    assert find_judge_version(project=project, name=first.judge.name) == second
    assert find_judge_version(project=project, name=f"{first.judge.name}:1") == first
    with pytest.raises(Refused, match="Known: Correctness pairwise"):
        find_judge_version(project=project, name="Nobody:2")


def test_a_judge_that_was_put_away_keeps_its_versions(project: Project) -> None:
    version = a_judge(project)
    archive_judge(judge=version.judge)
    assert Judge.objects.get().archived_at is not None
    archive_judge(judge=version.judge, archived=False)
    assert Judge.objects.get().archived_at is None
    assert Judge.objects.get().versions.count() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rubric": "  \n"}, "rubric is empty"),
        ({"rubric": "a\0b"}, "NUL"),
        ({"labels": {"yes": 1.0}}, "there are 1 labels"),
        ({"labels": {"1": 0.1, "10": 1.0}}, "begins the label"),
        ({"labels": {"yes": 2.0, "no": 0.0}}, "values go from 0 to 1"),
        ({"checkpoint": None}, "Choose one who answers"),
        ({"engine": "telepathy"}, "choose one of"),
        ({"engine": "openai"}, "choose one of"),
    ],
)
def test_what_cannot_judge_is_refused_with_a_sentence(
    project: Project, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        a_judge(project, Judge.Kind.RUBRIC, **changes)
    assert not Judge.objects.exists()


def test_a_reward_model_and_the_models_of_other_projects_do_not_judge(project: Project) -> None:
    other = world.make_project("Other")
    root = root_checkpoint("tiny")
    reward = Checkpoint.objects.create(
        project=project, base=root.base, parent=root, name="rm", kind="full", path="/x", line="reward"
    )
    theirs = Checkpoint.objects.create(
        project=other, base=root.base, parent=root, name="theirs", kind="full", path="/y"
    )
    endpoint = Endpoint.objects.create(project=other, name="Elsewhere", url="https://x.example", model="m")
    for changes, words in (
        ({"checkpoint": reward}, "rm is a reward model"),
        ({"checkpoint": theirs}, "belongs to another project"),
        ({"checkpoint": None, "endpoint": endpoint}, "not an endpoint in use here"),
        ({"endpoint": endpoint}, "Choose one who answers"),
    ):
        with pytest.raises(Refused, match=words):
            a_judge(project, **changes)


def test_a_name_is_given_once(project: Project, emma: User) -> None:
    version = a_judge(project)
    with pytest.raises(Refused, match="There is a judge named Correctness pairwise already"):
        create_judge(
            project=project,
            name=" Correctness  pairwise ",
            kind="pairwise",
            draft=draft(version),
            person=emma,
        )
    with pytest.raises(Refused, match="The kind is 'oracle'"):
        create_judge(project=project, name="x", kind="oracle", draft=draft(version), person=emma)
