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


def test_cases_are_picked_by_their_numbers_by_the_api_and_by_command(
    project: Project, emma: User, capsys: pytest.CaptureFixture[str]
) -> None:
    client, suite = world.sign_in(emma), filled(project, 3)
    listed = client.get(f"{SUITES}{suite.pk}/cases/").json()["results"]
    target = filled(project, 0, name="Regressions")
    address = f"{SUITES}{target.pk}/picks/"
    picked = post(client, address, {"cases": [each["case"] for each in listed[:2]], "tags": ["hard"]})
    assert picked.json() == {"new": 2, "unchanged": 0, "sealed": 0}
    call_command("pick_cases", "helpfulness", "Regressions", "--case", str(listed[2]["case"]))
    assert "Regressions: 1 new, 0 there already" in capsys.readouterr().out
    assert [(case.uid, case.tags) for case in living(target).order_by("position")] == [
        ("q0", ["hard"]), ("q1", ["hard"]), ("q2", []),
    ]  # fmt: skip
    assert "Nothing was picked" in post(client, address, {}).json()["detail"]
    long = post(client, address, {"cases": [listed[0]["case"]], "tags": [f"tag {n}" for n in range(21)]})
    assert "There are 21 tags; a case has up to 20." in long.json()["detail"]


def test_refusals_are_sentences(project: Project, emma: User) -> None:
    client, suite = world.sign_in(emma), filled(project, 1)
    assert "The name has 0 letters" in post(client, SUITES, {}).json()["detail"]
    many = post(client, f"{SUITES}{suite.pk}/cases/", {"cases": [{}] * 1001})
    assert many.status_code == 422
    assert "1,001 cases were sent; up to 1,000" in many.json()["detail"]
    empty = post(client, f"{SUITES}{Suite.objects.create(project=project, name='E').pk}/freeze/", {})
    assert "E has no case yet" in empty.json()["detail"]


def test_emma_tags_takes_out_and_seals_by_script_and_ada_opens_the_seal(
    project: Project, emma: User, ada: User
) -> None:
    suite = filled(project, 10)
    client, address = world.sign_in(emma), f"{SUITES}{suite.pk}/"

    def change(action: str, **values: Any) -> Any:
        return post(client, f"{address}cases/change/", {"action": action, "cases": ["q0"], **values})

    assert change("tag", tags=["hard"]).json() == {"changed": 1}
    assert living(suite).get(uid="q0").tags[-1] == "hard"
    assert change("untag", tags=["hard"]).json() == change("remove").json() == {"changed": 1}
    assert (living(suite).count(), change("restore").json()) == (9, {"changed": 1})
    assert change("seal").json() == {"changed": 1}
    assert change("unseal", reason="It leaked").status_code == 403
    assert change("tag").json()["detail"].startswith("No tag was given")
    assert post(client, f"{address}seal/", {"share": 0.3}).json() == {"changed": 3}
    for share in (0, 1):
        assert post(client, f"{address}seal/", {"share": share}).status_code == 422, share
    client = world.sign_in(ada)
    assert change("unseal").status_code == 422
    assert change("unseal", reason="It leaked").json() == {"changed": 1}
    changed = client.patch(address, {"name": "Other", "archived": True}, "application/json").json()
    assert (changed["name"], changed["archived_at"] is None) == ("Other", False)
    back = client.patch(address, {"archived": False}, "application/json").json()
    assert (back["name"], back["archived_at"]) == ("Other", None)


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
