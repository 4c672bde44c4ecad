"""The thread from a row to people and back, what a withdrawal makes stale, and what differs between two versions."""

import json
from typing import Any

import pytest
from django.urls import reverse

from labeling.curation import rowfile
from labeling.curation.diffing import diff
from labeling.curation.lineage import answer_words, row_lineage
from labeling.curation.withdrawing import stale_versions, withdraw
from labeling.errors import Refused
from labeling.guidelines import save_guideline
from labeling.models import DatasetVersion, Judgment, Project, Resolution, User
from tests import world
from tests.training.runs import root_checkpoint
from training.lineage import affected, checkpoints_of, judgments_behind, stale_checkpoints, uses_of
from training.models import Checkpoint, TrainingRun

pytestmark = pytest.mark.data_layer


def trained(version: DatasetVersion, parent: Checkpoint | None = None) -> Checkpoint:
    """A checkpoint as a finished run leaves it."""
    start = parent or root_checkpoint()
    run = TrainingRun.objects.create(
        project=version.project,
        name=f"run on {version}",
        method="sft",
        dataset_version=version,
        base=start.base,
        start=start,
        spec={},
        folder=f"folder-{TrainingRun.objects.count()}",
    )
    return Checkpoint.objects.create(
        project=version.project,
        base=start.base,
        parent=start,
        run=run,
        name=run.name,
        kind="adapter",
        path="x",
    )


@pytest.fixture
def judged(ben: User, bea: User) -> Project:
    project = world.make_project(overlap=2)
    save_guideline(project=project, text="Prefer what is **true**.", person=None)
    world.fill(project, 6)
    for who in (ben, bea):
        world.judge_all(project, who)
    return project


def test_a_row_leads_to_its_judgments_people_and_guidelines(judged: Project, emma: User) -> None:
    version = world.frozen(judged)
    row = list(rowfile.read(version.path))[3]
    found = row_lineage(version, 3)
    assert found.row == row
    assert found.item.content_hash == row["item"]
    assert {said.judgment.person.username for said in found.said} == {"ben", "bea"}
    assert [guideline.text for guideline in found.guidelines] == ["Prefer what is **true**."]
    page = world.sign_in(emma).get(reverse("labeling:dataset_row", args=[judged.slug, 1, 3]))
    assert "bea" in page.text
    assert "Prefer what is <strong>true</strong>." in page.text
    with pytest.raises(Refused, match="rows 0 to 5, and no row 6"):
        row_lineage(version, 6)


def test_a_ranking_of_many_responses_is_read_with_the_letter_of_each() -> None:
    assert answer_words(Judgment(kind="ranking", label="10>2=0")) == "from best to worst: K > C = A"


def test_who_may_still_be_given_the_item_reads_no_names_and_answers(ben: User, emma: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 1)
    world.judge_all(project, ben)
    world.frozen(project)
    page = world.sign_in(emma).get(reverse("labeling:dataset_row", args=[project.slug, 1, 0]))
    assert "Hidden from you: you may still be given its item" in page.text
    assert "ben" not in page.text.split("<main")[1]


def test_a_judgment_leads_to_every_version_and_checkpoint_that_used_it(judged: Project, emma: User) -> None:
    first, second = world.frozen(judged), world.frozen(judged, seed=5)
    one = trained(first)
    grandchild = trained(world.frozen(judged, seed=6), parent=one)
    item = judged.items.order_by("pk")[2]
    uses = uses_of(item)
    assert len(uses) == 2
    for use in uses:
        assert {version.pk for version, _ in use.rows} >= {first.pk, second.pk}
        assert [checkpoint.pk for checkpoint in use.checkpoints] == [one.pk, grandchild.pk]
        for version, row in use.rows:
            assert list(rowfile.read(version.path))[row]["item"] == item.content_hash
    page = world.sign_in(emma).get(reverse("training:uses", args=[judged.slug, item.pk]))
    assert one.name in page.text
    assert f"{second} row" in page.text
    assert [c.pk for c in checkpoints_of([first.pk])[first.pk]] == [one.pk, grandchild.pk]


def test_the_judgments_behind_a_checkpoint_are_those_of_its_training_rows_each_once(judged: Project) -> None:
    everything, held_out = world.frozen(judged), world.frozen(judged, test_share=0.5)
    assert judgments_behind(root_checkpoint()) == 0
    train = held_out.splits["train"]["rows"]
    assert 0 < train < 6
    part = trained(held_out)
    assert judgments_behind(part) == 2 * train
    both = trained(everything, parent=part)
    assert judgments_behind(both) == judgments_behind(trained(everything)) == 12
    rewarded = trained(world.frozen(judged, kind="prompts", test_share=0, validation_share=0))
    assert judgments_behind(rewarded) == 0
    TrainingRun.objects.filter(pk=rewarded.run_id).update(reward=part)
    rewarded.run.refresh_from_db()
    assert judgments_behind(rewarded) == 2 * train


def test_a_withdrawn_person_is_in_no_later_version_and_earlier_ones_are_stale(
    judged: Project, ada: User, ben: User
) -> None:
    early = world.frozen(judged)
    checkpoint = trained(early)
    later = trained(early, parent=checkpoint)
    withdrawal = withdraw(project=judged, by=ada, username="ben", reason="asked by mail")
    (found,) = affected([withdrawal])
    assert ([v.pk for v in found.versions], {c.pk for c in found.checkpoints}) == (
        [early.pk],
        {checkpoint.pk, later.pk},
    )
    clean = world.frozen(judged)
    assert set(clean.entries.values_list("judgment__person__username", flat=True)) == {"bea"}
    assert stale_versions([early, clean]) == {early.pk}
    assert stale_checkpoints() == {checkpoint.pk, later.pk}
    assert Judgment.objects.filter(person=ben).count() == 6
    client = world.sign_in(ada)
    assert "Stale: it holds" in client.get(reverse("labeling:dataset", args=[judged.slug, 1])).text
    assert "Stale: it holds" not in client.get(reverse("labeling:dataset", args=[judged.slug, 2])).text
    assert ">stale</span>" in client.get(reverse("training:checkpoints", args=[judged.slug])).text


def test_a_withdrawn_item_is_left_out_of_versions_of_every_kind(judged: Project, ada: User) -> None:
    item = judged.items.first()
    assert item is not None
    pairs, prompts = world.frozen(judged), world.frozen(judged, kind="prompts")
    withdraw(project=judged, by=ada, item_id=item.pk)
    assert stale_versions([pairs, prompts]) == {pairs.pk, prompts.pk}
    for kind in ("preference", "prompts"):
        rows = list(rowfile.read(world.frozen(judged, kind=kind).path))
        assert len(rows) == 5
        assert item.content_hash not in {row["item"] for row in rows}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Name either a person or an item"),
        ({"username": "ben", "item_id": 1}, "one at a time"),
        ({"username": "mallory"}, "Nobody called 'mallory' has judged anything here"),
        ({"item_id": 10**9}, "There is no item 1000000000"),
        ({"username": "ben", "reason": "x" * 2001}, "2,001 characters; up to 2,000"),
    ],
)
def test_what_cannot_be_withdrawn_is_refused_with_a_sentence(
    judged: Project, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        withdraw(project=judged, by=None, **values)


def test_ada_withdraws_on_the_page_once_and_is_told_of_a_second_time(judged: Project, ada: User) -> None:
    world.frozen(judged)
    client, url = world.sign_in(ada), reverse("training:withdrawals", args=[judged.slug])
    assert client.post(url, {"username": "bea"}).status_code == 302
    page = client.get(url)
    assert "bea" in page.text
    assert str(DatasetVersion.objects.get()) in page.text
    again = client.post(url, {"username": "bea"})
    assert again.status_code == 422
    assert "bea was withdrawn before" in again.text


def test_two_versions_differ_in_rows_labels_splits_and_rules(
    judged: Project, ben: User, bea: User, cleo: User, emma: User
) -> None:
    before = world.frozen(judged, test_share=0, near_duplicates=None)
    items = list(judged.items.order_by("pk"))
    Resolution.objects.create(project=judged, item=items[0], label="1", person=cleo)  # another label
    Resolution.objects.create(project=judged, item=items[1], label="tie", person=cleo)  # removed
    world.fill(judged, 2, start=50)
    for who in (ben, bea):
        world.judge_all(judged, who)
    after = world.frozen(judged, test_share=0.5, near_duplicates=None, seed=2)
    found = diff(before, after)
    rows = {version: {row["item"]: row for row in rowfile.read(version.path)} for version in (before, after)}
    shared = rows[before].keys() & rows[after].keys()
    moved = {key for key in shared if rows[before][key]["split"] != rows[after][key]["split"]}
    assert found.counts == {"added": 2, "removed": 1, "relabelled": 1, "moved": len(moved)}
    assert moved
    assert found.same == len(shared - moved - {items[0].content_hash})
    assert found.recipe == [("test_share", 0.0, 0.5), ("seed", 0, 2)]
    assert diff(before, after) == found  # read from where it was kept
    turned = diff(after, before)
    assert (turned.counts["added"], turned.counts["removed"]) == (1, 2)
    page = world.sign_in(emma).get(reverse("labeling:dataset_diff", args=[judged.slug]), {"from": 1, "to": 2})
    assert "Another label: 1" in page.text
    assert "test_share" in page.text


def test_versions_of_two_kinds_cannot_be_compared_and_numbers_must_be_there(
    judged: Project, emma: User
) -> None:
    world.frozen(judged)
    world.frozen(judged, kind="sft")
    client, url = world.sign_in(emma), reverse("labeling:dataset_diff", args=[judged.slug])
    assert "compare two versions of one kind" in client.get(url, {"from": 1, "to": 2}).text
    for query in ({"from": 1, "to": 9}, {"from": "x", "to": 1}, {}):
        assert client.get(url, query).status_code == 404


def test_the_manifest_names_guidelines_with_their_hash_and_the_judgments_revisions(judged: Project) -> None:
    version = world.frozen(judged)
    manifest = json.loads((version.path / "manifest.json").read_text())
    (guideline,) = manifest["guidelines"]
    assert (guideline["number"], guideline["judgments"]) == (1, 12)
    lines = (version.path / "judgments.csv").read_text().splitlines()
    assert lines[0] == "row,item,judgment,revision,guideline"
    assert len(lines) == 13
    assert {line.split(",")[3] for line in lines[1:]} == {"1"}
    assert manifest["file_hash"] == rowfile.file_hash(version.path / rowfile.FILE_NAME)
