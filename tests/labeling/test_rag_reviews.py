"""A review of a RAG answer goes the way of every judgment: claimed, drafted, submitted, changed, checked, exported."""

import json
import uuid
from typing import Any

import pytest
from django.urls import reverse

from labeling import measuring
from labeling.annotating import reopen
from labeling.errors import Refused, StaleLease
from labeling.exporting_judgments import stream_judgments
from labeling.gold import known_results, mark_gold
from labeling.intake import ItemDraft
from labeling.models import Chunk, Item, Judgment, Project, Purpose, Task, User
from labeling.queue import claim_next
from labeling.rag.taxonomy import merge_categories
from labeling.repeats import repeated_by_person
from labeling.reviewing import resolve
from labeling.screen import screen
from labeling.sides import sides_of
from labeling.tasks import show
from tests import world
from tests.labeling import rag

MOON = rag.span("It was first grown on the Moon.", "evident_baseless", severity=2)
HOSTILE = "<script>alert(1)</script><b>bold</b>"


@pytest.fixture
def project(db: None) -> Project:
    return rag.make()


def form(slot: Any, **fields: str) -> dict[str, str]:
    return {"token": str(slot.token), "client_key": str(uuid.uuid4()), **fields}


def test_ben_sees_chunks_and_categories_and_nothing_of_where_the_answer_is_from(
    project: Project, ben: User
) -> None:
    rag.put(project)
    task = show(assignment=rag.claimed(project, ben), person=ben)
    assert [(chunk.position, chunk.title, chunk.text) for chunk in task.chunks] == [
        (0, "Page 0", rag.CHUNKS[0]),
        (1, "Page 1", rag.CHUNKS[1]),
    ]
    assert {category.scope for category in task.categories} == {"span", "answer"}
    assert task.candidates == []
    assert "secret-model" not in str(task)
    assert "doc-0" not in str(task)


def test_bens_form_becomes_a_review(project: Project, ben: User) -> None:
    rag.put(project)
    slot = rag.claimed(project, ben)
    fields = {
        "verdict": "bad",
        "answers_question": "1",
        "relevance.1": "0",
        "spans": json.dumps([MOON]),
        "failure.incomplete": "0",
        "corrected": "Six hours.\r\nOf sun.",
        "missed": " Basil is from Asia.\r\n",
        "missed_ref": "herbs, page 3",
    }
    address = reverse("labeling:submit", args=[project.slug, slot.pk])
    assert world.sign_in(ben).post(address, form(slot, **fields)).status_code == 200
    (made,) = project.judgments.all()
    assert made.answer["relevance"] == [None, 0]
    assert made.answer["spans"] == [MOON]
    assert made.answer["failures"] == [{"category": "incomplete"}]
    assert made.answer["corrected"] == "Six hours.\nOf sun."
    assert made.answer["answers_question"] == 1
    assert (made.answer["missed"], made.answer["missed_ref"]) == ("Basil is from Asia.", "herbs, page 3")


def test_line_ends_that_a_form_changes_are_no_correction_and_stay_those_of_the_answer(
    project: Project, ben: User
) -> None:
    rag.put(project, rag.draft(text="Line one.\r\nLine two."))
    slot, client = rag.claimed(project, ben), world.sign_in(ben)
    address = reverse("labeling:submit", args=[project.slug, slot.pk])
    page = client.post(address, form(slot, verdict="bad", corrected="Line one.\r\nLine two.\r\n"))
    assert (page.status_code, "The corrected answer is the answer as it was" in page.text) == (422, True)
    assert (
        client.post(address, form(slot, verdict="bad", corrected="Line 1.\r\nLine two.")).status_code == 200
    )
    assert project.judgments.get().answer["corrected"] == "Line 1.\r\nLine two."


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ({"spans": "[{"}, "send a JSON list"),
        ({"spans": "{}"}, "send a JSON list"),
        ({}, "without a reason"),
    ],
)
def test_what_was_refused_comes_back_as_it_was_filled_in(
    project: Project, ben: User, field: dict[str, str], sentence: str
) -> None:
    rag.put(project)
    slot = rag.claimed(project, ben)
    address = reverse("labeling:submit", args=[project.slug, slot.pk])
    sent = form(slot, verdict="bad", answers_question="2", **{"relevance.0": "2"}, **field)
    page = world.sign_in(ben).post(address, sent)
    assert page.status_code == 422
    assert sentence in page.content.decode()
    shown = screen(task=show(assignment=rag.claimed(project, ben), person=ben), project=project).review
    assert shown is not None
    assert (shown.verdict, shown.answers_question, shown.chunks[0].grade) == ("bad", 2, 2)


def test_a_draft_is_kept_and_shown_again_however_odd_it_is(project: Project, ben: User) -> None:
    rag.put(project)
    slot = rag.claimed(project, ben)
    odd = [MOON, {"start": 5, "end": 999}, {"start": "x"}, 7]
    world.keep_draft(slot, ben, {"spans": odd, "relevance": [9, 1], "failures": [{"category": "incomplete"}]})
    shown = screen(task=show(assignment=rag.claimed(project, ben), person=ben), project=project).review
    assert shown is not None
    assert shown.spans == [MOON]
    assert [chunk.grade for chunk in shown.chunks] == [None, 1]
    assert [choice.key for choice in shown.answer_choices if choice.chosen] == ["incomplete"]


def test_ben_undoes_his_review_and_the_second_one_counts(project: Project, ben: User) -> None:
    rag.put(project)
    rag.review(project, ben, answers_question=0)
    again = reopen(project=project, person=ben)
    task = show(assignment=again, person=ben)
    assert task.draft == {"verdict": "good", "answers_question": 0}
    made = world.send(again, ben, rag.answer(verdict="bad", spans=[MOON]), revises=task.revises)
    assert (made.revision, made.label) == (2, "bad")


def test_a_second_tab_that_is_late_keeps_its_review_as_a_draft(project: Project, ben: User) -> None:
    rag.put(project)
    slot = rag.claimed(project, ben)
    world.send(slot, ben, rag.answer())
    with pytest.raises(StaleLease):
        world.send(slot, ben, rag.answer(verdict="bad", rationale="no"))
    assert project.judgments.get().label == "good"


def test_an_api_client_gets_the_chunks_and_sends_a_review(project: Project, ben: User) -> None:
    rag.put(project)
    client = world.sign_in(ben)
    task = client.post(reverse("api-next", args=[project.slug])).json()
    assert [chunk["text"] for chunk in task["chunks"]] == list(rag.CHUNKS)
    assert "origin" not in json.dumps(task)
    address = reverse("api-submit", args=[project.slug, task["assignment_id"]])
    body = {name: task[name] for name in ("token", "client_key")}
    wrong = client.post(address, {**body, "verdict": "bad"}, content_type="application/json")
    assert (wrong.status_code, "without a reason" in wrong.json()["detail"]) == (422, True)
    right = {**body, "verdict": "bad", "spans": [MOON], "relevance": [2, None]}
    assert client.post(address, right, content_type="application/json").status_code == 201
    assert project.judgments.get().answer["spans"] == [MOON]


def test_known_answers_and_repeats_check_people_by_their_verdict(
    project: Project, ben: User, cleo: User
) -> None:
    items = rag.put(project, *(rag.draft(n) for n in range(30)))
    with pytest.raises(Refused, match="choose good or bad"):
        mark_gold(project=project, item_id=items[0].pk, person=cleo, label="0")
    mark_gold(project=project, item_id=items[0].pk, person=cleo, label="bad")
    Project.objects.filter(pk=project.pk).update(gold_share=0.5)
    project.refresh_from_db()
    while (slot := claim_next(project=project, person=ben)) is not None:
        world.send(slot, ben, rag.answer())
        if slot.purpose == Purpose.GOLD:
            break
    (known,) = known_results(project)
    assert (known.answered, known.right) == (1, 0)
    Project.objects.filter(pk=project.pk).update(gold_share=0, repeat_share=0.2, repeat_after=1)
    more = rag.put(project, *(rag.draft(n) for n in range(40, 70)))
    project.refresh_from_db()
    for _ in more:
        slot = claim_next(project=project, person=ben)
        if slot is not None:
            world.send(slot, ben, rag.answer())
    assert set(repeated_by_person(project)[ben.pk]) == {1.0}


@pytest.mark.data_layer
def test_cleo_reads_marks_by_what_categories_are_called_now_and_settles_the_item(
    project: Project, ben: User, bea: User, cleo: User
) -> None:
    Project.objects.filter(pk=project.pk).update(overlap=2)
    project.refresh_from_db()
    (item,) = rag.put(project)
    rag.review(project, ben, verdict="bad", spans=[MOON], relevance=[2, 0], corrected="Sun.")
    rag.review(project, bea)
    merge_categories(project=project, person=cleo, keys=["evident_baseless"], into="subtle_baseless")
    resolve(project=project, item_id=item.pk, person=cleo, label="bad")
    found = sides_of(project=project, item=item, reader=None)
    assert found.differ
    assert found.settled_words == "Bad"
    review = next(side.review for side in found.sides if side.person == "ben")
    assert review is not None
    assert review.spans[0].words == "Subtle baseless information (was Evident baseless information)"
    assert review.spans[0].text == "It was first grown on the Moon."
    assert review.blamed.startswith("generation")


@pytest.mark.parametrize("address", ["labeling:item", "labeling:review_item"])
def test_cleo_sees_hostile_chunks_and_notes_as_the_text_they_are(
    project: Project, ben: User, cleo: User, address: str
) -> None:
    Project.objects.filter(pk=project.pk).update(overlap=1)
    (item,) = rag.put(project, rag.draft(chunks=(HOSTILE,), text=f"Sun. {HOSTILE}"))
    note = {"start": 5, "end": 5 + len(HOSTILE), "category": "evident_baseless", "note": HOSTILE}
    rag.review(
        project, ben, verdict="bad", spans=[note], corrected=HOSTILE, missed=f"{HOSTILE}.", missed_ref=HOSTILE
    )
    page = world.sign_in(cleo).get(reverse(address, args=[project.slug, item.pk])).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert HOSTILE not in page
    assert "<script>alert" not in page


def test_two_hundred_chunks_and_one_of_100_kb_are_stored_and_shown_in_a_few_queries(
    project: Project, ben: User, django_assert_max_num_queries: Any
) -> None:
    (item,) = rag.put(project, rag.draft(chunks=("x" * 100_000, *(f"chunk {n}" for n in range(199)))))
    assert Chunk.objects.filter(item=item).count() == 200
    slot = rag.claimed(project, ben)
    with django_assert_max_num_queries(6):
        task = show(assignment=slot, person=ben)
    assert (len(task.chunks), len(task.chunks[0].text)) == (200, 100_000)
    marks = [2, *[0] * 198, 1]
    assert world.send(slot, ben, rag.answer(relevance=marks)).answer["relevance"] == marks


def test_an_empty_answer_is_reviewed_as_a_whole(project: Project, ben: User) -> None:
    rag.put(project, rag.draft(text=""))
    slot = rag.claimed(project, ben)
    with pytest.raises(Refused, match="the answer has 0 characters"):
        world.send(slot, ben, rag.answer(spans=[{"start": 0, "end": 1}]))
    made = world.send(slot, ben, rag.answer(verdict="bad", failures=[{"category": "over_refusal"}]))
    assert made.label == "bad"


@pytest.mark.data_layer
def test_what_is_exported_is_read_back_as_it_was_with_its_chunks(project: Project, ben: User) -> None:
    rag.put(project, rag.draft(source_ref="a:1"))
    rag.review(project, ben, verdict="bad", spans=[MOON], relevance=[1], missed="Soil.", missed_ref="b:2")
    content = b"".join(stream_judgments(project=project))
    other = rag.make("Other")
    batch = world.import_file(other, content)
    assert (batch.new, batch.refused) == (1, 0)
    assert b"".join(stream_judgments(project=other)) == content
    assert Item.objects.get(project=other).content_hash == Item.objects.get(project=project).content_hash
    line = b"".join(stream_judgments(project=project, format="csv")).decode()
    assert "evident_baseless" in line


def test_chunks_are_part_of_what_an_item_is_and_earlier_hashes_stay(db: None) -> None:
    plain = world.draft(1)
    assert plain.content_hash == ItemDraft(plain.messages, plain.responses).content_hash
    assert rag.draft(1).content_hash != rag.draft(1, chunks=()).content_hash


def test_personal_data_is_scrubbed_and_marks_stay_on_their_words(db: None) -> None:
    text = "Write to jo@example.com or ask. It was on the Moon."
    row = {
        "messages": [{"role": "user", "content": "Whom?"}],
        "responses": [text],
        "contexts": ["jo@example.com knows."],
        "verdicts": [
            {
                "person": "jo",
                "kind": "rag",
                "rag": {
                    "verdict": "bad",
                    "spans": [
                        rag.span("jo@example.com", "evident_baseless", text=text),
                        rag.span("It was on the Moon.", "evident_conflict", text=text),
                    ],
                    "shown": [{"start": 32, "end": 51, "source": "lexical"}],
                    "missed": "Or jo@example.com.",
                },
            }
        ],
    }
    project = rag.make("Scrubbed")
    batch = world.import_file(project, world.json_lines(row), scrub=True)
    assert list(batch.row_errors.values_list("reason", flat=True)) == []
    answer = Item.objects.get(project=project).responses.get().text
    given = Judgment.objects.get(project=project).answer
    words = [answer[span["start"] : span["end"]] for span in (*given["spans"], *given["shown"])]
    assert words == ["[EMAIL]", "It was on the Moon.", "It was on the Moon."]
    assert given["missed"] == "Or [EMAIL]."
    assert "example.com" not in Chunk.objects.get(item__project=project).text


@pytest.mark.data_layer
def test_quality_measures_verdicts_chunks_and_marks(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(overlap=2)
    project.refresh_from_db()
    rag.put(project, *(rag.draft(n) for n in range(30)))
    for name in ("ben", "bea"):
        who = world.person(name)
        for n in range(30):
            differs = name == "bea" and n % 5 == 0
            bad = (n % 2 == 0) != differs
            spans = [MOON] if bad else []
            verdict = "bad" if bad else "good"
            rag.review(project, who, verdict=verdict, spans=spans, relevance=[2 - n % 3, differs + 0])
    found = measuring.measure(project)
    keys = [one.key for one in found.statistics]
    assert keys[:2] == ["alpha", "fleiss"]
    assert not {"left", "longer"} & set(keys)
    assert found.differing == 6
    for key in ("alpha", "alpha_relevance", "alpha_marked", "f1_marked", "agrees"):
        assert found.estimate(key) is not None, key
    assert {pair.a for pair in found.pairs} | {pair.b for pair in found.pairs} == {"ben", "bea"}
    page = world.sign_in(world.person("ada")).get(reverse("labeling:quality", args=[project.slug]))
    assert "First shown wins" not in page.content.decode()


def test_ada_sets_a_review_project_up_and_switches_the_second_pass_on(ada: User) -> None:
    client = world.sign_in(ada)
    client.post(reverse("labeling:project_new"), {"name": "Answers", "template": "rag", "overlap": 2})
    project = Project.objects.get(slug="answers")
    assert (project.task, project.two_pass) == (Task.RAG, False)
    page = client.get(reverse("labeling:project_preview", args=[project.slug]))
    assert "Standing water rots its roots." in page.content.decode()
    page = client.get(reverse("labeling:setup", args=[project.slug])).content.decode()
    assert reverse("labeling:categories", args=[project.slug]) in page
    assert 'name="two_pass"' in page
