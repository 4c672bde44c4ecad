"""Emma checks a run before she starts it: what the page shows, what it forbids, and that it starts one run."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.errors import Refused
from labeling.models import Project, User
from tests import world
from tests.training.runs import judged_version, pretend, root_checkpoint
from training import checking
from training.checking import launch_checked, run_check, start_check
from training.models import Device, Preflight, TrainingRun
from training.processes import STOPPED
from training.specs import PreflightJob, TrainJob, parse

REPORT: dict[str, Any] = {
    "method": "sft",
    "adaptation": "lora",
    "counts": {"rows": 20, "dropped": 2, "truncated": 0, "split": 0, "eval_rows": 4},
    "overlong": "drop",
    "dataset_hash": "ab" * 32,
    "template_hash": "cd" * 32,
    "tokens": {"total": 900, "learned": 300, "share": 1 / 3, "answers": 20, "ends": 20},
    "lengths": {
        "bins": [{"from": 0, "to": 9, "rows": 18}, {"from": 10, "to": 19, "rows": 2}],
        "longest": 18,
        "mean": 8.0,
        "limit": 16,
        "over": 2,
    },
    "coverage": {"linear_layers": 14, "covered_layers": 14, "parameters": 1000, "trainable": 100},
    "examples": [
        {
            "answers": [
                {
                    "name": "completion",
                    "tokens": [["<b>user", False], ["red", True], ["<|im_end|>", True]],
                    "count": 3,
                    "learned": 2,
                }
            ]
        }
    ],
    "findings": [
        {"check": "learned", "level": "ok", "words": "33.3% of the tokens are learned: 300 of 900."},
        {"check": "length", "level": "warning", "words": "Of 22 rows 2 are left out."},
    ],
}
FORBIDDEN = {
    "check": "end",
    "level": "blocked",
    "words": "the end-of-turn token is learned in 1 of 20 responses",
}
SPEED = {"seconds_per_token": 0.01, "steps": 3, "tokens": 900}


def outcome(*more: dict[str, str]) -> dict[str, Any]:
    report = REPORT | {"findings": [*REPORT["findings"], *more]}
    return {"status": "succeeded", "report": report, "calibration": SPEED}


@pytest.fixture
def check(project: Project, emma: User) -> Preflight:
    return start_check(
        project=project,
        method="sft",
        dataset_version=judged_version(project),
        start=root_checkpoint(),
        values={"epochs": 2.0},
        person=emma,
        name="first try",
    )


def done(check: Preflight, monkeypatch: pytest.MonkeyPatch, *more: dict[str, str]) -> Preflight:
    monkeypatch.setattr(checking, "run_recipe", pretend(result=outcome(*more)))
    run_check(check)
    check.refresh_from_db()
    return check


def page_of(check: Preflight, person: User) -> str:
    client = Client()
    client.force_login(person)
    return client.get(reverse("training:check", args=[check.project.slug, check.pk])).content.decode()


def test_the_process_is_told_the_job_that_it_is_about(
    check: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def read(recipe: str, run_dir: Any, watch: Any, *_: Any) -> int:
        seen.update(json.loads((run_dir / "spec.json").read_text()), recipe=recipe)
        return STOPPED

    monkeypatch.setattr(checking, "run_recipe", read)
    run_check(check)
    assert seen.pop("recipe") == "preflight"
    job = parse(TrainJob, parse(PreflightJob, seen).job)
    assert (job.method, job.train["epochs"], job.data.retention) == ("sft", 2.0, None)
    check.refresh_from_db()
    assert check.status == "queued"
    assert not Device.objects.exclude(holder=None)


def test_emma_reads_tokens_findings_and_time_and_starts_the_run(
    check: Preflight, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page_of(done(check, monkeypatch), emma)
    assert "Ready, with 1 warning" in text
    assert '<span class="token">&lt;b&gt;user</span><span class="token learned">red</span>' in text
    assert "13 s to 23 s" in text
    assert "Of 22 rows 2 are left out." in text
    client = Client()
    client.force_login(emma)
    answer = client.post(reverse("training:check_start", args=[check.project.slug, check.pk]))
    run = TrainingRun.objects.get()
    assert answer["Location"] == reverse("training:run", args=[check.project.slug, run.pk])
    assert (run.name, run.spec, run.created_by) == ("first try", check.spec, emma)


def test_started_twice_it_is_one_run(check: Preflight, emma: User, monkeypatch: pytest.MonkeyPatch) -> None:
    done(check, monkeypatch)
    stale = Preflight.objects.get(pk=check.pk)
    first = launch_checked(check, person=emma)
    assert launch_checked(stale, person=emma) == first
    assert TrainingRun.objects.count() == 1


def test_what_is_blocked_does_not_start(
    check: Preflight, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page_of(done(check, monkeypatch, FORBIDDEN), emma)
    assert "This run must not start yet" in text
    assert "Start this run" not in text
    with pytest.raises(
        Refused, match="The check forbids this run: the end-of-turn token is learned in 1 of 20"
    ):
        launch_checked(check, person=emma)
    assert not TrainingRun.objects.exists()


def test_a_check_that_has_not_ended_starts_nothing(check: Preflight, emma: User) -> None:
    with pytest.raises(Refused, match="has not ended well yet"):
        launch_checked(check, person=emma)


def test_a_check_of_what_could_not_be_launched_is_refused(project: Project, emma: User) -> None:
    with pytest.raises(Refused, match="packed rows would see each other"):
        start_check(
            project=project,
            method="sft",
            dataset_version=judged_version(project),
            start=root_checkpoint(),
            values={"adaptation": "prompt", "packing": "on"},
            person=emma,
        )
    assert not Preflight.objects.exists()


def test_a_failed_check_says_why(check: Preflight, emma: User, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [("error", 0, {"message": "none of the 3 rows fits max_length 16"})]
    monkeypatch.setattr(checking, "run_recipe", pretend(code=1, events=events))
    run_check(check)
    check.refresh_from_db()
    assert check.status == "failed"
    assert "none of the 3 rows fits max_length 16" in page_of(check, emma)


def test_emma_reads_later_what_a_run_saw(
    check: Preflight, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch_checked(done(check, monkeypatch), person=emma)
    client = Client()
    client.force_login(emma)
    address = reverse("training:run_report", args=[run.project.slug, run.pk])
    assert "It has not looked yet" in client.get(address).content.decode()
    run.path.mkdir(parents=True)
    (run.path / "preflight.json").write_text(json.dumps(REPORT))
    assert "What first try saw" in client.get(address).content.decode()


def test_mallory_sees_no_check(check: Preflight) -> None:
    client = Client()
    client.force_login(world.person("mallory"))
    assert client.get(reverse("training:check", args=[check.project.slug, check.pk])).status_code == 404


def test_a_program_checks_reads_the_report_and_cancels(
    project: Project, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, root, client = judged_version(project), root_checkpoint(), world.sign_in(emma)
    asked = {"method": "sft", "dataset_version": version.number, "start": root.name, "spec": {"epochs": 2.0}}
    address = reverse("api-checks", args=[project.slug])
    refused = client.post(address, asked | {"spec": {"epochs": -1.0}}, content_type="application/json")
    assert (refused.status_code, Preflight.objects.count()) == (422, 0)
    assert "epochs was given as -1.0" in refused.text
    made = client.post(address, asked, content_type="application/json")
    assert (made.status_code, made.json()["status"]) == (202, "queued")
    done(Preflight.objects.get(), monkeypatch)
    one = reverse("api-check", args=[project.slug, made.json()["id"]])
    assert client.get(one).json()["result"]["report"]["counts"]["rows"] == 20
    second = client.post(address, asked, content_type="application/json").json()["id"]
    stopped = client.delete(reverse("api-check", args=[project.slug, second]))
    assert (stopped.status_code, stopped.json()["status"]) == (202, "cancelled")
