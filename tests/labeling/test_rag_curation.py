"""From a bad RAG answer to data: what each recipe makes of reviews, and that one review trains one half of a system."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from evaluation.suites import add_picked, create_suite, living
from evaluation.suites.reviewed import flagged_items
from labeling.curation import previewing, rowfile
from labeling.curation.diffing import diff
from labeling.curation.exporting import export
from labeling.curation.freezing import freeze
from labeling.curation.lineage import row_lineage
from labeling.curation.lint import Lint
from labeling.curation.previewing import preview
from labeling.curation.recipe import KINDS, Recipe
from labeling.curation.reviews import marks_of
from labeling.curation.rows import Made
from labeling.curation.subsets import freeze_subset
from labeling.errors import RecipeRefused, Refused
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft, VerdictDraft
from labeling.models import DatasetVersion, Item, Judgment, Project, Resolution, User
from labeling.rag.taxonomy import categories_of, merge_categories
from tests import world
from tests.training.runs import root_checkpoint
from training.compatibility import shape_for
from training.selecting import start_selection

pytestmark = pytest.mark.data_layer

GOOD = {"verdict": "good", "relevance": [2, 0]}
CORRECTED = {"verdict": "bad", "corrected": "It is in Utrecht.", "relevance": [2, 0]}
MISSED = {
    "verdict": "bad",
    "relevance": [2, 0],
    "failures": [{"category": "ranked_out"}],
    "corrected": "It is in Utrecht, as the parcel's page says.",
}
GENERATORS = [kind for kind in KINDS if kind != "retriever"]


@pytest.fixture
def rag(db: None) -> Project:
    project = world.make_project(task="rag")
    categories_of(project)
    return project


def reviewed(project: Project, *reviews: dict[str, Any], number: int = 1, answer: str = "In Berlin.") -> Item:
    """An item with two chunks that these people have reviewed, one each."""
    draft = ItemDraft(
        messages=[{"role": "user", "content": f"Where is parcel {number} of {number * 7}?"}],
        responses=[ResponseDraft(answer, origin="secret-model-a")],
        contexts=[ContextDraft(f"Parcel {number} is in Utrecht."), ContextDraft("Parcels are brown.")],
        verdicts=[
            VerdictDraft(person=f"reviewer {n}", kind="rag", rag=review) for n, review in enumerate(reviews)
        ],
    )
    (item,) = world.put(project, draft)
    return item


def made(project: Project, kind: str, **recipe: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    found = preview(project=project, recipe=Recipe(kind=kind, **recipe), sample=1000)  # type: ignore[arg-type]
    return found.sample, found.dropped


def rows(version: DatasetVersion) -> list[dict[str, Any]]:
    return list(rowfile.read(version.path))


def test_a_correction_is_chosen_over_the_flagged_answer_and_its_prompt_holds_the_chunks(rag: Project) -> None:
    reviewed(rag, CORRECTED)
    (row,), dropped = made(rag, "preference")
    assert (row["chosen"], row["rejected"], row["soft_label"]) == ("It is in Utrecht.", "In Berlin.", 1.0)
    assert "[1] Parcel 1 is in Utrecht." in row["prompt"][-1]["content"]
    assert row["prompt"][-1]["content"].endswith("Question: Where is parcel 1 of 7?")
    assert dropped == {}
    assert made(rag, "reward") == ([], {"no_strength": 1})


def test_good_answers_and_corrections_are_completions_and_each_answer_has_a_label(rag: Project) -> None:
    reviewed(rag, CORRECTED, number=1)
    reviewed(rag, GOOD, number=2, answer="In Utrecht.")
    sft, _ = made(rag, "sft")
    assert sorted((row["completion"], row["origin"]) for row in sft) == [
        ("In Utrecht.", "good"),
        ("It is in Utrecht.", "correction"),
    ]
    unpaired, _ = made(rag, "unpaired")
    assert {(row["completion"], row["label"]) for row in unpaired} == {
        ("It is in Utrecht.", True),
        ("In Berlin.", False),
        ("In Utrecht.", True),
    }
    assert made(rag, "preference")[1] == {"no_worse": 1}
    (text, _), _ = made(rag, "text")
    assert "Parcels are brown." in text["text"]


def test_a_failure_of_retrieval_gives_the_query_what_it_should_have_found_and_near_misses(
    rag: Project,
) -> None:
    reviewed(rag, MISSED)
    (row,), dropped = made(rag, "retriever")
    assert row["query"] == "Where is parcel 1 of 7?"
    assert (row["positives"], row["negatives"]) == (["Parcel 1 is in Utrecht."], ["Parcels are brown."])
    assert dropped == {}
    for kind in GENERATORS:
        if kind != "prompts":  # which rest on no judgment
            assert made(rag, kind) == ([], {"retrieval": 1}), kind


def test_a_passage_that_nobody_retrieved_is_what_the_retriever_should_have_found(
    rag: Project, emma: User
) -> None:
    absent = {**MISSED, "relevance": [0, 0], "missed": "Parcel 1 left Kiel.", "missed_ref": "log 4"}
    absent["failures"] = [{"category": "not_retrieved"}]
    item = reviewed(rag, absent, number=1)
    reviewed(rag, {"verdict": "bad", "missed": "Parcel 2 left Rome."}, number=2)
    found, dropped = made(rag, "retriever")
    assert sorted((row["positives"], row["negatives"], row["confidence"]) for row in found) == [
        (["Parcel 1 left Kiel."], ["Parcel 1 is in Utrecht.", "Parcels are brown."], 1.0),
        (["Parcel 2 left Rome."], [], 1.0),
    ]
    assert dropped == {}
    version = world.frozen(rag, kind="retriever", test_share=0)
    words = {said.words for number in range(2) for said in row_lineage(version, number).said}
    assert any(each.endswith("the passage that should have been found (log 4)") for each in words)
    suite = create_suite(project=rag, name="Not found", person=emma)
    add_picked(suite=suite, items=[item.pk], person=emma)
    assert living(suite)[0].gold == ["Parcel 1 left Kiel."]


def test_a_correction_differs_from_the_answer_by_its_words_alone(rag: Project) -> None:
    answer = "In Berlin.\r\nSince Monday."
    reviewed(rag, {**CORRECTED, "corrected": "In Utrecht.\nSince Monday."}, answer=answer)
    reviewed(rag, {**CORRECTED, "corrected": answer.replace("\r\n", "\n")}, number=2, answer=answer)
    (row,), dropped = made(rag, "preference")
    assert (row["chosen"], row["rejected"]) == ("In Utrecht.\r\nSince Monday.", answer)
    assert dropped == {"identical": 1}


def test_what_no_row_can_be_made_of_is_left_out_with_its_reason(rag: Project) -> None:
    reviewed(rag, {**MISSED, "relevance": [1, 0]}, number=1)
    reviewed(rag, {"verdict": "bad", "failures": [{"category": "mislabelled_gold"}]}, number=2)
    reviewed(rag, {"verdict": "bad", "rationale": "wrong"}, number=3)
    assert made(rag, "retriever") == ([], {"generation": 1, "no_positive": 1, "nobody": 1})
    assert made(rag, "sft") == ([], {"nobody": 1, "not_corrected": 1, "retrieval": 1})


def test_one_review_trains_one_half_of_the_system_whatever_the_recipe(rag: Project) -> None:
    reviewed(rag, CORRECTED, MISSED, CORRECTED, number=1)
    reviewed(rag, MISSED, MISSED, GOOD, number=2)
    reviewed(rag, MISSED, CORRECTED, number=3)
    reviewed(rag, GOOD, number=4)
    reviewed(rag, MISSED, number=5)
    retrieval = {j.pk for j in Judgment.objects.all() if j.answer.get("failures")}
    behind: dict[str, set[int | None]] = {"generator": set(), "retriever": set()}
    for kind in KINDS:
        if kind == "reward":
            continue  # reviews do not say how much better a correction is
        version = world.frozen(rag, kind=kind, min_judgments=1)
        half = "retriever" if kind == "retriever" else "generator"
        behind[half] |= set(version.entries.values_list("judgment_id", flat=True)) - {None}
    assert behind["retriever"] <= retrieval
    assert not behind["generator"] & retrieval
    assert (len(behind["retriever"]), len(behind["generator"])) == (3, 3)
    assert made(rag, "retriever")[1] == {"divided": 1, "generation": 2, "outvoted": 1}


def test_several_reviewers_decide_by_the_recipe_and_each_correction_is_a_row(rag: Project) -> None:
    other = {**CORRECTED, "corrected": "In Utrecht, since Monday."}
    reviewed(rag, CORRECTED, other, GOOD, number=1)
    reviewed(rag, CORRECTED, GOOD, number=2)
    reviewed(rag, CORRECTED, GOOD, GOOD, number=3)
    pairs, dropped = made(rag, "preference")
    assert sorted(row["chosen"] for row in pairs) == [
        "In Utrecht, since Monday.",
        *["It is in Utrecht."] * 2,
    ]
    assert dropped == {"called_good": 1}
    labels, dropped = made(rag, "unpaired", min_agreement=0.7)
    assert (len(labels), dropped) == (4, {"agreement": 2, "no_majority": 1})
    by_people, dropped = made(rag, "unpaired", aggregation="dawid_skene")
    assert [row["label"] for row in by_people] == [True] * 3  # who always says bad weighs nothing
    assert dropped == {"called_good": 4}


def test_a_settled_answer_decides_instead_of_the_votes(rag: Project, cleo: User) -> None:
    item = reviewed(rag, CORRECTED, GOOD)
    assert made(rag, "unpaired", aggregation="adjudicated")[1] == {"not_settled": 1}
    Resolution.objects.create(project=rag, item=item, person=cleo, label="good", revision=1)
    labels, dropped = made(rag, "unpaired", aggregation="adjudicated")
    assert [(row["label"], row["confidence"]) for row in labels] == [(True, 1.0)]
    assert dropped == {"called_good": 1}


@pytest.mark.parametrize("kind", ["preference", "unpaired", "retriever"])
def test_the_same_reviews_give_the_same_bytes_again_and_every_row_knows_who_said_so(
    rag: Project, kind: str
) -> None:
    for number in range(6):
        reviewed(rag, MISSED if number % 2 else CORRECTED, number=number)
    version = world.frozen(rag, kind=kind, seed=3)
    other = world.make_project("Other numbers", task="rag")
    categories_of(other)
    for number in reversed(range(6)):
        reviewed(other, MISSED if number % 2 else CORRECTED, number=number)
    again = world.frozen(other, kind=kind, seed=3)
    assert again.content_hash == version.content_hash == rowfile.content_hash(version.path)
    assert (again.path / "rows.parquet").read_bytes() == (version.path / "rows.parquet").read_bytes()
    (said,) = row_lineage(version, 0).said
    assert said.words == "called the answer bad, and corrected it"
    assert json.loads((version.path / "manifest.json").read_text())["kind"] == kind


def test_rows_of_a_retriever_are_exported_compared_and_chosen_from_like_others(
    rag: Project, tmp_path: Path
) -> None:
    for number in range(5):
        reviewed(rag, MISSED, number=number)
    version = world.frozen(rag, kind="retriever", test_share=0, near_duplicates=None)
    (line, *_) = export(version, tmp_path / "a")[0].read_text().splitlines()
    assert set(json.loads(line)) == {"query", "positives", "negatives"}
    (parquet,) = export(version, tmp_path / "b", format="parquet")
    import pyarrow.parquet as pq

    assert pq.read_table(parquet).column("positives").to_pylist()[0][0].endswith("is in Utrecht.")
    (folder,) = export(version, tmp_path / "c", format="datasets")
    from datasets import load_from_disk

    assert load_from_disk(str(folder)).num_rows == 5
    few = freeze_subset(version=version, keep=[1, 3], choice={}, person=None, override="a test")
    assert rows(few) == [rows(version)[n] for n in (1, 3)]
    assert diff(version, few).counts["removed"] == 3


def test_no_method_trains_a_retriever_and_the_page_says_what_its_rows_are_for(
    rag: Project, ada: User
) -> None:
    for number in range(3):
        reviewed(rag, MISSED, number=number)
    version = world.frozen(rag, kind="retriever", test_share=0)
    with pytest.raises(Refused, match="is for a retriever, and no method here trains one"):
        shape_for("dpo", version)
    with pytest.raises(Refused, match="Rows for a retriever are no answers of a model"):
        start_selection(version=version, checkpoint=root_checkpoint(), values={"k": 1}, person=None)
    page = world.sign_in(ada).get(reverse("labeling:dataset", args=[rag.slug, version.number]))
    assert "These rows are for the retriever of your RAG system" in page.text
    assert "Near misses" in page.text
    assert "Train on version" not in page.text


def test_the_check_finds_a_chunk_on_both_sides_and_leaves_broken_passages_alone() -> None:
    row = {
        "query": "Where?",
        "positives": ["It is in Utrecht and the"],
        "negatives": ["a", "It is in Utrecht and the"],
    }
    lint = Lint()
    lint.see([Made({**row, "split": "train"}, [], 1)])
    assert [finding.name for finding in lint.report().findings] == ["identical"]


def test_marks_of_a_chunk_need_a_majority_of_those_who_marked_it() -> None:
    said: Sequence[dict[str, Any]] = [{"relevance": [2, 0, None]}, {"relevance": [2, 1]}, {}]
    assert [mark.value for mark in marks_of(said, 3)] == [2, None, None]


def test_a_large_project_is_previewed_by_a_sample_about_right(
    rag: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        reviewed(rag, CORRECTED if number % 4 else MISSED, number=number)
    monkeypatch.setattr(previewing, "WHOLE", 10)
    monkeypatch.setattr(previewing, "SAMPLE", 20)
    found = preview(project=rag, recipe=Recipe(kind="unpaired", near_duplicates=None))
    assert not found.exact
    assert 40 <= found.rows <= 75  # 60
    assert 4 <= found.dropped["retrieval"] <= 18  # 10


def test_a_flagged_answer_becomes_a_case_and_its_prompt_is_trained_on_no_more(
    rag: Project, emma: User
) -> None:
    flagged = {**CORRECTED, "failures": [{"category": "incomplete"}, {"category": "wrong_format"}]}
    item = reviewed(rag, flagged, number=1)
    reviewed(rag, GOOD, number=2)
    merge_categories(project=rag, person=None, keys=["wrong_format"], into="incomplete")
    assert flagged_items(project=rag, person=emma) == [item.pk]
    assert made(rag, "preference", test_share=0)[0]

    page = world.sign_in(emma).post(
        reverse("evaluation:suite_pick", args=[rag.slug]), {"item": item.pk, "name": "Parcels"}
    )

    assert page.status_code == 302
    case = living(rag.suites.get())[0]
    assert case.contexts == ["Parcel 1 is in Utrecht.", "Parcels are brown."]
    assert (case.reference, case.rejected, case.tags) == ("It is in Utrecht.", "In Berlin.", ["incomplete"])
    assert case.gold == ["Parcel 1 is in Utrecht."]
    assert made(rag, "preference", test_share=0) == ([], {"no_worse": 1, "protected": 1})
    with pytest.raises(RecipeRefused, match="is used for evaluation and would be trained on: 1"):
        freeze(project=rag, recipe=Recipe(test_share=0), person=None)


def test_cases_are_picked_by_the_api_and_by_command_and_a_chunk_too_large_says_which_item(
    rag: Project, emma: User
) -> None:
    from django.core.management import call_command

    reviewed(rag, CORRECTED, number=1)
    reviewed(rag, CORRECTED, number=2)
    call_command("pick_cases", rag.slug, "Parcels", "--flagged", "--tags", "shipping")
    suite = rag.suites.get()
    assert [case.tags for case in living(suite)] == [["shipping"]] * 2
    again = world.sign_in(emma).post(
        reverse("api-suite-picks", args=[rag.slug, suite.pk]), {"flagged": True}, "application/json"
    )
    assert again.json() == {"new": 0, "unchanged": 2, "sealed": 0}
    (large,) = world.put(
        rag,
        ItemDraft(
            messages=[{"role": "user", "content": "Large?"}],
            responses=[ResponseDraft("yes")],
            contexts=[ContextDraft("x" * 99_000) for _ in range(20)],
        ),
    )
    with pytest.raises(Refused, match=f"Item {large.pk} cannot be a case: the case has"):
        add_picked(suite=suite, items=[large.pk], person=None)


def test_what_is_hidden_from_emma_tells_her_nothing_through_a_case(emma: User) -> None:
    project = world.make_project(task="rag", overlap=2)
    categories_of(project)
    item = reviewed(project, CORRECTED)
    suite = create_suite(project=project, name="Blind", person=emma)
    assert flagged_items(project=project, person=emma) == []
    add_picked(suite=suite, items=[item.pk], person=emma)
    case = living(suite)[0]
    assert (case.reference, case.rejected, case.tags, case.gold) == (None, None, [], [])
