"""Invariant 4: a dataset version never changes, rebuilds byte for byte, and knows every judgment in it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labeling.curation import rowfile, votes
from labeling.curation.freezing import freeze, newer_judgments
from labeling.curation.previewing import preview
from labeling.curation.recipe import Recipe, read_recipe
from labeling.errors import RecipeRefused
from labeling.intake import prompt_hash
from labeling.models import DatasetEntry, DatasetVersion, Item, Judgment, Project, User
from labeling.models.appendonly import Unchangeable
from labeling.protection import protect, protected_hashes
from tests import world

pytestmark = pytest.mark.data_layer


def hash_of(prompt: str) -> str:
    return prompt_hash([{"role": "user", "content": prompt}])


def rows(version: DatasetVersion) -> list[dict[str, Any]]:
    return list(rowfile.read(version.path))


def test_freezing_twice_gives_the_same_version(project: Project, ben: User, var: Path) -> None:
    world.fill(project, 8)
    world.judge_all(project, ben)
    first, second = world.frozen(project), world.frozen(project)
    assert (first.pk, first.number) == (second.pk, 1)
    assert [path.name for path in (var / "datasets").iterdir()] == [first.folder]


def test_another_recipe_gives_another_version(project: Project, ben: User) -> None:
    world.fill(project, 8)
    world.judge_all(project, ben)
    first, second = world.frozen(project), world.frozen(project, seed=5)
    assert (first.number, second.number) == (1, 2)


def scene(name: str, *, padding: int) -> DatasetVersion:
    """The same judgments in the same project, whatever numbers the database gives them."""
    elsewhere = world.make_project(f"Padding {name}", overlap=1)
    world.fill(elsewhere, padding)
    world.judge_all(elsewhere, world.person("ben"))
    project = world.make_project(name, overlap=2)
    drafts = [world.draft(n, prompt=f"Shared {n // 2}") for n in range(14)]
    world.put(project, *(drafts if padding % 2 else reversed(drafts)))
    votes = {d.content_hash: ("0", "1", "tie", "both_bad")[n % 4] for n, d in enumerate(drafts)}
    for who in ("ben", "bea"):
        while world.claim_next(project=project, person=world.person(who)):
            slot = world.claim_next(project=project, person=world.person(who))
            world.judge_next(project, world.person(who), votes[slot.item.content_hash])
    return world.frozen(project)


@pytest.mark.django_db
def test_the_same_judgments_in_another_order_and_with_other_numbers_give_the_same_bytes() -> None:
    first, second = scene("One", padding=1), scene("Two", padding=4)
    assert first.content_hash == second.content_hash
    assert (first.path / "rows.parquet").read_bytes() == (second.path / "rows.parquet").read_bytes()
    assert first.content_hash == rowfile.content_hash(first.path)


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.django_db
def test_a_fresh_database_gives_this_very_hash(time: int) -> None:
    version = scene("Fresh", padding=time)
    assert version.content_hash == "5a36a13c1fb6d862df456f84c2c0dacc97a08995082a60ff6105812b7fcfb7a8"
    assert version.file_hash == "e367b45db481237d4a9ff793e2d887ad6f13bbbf3ef406fbfa382262b5ba6a26"


def test_a_later_judgment_changes_nothing_and_is_counted_as_newer(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 6)
    world.judge_all(project, ben)
    version = world.frozen(project)
    before = (version.path / "rows.parquet").read_bytes()
    world.judge_next(project, bea, "1")
    again = DatasetVersion.objects.get(pk=version.pk)
    assert newer_judgments(again) == 1
    assert (again.path / "rows.parquet").read_bytes() == before
    assert rowfile.content_hash(again.path) == again.content_hash


def test_a_judgment_that_arrives_while_the_version_is_made_counts_as_newer(
    ben: User, bea: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 3)
    world.judge_all(project, ben)
    read = votes.Votes._read

    def and_bea_judges_meanwhile(*args: Any) -> Iterator[Any]:
        world.judge_next(project, bea, "1")
        yield from read(*args)

    monkeypatch.setattr(votes.Votes, "_read", and_bea_judges_meanwhile)
    version = world.frozen(project)
    assert newer_judgments(version) == 1
    assert version.entries.count() == 3


def test_a_version_knows_every_judgment_of_every_row(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 4)
    world.judge_all(project, ben)
    world.judge_all(project, bea)
    version = world.frozen(project)
    behind = {(entry.row, entry.judgment_id) for entry in DatasetEntry.objects.filter(version=version)}
    hashes = [row["item"] for row in rows(version)]
    expected = {
        (row, judgment.pk)
        for row, item in enumerate(hashes)
        for judgment in Judgment.objects.filter(item__content_hash=item)
    }
    manifest = json.loads((version.path / "manifest.json").read_text())
    assert behind == expected
    assert len(behind) == 8
    listed = (version.path / "judgments.csv").read_text().splitlines()
    assert {(int(row), int(key)) for row, _, key, *_ in (line.split(",") for line in listed[1:])} == behind
    assert manifest["judgments"]["sha256"] == rowfile.file_hash(version.path / "judgments.csv")
    assert manifest["recipe"]["kind"] == "preference"
    assert manifest["software"]["pyarrow"]
    assert manifest["content_hash"] == version.content_hash


def test_chosen_is_what_people_preferred_and_never_equals_rejected(project: Project, ben: User) -> None:
    items = world.fill(project, 10)
    world.judge_all(project, ben, ["0", "1"] * 5)
    found = {row["item"]: row for row in rows(world.frozen(project))}
    for number, item in enumerate(items):
        texts = list(item.responses.order_by("position").values_list("text", flat=True))
        row = found[item.content_hash]
        assert (row["chosen"], row["rejected"]) == (texts[number % 2], texts[1 - number % 2])
        assert row["chosen"] != row["rejected"]


def test_what_the_recipe_leaves_out_is_counted_by_reason(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2)
    drafts = [world.draft(n, prompt=f"P{n}") for n in range(7)]
    drafts[4] = world.draft(4, prompt="P4", first=" ")
    drafts[5] = world.draft(5, prompt="P5", first="same", second="same")
    world.put(project, *drafts)
    protect(project=project, prompts={hash_of("P6"): "P6"}, reason="test")
    world.judge_all(project, ben, ["0", "tie", "both_bad", "0", "0", "0", "0"])
    world.judge_all(project, bea, ["0", "tie", "both_bad", "1", "0", "0", "0"])
    version = world.frozen(project, test_share=0)
    assert version.dropped == {
        "tie": 1,
        "both_bad": 1,
        "no_majority": 1,
        "empty": 1,
        "identical": 1,
        "protected": 1,
    }
    assert version.splits == {"train": {"rows": 1, "prompts": 1}}


def test_items_with_too_few_judgments_are_left_out_and_counted(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 3)
    world.judge_all(project, ben)
    world.judge_next(project, bea)
    version = world.frozen(project, min_judgments=2, test_share=0)
    assert (version.rows, version.dropped) == (1, {"too_few": 2})


def test_all_rows_of_a_prompt_are_on_one_side(project: Project, ben: User) -> None:
    words = ("shared prompt", "SHARED  Prompt")
    world.put(project, *[world.draft(n, prompt=f"{words[n % 3 % 2]} {n % 20}") for n in range(60)])
    world.judge_all(project, ben)
    version = world.frozen(project, test_share=0.5)
    sides: dict[str, set[str]] = {}
    for row in rows(version):
        sides.setdefault(row["prompt_hash"], set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {"train", "test"}
    assert sum(split["prompts"] for split in version.splits.values()) == len(sides) == 20


def test_the_preview_promises_what_freezing_gives(project: Project, ben: User) -> None:
    world.fill(project, 20)
    world.judge_all(project, ben, ["0", "tie"] * 10)
    recipe = Recipe(seed=3, near_duplicates=None)
    promised, version = (
        preview(project=project, recipe=recipe, sample=2),
        freeze(project=project, recipe=recipe, person=ben),
    )
    assert (promised.splits, dict(promised.dropped), promised.rows) == (
        version.splits,
        version.dropped,
        version.rows,
    )
    assert len(promised.sample) == 2


def test_a_recipe_that_leaves_no_row_is_refused_with_the_reasons_and_leaves_no_folder(
    project: Project, ben: User, var: Path
) -> None:
    world.fill(project, 2)
    with pytest.raises(RecipeRefused, match="nothing has been judged yet"):
        world.frozen(project)
    world.judge_all(project, ben, ["tie", "tie"])
    with pytest.raises(RecipeRefused, match="the answer is a tie: 2"):
        world.frozen(project)
    assert list((var / "datasets").iterdir()) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"test_share": 2}, "test_share is 2"),
        ({"min_judgments": 0}, "min_judgments is 0"),
        ({"kind": "ranking"}, "kind is 'ranking'"),
        ({"colour": "red"}, "colour is no field of a recipe"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_a_recipe_out_of_bounds_is_refused_with_the_field_and_the_value(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(RecipeRefused) as refusal:
        read_recipe(values)
    assert words in refusal.value.sentence


def test_a_protected_prompt_never_lands_in_train_whatever_the_seed(project: Project, ben: User) -> None:
    world.put(project, *[world.draft(n, prompt=f"Prompt {n}") for n in range(30)])
    world.judge_all(project, ben)
    guarded = {hash_of(f"prompt   {n}") for n in range(0, 30, 3)}
    protect(project=project, prompts=dict.fromkeys(guarded, ""), reason="suite")
    versions = [world.frozen(project, seed=seed, test_share=0.3) for seed in range(6)]
    trained = {row["prompt_hash"] for version in versions for row in rows(version) if row["split"] == "train"}
    assert not trained & guarded
    assert trained
    assert all(version.dropped["protected"] > 0 for version in versions)


def test_protecting_a_prompt_twice_is_harmless(project: Project) -> None:
    assert protect(project=project, prompts={"a": "", "b": ""}, reason="x") == 2
    assert protect(project=project, prompts={"b": "", "c": ""}, reason="y") == 1
    assert protected_hashes(project=project) == {"a", "b", "c"}


def test_nobody_can_change_or_delete_a_version(project: Project, ben: User) -> None:
    world.fill(project, 4)
    world.judge_all(project, ben)
    version = world.frozen(project)
    version.number = 7
    for change in (version.save, version.delete, lambda: DatasetVersion.objects.update(number=7)):
        with pytest.raises(Unchangeable):
            change()
    assert DatasetVersion.objects.get().number == 1


@pytest.mark.django_db(transaction=True)
def test_people_who_freeze_at_the_same_moment_get_versions_with_numbers_of_their_own() -> None:
    project = world.make_project()
    world.fill(project, 12)
    world.judge_all(project, world.person("ben"))

    def attempt(seed: int) -> DatasetVersion | RecipeRefused:
        try:
            return world.frozen(project, seed=seed)
        except RecipeRefused as refusal:
            return refusal

    outcomes = world.together([lambda s=s: attempt(s) for s in range(6)])
    made = [outcome for outcome in outcomes if isinstance(outcome, DatasetVersion)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, RecipeRefused)]
    assert made
    assert len({version.number for version in made}) == len(made)
    assert all("freeze again" in refusal.sentence for refusal in refused)
    assert DatasetVersion.objects.count() == len(made)
    assert all(rowfile.content_hash(version.path) == version.content_hash for version in made)
    assert Item.objects.count() == 12
