"""Weights are registered once and found by name or number."""

from pathlib import Path

import pytest

from labeling.errors import Refused
from labeling.models import Project
from tests import world
from tests.training.runs import RESULT, launched, root_checkpoint
from training.models import BaseModel, Checkpoint
from training.registry import (
    find_checkpoint,
    read_result,
    register_base,
    register_checkpoint,
    visible_checkpoints,
)


@pytest.mark.django_db
def test_a_base_that_is_registered_twice_is_one_base_with_one_root() -> None:
    assert root_checkpoint().pk == root_checkpoint().pk
    assert (BaseModel.objects.count(), Checkpoint.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_a_name_stands_for_one_place() -> None:
    root_checkpoint()
    with pytest.raises(Refused, match="'tiny' already stands for hub/tiny; choose another name"):
        register_base(name="tiny", location="hub/other")


@pytest.mark.django_db
def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"config\.json is missing"):
        register_base(name="nothing", location=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert register_base(name="something", location=str(tmp_path)).base.is_local


def test_a_run_gives_one_checkpoint_however_often_it_is_registered(project: Project) -> None:
    run = launched(project)
    first, second = (register_checkpoint(run=run, result=RESULT) for _ in range(2))
    assert first.pk == second.pk
    assert (first.parent, first.base, first.kind) == (run.start, run.base, "adapter")


def test_a_project_sees_its_own_checkpoints_and_the_bases(project: Project) -> None:
    mine = register_checkpoint(run=launched(project), result=RESULT)
    other = world.make_project("Other")
    assert set(visible_checkpoints(project)) == {mine, root_checkpoint()}
    assert set(visible_checkpoints(other)) == {root_checkpoint()}


@pytest.mark.parametrize("name", ["nothing", "²", "99999999999999999999", ""])
def test_a_checkpoint_that_is_not_there_is_refused_with_the_names_there_are(
    project: Project, name: str
) -> None:
    root_checkpoint()
    with pytest.raises(Refused, match="Known: tiny"):
        find_checkpoint(project=project, name=name)


def test_emma_finds_a_checkpoint_by_number_and_the_newest_of_a_name(project: Project) -> None:
    run = launched(project, name="again")
    first = register_checkpoint(run=run, result=RESULT)
    second = register_checkpoint(run=launched(project, run.dataset_version, name="again"), result=RESULT)
    assert find_checkpoint(project=project, name=str(first.pk)) == first
    assert find_checkpoint(project=project, name="again") == second


def test_without_a_result_file_there_is_no_result(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
