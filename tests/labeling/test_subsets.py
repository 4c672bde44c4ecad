"""A version of rows chosen out of another one: whole, with its judgments, and checked like any other."""

import json
from typing import Any

import pytest

from labeling.curation import rowfile
from labeling.curation.diffing import diff
from labeling.curation.exporting import verify
from labeling.curation.freezes import freeze_again, run_freeze, start_subset
from labeling.curation.freezing import LintBlocked, newer_judgments
from labeling.curation.lineage import row_lineage
from labeling.curation.subsets import freeze_subset
from labeling.curation.withdrawing import stale_versions, withdraw
from labeling.errors import RecipeRefused, Refused
from labeling.models import DatasetEntry, DatasetVersion, Project, User
from labeling.protection import protect
from tests import world

pytestmark = pytest.mark.data_layer
CHOICE = {"selection": 7, "k": 3, "quality": "agreement"}


@pytest.fixture
def parent(project: Project, ben: User) -> DatasetVersion:
    world.fill(project, 14)
    world.judge_all(project, ben)
    return world.frozen(project, test_share=0.3)


def numbered(version: DatasetVersion, split: str) -> list[int]:
    return [n for n, row in enumerate(rowfile.read(version.path)) if row["split"] == split]


def subset(parent: DatasetVersion, keep: list[int], **options: Any) -> DatasetVersion:
    given = {"choice": CHOICE, "person": None, "override": "a test", **options}
    return freeze_subset(version=parent, keep=keep, **given)


def test_chosen_rows_and_all_held_out_ones_make_a_version_of_their_own(parent: DatasetVersion) -> None:
    train, test = numbered(parent, "train"), numbered(parent, "test")
    keep = train[1::3]
    child = subset(parent, keep)
    whole = list(rowfile.read(parent.path))
    kept = [whole[number] for number in sorted([*keep, *test])]
    assert list(rowfile.read(child.path)) == kept
    assert (child.number, child.parent, child.choice) == (2, parent, CHOICE)
    assert child.splits["test"] == parent.splits["test"]
    assert child.splits["train"]["rows"] == len(keep)
    assert child.dropped == {"not_chosen": len(train) - len(keep)}
    assert child.content_hash == rowfile.content_hash(child.path)
    verify(child)
    manifest = json.loads((child.path / "manifest.json").read_text())
    assert manifest["parent"] == {"dataset": str(parent), "content_hash": parent.content_hash}
    assert manifest["choice"] == CHOICE


def test_every_row_keeps_its_judgments(parent: DatasetVersion) -> None:
    keep = numbered(parent, "train")[:4]
    child = subset(parent, keep)
    for number, was in enumerate(sorted([*keep, *numbered(parent, "test")])):
        before, after = row_lineage(parent, was), row_lineage(child, number)
        assert after.row == before.row
        assert [said.judgment for said in after.said] == [said.judgment for said in before.said]
        assert after.item == before.item
    assert DatasetEntry.objects.filter(version=child).count() == child.rows


def test_the_difference_to_the_parent_says_what_is_gone_and_how_it_was_chosen(parent: DatasetVersion) -> None:
    train = numbered(parent, "train")
    found = diff(parent, subset(parent, train[:4]))
    assert found.counts == {"added": 0, "removed": len(train) - 4, "relabelled": 0, "moved": 0}
    assert found.recipe == [(f"choice: {name}", None, value) for name, value in CHOICE.items()]


def test_the_same_rows_are_the_same_version(parent: DatasetVersion) -> None:
    keep = numbered(parent, "train")[:4]
    assert subset(parent, keep) == subset(parent, list(reversed(keep)))
    assert DatasetVersion.objects.count() == 2


def test_judgments_newer_than_the_parent_are_newer_than_the_choice(
    parent: DatasetVersion, project: Project, ben: User
) -> None:
    world.fill(project, 2, start=50)
    world.judge_all(project, ben)
    child = subset(parent, numbered(parent, "train")[:4])
    assert newer_judgments(child) == newer_judgments(parent) == 2


@pytest.mark.parametrize("kind", ["text", "sft", "unpaired", "prompts"])
def test_rows_of_every_kind_can_be_chosen(project: Project, ben: User, kind: str) -> None:
    world.fill(project, 12)
    world.judge_all(project, ben)
    parent = world.frozen(project, kind=kind, test_share=0.0)
    child = subset(parent, [1, 4, 5])
    whole = list(rowfile.read(parent.path))
    assert list(rowfile.read(child.path)) == [whole[number] for number in (1, 4, 5)]
    for number, was in enumerate((1, 4, 5)):
        assert row_lineage(child, number).item == row_lineage(parent, was).item


def test_what_cannot_be_chosen_is_refused_and_leaves_nothing(parent: DatasetVersion) -> None:
    train, test = numbered(parent, "train"), numbered(parent, "test")
    with pytest.raises(RecipeRefused, match=f"has no training row {test[0]}; choose again"):
        subset(parent, [train[0], test[0]])
    with pytest.raises(RecipeRefused, match="has no training row 999; choose again"):
        subset(parent, [999])
    with pytest.raises(RecipeRefused, match=r"All training rows of .* are chosen; choose fewer"):
        subset(parent, train)
    assert [path.name for path in parent.path.parent.iterdir()] == [parent.folder]
    assert DatasetVersion.objects.count() == 1


def test_nothing_is_chosen_from_what_was_asked_back(parent: DatasetVersion, project: Project) -> None:
    item = row_lineage(parent, numbered(parent, "train")[5]).item
    child = subset(parent, numbered(parent, "train")[:5])
    withdraw(project=project, by=None, item_id=item.pk)
    assert stale_versions([parent, child]) == {parent.pk}, "the item is not among the chosen rows"
    with pytest.raises(RecipeRefused, match="withdrawn since; freeze a new version and choose from that"):
        subset(parent, numbered(parent, "train")[:4])
    withdraw(project=project, by=None, item_id=row_lineage(child, 0).item.pk)
    assert stale_versions([child]) == {child.pk}


def test_nothing_is_chosen_from_a_damaged_file(parent: DatasetVersion) -> None:
    path = parent.path / rowfile.FILE_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Refused, match="Restore it from a backup"):
        subset(parent, [0])


def test_the_check_runs_again_and_sees_what_became_evaluation_material(
    parent: DatasetVersion, project: Project
) -> None:
    train = numbered(parent, "train")
    row = list(rowfile.read(parent.path))[train[2]]
    protect(project=project, prompts={row["prompt_hash"]: row["prompt"][0]["content"]}, reason="a suite")
    with pytest.raises(LintBlocked) as blocked:
        subset(parent, train[:4], override="")
    assert any(f.name == "evaluation" and f.count >= 1 for f in blocked.value.report.findings)


def test_a_freeze_that_the_check_stopped_goes_on_with_a_reason(
    parent: DatasetVersion, project: Project, emma: User
) -> None:
    train = numbered(parent, "train")
    row = list(rowfile.read(parent.path))[train[2]]
    protect(project=project, prompts={row["prompt_hash"]: row["prompt"][0]["content"]}, reason="a suite")
    job = start_subset(version=parent, keep=train[:4], choice=CHOICE, person=emma)
    run_freeze(job)
    assert (job.status, job.version) == ("failed", None)
    again = freeze_again(job, person=emma, override="We know, and leave that suite.")
    run_freeze(again)
    assert again.version is not None
    assert (again.version.parent, again.version.override) == (parent, "We know, and leave that suite.")
    assert again.version.splits["train"]["rows"] == 4


def test_splits_are_told_in_their_order_whatever_the_database_makes_of_it() -> None:
    counts = {"rows": 1, "prompts": 1}
    version = DatasetVersion(splits=dict.fromkeys(("test", "train", "validation"), counts))
    assert [name for name, _ in version.ordered_splits] == ["train", "validation", "test"]
