"""Faults that somebody found in curation, each with what should have happened."""

import errno
from typing import Any

import pytest
from django.urls import reverse

from labeling.curation import previewing
from labeling.curation.evaluation_material import Material
from labeling.curation.freezing import freeze
from labeling.curation.lint import Lint
from labeling.curation.previewing import preview
from labeling.curation.recipe import Recipe, read_document, read_recipe
from labeling.curation.rowfile import read
from labeling.curation.rows import Made
from labeling.curation.votes import counted_judgments
from labeling.curation.withdrawing import stale_versions, withdraw
from labeling.errors import RecipeRefused
from labeling.gold import mark_gold
from labeling.models import Judgment, Membership, Project, User, Withdrawal
from labeling.queue import claim_next
from labeling.values import RatingAnswer
from tests import world

pytestmark = pytest.mark.data_layer
SCALE = [{"key": "help", "words": "Help", "low": 1, "high": 5}]


def rated(project: Project, who: User) -> None:
    while (slot := claim_next(project=project, person=who)) is not None:
        values = [1 + place % 5 for place in range(slot.item.n_responses)]
        world.send(slot, who, RatingAnswer(ratings={"help": values}))


def test_after_a_withdrawal_equal_rows_are_a_version_of_their_own(ben: User, bea: User, ada: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 4)
    for who in (ben, bea):
        world.judge_all(project, who)
    first = world.frozen(project, kind="sft")
    withdraw(project=project, by=ada, username="ben")
    second = world.frozen(project, kind="sft")
    assert second.pk != first.pk
    assert second.content_hash == first.content_hash
    assert stale_versions([first, second]) == {first.pk}


def test_a_version_of_many_prompts_is_nobodys_and_not_blocked(project: Project) -> None:
    world.fill(project, 60)
    assert freeze(project=project, recipe=Recipe(kind="prompts"), person=None).rows == 60


def test_large_rating_projects_have_a_preview(ben: User, emma: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previewing, "WHOLE", 5)
    monkeypatch.setattr(previewing, "SAMPLE", 5)
    project = world.make_project(task="rating", attributes=SCALE)
    world.fill(project, 12)
    rated(project, ben)
    page = world.sign_in(emma).get(reverse("labeling:dataset_new", args=[project.slug]))
    assert page.status_code == 200
    assert "Freeze about 12 rows" in page.text


def test_a_preview_without_room_for_its_signatures_says_so(
    project: Project, ben: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fill(project, 3)
    world.judge_all(project, ben)

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(previewing.tempfile, "TemporaryDirectory", full)
    with pytest.raises(RecipeRefused, match=r"No space left on device\); free some space and look again"):
        preview(project=project, recipe=Recipe())


def test_large_projects_are_told_about_what_caps_drop(
    ben: User, bea: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previewing, "WHOLE", 50)
    monkeypatch.setattr(previewing, "SAMPLE", 50)
    project = world.make_project()
    world.put(
        project, *[world.draft(n, prompt=f"Prompt {n // 4}, which is asked four times") for n in range(200)]
    )
    for _ in range(150):
        world.judge_next(project, ben)
    world.judge_all(project, bea)
    for values in ({"annotator_cap": 60}, {"prompt_cap": 3}):
        recipe = Recipe(near_duplicates=None, **values)
        seen = preview(project=project, recipe=recipe)
        version = freeze(project=project, recipe=recipe, person=None, override="a test")
        (cap,) = values
        assert seen.rows == version.rows
        assert seen.dropped[cap] == version.dropped[cap]
        assert seen.bounds[cap] == (seen.dropped[cap], seen.dropped[cap])


def test_ratings_of_single_responses_give_no_pair_and_no_fault(ben: User) -> None:
    project = world.make_project(task="rating", attributes=SCALE)
    single = world.ItemDraft(
        messages=[{"role": "user", "content": "One?"}], responses=[world.ResponseDraft("only")]
    )
    world.put(project, single, world.draft(2))
    rated(project, ben)
    found = preview(project=project, recipe=Recipe(complete=False), sample=5)
    assert (found.rows, found.dropped) == (1, {"too_few": 1})


def test_an_answer_changed_while_a_freeze_runs_counts_as_it_was(project: Project, ben: User) -> None:
    world.fill(project, 1)
    first = world.judge_next(project, ben, "0")
    assert first is not None
    newest = first.pk
    fields = {field.name: getattr(first, field.name) for field in Judgment._meta.fields if field.name != "id"}
    Judgment.objects.create(**{**fields, "revision": 2, "client_key": "f" * 32, "label": "1"})
    found = counted_judgments([project], Recipe(complete=False), newest)
    assert [judgment.label for judgment in found] == ["0"]
    assert [judgment.label for judgment in counted_judgments([project], Recipe())] == ["1"]


def test_rows_of_another_project_do_not_show_its_people(ben: User, leo: User, emma: User) -> None:
    one, two = world.make_project("One"), world.make_project("Two")
    world.fill(two, 1)
    world.judge_all(two, ben)
    Membership.objects.filter(project=two, user=leo).delete()
    version = freeze(project=one, recipe=Recipe(projects=("two",)), person=emma, override="a test")
    page = world.sign_in(leo).get(reverse("labeling:dataset_row", args=[one.slug, version.number, 0]))
    assert "a project whose answers you may not read" in page.text
    assert ">ben<" not in page.text
    seen = world.sign_in(emma).get(reverse("labeling:dataset_row", args=[one.slug, version.number, 0]))
    assert ">ben<" in seen.text


def test_items_by_which_people_are_still_checked_wait(project: Project, ben: User, ada: User) -> None:
    items = world.fill(project, 2)
    world.judge_all(project, ben)
    mark_gold(project=project, item_id=items[0].pk, person=ada, label="0", note="")
    assert preview(project=project, recipe=Recipe()).dropped == {"open": 1}


def test_plain_texts_are_compared_by_their_prompt() -> None:
    prompt = [{"role": "user", "content": "what is the capital of France"}]
    row = {"split": "train", "text": f"{prompt[0]['content']}\n\nParis, on the Seine.", "prompt_hash": "1"}
    material = Material({"0"}, ["What is the capital of France?"], Recipe())
    assert material.reasons([Made(row, [], asked=prompt)]) == ["near_evaluation"]


def test_the_check_forgets_rows_that_it_has_searched() -> None:
    lint = Lint()
    for number in range(1200):
        row = {"split": "train", "prompt": [], "prompt_hash": f"{number:04}"}
        lint.see([Made(row, [], number)])
    lint.report()
    assert lint._items == {}


def test_a_thousand_withdrawn_items_are_looked_up_at_once(project: Project, ada: User, ben: User) -> None:
    items = world.fill(project, 1000)
    world.judge_next(project, ben)
    version = world.frozen(project, test_share=0)
    Withdrawal.objects.bulk_create(Withdrawal(project=project, item=item) for item in items)
    assert stale_versions([version]) == {version.pk}


def test_a_prompt_is_taken_by_whichever_of_its_items_is_allowed(project: Project) -> None:
    drafts = [world.draft(n, prompt="Shared", licence=("MIT", "GPL")[n % 2]) for n in range(4)]
    world.put(project, *drafts)
    for licence in ("MIT", "GPL"):
        assert preview(project=project, recipe=Recipe(kind="prompts", licences=(licence,))).rows == 1


def test_a_response_that_is_good_and_bad_is_a_contradiction() -> None:
    lint = Lint()
    rows = [
        {"split": "train", "prompt": [], "completion": "The same.", "label": label, "prompt_hash": "1"}
        for label in (True, False)
    ]
    lint.see([Made(row, [], place) for place, row in enumerate(rows)])
    (found,) = [finding for finding in lint.report().findings if finding.count]
    assert (found.name, found.rows, found.blocks) == ("contradiction", [0, 1], True)


@pytest.mark.parametrize(
    "text",
    ["seed: 2024-99-99", "seed: " + "9" * 5000, "[" * 9000, 'licences: ["\\ud800"]', 'tokenizer: "a\\0b"'],
)
def test_odd_documents_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(RecipeRefused) as refusal:
        read_document(text)
    assert len(refusal.value.sentence) > 20


def test_a_refusal_quotes_no_more_than_a_few_words() -> None:
    deep: Any = ["x"] * 9
    for _ in range(9):
        deep = [deep] * 9
    with pytest.raises(RecipeRefused) as refusal:
        read_recipe({"kind": deep})
    assert len(refusal.value.sentence) < 500


@pytest.mark.parametrize("number", ["²", "9" * 40, "-1"])
def test_numbers_that_are_none_are_not_found(project: Project, emma: User, number: str) -> None:
    client = world.sign_in(emma)
    assert (
        client.get(
            reverse("labeling:dataset_diff", args=[project.slug]), {"from": number, "to": 1}
        ).status_code
        == 404
    )
    assert (
        client.get(reverse("labeling:dataset_new", args=[project.slug]), {"from": number}).status_code == 200
    )


def test_rows_that_rest_on_the_same_judgments_are_one_version(project: Project, ben: User) -> None:
    world.fill(project, 5)
    world.judge_all(project, ben)
    first = world.frozen(project, kind="sft")
    assert world.frozen(project, kind="sft").pk == first.pk
    assert len(list(read(first.path))) == 5
