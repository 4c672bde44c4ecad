"""Emma sets a policy and reads its runs on pages, by API and from a shell; Leo reads, Ben does not."""

import json
from datetime import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from evaluation.models import PolicyRun, RetrainPolicy
from evaluation.policies import advancing, starting
from evaluation.policies.rules import set_policy
from labeling.errors import Refused
from labeling.models import Project, User
from tests import world
from tests.evaluation.altering import withdrawn_item
from tests.evaluation.planned import Bill, a_suite
from tests.evaluation.policing import (
    a_policy,
    begun,
    candidate_knows,
    carried,
    ended,
    judged,
    one_job,
    spoiled,
    trained,
)
from training import launching
from training.models import TrainingRun

pytestmark = pytest.mark.usefixtures("bill")


@pytest.fixture
def emmas(emma: User) -> Client:
    return world.sign_in(emma)


def at(name: str, project: Project, *more: Any) -> str:
    return reverse(f"evaluation:{name}", args=[project.slug, *more])


def test_the_first_page_says_what_is_missing_and_then_emma_sets_a_policy_up(
    project: Project, emmas: Client
) -> None:
    assert "First train once by hand" in emmas.get(at("policy", project)).text
    origin = trained(project)
    assert "First make a suite" in emmas.get(at("policy", project)).text
    suite = a_suite(project)
    assert "Set up a policy" in emmas.get(at("policy", project)).text
    form = {
        "is_on": "on", "days": ["0", "3"], "times": "02:30, 14:00", "every": "500", "zone": "Europe/Berlin",
        "origin": origin.pk, "values": "epochs: 2", "suite": suite.pk, "max_tokens": "64", "runs_a_week": "3",
        "quiet_from": "09:00", "quiet_to": "18:00", "pause_after": "2", "override": "a test",
    }  # fmt: skip
    assert emmas.post(at("policy_settings", project), form).status_code == 302
    policy = RetrainPolicy.objects.get()
    assert (policy.days, policy.times, policy.every, policy.zone) == (
        [0, 3],
        ["02:30", "14:00"],
        500,
        "Europe/Berlin",
    )
    assert (policy.values, policy.sampling, policy.quiet_from) == ({"epochs": 2}, {"max_tokens": 64}, time(9))
    page = emmas.get(at("policy", project)).text
    assert "On Monday and Thursday at 02:30 and 14:00 (Europe/Berlin)" in page
    assert "Every 500 new judgments" in page
    assert f"Train like {origin.name}: SFT with lora, from tiny, with epochs 2." in page
    shown = emmas.get(at("policy_settings", project)).text
    assert 'value="02:30, 14:00"' in shown
    assert "epochs: 2" in shown


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("times", "25:00", "write hours and minutes"),
        ("zone", "Mars/Base", "give one such as Europe/Berlin"),
        ("every", "0", "0 is too little; give 1 or more."),
        ("quiet_from", "09:00", "Quiet hours were given with one end only"),
        ("values", "- 1", "write lines such as epochs: 2"),
        ("values", "epochs: -3", "epochs was given as -3"),
        ("recipe", "kind: poem", "kind is"),
        ("temperature", "7", "temperature was given as 7"),
        ("hours_a_week", "0", "give 0.01 or more"),
    ],
)
def test_rules_that_make_no_sense_come_back_as_a_sentence(
    project: Project, emmas: Client, field: str, value: str, words: str
) -> None:
    origin, suite = trained(project), a_suite(project)
    form = {"zone": "UTC", "suite": suite.pk, "origin": origin.pk, "days": ["0"], field: value}
    answer = emmas.post(at("policy_settings", project), form)
    assert answer.status_code == 422
    assert words in answer.text
    assert not RetrainPolicy.objects.exists()


def test_what_belongs_to_others_or_gives_no_answers_is_not_followed(project: Project) -> None:
    suite, origin = a_suite(project), trained(project)
    other = world.make_project("Another")
    strange = trained(other)
    reward = trained(project, method="reward", version=origin.dataset_version)
    for changes, words in (
        ({"suite": suite, "origin": strange}, "of another project"),
        ({"suite": suite, "origin": reward}, "trains a reward model"),
        ({"suite": a_suite(other)}, "The suite is of another project"),
        ({"suite": a_suite(project, name="Empty", scoring=[])}, "has no scorer yet"),
        ({}, "suite was not given"),
        ({"suite": suite, "values": {"epochs": 1}}, "without the run that they change"),
        ({"suite": suite, "days": [], "times": ["02:30"]}, "without a day"),
        ({"suite": suite, "engine": "abacus"}, "choose one of"),
    ):
        with pytest.raises(Refused, match=words):
            set_policy(project=project, changes=changes, person=None)
    policy = set_policy(project=project, changes={"suite": suite}, person=None)
    assert begun(project).origin == origin, "a reward model is never followed by itself"
    assert policy.runs.count() == 1


def test_one_click_starts_a_run_and_its_page_follows_each_step(
    project: Project, emmas: Client, leo: User, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate_knows(bill, monkeypatch)
    a_policy(project)
    judged(project)
    assert "6 judgments came since" in emmas.get(at("policy", project)).text
    answer = emmas.post(at("policy_start", project))
    run = PolicyRun.objects.get()
    assert answer.url == at("policy_run", project, run.pk)
    advancing.follow(run)
    text = emmas.get(answer.url).text
    assert 'hx-trigger="every 3s"' in text
    assert "Cancel this run" in text
    assert "Retrain now" not in emmas.get(at("policy", project)).text
    again = emmas.post(at("policy_start", project), follow=True)
    assert "A run is under way; the next one starts after it." in again.text
    run = carried(run)
    seen = world.sign_in(leo).get(answer.url).text
    assert "hx-trigger" not in seen
    assert "passed the gate and is a candidate" in seen
    assert "Measured against what is in production" in seen
    evaluation = evaluation_of(run)
    assert reverse("evaluation:gate_verdict", args=[project.slug, evaluation, 1]) in seen
    assert "Candidate ready" in world.sign_in(leo).get(at("policy", project)).text


def evaluation_of(run: PolicyRun) -> int:
    found = run.steps.get(kind="evaluate").evaluation_id
    assert found is not None
    return found


def test_the_list_asks_as_little_for_many_runs_as_for_one(
    project: Project, emmas: Client, django_assert_max_num_queries: Any
) -> None:
    policy = a_policy(project)
    carried(begun(project))
    with django_assert_max_num_queries(45) as first:
        emmas.get(at("policy", project))
    for _ in range(8):
        carried(begun(project))
    with django_assert_max_num_queries(len(first)):
        text = emmas.get(at("policy", project)).text
    assert text.count("Nothing new") >= 9
    assert policy.runs.count() == 9


def test_leo_is_told_what_was_withdrawn_and_that_no_run_starts_because_of_it(
    project: Project, leo: User
) -> None:
    a_policy(project, every=1)
    withdrawn_item(project)
    client, words = world.sign_in(leo), "Since version 1 was frozen: 1 judgment was withdrawn."
    page = client.get(at("policy", project)).text
    assert f"{words} No run starts because of it; the next one takes it up." in page
    assert client.get(reverse("api-policy", args=[project.slug])).json()["altered"] == words
    assert starting.look() == []
    carried(begun(project))
    assert "was withdrawn" not in client.get(at("policy", project)).text


def test_after_failures_the_page_says_that_it_pauses_and_emma_lets_it_go_on(
    project: Project, emmas: Client
) -> None:
    a_policy(project, pause_after=1, override="")
    judged(project)
    carried(begun(project))
    page = emmas.get(at("policy", project)).text
    assert "It pauses: the last 1 run failed. Mend the cause, then let it go on." in page
    assert "Check blocked" in page
    assert "It pauses" in emmas.get(reverse("api-policy", args=[project.slug])).json()["why_not"]
    emmas.post(at("policy_go_on", project))
    assert "It pauses" not in emmas.get(at("policy", project)).text
    carried(begun(project))
    told = emmas.post(reverse("api-policy-go-on", args=[project.slug])).json()
    assert told["why_not"] == ""


def test_leo_reads_and_starts_nothing(project: Project, leo: User) -> None:
    a_policy(project)
    client = world.sign_in(leo)
    assert "Retrain now" not in client.get(at("policy", project)).text
    assert client.post(at("policy_start", project)).status_code == 403
    assert client.get(at("notices", project)).status_code == 403
    assert not PolicyRun.objects.exists()


def test_a_program_sets_a_policy_starts_a_run_reads_it_and_stops_it(project: Project, emmas: Client) -> None:
    policy, runs = reverse("api-policy", args=[project.slug]), reverse("api-policy-runs", args=[project.slug])
    assert emmas.get(policy).status_code == 404
    origin, suite = trained(project), a_suite(project)
    refused = emmas.put(policy, {"every": 5}, content_type="application/json")
    assert (refused.status_code, refused.json()["detail"][:20]) == (422, "suite was not given;")
    given = {"suite": suite.pk, "origin": origin.pk, "every": 50, "times": ["2:30"], "override": "a test"}
    told = emmas.put(policy, given, content_type="application/json").json()
    assert (told["every"], told["times"], told["new_judgments"], told["why_not"]) == (50, ["02:30"], 0, "")
    assert emmas.put(policy, {"every": None}, content_type="application/json").json()["times"] == ["02:30"]
    judged(project)
    begun_now = emmas.post(runs)
    assert (begun_now.status_code, begun_now.json()["outcome"]) == (202, "")
    assert emmas.post(runs).status_code == 422
    one = reverse("api-policy-run", args=[project.slug, begun_now.json()["id"]])
    assert emmas.delete(one).json()["outcome"] == "cancelled"
    assert emmas.delete(one).status_code == 422
    assert [step["state"] for step in emmas.get(one).json()["steps"]] == ["stopped", *["skipped"] * 4]


def test_from_a_shell_a_run_is_seen_to_its_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    a_policy(project)
    judged(project)
    monkeypatch.setattr(launching, "drive", ended)
    out = StringIO()
    call_command("retrain", project.slug, "--wait", "--json", stdout=out)
    told = json.loads(out.getvalue().splitlines()[-1])
    assert (told["outcome"], told["dataset_version"]) == ("gate", 2)
    assert told["checkpoint"] == TrainingRun.objects.order_by("-pk")[0].checkpoint.pk
    judged(project)
    set_policy(project=project, changes={"override": ""}, person=None)
    with pytest.raises(CommandError, match="The check found what should not be trained on"):
        call_command("retrain", project.slug, "--wait", stdout=StringIO())
    with pytest.raises(CommandError, match="has no retrain policy yet"):
        call_command("retrain", world.make_project("Another").slug, stdout=StringIO())


def test_the_page_of_retraining_by_hand_leads_to_the_policy(project: Project, emmas: Client) -> None:
    assert at("policy", project) in emmas.get(reverse("training:retrain", args=[project.slug])).text


def test_a_run_page_shows_the_job_that_is_at_work(project: Project, emmas: Client) -> None:
    a_policy(project)
    judged(project)
    run = begun(project)
    advancing.follow(run)
    one_job(run)
    advancing.follow(run)
    training = run.steps.get(kind="train").training
    assert training is not None
    TrainingRun.objects.filter(pk=training.pk).update(waiting="It waits for a free device.", progress=0.25)
    text = emmas.get(at("policy_run", project, run.pk)).text
    assert training.name in text
    assert "It waits for a free device." in text
    assert 'value="0.250"' in text


def test_emma_lets_a_run_go_on_with_what_it_trained_by_click_by_api_and_from_a_shell(
    project: Project, emmas: Client, leo: User
) -> None:
    a_policy(project)
    judged(project)
    first = spoiled(project)
    place = at("policy_run", project, first.pk)
    checkpoint = TrainingRun.objects.order_by("-pk")[0].checkpoint
    assert f"Go on: evaluate {checkpoint.name}" in emmas.get(place).text
    assert "Go on:" not in world.sign_in(leo).get(place).text
    answer = emmas.post(at("policy_run_go_on", project, first.pk))
    second = PolicyRun.objects.order_by("-pk")[0]
    assert answer.url == at("policy_run", project, second.pk)
    assert "Go on:" not in emmas.get(answer.url).text, "it is under way"
    assert carried(second).outcome == PolicyRun.Outcome.GATE
    text = emmas.get(answer.url).text
    assert f"{checkpoint.name} was trained on it by run {first.pk}." in text
    assert reverse("training:checkpoint", args=[project.slug, checkpoint.pk]) in text
    assert "Go on:" not in emmas.get(place).text
    again = emmas.post(at("policy_run_go_on", project, first.pk), follow=True)
    assert f"Run {first.pk} left no checkpoint that waits for its gate" in again.text
    api = reverse("api-policy-run-go-on", args=[project.slug, first.pk])
    assert emmas.post(api).status_code == 422
    judged(project)
    third = spoiled(project)
    done = emmas.post(reverse("api-policy-run-go-on", args=[project.slug, third.pk]))
    assert (done.status_code, done.json()["outcome"]) == (202, "")
    advancing.cancel(PolicyRun.objects.get(pk=done.json()["id"]))
    out = StringIO()
    call_command("retrain", project.slug, "--go-on", str(third.pk), "--wait", "--json", stdout=out)
    assert json.loads(out.getvalue().splitlines()[-1])["outcome"] == "gate"
    with pytest.raises(CommandError, match="has no run 999"):
        call_command("retrain", project.slug, "--go-on", "999", stdout=StringIO())
