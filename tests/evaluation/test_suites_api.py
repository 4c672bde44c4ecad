"""Suites from programs: the REST API and the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from evaluation.models import Suite
from evaluation.suites import living, seal
from labeling.models import Project, User
from tests import world
from tests.evaluation.suites import filled, first
from tests.training.runs import judged_version
from tests.world import json_lines

SUITES = "/api/v1/projects/helpfulness/suites/"


def post(client: Client, address: str, body: Any) -> Any:
    return client.post(address, json.dumps(body), content_type="application/json")


def test_emma_makes_a_suite_adds_cases_and_freezes_it(project: Project, emma: User) -> None:
    client = world.sign_in(emma)
    made = post(
        client, SUITES, {"name": "Mine", "scoring": [{"name": "exact", "scorer": "exact", "weight": 1}]}
    )
    assert made.status_code == 201
    address = f"{SUITES}{made.json()['id']}/"
    rows = [{"prompt": "Why?", "reference": "So."}, {"reference": "no prompt"}, {"id": 7, "prompt": "How?"}]
    put = post(client, f"{address}cases/", {"cases": rows}).json()
    assert (put["new"], put["refused"], put["row_errors"][0]["line"]) == (2, 1, 2)
    assert post(client, f"{address}cases/", {"cases": rows[:1]}).json()["unchanged"] == 1
    frozen = post(client, f"{address}freeze/", {"note": "the first"}).json()
    assert (frozen["number"], frozen["cases"], frozen["note"]) == (1, 2, "the first")
    assert client.get(address).json()["versions"][0]["content_hash"] == frozen["content_hash"]
    cases = client.get(f"{address}cases/").json()["results"]
    assert [case["id"] for case in cases][1] == "7"
    assert cases[0]["reference"] == "So."


def test_a_split_becomes_a_suite(project: Project, emma: User) -> None:
    version = judged_version(project)
    made = post(world.sign_in(emma), SUITES, {"dataset_version": version.number})
    assert made.status_code == 201
    assert made.json()["dataset_version"] == version.number
    assert made.json()["versions"][0]["frozen_at"]


def test_refusals_are_sentences(project: Project, emma: User) -> None:
    client, suite = world.sign_in(emma), filled(project, 1)
    assert "The name has 0 letters" in post(client, SUITES, {}).json()["detail"]
    many = post(client, f"{SUITES}{suite.pk}/cases/", {"cases": [{}] * 1001})
    assert many.status_code == 422
    assert "1,001 cases were sent; up to 1,000" in many.json()["detail"]
    empty = post(client, f"{SUITES}{Suite.objects.create(project=project, name='E').pk}/freeze/", {})
    assert "E has no case yet" in empty.json()["detail"]


def test_sealed_cases_are_listed_for_owners_only(project: Project, emma: User, ada: User) -> None:
    suite = filled(project, 2)
    seal(suite=suite, uids=["q0"], person=ada)
    address = f"{SUITES}{suite.pk}/cases/"
    counts = [len(world.sign_in(who).get(address).json()["results"]) for who in (emma, ada)]
    assert counts == [1, 2]


def test_mallory_and_cleo_change_nothing(project: Project, cleo: User, mallory: User) -> None:
    suite = filled(project, 1)
    assert world.sign_in(mallory).get(SUITES).status_code == 404
    assert world.sign_in(cleo).get(SUITES).status_code == 200
    for address, body in ((SUITES, {"name": "x"}), (f"{SUITES}{suite.pk}/cases/", {"cases": []})):
        assert post(world.sign_in(cleo), address, body).status_code == 403


def test_the_command_makes_the_suite_and_prints_what_was_refused(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(json_lines({"prompt": "Why?"}, {"no": "prompt"}))
    with pytest.raises(CommandError, match="There is no suite 'Mine' in this project; add --create"):
        call_command("import_suite", "helpfulness", str(file), suite="Mine", skip_checks=True)
    call_command("import_suite", "helpfulness", str(file), suite="Mine", create=True, json=True)
    told = capsys.readouterr().out
    assert "Mine: 1 new, 0 changed, 0 unchanged, 1 refused" in told
    assert json.loads(told.splitlines()[-1])["errors"][0]["line"] == 2
    assert living(Suite.objects.get()).count() == 1
    with pytest.raises(CommandError, match=r"missing\.jsonl is no file"):
        call_command("import_suite", "helpfulness", str(tmp_path / "missing.jsonl"), suite="Mine")
    assert first(Suite.objects.get()).source == "cases.jsonl:1"
