"""Real reviews of others come in whole: their counts and their agreement are those that their sources name."""

import ast
import csv
import gzip
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from labeling import measuring
from labeling.exporting_judgments import stream_judgments
from labeling.importing import inspector
from labeling.importing.quotes import Quote, find, placed
from labeling.models import CategoryChange, Chunk, Item, Judgment, Project, Response
from labeling.rag.candidates import sentences, unsupported
from labeling.rag.taxonomy import all_categories
from tests import world
from tests.labeling import rag
from tests.world import SHARED_DATA

needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason=f"real data sets are not at {SHARED_DATA}"
)
HALU = SHARED_DATA / "haluquestqa" / "HaluQuestQA.part.tsv"
MTRAG = SHARED_DATA / "mtrag-human-eval" / "reference_subset_with_human_evaluations.part.json"
RAGTRUTH = SHARED_DATA / "ragtruth" / "response.part.jsonl"
SUMMEDITS = SHARED_DATA / "summedits" / "summedits_sales_email.json.gz"
SCALES = ("faithfulness", "appropriateness", "completeness", "naturalness")


def came_in(project: Project, path: Path, **options: Any) -> None:
    batch = world.import_file(project, path.read_bytes(), path.name, **options)
    assert list(batch.row_errors.values_list("line", "reason")[:5]) == []
    assert batch.status == "succeeded"


def spans_of(project: Project) -> list[tuple[str, dict[str, Any]]]:
    """Each mark with the words of the stored answer that it holds."""
    texts = dict(Item.objects.filter(project=project).values_list("pk", "responses__text"))
    given = Judgment.objects.filter(project=project).values_list("item_id", "answer__spans")
    return [(texts[item][s["start"] : s["end"]], s) for item, spans in given for s in spans or []]


def alpha(units: list[list[int]], distance: dict[tuple[int, int], Fraction]) -> float:
    """Krippendorff's alpha by its definition, over all pairs of values, in exact fractions."""
    units = [unit for unit in units if len(unit) > 1]
    n, totals = sum(map(len, units)), Counter(value for unit in units for value in unit)
    observed = sum(Fraction(sum(distance[a, b] for a in unit for b in unit), len(unit) - 1) for unit in units)
    expected = sum(
        distance[a, b] * totals[a] * (totals[b] - (a == b)) for a in totals for b in totals
    ) * Fraction(1, n - 1)
    return float(1 - observed / expected)


def ordinal(units: list[list[int]]) -> dict[tuple[int, int], Fraction]:
    """Distances of ranks: how many values lie between two, their own counted half."""
    totals = Counter(value for unit in units if len(unit) > 1 for value in unit)
    found = {}
    for a in totals:
        for b in totals:
            low, high = min(a, b), max(a, b)
            between = sum(totals[value] for value in totals if low <= value <= high)
            found[a, b] = (between - Fraction(totals[a] + totals[b], 2)) ** 2 if a != b else Fraction(0)
    return found


@needs_shared_data
def test_mtrag_comes_in_with_passages_and_the_agreement_of_its_people(db: None) -> None:
    project = rag.make("MTRAG")
    came_in(project, MTRAG)
    assert (project.items.count(), project.judgments.count()) == (240, 711)
    assert Counter(Judgment.objects.filter(project=project).values_list("label", flat=True)) == {
        "good": 572,
        "bad": 139,
    }
    report = json.loads(MTRAG.read_bytes())
    task = report["tasks"][0]
    item = Item.objects.filter(project=project, source_ref__endswith=task["task_id"]).first()
    assert item is not None
    texts = {document["document_id"]: document["text"] for document in report["documents"]}
    assert [chunk.text for chunk in Chunk.objects.filter(item=item)] == [
        texts[context["document_id"]] for context in task["contexts"]
    ]
    units: dict[Any, list[int]] = {}
    for evaluation in report["evaluations"]:
        people: dict[str, list[int]] = {}
        for scale in ("faithfulness", "appropriateness", "completeness"):
            for who, entry in evaluation["annotations"][scale].items():
                people.setdefault(who, []).append(int(entry["value"]))
        key = evaluation["task_id"], evaluation["model_id"]
        units[key] = [int(min(values) >= 3) for values in people.values()]
    nominal = {(a, b): Fraction(int(a != b)) for a in (0, 1) for b in (0, 1)}
    found = measuring.measure(project).estimate("alpha")
    assert found is not None
    assert found.value == pytest.approx(alpha(list(units.values()), nominal), abs=1e-9)
    assert found.value == pytest.approx(0.365976, abs=1e-6)
    assert found.n == 240


@needs_shared_data
def test_a_foreign_sentence_in_a_real_answer_is_proposed_and_few_others_are() -> None:
    """DECISIONS 44: on MTRAG's answers, each with a sentence of another conversation put at its end."""
    with MTRAG.open("rb") as file:
        drafts = [inspector.review(row) for _, row in inspector.rows(file, MTRAG.name)]
    given = [draft for draft in drafts if draft.contexts and len(draft.responses[0].text) > 40]
    found = flagged = total = 0
    for number, draft in enumerate(given):
        text, foreign = draft.responses[0].text, given[(number + len(given) // 2) % len(given)]
        claim = max(
            (foreign.responses[0].text[a:b] for a, b in sentences(foreign.responses[0].text)), key=len
        )
        chunks = [context.text for context in draft.contexts]
        proposed = unsupported(f"{text}\n{claim}", chunks)
        found += (len(text) + 1, len(text) + 1 + len(claim)) in proposed
        flagged += sum(end <= len(text) for _, end in proposed)
        total += len(list(sentences(text)))
    assert len(given) > 200
    assert found / len(given) >= 0.9
    assert flagged / total <= 0.1


@needs_shared_data
def test_of_summaries_that_experts_turned_round_twice_as_many_are_proposed_as_by_words_alone() -> None:
    """DECISIONS 44: on SummEdits' e-mails; of 64 with a "not" put in or taken out, words alone show 14."""
    with gzip.open(SUMMEDITS) as file:
        rows = json.load(file)
    turned = [row for row in rows if "negation_insertion_removal" in (row["edit_types"] or [])]
    right = [row for row in rows if row["label"] == 1]
    assert (len(turned), len(right)) == (64, 179)
    assert sum(bool(unsupported(row["summary"], [row["doc"]])) for row in turned) == 28
    assert sum(bool(unsupported(row["summary"], [row["doc"]])) for row in right) == 2


@needs_shared_data
def test_the_same_file_gives_a_project_of_ratings_their_scales(db: None) -> None:
    scales = [{"key": scale, "words": scale, "low": 1, "high": 4} for scale in SCALES]
    project = world.make_project("Ratings", task="rating", attributes=scales)
    came_in(project, MTRAG, format="inspector")
    report, found = json.loads(MTRAG.read_bytes()), measuring.measure(project)
    for scale, figure in zip(SCALES, (0.450325, 0.060232, 0.171838, 0.169868), strict=True):
        units = [
            [int(entry["value"]) for entry in evaluation["annotations"][scale].values()]
            for evaluation in report["evaluations"]
        ]
        estimate = found.estimate(f"alpha_ordinal.{scale}")
        assert estimate is not None
        assert estimate.value == pytest.approx(figure, abs=1e-6)
        assert estimate.value == pytest.approx(alpha(units, ordinal(units)), abs=1e-9)


@needs_shared_data
def test_haluquestqa_comes_in_with_every_span_placed_or_kept_as_words(db: None) -> None:
    with HALU.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    counted: Counter[str] = Counter()
    verbatim = folded = 0
    for row in rows:
        everything = "\n".join((row["question_text"], row["ans1_text"], row["ans2_text"]))
        for aspect in (
            "factuality",
            "irrelevance",
            "incomplete_ans",
            "ques_misconception",
            "reference_example",
        ):
            for quote in ast.literal_eval(row[f"{aspect}_span"] or "[]"):
                counted[aspect] += 1
                verbatim += quote in everything
                folded += quote.casefold() in everything.casefold()
    assert (len(rows), sum(counted.values())) == (349, 908)  # of 698 and 1,834
    project = rag.make("HaluQuestQA")
    came_in(project, HALU)
    assert (project.items.count(), project.judgments.count()) == (698, 698)
    assert (
        Judgment.objects.filter(project=project, label="good", item__responses__origin="model").count() == 276
    )
    items = Item.objects.filter(project=project).values_list("extra", flat=True)
    how = sum((Counter(extra.get("matched", {})) for extra in items), Counter[str]())
    praised = sum(len(extra.get("helpful_references", [])) for extra in items)
    assert sum(how.values()) + praised + counted["ques_misconception"] == 908
    assert how == {"exact": 379, "case": 201, "fuzzy": 11, "overlap": 31, "none": 45}
    marks = spans_of(project)
    assert len(marks) == how["exact"] + how["case"] + how["fuzzy"]
    assert verbatim + 300 < 908  # most quotes differ in a capital at least: matching is no formality
    assert folded > verbatim
    keys = {category.key: category.scope for category in all_categories(project)}
    assert keys["factuality"] == "span"
    assert keys["incomplete_passage_unplaced"] == "answer"
    came = (
        CategoryChange.objects.filter(project=project).values_list("action", "reason").order_by().distinct()
    )
    assert list(came) == [("add", "Came with imported reviews.")]


@needs_shared_data
def test_haluquestqa_gives_a_project_of_comparisons_its_preferences(project: Project) -> None:
    came_in(project, HALU, format="haluquestqa")
    preferred = Judgment.objects.filter(project=project).values_list("label", "item_id")
    rows = Response.objects.filter(item__project=project).values_list("item_id", "position", "origin")
    origins = {(item, str(position)): origin for item, position, origin in rows}
    assert Counter(origins[item, label] for label, item in preferred) == {"model": 276, "human": 73}


@needs_shared_data
def test_ragtruth_comes_in_with_each_span_on_its_words(db: None) -> None:
    project = rag.make("RAGTruth")
    came_in(project, RAGTRUTH)
    assert (project.items.count(), project.judgments.filter(label="bad").count()) == (225, 107)
    labels = [label for line in RAGTRUTH.read_text().splitlines() for label in json.loads(line)["labels"]]
    assert len(labels) == 171
    words = Counter(label["text"] for label in labels)
    marks = spans_of(project)
    assert len(marks) == 167  # four overlap another and are kept as errors of the whole answer
    assert not Counter(text for text, _ in marks) - words
    kept = project.judgments.filter(answer__has_key="failures").values_list("answer__failures", flat=True)
    assert sum(failure["note"].count("“") for failures in kept for failure in failures) == 4


@needs_shared_data
def test_refchecker_comes_in_with_its_claims_counted(db: None) -> None:
    counts: Counter[str] = Counter()
    placed_or_kept: Counter[str] = Counter()
    marks = 0
    for path in sorted((SHARED_DATA / "refchecker").glob("*.json")):
        project = rag.make(path.stem)
        came_in(project, path)
        assert project.items.count() == 100
        for extra in project.items.values_list("extra", flat=True):
            counts.update(extra["claims"])
            placed_or_kept.update(extra.get("matched", {}))
        marks += len(spans_of(project))
    assert counts == {"Entailment": 3350, "Neutral": 368, "Contradiction": 276}
    assert sum(placed_or_kept.values()) == 368 + 276
    assert marks == 644 - placed_or_kept["none"] - placed_or_kept["overlap"] == 115


SOURCES = {
    "qa": {"question": "Who?", "passages": "passage 1:Ada did.\n\npassage 2:Ben did not.\n\n"},
    "summary": "A long article.",
    "data2txt": {"name": "Café", "hours": {"Monday": "8-17"}, "review_info": [{"review_text": "Nice."}]},
}


def test_ragtruth_responses_find_their_sources_in_the_same_file_whichever_comes_first(db: None) -> None:
    responses = [
        {"id": n, "source_id": key, "response": f"Answer {n}.", "labels": [], "model": "m"}
        for n, key in enumerate([*SOURCES, "missing"])
    ]
    sources = [{"source_id": key, "source_info": info, "prompt": f"P {key}"} for key, info in SOURCES.items()]
    project = rag.make("Sources")
    other = {"source_id": "qa", "source_info": "of another tool", "prompt": "Mine?", "responses": ["Yes."]}
    batch = world.import_file(project, world.json_lines(*responses[:2], *sources, *responses[2:], other))
    assert (batch.new, batch.refused) == (5, 0)
    found = {
        item.messages[0]["content"]: [chunk.text for chunk in item.chunks.all()]
        for item in project.items.all()
    }
    assert found["Who?"] == ["Ada did.", "Ben did not."]
    assert found["P summary"] == ["A long article."]
    assert [text[:1] for text in found["P data2txt"]] == ["{", "N"]
    assert found["(The prompt of source missing did not come with this response.)"] == []


BAD: list[tuple[dict[str, Any], str]] = [
    ({"id": 1, "source_id": 2, "response": "x", "labels": [{"label_type": "Typo"}]}, "label_type is 'typo'"),
    (
        {"response": "x", "gpt_response_kg": [{"triplet": ["a"], "human_label": "Maybe"}]},
        "claim 1 is 'Maybe'",
    ),
    (
        {
            "question_text": "q",
            "ans1_text": "a",
            "ans2_text": "b",
            "ans_preference": "Both",
            "ans1_label": "",
        },
        "it must be Answer 1 or Answer 2",
    ),
    (
        {
            "question_text": "q",
            "ans1_text": "a",
            "ans2_text": "b",
            "ans_preference": "Answer 1",
            "factuality_span": "['a'",
        },
        "it must be a list as Python writes it",
    ),
    ({"prompt": "q", "responses": ["a", "b"]}, "there are 2 responses; a review is of 1 answer"),
    ({"prompt": "q", "responses": ["a"], "contexts": ["c"] * 201}, "there are 201 contexts"),
    ({"prompt": "q", "responses": ["a"], "contexts": [3]}, "context 1 is neither a text nor an object"),
    (
        {
            "prompt": "q",
            "responses": ["abc"],
            "verdicts": [
                {"person": "b", "kind": "rag", "rag": {"verdict": "bad", "spans": [{"start": 1, "end": 9}]}}
            ],
        },
        "b's review does not fit: Span 1 is from 1 to 9",
    ),
    (
        {
            "prompt": "q",
            "responses": ["a"],
            "verdicts": [{"person": "b", "kind": "rag", "rag": {"verdict": 3}}],
        },
        "b's review cannot be read: verdict",
    ),
]


def test_rows_that_are_no_reviews_are_refused_one_by_one_with_their_lines(db: None) -> None:
    project = rag.make("Bad rows")
    good = {"prompt": "q", "responses": ["fine"], "contexts": [{"text": "c", "score": 0.5}]}
    batch = world.import_file(project, world.json_lines(good, *(row for row, _ in BAD)))
    assert (batch.new, batch.refused) == (1, len(BAD))
    errors = dict(batch.row_errors.values_list("line", "reason"))
    for line, (_, reason) in enumerate(BAD, start=2):
        assert reason in errors[line]
    assert Chunk.objects.get(item__project=project).score == 0.5


def test_a_report_without_its_parts_is_refused_as_a_whole(db: None) -> None:
    project = rag.make("Broken report")
    broken = {"name": "x", "filters": [], "models": [], "metrics": [], "documents": [], "tasks": []}
    batch = world.import_file(project, json.dumps(broken).encode(), "report.json")
    assert (batch.status, "has no list of evaluations" in batch.error) == ("failed", True)


def test_quotes_are_found_as_they_are_then_by_case_then_by_likeness_and_else_kept() -> None:
    text = "The cat sat on the mat. The cat ate. Straße 5 is near the old harbour of Bergen."
    quotes = [
        "The cat",
        "THE MAT.",
        "The cat",
        "near an old harbour of Bergen",
        "a dog flew off",
        "cat ate",
        "",
    ]
    found = placed(text, [Quote(quote, "k", note="why") for quote in quotes])
    assert found.how == {"exact": 2, "case": 1, "fuzzy": 1, "none": 2, "overlap": 1}
    words = [text[span["start"] : span["end"]] for span in found.spans]
    assert words == ["The cat", "the mat.", "The cat", "near the old harbour of Bergen"]
    assert found.failures == [{"category": "k_unplaced", "note": "“a dog flew off”: why\n“cat ate”: why\n“”"}]
    assert list(find("STRASSE 5", "Straße 5")) == []


def test_what_came_in_goes_out_and_in_again_as_it_was(db: None) -> None:
    row = {"id": 1, "source_id": 2, "response": "Sun and Moon.", "labels": []}
    row["labels"] = [{"start": 8, "end": 12, "text": "Moon", "label_type": "Subtle Conflict", "meta": "no"}]
    first, second = rag.make("First"), rag.make("Second")
    world.import_file(first, world.json_lines(row), format="ragtruth")
    content = b"".join(stream_judgments(project=first))
    world.import_file(second, content)
    assert b"".join(stream_judgments(project=second)) == content
