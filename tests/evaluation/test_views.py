"""Emma plans an evaluation on the page or by API; Leo reads its verdict."""

from typing import Any

import pytest
from django.urls import reverse

from evaluation.engines import ENGINES
from evaluation.execution import drive
from evaluation.models import EvalRun, Suite
from labeling.models import DatasetVersion, Project, User
from tests import world
from tests.evaluation.fakes import FakeEngine
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.models import Checkpoint
from training.registry import register_checkpoint


@pytest.fixture
def version(project: Project, monkeypatch: pytest.MonkeyPatch) -> DatasetVersion:
    monkeypatch.setitem(ENGINES, "transformers", FakeEngine)
    return judged_version(project, items=60, test_share=0.6)


@pytest.fixture
def tuned(project: Project, version: DatasetVersion) -> Checkpoint:
    return register_checkpoint(run=launched(project, version, name="tuned-one"), result=RESULT)


def plan_on_page(project: Project, who: User, version: DatasetVersion, *checkpoints: Checkpoint) -> Any:
    form = {"dataset_version": version.pk, "checkpoints": [checkpoint.pk for checkpoint in checkpoints]}
    return world.sign_in(who).post(reverse("evaluation:evaluations", args=[project.slug]), form, follow=True)


def test_emma_plans_and_leo_reads_the_verdict(
    project: Project, emma: User, leo: User, version: DatasetVersion, tuned: Checkpoint
) -> None:
    plan_on_page(project, emma, version, tuned)
    run = EvalRun.objects.get()
    drive(run)
    page = world.sign_in(leo).get(reverse("evaluation:evaluation", args=[project.slug, run.pk]))
    overview = world.sign_in(leo).get(reverse("evaluation:dashboard", args=[project.slug]))
    assert "tuned-one is better than the base" in page.text
    assert "tuned-one is better than the base" in overview.text
    assert [case["checkpoint_ok"] for case in page.context["cases"]] == [True] * len(page.context["cases"])
    assert page.context["cases"]


def test_a_running_evaluation_asks_again_and_a_finished_one_stops(
    project: Project, leo: User, emma: User, version: DatasetVersion, tuned: Checkpoint
) -> None:
    plan_on_page(project, emma, version, tuned)
    url = reverse("evaluation:evaluation", args=[project.slug, EvalRun.objects.get().pk])
    before = world.sign_in(leo).get(url)
    drive(EvalRun.objects.get())
    after = world.sign_in(leo).get(url)
    assert "every 3s" in before.text
    assert "every 3s" not in after.text
    assert "HX-Request" in after["Vary"]


def test_emma_reads_why_a_plan_is_refused_and_no_suite_is_left(
    project: Project, emma: User, version: DatasetVersion, tuned: Checkpoint
) -> None:
    later = world.frozen(project, seed=11, test_share=0.6)
    page = plan_on_page(project, emma, later, tuned)
    assert page.status_code == 422
    assert "its score would be too good" in page.text
    assert Suite.objects.count() == 0


def test_emma_plans_by_api_and_reads_the_scores(
    project: Project, emma: User, version: DatasetVersion, tuned: Checkpoint
) -> None:
    client = world.sign_in(emma)
    url = reverse("api-evaluations", args=[project.slug])
    body = {"dataset_version": version.number, "checkpoints": [tuned.name, str(tuned.pk)]}
    sent = client.post(url, body, content_type="application/json")
    drive(EvalRun.objects.get())
    scores = client.get(reverse("api-evaluation", args=[project.slug, sent.json()["id"]])).json()["scores"]
    assert sent.status_code == 202
    assert {score["checkpoint"] for score in scores} == {"tiny", "tuned-one"}
    assert all(score["low"] <= score["value"] <= score["high"] for score in scores)


def test_an_unknown_checkpoint_is_refused_by_api_and_no_suite_is_left(
    project: Project, emma: User, version: DatasetVersion
) -> None:
    root_checkpoint()
    body = {"dataset_version": version.number, "checkpoints": ["nobody"]}
    reply = world.sign_in(emma).post(
        reverse("api-evaluations", args=[project.slug]), body, content_type="application/json"
    )
    assert reply.status_code == 422
    assert "There is no checkpoint 'nobody' here. Known: tiny" in reply.json()["detail"]
    assert Suite.objects.count() == 0


def test_emma_cancels_a_queued_evaluation(
    project: Project, emma: User, version: DatasetVersion, tuned: Checkpoint
) -> None:
    plan_on_page(project, emma, version, tuned)
    page = world.sign_in(emma).post(
        reverse("evaluation:cancel", args=[project.slug, EvalRun.objects.get().pk]), follow=True
    )
    assert EvalRun.objects.get().status == "cancelled"
    assert "Cancelled" in page.text
