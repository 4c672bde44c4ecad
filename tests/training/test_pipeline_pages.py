"""Pipelines as people see them: one form, one page, a list, and the API; and who may start them."""

import json
from typing import Any

from django.test import Client
from django.urls import reverse

from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project
from tests import world
from tests.training.chains import end, launched, run_of, states
from training import pipelines
from training.launching import launch
from training.models import Checkpoint, Pipeline, TrainingRun

HTMX = {"HX-Request": "true"}


def typed(root: Checkpoint, version: DatasetVersion, **changes: str) -> dict[str, str]:
    one = {f"{role}-dataset_version": str(version.pk) for role in ("sft", "reward", "policy")}
    methods = {"sft-method": "sft", "reward-method": "reward", "policy-method": "ppo"}
    adaptations = {f"{role}-adaptation": "lora" for role in ("sft", "reward", "policy")}
    return {"start": str(root.pk), "name": "", **one, **methods, **adaptations, **changes}


def test_emma_launches_three_steps_in_one_form(
    project: Project, root: Checkpoint, version: DatasetVersion, browser: Client
) -> None:
    address = reverse("training:new_pipeline", args=[project.slug])
    text = browser.get(address).content.decode()
    assert "Answer as people do" in text
    assert "Earn the reward" in text
    sent = browser.post(address, typed(root, version, **{"policy-rollout_size": "16", "sft-epochs": "3"}))
    pipeline = Pipeline.objects.get()
    assert sent.status_code == 302
    assert sent["Location"] == reverse("training:pipeline", args=[project.slug, pipeline.pk])
    assert run_of(pipeline, "sft").spec["epochs"] == 3.0
    page = browser.get(sent["Location"]).content.decode()
    assert "Waiting" in page
    assert "for the supervised fine-tuning and the reward model" in page
    assert pipeline.name in browser.get(reverse("training:pipelines", args=[project.slug])).content.decode()
    run = browser.get(reverse("training:run", args=[project.slug, run_of(pipeline, "sft").pk]))
    assert f"a step of {pipeline.name}" in run.content.decode()


def test_a_refusal_stands_at_the_field_of_its_step(
    project: Project, root: Checkpoint, version: DatasetVersion, browser: Client
) -> None:
    address = reverse("training:new_pipeline", args=[project.slug])
    sent = browser.post(address, typed(root, version, **{"policy-adaptation": "full", "name": "mine"}))
    assert sent.status_code == 422
    form = next(form for form in sent.context["steps"] if form.role == "policy")
    assert "choose lora or qlora here" in form.errors["adaptation"][0]
    assert 'value="mine"' in sent.content.decode(), "what was typed stays"
    assert not TrainingRun.objects.exists()


def test_choosing_a_checkpoint_takes_away_what_training_asks(
    project: Project, root: Checkpoint, version: DatasetVersion, browser: Client
) -> None:
    address = reverse("training:new_pipeline", args=[project.slug])
    shown = browser.post(
        address, typed(root, version, **{"sft-use": str(root.pk), "show": "1"}), headers=HTMX
    )
    assert shown.status_code == 200
    text = shown.content.decode()
    assert 'name="sft-use"' in text
    assert 'name="sft-epochs"' not in text
    assert 'name="reward-epochs"' in text


def test_a_run_started_with_changes_takes_the_place_of_the_steps_run(
    project: Project, root: Checkpoint, version: DatasetVersion, browser: Client
) -> None:
    pipeline = launched(project, root, version)
    before = run_of(pipeline, "sft")
    end(before, Status.FAILED)
    page = browser.get(reverse("training:pipeline", args=[project.slug, pipeline.pk])).content.decode()
    address = f"{reverse('training:new_run', args=[project.slug])}?again={before.pk}&step=1"
    assert address.replace("&", "&amp;") in page
    form = browser.get(address).context["form"]
    given = {bound.html_name: bound.value() for bound in form if bound.value() is not None}
    browser.post(reverse("training:new_run", args=[project.slug]), given | {"epochs": "5"})
    again = run_of(pipeline, "sft")
    assert again != before
    assert again.spec["epochs"] == 5.0
    end(again)
    end(run_of(pipeline, "reward"))
    assert run_of(pipeline, "policy").start == again.checkpoint


def test_a_live_page_gets_an_answer_only_when_something_is_new(
    project: Project, root: Checkpoint, version: DatasetVersion, browser: Client
) -> None:
    pipeline = launched(project, root, version)
    address = reverse("training:pipeline", args=[project.slug, pipeline.pk])
    state = browser.get(address).context["state"]
    assert browser.get(address, {"seen": state}, headers=HTMX).status_code == 204
    end(run_of(pipeline, "sft"))
    assert browser.get(address, {"seen": state}, headers=HTMX).status_code == 200


def test_leo_reads_and_starts_nothing_and_mallory_finds_nothing(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    client = Client()
    client.force_login(world.person("leo"))
    place = [project.slug, pipeline.pk]
    assert client.get(reverse("training:pipeline", args=place)).status_code == 200
    assert client.post(reverse("training:pipeline_cancel", args=place)).status_code == 403
    assert client.post(reverse("training:pipeline_restart", args=[*place, "sft"])).status_code == 403
    client.force_login(world.person("mallory"))
    assert client.get(reverse("training:pipeline", args=place)).status_code == 404


def test_the_list_does_not_ask_more_with_more_pipelines(
    project: Project,
    root: Checkpoint,
    version: DatasetVersion,
    browser: Client,
    django_assert_max_num_queries: Any,
) -> None:
    for _ in range(12):
        launched(project, root, version)
    with django_assert_max_num_queries(20):
        browser.get(reverse("training:pipelines", args=[project.slug]))


def test_the_api_does_what_the_form_does(
    project: Project, root: Checkpoint, version: DatasetVersion, browser: Client
) -> None:
    place = f"/api/v1/projects/{project.slug}/pipelines/"
    step = {"dataset_version": version.number}
    body = {"start": "small", "sft": step, "reward": step, "policy": step | {"spec": {"epochs": -1}}}
    refused = browser.post(place, json.dumps(body), content_type="application/json")
    assert refused.status_code == 422
    assert "policy: epochs" in refused.content.decode()
    made = browser.post(place, json.dumps(body | {"policy": step}), content_type="application/json")
    assert made.status_code == 202
    pipeline = Pipeline.objects.get()
    end(run_of(pipeline, "sft"), Status.FAILED)
    found = browser.get(f"{place}{pipeline.pk}/").json()
    assert found["status"] == "failed"
    assert [one["status"] for one in found["steps"]] == ["failed", "queued", "waiting"]
    assert found["steps"][0]["error"] == "It ended badly."
    assert browser.post(f"{place}{pipeline.pk}/sft/restart/").status_code == 202
    assert browser.delete(f"{place}{pipeline.pk}/").json()["status"] == "cancelled"
    assert browser.post(f"{place}{pipeline.pk}/go-on/").json()["status"] == "queued"


def test_a_run_of_no_pipeline_changes_none(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    other = launch(project=project, method="sft", dataset_version=version, start=root, values={}, person=None)
    end(other)
    pipelines.take_place(run=other, of=other)
    assert states(pipeline)["policy"] == "waiting"
