"""What a recipe says becomes rows, kind by kind and rule by rule."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from labeling.curation import previewing
from labeling.curation.freezing import freeze
from labeling.curation.previewing import preview
from labeling.curation.recipe import Recipe, document, read_document, read_recipe, stored
from labeling.curation.tokens import register_tokenizer
from labeling.errors import RecipeRefused
from labeling.models import Item, Project, Resolution, ReviewState, User
from labeling.queue import claim_next
from labeling.values import DemonstrationAnswer, EditAnswer, PairwiseAnswer, RankingAnswer, RatingAnswer
from tests import world

pytestmark = pytest.mark.data_layer


def made(project: Project, **recipe: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows that a recipe gives, and what it drops."""
    found = preview(project=project, recipe=Recipe(**{"complete": False, **recipe}), sample=1000)
    return found.sample, found.dropped


def responses(number: int, count: int) -> world.ItemDraft:
    return world.ItemDraft(
        messages=[{"role": "user", "content": f"Question {number}?"}],
        responses=[world.ResponseDraft(f"text {n}") for n in range(count)],
    )


def rank(project: Project, who: User, stored_order: str) -> None:
    slot = claim_next(project=project, person=who)
    order = world.shown_order(slot, slot.turn)
    shown = "".join(str(order.index(int(c)) + 1) if c.isdigit() else c for c in stored_order)
    world.send(slot, who, RankingAnswer(order=shown))


def test_ties_make_a_row_each_way_with_a_soft_label_of_a_half(project: Project, ben: User) -> None:
    world.fill(project, 2)
    world.judge_all(project, ben, ["0", "tie"])
    rows, _ = made(project, ties="both")
    assert sorted(row["soft_label"] for row in rows) == [0.5, 0.5, 1.0]
    one, two = [row for row in rows if row["soft_label"] == 0.5]
    assert (one["chosen"], one["rejected"]) == (two["rejected"], two["chosen"])


def test_single_responses_are_good_or_bad_and_ties_and_all_bad_as_the_recipe_says(
    project: Project, ben: User
) -> None:
    world.fill(project, 3)
    world.judge_all(project, ben, ["0", "tie", "both_bad"])
    plain, dropped = made(project, kind="unpaired")
    assert sorted(row["label"] for row in plain) == [False, True]
    assert dropped == {"tie": 1, "both_bad": 1}
    kept, dropped = made(project, kind="unpaired", ties="unpaired", both_bad="unpaired")
    assert Counter(row["label"] for row in kept) == {True: 3, False: 3}
    assert dropped == {}


def test_sft_rows_are_what_people_wrote_and_the_response_that_is_best(ben: User, bea: User) -> None:
    written = world.make_project("Written", task="demonstration")
    world.fill(written, 1)
    slot = claim_next(project=written, person=ben)
    world.send(slot, ben, DemonstrationAnswer(text="As it should be."))
    rows, _ = made(written, kind="sft")
    assert [(row["completion"], row["origin"]) for row in rows] == [("As it should be.", "demonstration")]

    ranked = world.make_project("Ranked", task="ranking")
    world.put(ranked, responses(1, 3), responses(2, 3))
    rank(ranked, bea, "2>0>1")
    rank(ranked, bea, "0=1>2")
    rows, dropped = made(ranked, kind="sft")
    assert [(row["completion"], row["origin"]) for row in rows] == [("text 2", "best")]
    assert dropped == {"no_best": 1}
    texts, _ = made(ranked, kind="text")
    assert [row["text"] for row in texts] == ["Question 1?\n\ntext 2"]


def test_edits_are_preferred_good_and_worth_learning(ben: User) -> None:
    project = world.make_project(task="edit")
    world.put(project, responses(1, 1))
    slot = claim_next(project=project, person=ben)
    world.send(slot, ben, EditAnswer(number=1, text="better"))
    assert [(r["chosen"], r["rejected"]) for r in made(project)[0]] == [("better", "text 0")]
    assert {(r["completion"], r["label"]) for r in made(project, kind="unpaired")[0]} == {
        ("better", True),
        ("text 0", False),
    }
    assert [r["completion"] for r in made(project, kind="sft")[0]] == ["better"]


def test_ratings_give_the_pairs_that_their_sums_order(ben: User) -> None:
    attributes = [{"key": key, "words": key, "low": 1, "high": 5} for key in ("help", "truth")]
    project = world.make_project(task="rating", attributes=attributes)
    world.put(project, responses(1, 3))
    slot = claim_next(project=project, person=ben)
    order = world.shown_order(slot, slot.turn)
    values = {0: (5, 5), 1: (3, 3), 2: (2, 4)}
    ratings = {
        key: [values[position][place] for position in order] for place, key in enumerate(("help", "truth"))
    }
    world.send(slot, ben, RatingAnswer(ratings=ratings))
    rows, dropped = made(project)
    assert {(r["chosen"], r["rejected"]) for r in rows} == {("text 0", "text 1"), ("text 0", "text 2")}
    assert dropped == {"tie": 1}


def test_the_margin_is_the_mean_of_what_people_said(ben: User, bea: User, cleo: User) -> None:
    project = world.make_project(overlap=3, ask_strength=True)
    world.fill(project, 1)
    for who, label, strength in ((ben, "0", 3), (bea, "0", 2), (cleo, "1", 1)):
        slot = claim_next(project=project, person=who)
        verdict = world.verdict_for(label, slot)
        world.send(slot, who, PairwiseAnswer.model_validate({"verdict": verdict, "strength": strength}))
    (row,), _ = made(project, kind="reward", margin_scale=3)
    assert row["margin"] == pytest.approx(3 * (3 + 2 - 1) / 9)


def test_without_strengths_there_is_no_row_with_a_margin(project: Project, ben: User) -> None:
    world.fill(project, 1)
    world.judge_all(project, ben)
    assert made(project, kind="reward") == ([], {"no_strength": 1})


def test_prompts_come_once_each_judged_or_not(project: Project) -> None:
    world.put(project, *[world.draft(n, prompt=f"Prompt {n % 3}") for n in range(7)])
    rows, _ = made(project, kind="prompts", test_share=0)
    assert sorted(row["prompt"][0]["content"] for row in rows) == ["Prompt 0", "Prompt 1", "Prompt 2"]
    version = freeze(project=project, recipe=Recipe(kind="prompts"), person=None)
    assert set(version.entries.values_list("judgment_id", flat=True)) == {None}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("all", {"01", "02", "03", "12", "13", "23"}),
        ("adjacent", {"01", "12", "23"}),
        ("extremes", {"03"}),
    ],
)
def test_a_ranking_gives_the_pairs_that_the_recipe_takes(ben: User, pairs: str, expected: set[str]) -> None:
    project = world.make_project(task="ranking")
    world.put(project, responses(1, 4))
    rank(project, ben, "0>1>2>3")
    rows, dropped = made(project, ranking_pairs=pairs)
    assert {row["chosen"][-1] + row["rejected"][-1] for row in rows} == expected
    assert dropped.get("other_pair", 0) == 6 - len(expected)


def test_pairs_of_any_ranking_are_its_strict_relations_and_nothing_else(ben: User) -> None:
    """Seeded: two hundred rankings with ties, of two to six responses; each sort of pairs against its definition."""
    chance = random.Random(5)
    project = world.make_project(task="ranking")
    orders = {}
    for number in range(40):
        count = chance.randint(2, 6)
        (item,) = world.put(project, responses(number, count))
        levels = [chance.randint(0, 3) for _ in range(count)]
        groups = {
            level: [str(n) for n in range(count) if levels[n] == level] for level in sorted(set(levels))
        }
        orders[item.content_hash] = levels
        rank(project, ben, ">".join("=".join(group) for group in groups.values()))
    for pairs in ("all", "adjacent", "extremes"):
        rows, _ = made(project, ranking_pairs=pairs, near_duplicates=None)
        found: dict[str, set[tuple[int, int]]] = {key: set() for key in orders}
        for row in rows:
            found[row["item"]].add((int(row["chosen"][-1]), int(row["rejected"][-1])))
        for key, levels in orders.items():
            ranks = {level: place for place, level in enumerate(sorted(set(levels)))}
            strict = {
                (a, b)
                for a in range(len(levels))
                for b in range(len(levels))
                if levels[a] < levels[b]
                and (pairs != "adjacent" or ranks[levels[b]] - ranks[levels[a]] == 1)
                and (pairs != "extremes" or (ranks[levels[a]], ranks[levels[b]]) == (0, len(ranks) - 1))
            }
            assert found[key] == strict, (pairs, levels)


def test_only_settled_answers_count_where_the_recipe_says_so(ben: User, cleo: User) -> None:
    project = world.make_project()
    items = world.fill(project, 3)
    world.judge_all(project, ben)
    Resolution.objects.create(project=project, item=items[0], label="1", person=cleo)
    rows, dropped = made(project, aggregation="adjudicated")
    assert [row["chosen"] for row in rows] == ["Answer two to 0"]
    assert dropped == {"not_settled": 2}


def test_more_must_agree_where_the_recipe_asks_for_it(ben: User, bea: User, cleo: User) -> None:
    project = world.make_project(overlap=3)
    world.fill(project, 2)
    for who, labels in ((ben, ["0", "0"]), (bea, ["0", "0"]), (cleo, ["0", "1"])):
        world.judge_all(project, who, labels)
    rows, dropped = made(project, min_agreement=0.7)
    assert [(row["confidence"], row["soft_label"]) for row in rows] == [(1.0, 1.0)]
    assert dropped == {"agreement": 1}
    assert len(made(project)[0]) == 2


def test_dawid_and_skene_believe_those_who_agree_with_others(ben: User, bea: User, cleo: User) -> None:
    """Cleo says the opposite of Ben and Bea: where only she and one of them differ, they win."""
    project = world.make_project(overlap=3)
    world.fill(project, 30)
    truth = ["01"[n % 2] for n in range(30)]
    world.judge_all(project, ben, truth)
    world.judge_all(project, bea, truth)
    world.judge_all(project, cleo, ["10"[n % 2] for n in range(30)])
    rows, _ = made(project, aggregation="dawid_skene")
    assert len(rows) == 30
    assert all(row["confidence"] > 0.9 and row["soft_label"] > 0.9 for row in rows)
    assert all(row["votes"]["chosen"] == 2 for row in rows)


def test_bradley_and_terry_give_soft_labels_between_a_half_and_one(ben: User, bea: User, cleo: User) -> None:
    project = world.make_project(overlap=3)
    world.fill(project, 1)
    for who, label in ((ben, "0"), (bea, "0"), (cleo, "1")):
        world.judge_next(project, who, label)
    (row,), _ = made(project, aggregation="bradley_terry")
    assert row["soft_label"] == pytest.approx((2 + 0.5) / 4, abs=1e-6)


def test_bradley_and_terry_order_what_single_votes_cannot(ben: User, bea: User) -> None:
    project = world.make_project(task="ranking", overlap=2)
    world.put(project, responses(1, 3))
    rank(project, ben, "0>1>2")
    rank(project, bea, "0>2>1")
    majority, _ = made(project)
    modelled, dropped = made(project, aggregation="bradley_terry")
    assert len(majority) == 2
    assert {(r["chosen"], r["rejected"]) for r in modelled} == {("text 0", "text 1"), ("text 0", "text 2")}
    assert dropped == {"tie": 1}


def test_caps_keep_the_surest_rows_of_a_prompt_and_the_first_answers_of_a_person(
    ben: User, bea: User, cleo: User
) -> None:
    project = world.make_project(overlap=3)
    world.put(project, *[world.draft(n, prompt="The same") for n in range(3)])
    for who, labels in ((ben, ["0", "0", "0"]), (bea, ["0", "0", "0"]), (cleo, ["0", "1", "1"])):
        world.judge_all(project, who, labels)
    rows, dropped = made(project, prompt_cap=1)
    assert [row["confidence"] for row in rows] == [1.0]
    assert dropped == {"prompt_cap": 2}
    _, dropped = made(project, annotator_cap=2)
    assert dropped["annotator_cap"] == 3


def test_states_licences_and_origins_are_asked_of_each_item(ben: User) -> None:
    project = world.make_project()
    world.put(
        project,
        world.draft(0, licence="MIT"),
        world.draft(1, licence="GPL"),
        world.draft(2),
        world.draft(3, licence="MIT", synthetic=True),
    )
    world.judge_all(project, ben)
    assert made(project, licences=("MIT", ""))[1] == {"licence": 1}
    assert made(project, synthetic="exclude")[1] == {"synthetic": 1}
    assert made(project, synthetic="only")[1] == {"human": 3}
    project.assignments.filter(item__licence="GPL").update(review=ReviewState.ACCEPTED)
    rows, dropped = made(project, statuses=("accepted",))
    assert len(rows) == 1
    assert dropped == {"state": 3, "too_few": 3}


def test_items_that_somebody_may_still_be_given_wait_unless_the_recipe_takes_them(ben: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 2)
    world.judge_all(project, ben)
    assert made(project, complete=True) == ([], {"open": 2})
    assert len(made(project, complete=False)[0]) == 2


def test_lengths_are_counted_in_words_of_prompt_and_longest_response(project: Project, ben: User) -> None:
    world.put(
        project,
        world.draft(0, prompt="one two", first="one", second="one two three"),
        world.draft(1, prompt="one two", first="one", second="x " * 50),
        world.draft(2, prompt="one", first="a", second="b"),
    )
    world.judge_all(project, ben)
    rows, dropped = made(project, min_tokens=3, max_tokens=10)
    assert [row["rejected"] for row in rows] == ["one two three"]
    assert dropped == {"short": 1, "long": 1}
    with pytest.raises(RecipeRefused, match="tokenizer is 'gpt-9'; choose one of words"):
        made(project, tokenizer="gpt-9", max_tokens=5)


def test_lengths_are_counted_in_tokens_of_a_base_model_that_is_still_what_it_was(
    project: Project, ben: User, tmp_path: Path
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    fast = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    fast.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    fast.save(str(tmp_path / "tokenizer.json"))
    assert register_tokenizer(name="letters", path=tmp_path) is not None
    assert register_tokenizer(name="nothing", path=tmp_path / "none") is None
    world.put(
        project, world.draft(0, prompt="ab", first="ab", second="abab"), world.draft(1, prompt="ab" * 9)
    )
    world.judge_all(project, ben)
    rows, dropped = made(project, tokenizer="letters", max_tokens=6)
    assert ([row["rejected"] for row in rows], dropped) == (["abab"], {"long": 1})
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(RecipeRefused, match="was changed on disk; register the base model again"):
        made(project, tokenizer="letters", max_tokens=6)


def test_judgments_of_other_projects_are_used_where_the_person_may_curate_them(ben: User, emma: User) -> None:
    one, two = world.make_project("One"), world.make_project("Two")
    world.fill(one, 2)
    world.fill(two, 3, start=10)
    for project in (one, two):
        world.judge_all(project, ben)
    recipe = Recipe(projects=("two",), complete=False)
    assert freeze(project=one, recipe=recipe, person=emma, override="a test").rows == 5
    with pytest.raises(RecipeRefused, match="'two': there is no such project, or you may not curate it"):
        freeze(project=one, recipe=recipe, person=ben, override="a test")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_tokens": 9, "max_tokens": 3}, "no row has at least 9 and at most 3 tokens; lower min_tokens"),
        ({"test_share": 0.6, "validation_share": 0.5}, "leave less than 5 % for training; lower one"),
        ({"ties": "unpaired"}, "only the kind unpaired keeps single responses, not preference; choose drop"),
        ({"ties": "both", "kind": "reward"}, "need the kind preference, not reward; choose drop"),
        ({"statuses": []}, "statuses is []"),
        ({"kind": "magic"}, "kind is 'magic'"),
        ({"colour": 1}, "colour is no field of a recipe; the fields are kind, projects"),
        ({"near_duplicates": 0.1}, "near_duplicates is 0.1"),
    ],
)
def test_an_impossible_recipe_is_refused_with_what_to_change(values: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeRefused) as refusal:
        read_recipe(values)
    assert words in refusal.value.sentence


def test_a_recipe_goes_to_yaml_and_back_and_json_is_yaml_too() -> None:
    recipe = Recipe(kind="unpaired", ties="unpaired", licences=("", "MIT"), max_tokens=512, test_share=0.1)
    assert read_document(document(recipe)) == recipe
    assert read_document(str(stored(recipe)).replace("None", "null").replace("True", "true")) == recipe
    assert "seed" not in document(recipe)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: [", "is not YAML"),
        ("- a\n- b", "is a list; write lines of field: value"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("x" * 20_001, "20,000 are allowed"),
    ],
)
def test_a_document_that_is_no_recipe_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(RecipeRefused) as refusal:
        read_document(text)
    assert words in refusal.value.sentence


def test_in_large_projects_the_preview_counts_what_a_freeze_counts(
    ben: User, bea: User, cleo: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More items than are looked at one by one: settled, sent back, answered again and open ones among them."""
    monkeypatch.setattr(previewing, "WHOLE", 100)
    monkeypatch.setattr(previewing, "SAMPLE", 100)
    project = world.make_project(overlap=2)
    items = world.fill(project, 150)
    chance = random.Random(11)
    labels = ["0", "1", "tie", "both_bad"]
    for who in (ben, bea):
        world.judge_all(project, who, chance.choices(labels, [6, 4, 1, 1], k=150))
    world.fill(project, 20, start=1000)
    Resolution.objects.create(project=project, item=items[3], label="1", person=cleo)
    Resolution.objects.create(project=project, item=items[4], label="tie", person=cleo)
    project.assignments.filter(item=items[9], slot=0).update(review=ReviewState.RETURNED)
    for values in ({}, {"min_judgments": 2}, {"ties": "both"}, {"kind": "unpaired"}, {"complete": False}):
        recipe = Recipe(**{"near_duplicates": None, **values})
        seen = preview(project=project, recipe=recipe)
        version = freeze(project=project, recipe=recipe, person=None, override="a test")
        assert not seen.exact
        assert (seen.rows, seen.dropped) == (version.rows, version.dropped), values
        assert len(seen.sample) == 20
    assert Item.objects.filter(project=project).count() == 170
