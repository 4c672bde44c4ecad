"""Emma plans an evaluation on the page, by API or from a shell; Leo reads its verdict."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from evaluation.execution import drive
from evaluation.models import EvalRun, Suite
from labeling.models import Project, User
from tests import world
from tests.evaluation.planned import Bill, tuned, warning
from tests.evaluation.suites import put
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.models import Checkpoint
from training.registry import register_checkpoint

pytestmark = pytest.mark.usefixtures("bill")


@pytest.fixture
def candidate(project: Project) -> Checkpoint:
    return tuned(project)


def plan_on_page(who: User, on: str, *checkpoints: Checkpoint, **fields: Any) -> Any:
    project = Project.objects.get()
    form = {"on": on, "checkpoints": [c.pk for c in checkpoints], "split": "dev", **fields}
    form.setdefault("engine", "transformers")
    return world.sign_in(who).post(reverse("evaluation:evaluations", args=[project.slug]), form, follow=True)


def test_emma_plans_on_a_suite_and_everybody_sees_it_in_the_list(
    project: Project, emma: User, leo: User, suite: Suite, candidate: Checkpoint
) -> None:
    plan_on_page(emma, f"suite:{suite.pk}", candidate, max_tokens=9, name="First look")
    run = EvalRun.objects.get()
    assert (run.name, run.spec["sampling"]["max_tokens"], run.created_by) == ("First look", 9, emma)
    drive(run)
    page = world.sign_in(leo).get(reverse("evaluation:evaluations", args=[project.slug]))
    assert "First look" in page.text
    assert "Questions v1" in page.text
    assert "every 3s" not in page.text


def test_emma_plans_on_the_held_out_rows_of_a_version(project: Project, emma: User) -> None:
    version = judged_version(project, items=60, test_share=0.6)
    trained = register_checkpoint(run=launched(project, version, name="tuned-one"), result=RESULT)
    plan_on_page(emma, f"version:{version.pk}", trained)
    run = EvalRun.objects.get()
    drive(run)
    run.refresh_from_db()
    assert run.status == "succeeded", run.error
    assert [metric["name"] for metric in run.metrics] == ["preference", "perplexity"]
    listed = world.sign_in(emma).get(reverse("evaluation:evaluations", args=[project.slug]))
    assert f"version:{version.pk}" not in listed.text  # it is a suite now


def test_emma_reads_why_a_plan_is_refused_and_no_suite_is_left(project: Project, emma: User) -> None:
    version = judged_version(project, items=60, test_share=0.6)
    trained = register_checkpoint(run=launched(project, version, name="tuned-one"), result=RESULT)
    later = world.frozen(project, seed=11, test_share=0.6)
    page = plan_on_page(emma, f"version:{later.pk}", trained)
    assert page.status_code == 422
    assert "its score would be too good" in page.text
    assert Suite.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"samples": 3}, "3 samples at temperature 0 would all be alike"),
        ({"temperature": 9}, "temperature was given as 9.0; allowed is a number at least 0 and at most 2"),
        ({"split": "sealed"}, "no sealed case"),
    ],
)
def test_settings_that_make_no_sense_come_back_as_a_sentence(
    project: Project, emma: User, suite: Suite, candidate: Checkpoint, fields: dict[str, Any], words: str
) -> None:
    page = plan_on_page(emma, f"suite:{suite.pk}", candidate, **fields)
    assert page.status_code == 422
    assert words in page.text
    assert not EvalRun.objects.exists()


def test_every_setting_of_sampling_and_limits_can_be_given_on_the_page_and_at_the_shell(
    project: Project, emma: User, suite: Suite, candidate: Checkpoint
) -> None:
    sampling = {"max_tokens": 9, "temperature": 0.5, "samples": 2, "seed": 3, "top_p": 0.9, "top_k": 7}
    limits = {"max_length": 512, "concurrency": 3, "batch_size": 5}
    plan_on_page(emma, f"suite:{suite.pk}", candidate, **sampling, **limits, stop="END\r\n\\n\\n")
    given = [f"--{name.replace('_', '-')}={value}" for name, value in (sampling | limits).items()]
    shell(
        "--suite", f"{project.slug}/{suite.name}", "--checkpoint=tuned", *given, "--stop=END", "--stop=\n\n"
    )
    page, command = EvalRun.objects.order_by("pk")
    assert page.spec["sampling"] == command.spec["sampling"] == sampling | {"stop": ["END", "\n\n"]}
    assert page.spec["limits"] == command.spec["limits"] == limits | {"budget": None}
    shown = world.sign_in(emma).get(reverse("evaluation:evaluations", args=[project.slug])).text
    for name, default in (("concurrency", 32), ("max_length", 2048), ("top_p", 1.0), ("top_k", 0)):
        assert f'name="{name}" value="{default}"' in shown


def test_a_form_without_a_checkpoint_says_so(project: Project, emma: User, suite: Suite) -> None:
    page = plan_on_page(emma, f"suite:{suite.pk}")
    assert page.status_code == 422
    assert "Choose at least one that is to be scored." in page.text


def test_leo_reads_and_cannot_plan(project: Project, leo: User, suite: Suite, candidate: Checkpoint) -> None:
    assert plan_on_page(leo, f"suite:{suite.pk}", candidate).status_code == 403
    assert not EvalRun.objects.exists()


def test_emma_cancels_a_queued_evaluation_and_resumes_it(
    project: Project, emma: User, suite: Suite, candidate: Checkpoint
) -> None:
    plan_on_page(emma, f"suite:{suite.pk}", candidate)
    place = [project.slug, EvalRun.objects.get().pk]
    page = world.sign_in(emma).post(reverse("evaluation:cancel", args=place), follow=True)
    assert EvalRun.objects.get().status == "cancelled"
    assert "Cancelled" in page.text
    world.sign_in(emma).post(reverse("evaluation:resume", args=place))
    assert EvalRun.objects.get().status == "queued"


def test_emma_scores_a_finished_evaluation_again(
    project: Project, emma: User, suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    plan_on_page(emma, f"suite:{suite.pk}", candidate)
    drive(EvalRun.objects.get())
    asked = len(bill.asked)
    url = reverse("evaluation:again", args=[project.slug, EvalRun.objects.get().pk])
    world.sign_in(emma).post(url)
    again = EvalRun.objects.order_by("-id")[0]
    drive(again)
    page = world.sign_in(emma).get(reverse("evaluation:evaluation", args=[project.slug, again.pk])).text
    assert f"?again={again.pk}#start" in page
    assert "scored again" in page
    assert EvalRun.objects.count() == 2
    assert len(bill.asked) == asked
    Suite.objects.update(scoring=[])
    refused = world.sign_in(emma).post(url)
    assert refused.status_code == 422
    assert "has no scorer yet" in refused.text


def test_emma_evaluates_again_on_the_suite_as_it_is_today_from_a_form_that_is_filled(
    project: Project, emma: User, suite: Suite, candidate: Checkpoint
) -> None:
    given = {
        "max_tokens": 9,
        "temperature": 0.5,
        "samples": 2,
        "stop": "END\n\\n",
        "top_k": 7,
        "contexts": "none",
    }
    plan_on_page(emma, f"suite:{suite.pk}", candidate, **given)
    first = EvalRun.objects.get()
    put(suite, {"prompt": "A question that came later?", "reference": "red"})
    client, place = world.sign_in(emma), reverse("evaluation:evaluations", args=[project.slug])
    first.request_cancel()
    page = client.get(reverse("evaluation:evaluation", args=[project.slug, first.pk])).text
    assert f'href="{place}?again={first.pk}#start"' in page
    assert f'formaction="{reverse("evaluation:again", args=[project.slug, first.pk])}"' in page
    form = client.get(f"{place}?again={first.pk}").context["form"]
    filled = {field.name: field.value() for field in form if field.value() is not None}
    client.post(place, filled)
    second = EvalRun.objects.exclude(pk=first.pk).get()
    assert second.spec == first.spec
    assert second.version.number == 2
    assert [row.name for row in second.targets.all()] == [row.name for row in first.targets.all()]
    for nobody in ("0", "x", str(first.pk + 1) + "9" * 30):
        assert client.get(f"{place}?again={nobody}").status_code == 404


def test_emma_plans_by_api_and_reads_the_scores(
    project: Project, emma: User, suite: Suite, candidate: Checkpoint
) -> None:
    client = world.sign_in(emma)
    url = reverse("api-evaluations", args=[project.slug])
    body = {"suite": suite.pk, "checkpoints": [candidate.name, str(candidate.pk)], "engine": "transformers"}
    sent = client.post(url, body, content_type="application/json")
    assert sent.status_code == 202, sent.text
    drive(EvalRun.objects.get())
    read = client.get(reverse("api-evaluation", args=[project.slug, sent.json()["id"]])).json()
    scores = [score for score in read["scores"] if not score["slice"]]
    assert read["targets"] == ["tiny", "tuned"]
    assert {score["metric"] for score in scores} == {"exact", "chrf", "perplexity"}
    assert read["verdict"]


def test_emma_cancels_resumes_and_scores_again_by_api(
    project: Project, emma: User, suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    plan_on_page(emma, f"suite:{suite.pk}", candidate)
    client, place = world.sign_in(emma), [project.slug, EvalRun.objects.get().pk]
    said = [client.post(reverse(f"api-evaluation-{act}", args=place)) for act in ("cancel", "resume")]
    assert [(one.status_code, one.json()["status"]) for one in said] == [(202, "cancelled"), (202, "queued")]
    drive(EvalRun.objects.get())
    asked = len(bill.asked)
    again = client.post(reverse("api-evaluation-again", args=place)).json()
    drive(EvalRun.objects.get(pk=again["id"]))
    assert (EvalRun.objects.count(), len(bill.asked)) == (2, asked)
    body = {"scoring": [{"name": "has red", "scorer": "contains"}]}
    other = client.post(reverse("api-evaluation-again", args=place), body, content_type="application/json")
    assert [metric["name"] for metric in other.json()["spec"]["metrics"]] == ["has red"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"checkpoints": ["nobody"]}, "There is no checkpoint 'nobody' here. Known: tiny"),
        ({"endpoints": ["nobody"]}, "There is no endpoint 'nobody' here. Known: none yet."),
        ({"suite": None}, "Neither suite nor dataset_version was given"),
        ({"engine": "abacus"}, "The engine given is 'abacus'; choose one of"),
        ({"engine": "openai"}, "The engine given is 'openai'; choose one of"),
    ],
)
def test_what_cannot_be_is_refused_by_api(
    project: Project, emma: User, suite: Suite, change: dict[str, Any], words: str
) -> None:
    body = {"suite": suite.pk, "checkpoints": [root_checkpoint().name], **change}
    body = {name: value for name, value in body.items() if value is not None}
    reply = world.sign_in(emma).post(
        reverse("api-evaluations", args=[project.slug]), body, content_type="application/json"
    )
    assert reply.status_code == 422
    assert words in reply.json()["detail"]
    assert not EvalRun.objects.exists()


def shell(*arguments: str, command: str = "evaluate") -> dict[str, Any]:
    out = StringIO()
    call_command(command, *arguments, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def test_an_evaluation_from_a_shell_prints_its_numbers(
    project: Project, suite: Suite, candidate: Checkpoint
) -> None:
    found = shell(
        "--suite", f"{project.slug}/{suite.name}", "--checkpoint", "tuned", "--engine", "fake", "--wait"
    )
    assert found["status"] == "succeeded"
    assert [line["target"] for line in found["scores"]] == ["tiny", "tuned"]
    exact = found["scores"][1]["metrics"]["exact"]
    assert exact["low"] <= exact["value"] <= exact["high"]
    assert exact["n"] == 12
    assert found["sentence"].endswith(".")


def test_an_evaluation_is_scored_again_from_a_shell(
    project: Project, suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    first = shell("--suite", f"{project.slug}/{suite.name}", "--checkpoint=tuned", "--engine=fake", "--wait")
    asked = len(bill.asked)
    found = shell(str(first["evaluation"]), "--wait", command="score_again")
    assert found["evaluation"] != first["evaluation"]
    assert (found["status"], found["scores"], len(bill.asked)) == ("succeeded", first["scores"], asked)
    with pytest.raises(CommandError, match=r"There is no evaluation 999\."):
        shell("999", command="score_again")


def test_what_an_engine_warns_of_is_told_on_the_page_by_api_and_in_the_shell(
    project: Project, leo: User, suite: Suite, candidate: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = warning(monkeypatch, "1")
    found = shell("--suite", f"{project.slug}/{suite.name}", "--checkpoint=tuned", "--engine=fake", "--wait")
    run = EvalRun.objects.get()
    assert run.facts["warnings"] == [f"tuned: {words}"]
    fact = {"label": "The engine warns", "words": f"tuned: {words}", "doubt": True}
    assert fact in found["rests_on"]
    client, place = world.sign_in(leo), [project.slug, run.pk]
    assert fact in client.get(reverse("api-evaluation", args=place)).json()["rests_on"]
    page = client.get(reverse("evaluation:evaluation", args=place))
    assert "tuned: The adapter gives the base model" in page.text


def test_a_suite_that_is_not_there_is_refused_in_the_shell(project: Project, suite: Suite) -> None:
    root_checkpoint()
    with pytest.raises(
        CommandError, match=r"There is no suite 'Nothing' in helpfulness\. Known: Questions\."
    ):
        shell("--suite", f"{project.slug}/Nothing", "--checkpoint", "tiny")
