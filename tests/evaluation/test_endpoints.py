"""Endpoints: what is stored of a model elsewhere, and what never is."""

from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings

from evaluation.endpoints import (
    EndpointDraft,
    add_endpoint,
    archive_endpoint,
    change_endpoint,
    find_endpoint,
    key_is_set,
)
from evaluation.models import Endpoint
from labeling.errors import Refused
from labeling.models import Project, User

GOOD = EndpointDraft(
    name="Gateway",
    url="https://api.example.com/v1",
    model="some-model",
    key_variable="PREFLOOP_ENDPOINT_KEY_GATEWAY",
    requests_per_minute=60,
    price_in=0.5,
    price_out=1.5,
)


def draft(**changes: Any) -> EndpointDraft:
    return replace(GOOD, **changes)


def test_ada_adds_an_endpoint_and_the_name_of_its_key_is_all_that_is_kept(
    project: Project, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PREFLOOP_ENDPOINT_KEYS", {"PREFLOOP_ENDPOINT_KEY_GATEWAY"})
    endpoint = add_endpoint(project=project, draft=GOOD, person=ada)
    assert (endpoint.created_by, endpoint.price_out, endpoint.requests_per_minute) == (ada, 1.5, 60)
    assert "very secret" not in str(Endpoint.objects.values())
    assert key_is_set(endpoint) is True
    monkeypatch.setattr(settings, "PREFLOOP_ENDPOINT_KEYS", frozenset())
    assert key_is_set(endpoint) is False


def test_an_endpoint_on_our_own_machine_needs_no_key_and_no_price(project: Project, ada: User) -> None:
    endpoint = add_endpoint(
        project=project, draft=EndpointDraft("Local", "http://127.0.0.1:8000/v1", "m"), person=ada
    )
    assert key_is_set(endpoint) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "ftp://files.example.com"}, "give one such as https"),
        ({"url": "file:///etc/passwd"}, "give one such as https"),
        ({"url": "https://"}, "give one such as https"),
        ({"url": "http://[::1"}, "give one such as https"),
        ({"url": "http://host:port/v1"}, "give one such as https"),
        ({"url": "https://me:secret@api.example.com/v1"}, "more than a server and a path"),
        ({"url": "https://api.example.com/v1?key=abc"}, "more than a server and a path"),
        ({"key_variable": "OPENAI_API_KEY"}, "begins with PREFLOOP_ENDPOINT_KEY_"),
        ({"key_variable": "PREFLOOP_SECRET_KEY"}, "begins with PREFLOOP_ENDPOINT_KEY_"),
        ({"key_variable": "PREFLOOP_ENDPOINT_KEY_"}, "begins with PREFLOOP_ENDPOINT_KEY_"),
        ({"name": " "}, "The name has 0 characters"),
        ({"model": "m" * 201}, "The model has 201 characters"),
        ({"requests_per_minute": 0}, "0 requests a minute cannot be"),
        ({"price_in": -1.0}, "The price of a prompt is -1.0"),
        ({"price_out": float("nan")}, "The price of an answer is nan"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(
    project: Project, ada: User, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        add_endpoint(project=project, draft=draft(**changes), person=ada)
    assert not Endpoint.objects.exists()


def test_ada_changes_the_model_and_the_rest_stays(project: Project, ada: User) -> None:
    endpoint = add_endpoint(project=project, draft=GOOD, person=ada)
    change_endpoint(endpoint=endpoint, changes={"model": "newer-model", "price_in": None})
    endpoint.refresh_from_db()
    assert (endpoint.model, endpoint.price_in, endpoint.price_out) == ("newer-model", None, 1.5)
    with pytest.raises(Refused, match="give one such as https"):
        change_endpoint(endpoint=endpoint, changes={"url": "nowhere"})


def test_a_name_is_given_once(project: Project, ada: User) -> None:
    add_endpoint(project=project, draft=GOOD, person=ada)
    other = add_endpoint(project=project, draft=draft(name="Other"), person=ada)
    with pytest.raises(Refused, match="There is an endpoint named Gateway"):
        add_endpoint(project=project, draft=GOOD, person=ada)
    with pytest.raises(Refused, match="There is an endpoint named Gateway"):
        change_endpoint(endpoint=other, changes={"name": "Gateway"})


def test_an_endpoint_that_was_put_away_is_not_found_for_new_work(project: Project, ada: User) -> None:
    endpoint = add_endpoint(project=project, draft=GOOD, person=ada)
    assert find_endpoint(project=project, name="Gateway") == endpoint
    assert find_endpoint(project=project, name=str(endpoint.pk)) == endpoint
    archive_endpoint(endpoint=endpoint)
    with pytest.raises(Refused, match="Known: none yet"):
        find_endpoint(project=project, name="Gateway")
    archive_endpoint(endpoint=endpoint, archived=False)
    assert find_endpoint(project=project, name="Gateway") == endpoint
