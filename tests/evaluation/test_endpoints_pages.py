"""The pages and the API of endpoints: owners only, and never a key."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from evaluation.endpoints import EndpointDraft, add_endpoint
from evaluation.models import Endpoint
from labeling.models import Project, User
from tests import world

FORM = {
    "name": "Gateway",
    "url": "https://api.example.com/v1",
    "model": "some-model",
    "key_variable": "PREFLOOP_ENDPOINT_KEY_GATEWAY",
    "price_in": "0.5",
    "price_out": "1.5",
}


def client(name: str) -> Client:
    return world.sign_in(world.person(name))


@pytest.fixture
def endpoint(project: Project, ada: User) -> Endpoint:
    draft = EndpointDraft("Gateway", FORM["url"], "some-model", FORM["key_variable"], 60, 0.5, 1.5)
    return add_endpoint(project=project, draft=draft, person=ada)


def test_only_owners_get_in(project: Project, endpoint: Endpoint) -> None:
    pages: dict[str, list[Any]] = {
        "endpoints": [project.slug],
        "endpoint_new": [project.slug],
        "endpoint": [project.slug, endpoint.pk],
    }
    for name, args in pages.items():
        there = reverse(f"evaluation:{name}", args=args)
        assert client("mallory").get(there).status_code == 404
        assert client("ada").get(there).status_code == 200
        for who in ("ben", "cleo", "emma", "leo"):
            assert client(who).get(there).status_code == 403
            assert client(who).post(there, FORM).status_code == 403
    away = reverse("evaluation:endpoint_archive", args=[project.slug, endpoint.pk])
    assert client("emma").post(away).status_code == 403
    assert client("mallory").post(away).status_code == 404


def test_ada_adds_changes_and_puts_away_an_endpoint(project: Project) -> None:
    ada = client("ada")
    answer = ada.post(reverse("evaluation:endpoint_new", args=[project.slug]), FORM, follow=True)
    assert "Gateway can be asked from now on." in answer.content.decode()
    made = Endpoint.objects.get()
    ada.post(reverse("evaluation:endpoint", args=[project.slug, made.pk]), {**FORM, "model": "newer"})
    away = reverse("evaluation:endpoint_archive", args=[project.slug, made.pk])
    page = ada.post(away, follow=True).content.decode()
    assert "Put away" in page
    assert "Bring back" in page
    assert "No endpoint yet" in page
    ada.post(away, {"undo": "1"})
    made.refresh_from_db()
    assert (made.model, made.archived_at) == ("newer", None)


def test_the_page_says_whether_the_key_is_there_and_never_what_it_is(
    project: Project, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFLOOP_ENDPOINT_KEY_GATEWAY", "very secret")
    for name, args in (("endpoints", [project.slug]), ("endpoint", [project.slug, endpoint.pk])):
        page = client("ada").get(reverse(f"evaluation:{name}", args=args)).content.decode()
        assert "set in this process" in page
        assert "very secret" not in page
    monkeypatch.delenv("PREFLOOP_ENDPOINT_KEY_GATEWAY")
    page = client("ada").get(reverse("evaluation:endpoints", args=[project.slug])).content.decode()
    assert "not set in this process" in page


def test_ada_talks_to_it_to_see_whether_it_answers(project: Project, endpoint: Endpoint) -> None:
    begin = f"{reverse('evaluation:playground', args=[project.slug])}?endpoint={endpoint.pk}"
    for name, args in (("endpoints", []), ("endpoint", [endpoint.pk])):
        assert begin in client("ada").get(reverse(f"evaluation:{name}", args=[project.slug, *args])).text
    assert client("ada").get(begin).context["form"]["first"].value() == f"endpoint:{endpoint.pk}"
    Endpoint.objects.update(archived_at=endpoint.created_at)
    assert (
        begin not in client("ada").get(reverse("evaluation:endpoint", args=[project.slug, endpoint.pk])).text
    )


def test_what_is_wrong_stands_in_the_form(project: Project) -> None:
    there = reverse("evaluation:endpoint_new", args=[project.slug])
    for changes, words in (
        ({"key_variable": "sk-abc123"}, "never the key itself"),
        ({"url": "ftp://x"}, "give one such as https"),
        ({"price_in": "cheap"}, "Enter a number"),
    ):
        answer = client("ada").post(there, {**FORM, **changes})
        assert answer.status_code == 422
        assert words in answer.content.decode()
    assert not Endpoint.objects.exists()


def test_the_api_is_for_owners_too(project: Project, endpoint: Endpoint) -> None:
    place, ada = f"/api/v1/projects/{project.slug}/endpoints/", client("ada")
    assert ada.get(place).json()["results"][0]["model"] == "some-model"
    body = {**FORM, "name": "Second", "price_in": 1, "price_out": 2}
    made = ada.post(place, body, content_type="application/json")
    assert made.status_code == 201, made.content
    one = f"{place}{made.json()['id']}/"
    changed = ada.patch(one, {"model": "m2", "archived": True}, content_type="application/json").json()
    assert changed["model"] == "m2"
    assert changed["archived_at"]
    wrong = ada.patch(one, {"key_variable": "HOME"}, content_type="application/json")
    assert wrong.status_code == 422
    assert "begins with PREFLOOP_ENDPOINT_KEY_" in wrong.json()["detail"]
    for who, code in (("mallory", 404), ("emma", 403), ("ben", 403)):
        assert client(who).get(place).status_code == code
        assert client(who).post(place, body, content_type="application/json").status_code == code
        assert client(who).patch(one, {}, content_type="application/json").status_code == code
