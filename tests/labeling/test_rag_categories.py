"""The pages and the API of error categories: owners change them, everybody who reviews reads them, with history."""

import json
from typing import Any

import pytest
from django.urls import reverse

from labeling.annotating import reopen
from labeling.errors import Refused
from labeling.models import CategoryChange, Project, User
from labeling.rag.screening import Choice, ReviewScreen
from labeling.rag.taxonomy import categories_of, merge_categories, retire_category, split_category
from labeling.screen import screen
from labeling.tasks import show
from tests import world
from tests.labeling import rag


@pytest.fixture
def project(db: None) -> Project:
    return rag.make()


def where(project: Project) -> str:
    return reverse("labeling:categories", args=[project.slug])


FORMS: list[tuple[dict[str, str], str]] = [
    ({"action": "add", "name": "Too long", "scope": "answer", "stage": "instruction"}, "too_long"),
    ({"action": "rename", "key": "incomplete", "name": "Half an answer", "words": ""}, "incomplete"),
    ({"action": "merge", "key": "subtle_conflict", "into": "evident_conflict"}, "evident_conflict"),
    (
        {
            "action": "split",
            "key": "incomplete",
            "name.1": "No number\0",
            "name.2": "No name",
            "stage.2": "gold",
        },
        "no_name",
    ),
    ({"action": "retire", "key": "wrong_format"}, "over_refusal"),
]


@pytest.mark.parametrize(("sent", "living"), FORMS)
def test_ada_changes_the_categories_on_their_page_and_reads_the_change_there(
    project: Project, ada: User, sent: dict[str, str], living: str
) -> None:
    client = world.sign_in(ada)
    page = client.post(where(project), {**sent, "reason": "we argued about it"}, follow=True)
    assert page.status_code == 200
    assert "we argued about it" in page.content.decode()
    assert living in {category.key for category in categories_of(project)}
    change = CategoryChange.objects.get(project=project)
    assert (change.action, change.person) == (sent["action"], ada)


def test_a_refused_change_says_why_and_keeps_what_was_typed(project: Project, ada: User) -> None:
    sent = {"action": "add", "name": "Incomplete", "scope": "answer", "stage": "gold", "words": "my words"}
    page = world.sign_in(ada).post(where(project), sent)
    assert page.status_code == 422
    assert "There is already a category &#x27;Incomplete&#x27;" in page.content.decode()
    assert "my words" in page.content.decode()
    assert not CategoryChange.objects.exists()


def test_cleo_reads_the_categories_and_may_not_change_them(project: Project, cleo: User) -> None:
    client = world.sign_in(cleo)
    page = client.get(where(project)).content.decode()
    assert "Evident baseless information" in page
    assert 'name="action"' not in page
    assert client.post(where(project), {"action": "retire", "key": "incomplete"}).status_code == 403


def test_a_script_reads_and_changes_the_categories(project: Project, ada: User) -> None:
    client, address = world.sign_in(ada), reverse("api-categories", args=[project.slug])

    def post(body: dict[str, Any]) -> Any:
        return client.post(address, body, content_type="application/json")

    done = post(
        {"action": "merge", "keys": ["subtle_conflict", "subtle_baseless"], "into": "evident_conflict"}
    )
    assert done.status_code == 200
    found = client.get(address).json()
    assert found["current"]["subtle_baseless"] == ["evident_conflict"]
    assert found["history"][0]["person"] == "ada"
    assert {c["key"] for c in found["categories"] if c["retired_at"]} == {
        "subtle_conflict",
        "subtle_baseless",
    }
    again = post({"action": "split", "key": "incomplete", "parts": [{"name": "One"}]})
    assert (again.status_code, "give two or more" in again.json()["detail"]) == (422, True)


MOON = rag.span("It was first grown on the Moon.", "evident_baseless", severity=2)
FAILURES = [
    {"category": "incomplete", "severity": 1, "note": "no soil"},
    {"category": "wrong_format", "severity": 3, "note": "no list"},
    {"category": "over_refusal"},
]


def changed(project: Project, person: User) -> None:
    """One category merged, one retired and one split, after somebody carried them."""
    merge_categories(project=project, person=person, keys=["incomplete"], into="wrong_format")
    retire_category(project=project, person=person, key="evident_baseless")
    parts = [{"name": "Declines"}, {"name": "Evades"}]
    split_category(project=project, person=person, key="over_refusal", into=parts)


def shown(slot: Any, who: User) -> ReviewScreen:
    review = screen(task=show(assignment=slot, person=who), project=slot.project).review
    assert review is not None
    return review


def chosen(review: ReviewScreen) -> list[Choice]:
    return [choice for choice in review.answer_choices if choice.chosen]


def test_ben_goes_on_with_a_review_whose_categories_were_changed_and_loses_nothing(
    project: Project, ada: User, ben: User
) -> None:
    rag.put(project)
    rag.review(project, ben, verdict="bad", failures=FAILURES, spans=[MOON])
    changed(project, ada)
    slot = reopen(project=project, person=ben)

    review = shown(slot, ben)

    merged, kept = chosen(review)
    assert (merged.key, merged.severity, merged.note) == ("wrong_format", 3, "no soil\nno list")
    assert (kept.key, kept.offered) == ("over_refusal", False)
    assert [choice.key for choice in review.span_choices if not choice.offered] == ["evident_baseless"]
    page = world.sign_in(ben).get(reverse("labeling:undo", args=[project.slug])).text
    assert "Evident baseless information (offered no more)" in page
    assert 'data-mark="evident_baseless"' not in page
    task = show(assignment=slot, person=ben)
    assert task.draft is not None
    made = world.send(slot, ben, rag.answer(**task.draft), revises=task.revises)
    assert made.answer["spans"] == [MOON]
    assert [failure["category"] for failure in made.answer["failures"]] == ["wrong_format", "over_refusal"]


def test_a_draft_keeps_its_categories_and_nobody_else_may_choose_them(
    project: Project, ada: User, ben: User, bea: User
) -> None:
    rag.put(project, rag.draft(1), rag.draft(2))
    ours, theirs = rag.claimed(project, ben), rag.claimed(project, bea)
    world.keep_draft(ours, ben, {"failures": FAILURES, "spans": [MOON]})
    changed(project, ada)
    review = shown(rag.claimed(project, ben), ben)
    assert [choice.key for choice in chosen(review)] == ["wrong_format", "over_refusal"]
    assert json.loads(review.spans_json) == [MOON]
    assert world.send(ours, ben, rag.answer(verdict="bad", spans=[MOON])).label == "bad"
    with pytest.raises(
        Refused, match="given for span 1 is 'evident_baseless'; choose one of evident_conflict"
    ):
        world.send(theirs, bea, rag.answer(verdict="bad", spans=[MOON]))
