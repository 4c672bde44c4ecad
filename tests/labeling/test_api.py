"""The REST API: the whole way from a token to a frozen version, and the same refusals as on the pages."""

import base64
import io
import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from labeling.curation.freezes import run_freeze
from labeling.importing.batches import run_import
from labeling.models import Assignment, DatasetVersion, Freeze, ImportBatch, Judgment, Project, User
from tests import world


def token_of(who: User) -> str:
    """Exchange a password for a token, as a script does."""
    who.set_password(world.PASSWORD)
    who.save()
    basic = base64.b64encode(f"{who.username}:{world.PASSWORD}".encode()).decode()
    reply = Client().post(reverse("api-tokens"), headers={"authorization": f"Basic {basic}"})
    assert reply.status_code == 201
    return str(reply.json()["token"])


def api(who: User) -> Client:
    return Client(headers={"authorization": f"Token {token_of(who)}"})


def url(name: str, project: Project, *args: Any) -> str:
    return reverse(name, args=[project.slug, *args])


def send(client: Client, project: Project, content: bytes, **fields: Any) -> Any:
    return client.post(
        url("api-imports", project), {"file": SimpleUploadedFile("rows.jsonl", content), **fields}
    )


def test_emma_goes_from_a_file_to_a_frozen_version_by_api(project: Project, emma: User) -> None:
    client = api(emma)
    sent = send(client, project, world.json_lines(*[world.good_row(n) for n in range(6)], {"bad": 1}))
    assert (sent.status_code, sent.json()["status"]) == (202, "queued")
    run_import(ImportBatch.objects.get(pk=sent.json()["id"]))
    report = client.get(url("api-import", project, sent.json()["id"])).json()
    assert (report["new"], report["refused"], report["row_errors"][0]["line"]) == (6, 1, 7)
    while (task := client.post(url("api-next", project))).status_code == 200:
        body = {"token": task.json()["token"], "client_key": task.json()["client_key"], "verdict": "first"}
        stored = client.post(
            url("api-submit", project, task.json()["assignment_id"]), body, content_type="application/json"
        )
        assert stored.status_code == 201
    assert task.status_code == 204
    asked = client.post(
        url("api-datasets", project), {"recipe": {"test_share": 0}}, content_type="application/json"
    )
    assert (asked.status_code, asked.json()["status"]) == (202, "queued")
    run_freeze(Freeze.objects.get(pk=asked.json()["id"]))
    ended = client.get(url("api-freeze", project, asked.json()["id"])).json()
    assert (ended["status"], ended["version"]) == ("succeeded", 1)
    (listed,) = client.get(url("api-datasets", project)).json()["results"]
    assert listed["splits"]["train"]["rows"] == 6
    assert listed["recipe"]["test_share"] == 0


def test_an_answer_sent_twice_by_api_is_one_judgment(project: Project, ben: User) -> None:
    world.fill(project, 1)
    client = api(ben)
    task = client.post(url("api-next", project)).json()
    body = {"token": task["token"], "client_key": str(uuid.uuid4()), "verdict": "tie", "active_ms": 5}
    replies = [
        client.post(url("api-submit", project, task["assignment_id"]), body, content_type="application/json")
        for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
    assert Judgment.objects.count() == 1


def test_a_lease_that_went_to_bea_answers_409_with_a_sentence(project: Project, ben: User, bea: User) -> None:
    world.fill(project, 1)
    task = api(ben).post(url("api-next", project)).json()
    Assignment.objects.update(expires_at="2000-01-01T00:00Z")
    api(bea).post(url("api-next", project))
    body = {"token": task["token"], "client_key": str(uuid.uuid4()), "verdict": "tie"}
    reply = api(ben).post(
        url("api-submit", project, task["assignment_id"]), body, content_type="application/json"
    )
    assert reply.status_code == 409
    assert "somebody else took it" in reply.json()["detail"]


BAD_BODIES: list[tuple[str, str, str, int]] = [
    ("no verdict", "submit", '{"token": "x"}', 400),
    ("not json", "submit", "{", 400),
    ("a list", "submit", "[1]", 400),
    ("a recipe out of bounds", "datasets", '{"recipe": {"test_share": 5}}', 422),
    ("a recipe that is a text", "datasets", '{"recipe": "x"}', 422),
    ("a body that is a list", "datasets", "[1]", 422),
    ("a recipe with an unknown field", "datasets", '{"recipe": {"colour": "red"}}', 422),
    ("an unknown method", "runs", '{"method": "magic", "dataset_version": 1, "start": "x"}', 400),
    ("a version that is not there", "runs", '{"method": "sft", "dataset_version": 9, "start": "x"}', 404),
    ("no checkpoints", "evaluations", '{"dataset_version": 9, "checkpoints": []}', 404),
]


@pytest.mark.parametrize(("name", "route", "body", "code"), BAD_BODIES, ids=[name for name, *_ in BAD_BODIES])
def test_what_cannot_be_read_is_refused_with_a_sentence_and_changes_nothing(
    project: Project, emma: User, name: str, route: str, body: str, code: int
) -> None:
    world.fill(project, 1)
    slots = [project.assignments.get().pk] if route == "submit" else []
    reply = api(emma).post(url(f"api-{route}", project, *slots), body, content_type="application/json")
    assert reply.status_code == code, reply.text
    assert len(reply.text) > 20
    assert Judgment.objects.count() == DatasetVersion.objects.count() == 0


def test_a_file_above_the_limit_is_refused_by_api_as_on_the_page(
    project: Project, emma: User, settings: Any
) -> None:
    settings.PREFLOOP_MAX_UPLOAD_MB = 0
    reply = send(api(emma), project, world.json_lines(world.good_row(1)))
    page = world.sign_in(emma).post(
        reverse("labeling:imports", args=[project.slug]),
        {"file": SimpleUploadedFile("rows.jsonl", b"{}"), "format": "auto"},
    )
    assert (reply.status_code, page.status_code) == (422, 422)
    assert "up to 0 MB" in reply.text
    assert "up to 0 MB" in page.text
    assert ImportBatch.objects.count() == 0


def test_emma_imports_a_file_on_the_page_and_reads_its_report(project: Project, emma: User) -> None:
    client = world.sign_in(emma)
    content = world.json_lines(world.good_row(1), {"bad": 1})
    page = client.post(
        reverse("labeling:imports", args=[project.slug]),
        {"file": io.BytesIO(content), "format": "auto", "licence": "MIT"},
        follow=True,
    )
    run_import(ImportBatch.objects.get())
    report = client.get(page.request["PATH_INFO"])
    assert "fit no known format" in report.text
    assert project.items.get().licence == "MIT"


def test_a_wrong_password_or_a_made_up_token_gets_401(project: Project, ben: User) -> None:
    wrong = base64.b64encode(b"ben:wrong").decode()
    assert (
        Client().post(reverse("api-tokens"), headers={"authorization": f"Basic {wrong}"}).status_code == 401
    )
    made_up = Client(headers={"authorization": "Token 0123456789abcdef"})
    assert made_up.post(url("api-next", project)).status_code == 401


def test_a_token_is_stored_as_a_hash_and_gone_when_revoked(project: Project, ben: User) -> None:
    token = token_of(ben)
    client = Client(headers={"authorization": f"Token {token}"})
    stored = " ".join(str(value) for row in AuthToken.objects.values() for value in row.values())
    assert token not in stored
    assert client.post(url("api-next", project)).status_code == 204
    assert client.post(reverse("api-token-revoke")).status_code == 204
    assert client.post(url("api-next", project)).status_code == 401


def test_ben_makes_and_revokes_a_token_on_his_page_and_sees_it_once(ben: User, mallory: User) -> None:
    client, address = world.sign_in(ben), reverse("labeling:tokens")
    token = client.post(address).context["new_token"]
    assert token not in client.get(address).text
    key = AuthToken.objects.get(user=ben).token_key
    world.sign_in(mallory).post(address, {"revoke": key})
    assert AuthToken.objects.count() == 1
    client.post(address, {"revoke": key})
    assert AuthToken.objects.count() == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_openapi_schema_is_complete(tmp_path: Any) -> None:
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(tmp_path / "schema.yml"))
    schema = (tmp_path / "schema.yml").read_text()
    assert "/api/v1/projects/{slug}/next/" in schema
    assert "knoxApiToken" in schema
