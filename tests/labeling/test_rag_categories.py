"""The pages and the API of error categories: owners change them, everybody who reviews reads them, with history."""

from typing import Any

import pytest
from django.urls import reverse

from labeling.models import CategoryChange, Project, User
from labeling.rag.taxonomy import categories_of
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
