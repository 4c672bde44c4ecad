"""No leak: prompts and what nearly is them stay in one split, and evaluation material out of training."""

import random
from collections import Counter

import pytest
from django.urls import reverse

from labeling.curation import previewing
from labeling.curation.freezing import LintBlocked, freeze
from labeling.curation.previewing import preview
from labeling.curation.recipe import Recipe
from labeling.curation.rowfile import read
from labeling.curation.splits import split_of
from labeling.intake import prompt_hash
from labeling.models import Project, User
from labeling.protection import protect
from tests import world

pytestmark = pytest.mark.data_layer

EVALUATION = "Tell me at length which herbs grow well on a windowsill that looks to the north in winter"


@pytest.mark.parametrize(
    ("prompt", "answer", "rule"),
    [
        (EVALUATION.upper() + "  ", "x", "protected"),
        (EVALUATION + " please", "x", "near_evaluation"),
        ("Repeat after me", f"He said: {EVALUATION.lower()}. I did not know.", "ngram"),
        ("Which herbs grow well on a windowsill?", "Chives and parsley grow well there.", None),
    ],
)
def test_what_evaluation_uses_is_not_trained_on(
    project: Project, ben: User, prompt: str, answer: str, rule: str | None
) -> None:
    key = prompt_hash([{"role": "user", "content": EVALUATION}])
    protect(project=project, prompts={key: EVALUATION}, reason="a suite")
    world.put(project, world.draft(1, prompt=prompt, first=answer))
    world.judge_all(project, ben)
    rules = (
        ("ngram",) if rule == "ngram" else ("minhash",) if rule == "near_evaluation" else ("ngram", "minhash")
    )
    found = preview(project=project, recipe=Recipe(test_share=0, decontaminate=rules), sample=9)
    assert found.dropped == ({rule: 1} if rule else {})
    assert found.rows == (0 if rule else 1)


def test_near_duplicates_of_a_prompt_are_in_its_split_and_equal_ones_always(ben: User) -> None:
    """Seeded: sixty families of prompts that differ by a word or two; with shares of all sizes."""
    project = world.make_project()
    words = [f"word{n}" for n in range(400)]
    chance = random.Random(3)
    families = []
    for number in range(60):
        base = chance.sample(words, 24)
        members = [" ".join(base), " ".join([*base, "please"]), " ".join(["kindly", *base]).upper()]
        families.append(members)
        world.put(project, *[world.draft(10 * number + n, prompt=text) for n, text in enumerate(members)])
    world.judge_all(project, ben)
    family_of = {text: number for number, members in enumerate(families) for text in members}
    for share in (0.1, 0.4, 0.8):
        version = world.frozen(project, test_share=share, validation_share=0.1, seed=7)
        splits: dict[int, set[str]] = {}
        for row in read(version.path):
            splits.setdefault(family_of[row["prompt"][0]["content"]], set()).add(row["split"])
        assert all(len(found) == 1 for found in splits.values())
        assert {next(iter(found)) for found in splits.values()} == {"train", "validation", "test"}


def test_splits_have_about_the_shares_that_were_asked_for() -> None:
    recipe = Recipe(test_share=0.2, validation_share=0.1, seed=4)
    found = Counter(split_of(f"{n:064x}", recipe) for n in range(20_000))
    assert found["test"] / 20_000 == pytest.approx(0.2, abs=0.012)
    assert found["validation"] / 20_000 == pytest.approx(0.1, abs=0.01)
    wider = Recipe(test_share=0.3, validation_share=0.1, seed=4)
    moved_in = [n for n in range(5000) if split_of(f"{n:064x}", recipe) == "test"]
    assert all(split_of(f"{n:064x}", wider) == "test" for n in moved_in)


def test_a_whole_preview_knows_the_splits_that_near_duplicates_make(ben: User) -> None:
    project = world.make_project()
    family = " ".join(f"part{n}" for n in range(24))
    texts = [f"{family} {n}" for n in range(6)] + [f"what is word{n} for, and why?" for n in range(30)]
    world.put(project, *[world.draft(n, prompt=text) for n, text in enumerate(texts)])
    world.judge_all(project, ben)
    moved = 0
    for seed in range(4):
        recipe = Recipe(test_share=0.4, seed=seed)
        promised = preview(project=project, recipe=recipe)
        version = freeze(project=project, recipe=recipe, person=None, override="a test")
        assert promised.splits == version.splits
        apart = preview(project=project, recipe=Recipe(test_share=0.4, seed=seed, near_duplicates=None))
        moved += apart.splits != promised.splits
    assert moved


def test_prompts_that_differ_by_a_number_only_are_told_of_before_and_at_the_freeze(
    ben: User, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They fall into one split together, whatever share is held out."""
    project = world.make_project()
    prompt = "How do I reset the password of the account with the number {} in the old system?"
    world.put(project, *[world.draft(n, prompt=prompt.format(n)) for n in range(40)])
    world.judge_all(project, ben)
    found = preview(project=project, recipe=Recipe())
    assert (found.alike, len(found.splits)) == ((40, 40), 1)
    page = world.sign_in(emma).get(reverse("labeling:dataset_new", args=[project.slug])).text
    assert "40 of 40 prompts are nearly alike, and stay in one split" in page
    with pytest.raises(LintBlocked, match="all rows are in one split: there are few prompts"):
        freeze(project=project, recipe=Recipe(), person=None)
    apart = preview(project=project, recipe=Recipe(near_duplicates=None))
    assert (apart.alike, len(apart.splits)) == (None, 2)
    monkeypatch.setattr(previewing, "WHOLE", 20)
    monkeypatch.setattr(previewing, "SAMPLE", 25)
    sampled = preview(project=project, recipe=Recipe())
    assert sampled.alike is not None
    assert sampled.alike[0] == sampled.alike[1] >= 10
