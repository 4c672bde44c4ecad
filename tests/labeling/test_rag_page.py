"""The page of a review as the server writes it: what it carries, what it leaves to be fetched, and plain fields."""

import pytest
from django.test import Client
from django.urls import reverse

from labeling.errors import Refused
from labeling.models import Assignment, Project, User
from labeling.preferences import ACTIONS
from labeling.rag.posting import review_values
from labeling.rag.screening import PAGE, WHOLE, readable
from tests import world
from tests.labeling import rag

HTMX = {"HX-Request": "true"}


@pytest.fixture
def project(db: None) -> Project:
    return rag.make()


def rank(client: Client, project: Project) -> str:
    return client.get(reverse("labeling:rank", args=[project.slug])).content.decode()


def chunk_of(slot: Assignment, position: int) -> str:
    return reverse("labeling:chunk", args=[slot.project.slug, slot.pk, position])


def test_a_page_carries_short_chunks_and_leaves_long_ones_to_be_fetched(project: Project, ben: User) -> None:
    rag.put(project, rag.draft(chunks=("short", "long " * (WHOLE // 5) + "END", "<i>x</i>")))
    client = world.sign_in(ben)
    page = rank(client, project)
    slot = Assignment.objects.get(person=ben)
    assert "&lt;i&gt;x&lt;/i&gt;" in page
    assert "END" not in page
    assert chunk_of(slot, 1) in page
    whole = client.get(chunk_of(slot, 1), headers=HTMX).content.decode()
    assert whole.startswith('<div class="text chunk-text" dir="auto" data-whole>long long')
    assert whole.endswith("END</div>")
    found = client.get(reverse("labeling:chunks_found", args=[project.slug, slot.pk]), {"q": "END LONG"})
    assert found.json() == {"positions": [1]}


def test_two_hundred_long_chunks_make_a_page_of_a_bounded_size(project: Project, ben: User) -> None:
    rag.put(project, rag.draft(chunks=("word " * 1_500,) * 200))
    assert PAGE < len(rank(world.sign_in(ben), project)) < 3 * PAGE


def test_bea_cannot_read_a_chunk_of_what_ben_has_open(project: Project, ben: User, bea: User) -> None:
    rag.put(project)
    slot = rag.claimed(project, ben)
    reply = world.sign_in(bea).get(chunk_of(slot, 0))
    assert (reply.status_code, rag.CHUNKS[0] in reply.content.decode()) == (409, False)
    found = world.sign_in(bea).get(reverse("labeling:chunks_found", args=[project.slug, slot.pk]), {"q": "a"})
    assert found.json() == {"positions": []}
    assert world.sign_in(ben).get(chunk_of(slot, 9)).status_code == 409


def test_an_answer_that_is_empty_says_so_and_one_without_chunks_too(project: Project, ben: User) -> None:
    rag.put(project, rag.draft(text=" \n", chunks=()))
    page = rank(world.sign_in(ben), project)
    assert "The answer is empty." in page
    assert "Nothing was retrieved for this answer." in page
    assert 'id="mark-bar"' not in page


def test_plain_fields_say_failures_and_spans_that_cannot_be_read_are_left_out_of_a_draft_only() -> None:
    plain = {"failure.incomplete": "2", "failure.incomplete.note": "soil", "failure.over_refusal": "0"}
    plain |= {"failure.ranked_out": "", "relevance.0": "1", "chunks": "3"}
    given = review_values({**plain, "spans": "[{"}, unfinished=True)
    assert "spans" not in given
    assert given["relevance"] == ["1", None, None]
    assert given["failures"] == [
        {"category": "incomplete", "severity": 2, "note": "soil"},
        {"category": "over_refusal", "severity": None, "note": ""},
    ]
    with pytest.raises(Refused, match="send a JSON list"):
        review_values({**plain, "spans": "[{"})


def test_dozens_of_empty_lines_of_a_chunk_are_shown_as_one() -> None:
    assert readable("\n\n\nA\n \n\n\t\nB\nC\n\nD\n") == "A\n\nB\nC\n\nD"


def test_every_key_of_a_review_stands_in_its_help(project: Project, ben: User) -> None:
    rag.put(project)
    page = rank(world.sign_in(ben), project)
    assert all(action.words in page for action in ACTIONS if action.kinds == ("rag",))
    keys = world.sign_in(ben).get(reverse("labeling:keys")).content.decode()
    assert "Reviewing a RAG answer" in keys


@pytest.mark.parametrize("address", ["labeling:item", "labeling:review_item"])
def test_cleo_reads_the_marks_in_the_rendered_answer(
    project: Project, ben: User, cleo: User, address: str
) -> None:
    Project.objects.filter(pk=project.pk).update(overlap=1)
    text = "Sun is **good**, $x$ too."
    (item,) = rag.put(project, rag.draft(text=text))
    rag.review(
        project,
        ben,
        verdict="bad",
        spans=[rag.span("good**, $x$", "evident_conflict", text=text, chunks=[1])],
    )
    page = world.sign_in(cleo).get(reverse(address, args=[project.slug, item.pk])).content.decode()
    assert (
        '<strong><span data-at="9"><mark data-span="1" data-sort="error">good</mark></span></strong>' in page
    )
    assert 'data-to="20" data-span="1" data-sort="error" data-number="1">' in page
    assert '<a href="#chunk-2">chunk 2</a>' in page
    assert 'id="chunk-2"' in page
