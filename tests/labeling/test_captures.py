"""The capture API: what is stored, what is refused and why, and that nothing is stored twice."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken

from labeling.capturing.client import Prefloop
from labeling.capturing.examples import curl_example
from labeling.capturing.reading import FIELDS
from labeling.capturing.tokens import revoke_token
from labeling.models import Capture, CaptureTally, CaptureToken, Project, User
from tests import world
from tests.labeling.captured import ADDRESS, a_capture, a_token, send, took

pytestmark = pytest.mark.data_layer


def tallies(project: Project) -> dict[str, int]:
    return dict(CaptureTally.objects.filter(project=project).values_list("outcome", "n"))


def test_a_capture_is_stored_with_all_that_was_sent(project: Project) -> None:
    token, secret = a_token(project)
    sent = a_capture(
        contexts=[
            "Parcel 1 is in Utrecht.",
            {"text": "Brown.", "title": "Boxes", "ref": "b-1", "score": 0.5},
        ],
        model="support-7b",
        thumbs="down",
        comment="No, it is not.",
        user="sha256:17",
        conversation="c-9",
        licence="CC0",
        slice="Shipping",
        tags=["NL", "shipping"],
        captured_at="2026-11-28T10:00:00+01:00",
    )
    reply = send(secret, sent, **{"Idempotency-Key": "order-17"})
    assert reply.status_code == 201, reply.text
    stored = Capture.objects.get()
    assert reply.json() == {"status": "stored", "id": stored.uid}
    assert (stored.project, stored.token, stored.key, stored.voice) == (project, token, "order-17", "bad")
    assert (stored.slice, stored.labels, stored.licence) == ("shipping", "|shipping|nl|", "CC0")
    assert (stored.n_answers, stored.n_contexts, stored.preview) == (1, 2, "Where is parcel 1?")
    assert stored.captured_at.isoformat() == "2026-11-28T09:00:00+00:00"
    assert stored.body["contexts"][1] == {"text": "Brown.", "title": "Boxes", "ref": "b-1", "score": 0.5}
    assert stored.body["comment"] == "No, it is not."
    assert len(stored.user_hash) == len(stored.body["conversation"]) == 32
    assert stored.user_hash != stored.body["conversation"]
    assert "sha256:17" not in json.dumps(stored.body)
    assert tallies(project) == {"stored": 1, "bad": 1}


def test_a_slice_has_room_in_its_column_however_its_letters_grow(project: Project) -> None:
    token, _ = a_token(project)
    (fate,) = took(token, a_capture(slice="İ" * 60, contexts=[{"page_content": "c", "id": 7}]))
    assert fate.status == "stored"
    assert len(Capture.objects.get().slice) == 60


def test_sending_it_again_stores_nothing_and_gives_the_same_id(project: Project) -> None:
    _, secret = a_token(project)
    first = send(secret, a_capture(), **{"Idempotency-Key": "k"})
    again = send(secret, a_capture(captured_at="2026-11-28T10:00:00Z"), **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {"status": "duplicate", "id": first.json()["id"]}
    assert Capture.objects.count() == 1
    assert tallies(project) == {"duplicate": 1, "stored": 1}


def test_other_content_under_a_key_that_came_before_is_refused_and_never_called_a_duplicate(
    project: Project,
) -> None:
    _, secret = a_token(project)
    assert send(secret, a_capture(), **{"Idempotency-Key": "k"}).status_code == 201
    vote = send(secret, a_capture(thumbs="down"), **{"Idempotency-Key": "k"})
    assert vote.status_code == 422
    assert "The key 'k' came before with other content, so nothing of this is stored" in vote.json()["detail"]
    keyed = [
        a_capture(n, idempotency_key=key) for n, key in ((1, "k"), (2, "k"), (3, "n"), (4, "n"), (3, "n"))
    ]
    found = send(secret, {"captures": keyed}).json()
    fates = [result["status"] for result in found["results"]]
    assert fates == ["duplicate", "refused", "stored", "refused", "duplicate"]
    assert Capture.objects.count() == 2
    assert tallies(project) == {"stored": 2, "refused": 3, "duplicate": 2}


def test_what_came_before_hashes_were_kept_is_still_a_duplicate(project: Project) -> None:
    token, _ = a_token(project)
    took(token, a_capture(idempotency_key="k"))
    stored = Capture.objects.get()
    del stored.body["sent"]
    stored.save()
    assert [fate.status for fate in took(token, a_capture(2, idempotency_key="k"))] == ["duplicate"]


def test_a_bad_capture_costs_its_neighbours_nothing_and_is_told_why(project: Project) -> None:
    _, secret = a_token(project)
    bad = {
        "no prompt": (a_capture(prompt=None), "Prompt is missing"),
        "a null": ({**a_capture(), "prompt": None}, "Prompt is missing"),
        "no answer": (a_capture(answer=None), "Give either answer, or answers"),
        "both": (a_capture(answers=["a"]), "Give either answer, or answers"),
        "no object": ("text", "It is a str; a capture is an object"),
        "a typing error": (a_capture(thumb="down"), "'thumb' is no field of a capture"),
        "a vote of another kind": (a_capture(thumbs="meh"), "Thumbs is 'meh'; use up or down"),
        "a choice that is not there": (a_capture(chosen=1), "Chosen is '1'; give the place of an answer"),
        "a NUL": (a_capture(answer="a\0b"), "A text holds a NUL character"),
        "a NUL in a tag": (a_capture(tags=["a\0"]), "A text holds a NUL character"),
        "half a pair": (a_capture(prompt="\ud800?"), "A text holds half of a surrogate pair"),
        "a long chunk": (a_capture(contexts=["x" * 100_001]), "Context 1 has 100,001 characters"),
        "too many chunks": (a_capture(contexts=["x"] * 201), "There are 201 contexts; 200 is the most"),
        "an empty chunk": (a_capture(contexts=[" "]), "Context 1 is empty"),
        "a score beyond all numbers": (
            a_capture(contexts=[{"text": "c", "score": 10**400}]),
            "The score of context 1 is '1000",
        ),
        "a number as answer": (a_capture(answer=7), "An answer is a int; give a text"),
        "a role": (a_capture(prompt=[{"role": "king", "content": "?"}]), "Message 1 of prompt has the role"),
        "a time to come": (a_capture(captured_at="2999-01-01T00:00:00Z"), "Captured_at is '2999"),
        "no time": (a_capture(captured_at="yesterday"), "Captured_at is 'yesterday'; write it as in"),
    }
    values = [a_capture(0), *(value for value, _ in bad.values()), a_capture(1)]
    reply = send(secret, {"captures": values})
    assert reply.status_code == 200
    found = reply.json()
    assert (found["stored"], found["refused"], found["duplicate"]) == (2, len(bad), 0)
    for name, result in zip(bad, found["results"][1:-1], strict=True):
        assert result["status"] == "refused", name
        assert bad[name][1] in result["detail"], (name, result)
    assert Capture.objects.count() == 2
    assert tallies(project) == {"refused": len(bad), "stored": 2}


def test_what_is_no_body_is_refused_as_a_whole(project: Project) -> None:
    _, secret = a_token(project)
    for body, words in (
        (b"{", "The body is not JSON"),
        (b"\xff", "The body is not JSON"),
        (b"[" * 100_000, "The body is not JSON"),
        ([], "The body is a list"),
        (None, "The body is a NoneType"),
        ({"captures": []}, "captures must be a list with at least one"),
        ({"captures": None}, "captures must be a list with at least one"),
        ({"captures": [a_capture()] * 1001}, "1,001 captures were sent; up to 1,000"),
    ):
        reply = send(secret, body)
        assert (reply.status_code, words in reply.json()["detail"]) == (422, True), (body, reply.text)
    assert not Capture.objects.exists()


def test_a_body_above_the_limit_is_413_and_one_just_below_is_stored(project: Project) -> None:
    _, secret = a_token(project)
    reply = send(secret, a_capture(contexts=["x" * 100_000] * 200))
    assert reply.status_code == 413
    assert "The body has more than 5,000,000 bytes; send fewer captures at once" in reply.json()["detail"]
    assert send(secret, a_capture(contexts=["x" * 24_000] * 200)).status_code == 201
    assert Capture.objects.get().n_contexts == 200


def test_without_consent_nothing_is_stored_but_a_count(project: Project) -> None:
    _, secret = a_token(project)
    for consent in (False, None, "yes"):
        reply = send(secret, {**a_capture(), "consent": consent})
        assert reply.status_code == 422
        assert "so nothing of it is stored; send consent: true" in reply.json()["detail"]
    assert not Capture.objects.exists()
    assert tallies(project) == {"no_consent": 3}


MAIL = "ada@example.org"
PERSONAL: dict[str, Any] = {
    "prompt": f"I am {MAIL}",
    "contexts": [{"text": MAIL, "title": MAIL, "ref": f"crm/{MAIL}"}, {"text": "c", "id": MAIL}],
    "answer": MAIL,
    "answers": [MAIL, {"text": MAIL, "model": MAIL}],
    "model": MAIL,
    "comment": MAIL,
    "user": MAIL,
    "conversation": MAIL,
    "licence": MAIL,
    "slice": MAIL,
    "tags": [MAIL, f"of {MAIL}"],
    "idempotency_key": f"mail:{MAIL}",
}
NO_TEXTS = {"thumbs", "chosen", "consent", "captured_at"}


@pytest.mark.parametrize("field", [name for name in FIELDS if name not in NO_TEXTS])
def test_personal_data_in_any_field_is_gone_before_anything_is_written(project: Project, field: str) -> None:
    """The table must name every field that can be sent, and every column that is written is looked at."""
    token, _ = a_token(project)
    usual = {"idempotency_key": "k"} | ({"answer": None} if field == "answers" else {})
    first, again = (took(token, a_capture(**{**usual, field: PERSONAL[field]}))[0] for _ in range(2))
    assert (first.status, again.status) == ("stored", "duplicate"), first
    (columns,) = Capture.objects.values()
    assert [name for name, value in columns.items() if "example.org" in str(value)] == []
    assert (columns["scrubbed"] == 0) is (field in ("user", "conversation")), "those are hashed"


def test_the_marks_fit_the_columns_and_the_preview(project: Project) -> None:
    token, _ = a_token(project)
    short = "a@b.co " * 17
    took(token, a_capture(prompt=PERSONAL["prompt"], model=short, licence=short[:98], tags=[short[:55]]))
    stored = Capture.objects.get()
    assert stored.preview == "I am [EMAIL]"
    assert (len(stored.model), len(stored.licence), stored.labels.count("[email]")) == (120, 100, 7)


def test_a_token_opens_one_address_and_nothing_else_does(project: Project, ada: User) -> None:
    token, secret = a_token(project)
    _, knox = AuthToken.objects.create(user=ada)
    assert "No capture token was sent" in Client().post(ADDRESS, {}).json()["detail"]
    for other in (knox, "pfc_guess", "", "pfc_\xe9"):
        reply = send(other, a_capture())
        assert (reply.status_code, reply["WWW-Authenticate"]) == (401, "Bearer"), other
    assert world.sign_in(ada).post(ADDRESS, a_capture(), "application/json").status_code == 401
    elsewhere = f"/api/v1/projects/{project.slug}/datasets/"
    for scheme in ("Bearer", "Token"):
        reply = Client().get(elsewhere, headers={"Authorization": f"{scheme} {secret}"})
        assert reply.status_code == 401
    assert secret not in str(CaptureToken.objects.values())
    revoke_token(project=project, token_id=token.pk, person=ada)
    reply = send(secret, a_capture())
    assert reply.status_code == 401
    assert "The token 'web shop' was revoked on" in reply.json()["detail"]
    assert not Capture.objects.exists()


def test_a_flood_is_stopped_with_429_until_the_minute_is_over(project: Project) -> None:
    token, secret = a_token(project, per_minute=3)
    many = {"captures": [a_capture(n) for n in range(2)]}
    assert send(secret, many).status_code == 200
    stopped = send(secret, many)
    assert stopped.status_code == 429
    assert 1 <= int(stopped["Retry-After"]) <= 60
    assert "may send 3 captures a minute and has sent them" in stopped.json()["detail"]
    assert send(secret, a_capture(9)).status_code == 201
    assert send(secret, b"not even read").status_code == 429
    assert Capture.objects.count() == 3
    assert tallies(project)["limited"] == 2
    CaptureToken.objects.filter(pk=token.pk).update(window=int(timezone.now().timestamp()) // 60 - 1)
    assert send(secret, a_capture(10)).status_code == 201
    too_many = send(secret, {"captures": [a_capture(n) for n in range(4)]})
    assert (too_many.status_code, "send fewer at once" in too_many.text) == (422, True)


@pytest.mark.django_db(transaction=True)
def test_the_same_batch_sent_by_eight_at_once_is_stored_once() -> None:
    project = world.make_project()
    token, _ = a_token(project)
    values = [a_capture(n, idempotency_key=f"k{n}") for n in range(20)]
    fates = world.together([lambda n=n: took(token, *values[n:], *values[:n]) for n in range(8)])
    stored = [fate.id for each in fates for fate in each if fate.status == "stored"]
    assert len(stored) == len(set(stored)) == Capture.objects.count() == 20
    assert {fate.id for each in fates for fate in each} == set(stored)
    assert tallies(project) == {"stored": 20, "duplicate": 140}


def test_a_batch_costs_as_many_statements_as_one_capture(project: Project) -> None:
    token, _ = a_token(project)
    with CaptureQueriesContext(connection) as one:
        took(token, a_capture(0))
    with CaptureQueriesContext(connection) as many:
        took(token, *(a_capture(n) for n in range(1, 201)))
    assert len(one) == len(many)


@pytest.mark.django_db(transaction=True)
def test_the_client_and_the_command_on_the_page_reach_a_server(live_server: Any, tmp_path: Path) -> None:
    project = world.make_project()
    _, secret = a_token(project)
    refused: list[str] = []
    client = Prefloop(live_server.url, secret, refused=lambda capture, why: refused.append(why))
    for n in range(5):
        client.capture(**a_capture(n, thumbs="up"))
    client.capture(**a_capture(8, consent=False))
    assert (client.close(), Capture.objects.count()) == (0, 5)
    assert [why.split(";")[0] for why in refused] == ["Consent is refused, so nothing of it is stored"]

    command = curl_example(f"{live_server.url}{ADDRESS}", secret)
    said = subprocess.run(
        ["/bin/sh", "-c", f"{command} --silent --fail-with-body"], capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout)["status"] == "stored"
    assert Capture.objects.get(key__startswith="answer-").voice == "bad"
