"""What a reviewer may say of a RAG answer, what follows from it, and by which categories."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from labeling.errors import Refused
from labeling.intake import ContextDraft, prompt_hash
from labeling.models import CategoryChange, ErrorCategory, Project, User
from labeling.models.appendonly import Unchangeable
from labeling.rag import taxonomy
from labeling.rag.contexts import checked_contexts
from labeling.rag.prompting import MOST_READINGS, question_of, readings, with_contexts
from labeling.rag.stages import stage_of
from labeling.rag.triad import Triad, triad
from tests import world
from tests.labeling import rag

MOON = rag.span("It was first grown on the Moon.", "evident_baseless")
SUN = rag.span("Basil needs six hours of sun.", chunks=[0])
STAGES = {
    "evident_baseless": "grounding",
    "not_retrieved": "retrieval",
    "ranked_out": "ranking",
    "gold": "gold",
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({"spans": [{"start": 5, "end": 5}]}, "Span 1 is from 5 to 5, which holds nothing"),
    "turned round": ({"spans": [{"start": 9, "end": 5}]}, "the end must be after the start"),
    "before the text": ({"spans": [{"start": -1, "end": 5}]}, "stay between 0 and 77"),
    "after the text": ({"spans": [{"start": 0, "end": 78}]}, "the answer has 77 characters"),
    "overlap": (
        {"spans": [MOON, SUN, rag.span("six hours")]},
        r"Spans 2 \(0 to 29\) and 3 \(12 to 21\) overlap",
    ),
    "category": ({"spans": [{**MOON, "category": "rude"}]}, "given for span 1 is 'rude'; choose one of"),
    "scope": (
        {"spans": [{**MOON, "category": "incomplete"}]},
        "is 'incomplete'; choose one of evident_baseless",
    ),
    "answer scope": ({"failures": [{"category": "evident_baseless"}]}, "given for the whole answer"),
    "twice": ({"failures": [{"category": "incomplete"}] * 2}, "said to be 'incomplete' twice"),
    "link": ({"spans": [{**SUN, "chunks": [2]}]}, "linked to chunk 2, and the item has 2; link to 0 to 1"),
    "link twice": ({"spans": [{**SUN, "chunks": [0, 0]}]}, "linked to the same chunk twice"),
    "severity": ({"spans": [{**MOON, "severity": 4}]}, "spans.0.severity given is 4"),
    "no offsets": ({"spans": [{"category": "evident_baseless"}]}, "spans.0.start given is nothing"),
    "relevance": ({"relevance": [2, 1, 0]}, "given for 3 chunks, and the item has 2"),
    "grade": ({"relevance": [3]}, "relevance.0 given is 3"),
    "no reason": ({"verdict": "bad"}, "called bad without a reason"),
    "supported is no reason": ({"verdict": "bad", "spans": [SUN]}, "called bad without a reason"),
    "unchanged": ({"corrected": f" {rag.TEXT}\n"}, "The corrected answer is the answer as it was"),
    "where alone": ({"missed_ref": "page 3"}, "copy its text too, or leave both empty"),
    "found after all": (
        {"missed": f" {rag.CHUNKS[1]}\n"},
        "should have been found is chunk 2; mark that chunk",
    ),
    "verdict": ({"verdict": "fine"}, "verdict given is 'fine'; say whether the answer is good or bad"),
    "shown": ({"shown": [{"start": 0, "end": 3, "source": "marked"}]}, "written by the server"),
}


@pytest.fixture
def project(db: None) -> Project:
    return rag.make()


@pytest.mark.parametrize("what", REFUSED)
def test_ben_is_told_what_does_not_fit_and_nothing_is_stored(project: Project, ben: User, what: str) -> None:
    rag.put(project)
    slot = rag.claimed(project, ben)
    values, sentence = REFUSED[what]
    with pytest.raises(Refused, match=sentence):
        world.send(slot, ben, rag.answer(**values))
    assert not project.judgments.exists()


def test_a_review_says_all_that_it_can_and_keeps_it_as_it_was_given(project: Project, ben: User) -> None:
    rag.put(project)
    given = {
        "verdict": "bad",
        "answers_question": 1,
        "relevance": [2, None],
        "spans": [{**SUN, "severity": None}, {**MOON, "severity": 3, "note": "no"}],
        "failures": [{"category": "incomplete", "severity": 1}],
        "corrected": "Six hours of sun.",
        "rationale": "The Moon has no basil.",
    }
    made = rag.review(project, ben, **given)
    made.refresh_from_db()
    assert (made.kind, made.label, made.display_order) == ("rag", "bad", [0])
    assert made.answer["relevance"] == [2, None]
    assert made.answer["spans"][1] == {**MOON, "severity": 3, "note": "no"}
    assert "shown" not in made.answer
    assert "unasked" not in made.answer


@pytest.mark.parametrize(
    "reason",
    [{"rationale": "no"}, {"corrected": "Sun."}, {"missed": "Soil."}, {"spans": [rag.span("daily")]}],
)
def test_bad_needs_one_reason_and_any_will_do(project: Project, ben: User, reason: dict[str, Any]) -> None:
    rag.put(project)
    assert rag.review(project, ben, verdict="bad", **reason).label == "bad"


def test_the_triad_is_derived_from_marks_and_links_and_says_nothing_where_nothing_was_asked() -> None:
    answer = {"relevance": [2, 1, 0, None], "spans": [SUN, MOON], "answers_question": 1}
    found = triad(answer, len(rag.TEXT), STAGES)
    assert found == Triad(0.5, pytest.approx(1 - 31 / 77), 0.5)
    assert triad({}, 0, {}) == Triad(None, None, None)
    assert triad({"unasked": ["spans"]}, 77, {}).groundedness is None
    assert triad({"spans": [rag.span("daily")]}, 77, {}).groundedness == pytest.approx(1 - 5 / 77)
    wrong_form = {"spans": [{**MOON, "category": "form"}]}
    assert triad(wrong_form, 77, {"form": "instruction"}).groundedness == 1.0


def test_a_judgment_blames_retrieval_or_generation_and_never_both() -> None:
    both = {"verdict": "bad", "spans": [MOON], "failures": [{"category": "ranked_out"}]}
    assert stage_of(both, STAGES) == "retrieval"
    assert stage_of({"spans": [MOON]}, STAGES) == "generation"
    assert stage_of({"verdict": "bad", "corrected": "x"}, STAGES) == "generation"
    assert stage_of({"verdict": "bad", "corrected": "x", "missed": "y"}, STAGES) == "retrieval"
    assert stage_of({"verdict": "bad", "failures": [{"category": "gold"}]}, STAGES) is None
    assert stage_of({"verdict": "good", "spans": [SUN]}, STAGES) is None


def test_a_prompt_holds_numbered_chunks_before_the_last_question_and_else_stays_as_it_was() -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    talk.append({"role": "user", "content": "Why?"})
    made = with_contexts(talk, ["one", " two "])
    assert made[:2] == talk[:2]
    assert made[2]["content"].endswith("[1] one\n\n[2] two\n\nQuestion: Why?")
    assert talk[2]["content"] == "Why?"
    assert with_contexts(talk, []) == talk


@pytest.mark.parametrize("question", ["Why?", "Which?\n\nQuestion: Why?", "", "[2] and\n\n[3] say what?"])
@pytest.mark.parametrize(
    "chunks", [["one", " two "], ["", "x"], ["An FAQ.\n\nQuestion: How?\n\nSo."], ["[1] a"] * 3]
)
def test_the_question_is_read_out_of_a_prompt_whatever_its_chunks_say(
    question: str, chunks: list[str]
) -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    made = with_contexts(talk, chunks)
    assert talk in readings(made)
    assert question.count("Question") or question_of(made) == talk
    assert prompt_hash(made) == prompt_hash(with_contexts(talk, ["another", *chunks]))
    assert question_of(talk) == talk
    assert question_of(with_contexts(talk[:1], chunks[:1]))[:1] == talk[:1]


def test_a_chunk_full_of_what_stands_before_questions_leaves_few_readings() -> None:
    talk = [{"role": "user", "content": "Why?"}]
    made = with_contexts(talk, ["\n\nQuestion: " * 100_000])
    assert talk in readings(made)
    assert len(readings(made)) == MOST_READINGS


@pytest.mark.parametrize(
    ("contexts", "sentence"),
    [
        ([ContextDraft("x")] * 201, "There are 201 contexts; 200 is the most"),
        ([ContextDraft("x" * 100_001)], "Context 1 has 100,001 characters"),
        ([ContextDraft("a"), ContextDraft(" ")], "Context 2 is empty"),
        ([ContextDraft("a", title="t" * 501)], "The title of context 1 has 501 characters"),
    ],
)
def test_contexts_that_are_too_much_are_refused(contexts: list[ContextDraft], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        checked_contexts(contexts)
    assert len(checked_contexts([ContextDraft("x" * 100_000)] * 200)) == 200


def test_a_project_begins_with_the_starter_categories_and_gets_them_once(project: Project) -> None:
    first = [category.key for category in taxonomy.categories_of(project)]
    assert first[:3] == ["evident_conflict", "subtle_conflict", "evident_baseless"]
    assert {"not_retrieved", "ranked_out", "over_refusal", "mislabelled_gold"} <= set(first)
    assert [category.key for category in taxonomy.categories_of(project)] == first
    assert ErrorCategory.objects.filter(project=project).count() == len(first) == 12


@pytest.mark.data_layer
def test_ada_changes_categories_and_old_keys_are_read_by_what_they_are_called_now(
    project: Project, ada: User
) -> None:
    who = {"project": project, "person": ada}
    taxonomy.rename_category(**who, key="wrong_citation", name="Cites wrongly", reason="shorter")
    taxonomy.merge_categories(**who, keys=["subtle_conflict"], into="evident_conflict")
    parts = [{"name": "Numbers"}, {"name": "Names", "stage": "other"}]
    taxonomy.split_category(**who, key="evident_conflict", into=parts, reason="too wide")
    taxonomy.retire_category(**who, key="wrong_format")
    made = taxonomy.add_category(**who, name="Rude tone", scope="span", stage="instruction")
    now = taxonomy.current(project)
    assert now["subtle_conflict"] == now["evident_conflict"] == ["numbers", "names"]
    assert now["wrong_format"] == ["wrong_format"]
    assert made.key == "rude_tone"
    living = {category.key: category for category in taxonomy.categories_of(project)}
    assert living["wrong_citation"].name == "Cites wrongly"
    assert living["numbers"].stage == "grounding"
    assert not {"subtle_conflict", "evident_conflict", "wrong_format"} & set(living)
    renamed = CategoryChange.objects.get(project=project, action="rename")
    assert (renamed.before[0]["name"], renamed.after[0]["name"]) == ("Wrong citation", "Cites wrongly")
    assert (renamed.person, renamed.reason) == (ada, "shorter")
    with pytest.raises(Unchangeable):
        CategoryChange.objects.filter(pk=renamed.pk).update(reason="other")
    with (
        pytest.raises(DatabaseError, match="never changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE labeling_categorychange SET reason = 'other'")


CHANGES: list[tuple[str, dict[str, Any], str]] = [
    ("merge", {"keys": ["incomplete"], "into": "incomplete"}, "cannot be merged into itself"),
    ("merge", {"keys": [], "into": "incomplete"}, "No category was chosen to merge"),
    ("merge", {"keys": ["incomplete"], "into": "wrong_citation"}, "merge those of one kind"),
    ("merge", {"keys": ["nothing"], "into": "incomplete"}, "There is no category 'nothing'"),
    ("split", {"key": "incomplete", "into": [{"name": "Only one"}]}, "was split into 1; give two or more"),
    (
        "split",
        {"key": "incomplete", "into": [{"name": "Same"}, {"name": "same"}]},
        "already a category 'Same'",
    ),
    ("add", {"name": "x", "key": "incomplete", "scope": "span", "stage": "other"}, "'incomplete' is taken"),
    ("add", {"name": "x", "key": "Ä!", "scope": "span", "stage": "other"}, "use small letters, digits"),
    ("add", {"name": "x", "scope": "page", "stage": "other"}, "The scope given is 'page'"),
    ("add", {"name": "x", "scope": "span", "stage": "moon"}, "The stage given is 'moon'"),
    ("add", {"name": " ", "scope": "span", "stage": "other"}, "has 0 characters; give 1 to 80"),
    ("rename", {"key": "incomplete", "name": "Over-refusal"}, "already a category 'Over-refusal'"),
    ("rename", {"key": "incomplete", "name": "Incomplete"}, "already called that"),
]


@pytest.mark.parametrize(("verb", "values", "sentence"), CHANGES)
def test_a_change_that_makes_no_sense_is_refused_whole(
    project: Project, ada: User, verb: str, values: dict[str, Any], sentence: str
) -> None:
    name = {"split": "split_category", "merge": "merge_categories"}.get(verb, f"{verb}_category")
    before = [category.key for category in taxonomy.categories_of(project)]
    with pytest.raises(Refused, match=sentence):
        getattr(taxonomy, name)(project=project, person=ada, **values)
    assert [category.key for category in taxonomy.categories_of(project)] == before
    assert not CategoryChange.objects.filter(project=project).exists()


def test_a_key_that_was_retired_is_never_given_again(project: Project, ada: User) -> None:
    taxonomy.retire_category(project=project, person=ada, key="incomplete")
    with pytest.raises(Refused, match="is retired, and answers carry it"):
        taxonomy.add_category(
            project=project, person=ada, name="Incomplete", key="incomplete", scope="answer", stage="other"
        )
    with pytest.raises(Refused, match="'Incomplete' is retired already"):
        taxonomy.retire_category(project=project, person=ada, key="incomplete")
