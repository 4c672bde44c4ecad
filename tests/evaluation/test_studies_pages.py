"""The pages, the API and the command of studies."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from evaluation.models import Study, Suite
from evaluation.studies.answering import carry_study
from evaluation.studies.looking import take_look
from evaluation.studies.results import result_of
from evaluation.studies.sentences import percent
from labeling.lifecycle import Status
from labeling.models import Project
from labeling.templatetags.labeling import estimate_pct
from tests import world
from tests.evaluation.planned import a_suite, tuned
from tests.evaluation.studying import answering, begun, judge
from tests.training.runs import root_checkpoint

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch)


@pytest.fixture
def suite(project: Project) -> Suite:
    return a_suite(project, cases=30)


def client(name: str) -> Client:
    return world.sign_in(world.person(name))


def there(name: str, project: Project, *args: Any) -> str:
    return reverse(f"evaluation:{name}", args=[project.slug, *args])


def form(project: Project, **changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "checkpoints": [root_checkpoint("tiny").pk, tuned(project).pk],
        "source": "suite",
        "split": "test",
        "engine": "transformers",
        "temperature": 0.7,
        "win_rate": 55,
        "ties": 20,
        "power": 80,
        "alpha": 5,
        "looks": 3,
        "annotators": 1,
        "spending": "obrien_fleming",
        "correlation": 0.3,
        "cluster_size": 1,
        "icc": 0,
        "priority": 10,
    }
    return {**values, **changes}


def test_emma_is_told_how_many_prompts_it_takes_before_anything_is_asked(
    project: Project, suite: Suite
) -> None:
    url = there("study_new", project)
    values = form(project, action="plan", suite=suite.pk)
    assert "632 prompts" in client("emma").get(url).text
    page = client("emma").post(url, values, headers=HTMX)
    assert page.status_code == 200
    assert "<html" not in page.text
    assert "are needed; 30 were chosen" in page.text
    assert "±3.71" in page.text
    assert not Study.objects.exists()
    wrong = client("emma").post(url, {**values, "win_rate": 50}, headers=HTMX)
    assert wrong.status_code == 422
    assert "win_rate" in wrong.text


def test_emma_starts_a_study_leo_reads_it_and_no_win_rate_is_shown_between_looks(
    project: Project, suite: Suite
) -> None:
    values = form(project, suite=suite.pk, name="Tuned or not")
    started = client("emma").post(there("study_new", project), values)
    study = Study.objects.get()
    assert started.headers["Location"] == there("study", project, study.pk)
    waiting = client("leo").get(there("study", project, study.pk)).text
    assert "Waiting for a worker" in waiting
    assert "every 3s" in waiting
    carry_study(study)
    judge(study, "ben", "win", most=21)
    page = client("leo").get(there("study", project, study.pk)).text
    assert "21 of 30" in page
    assert "each look spends part of alpha" in page
    assert "every 3s" not in page
    assert "Equivalent or preferred" not in page
    assert "Take look" not in page
    assert client("leo").post(there("study_look", project, study.pk)).status_code == 403
    assert client("emma").post(there("study_look", project, study.pk)).status_code == 302
    after = client("leo").get(there("study", project, study.pk)).text
    assert "is equivalent or preferred in 100.0 %" in after
    assert "People prefer" in after
    listed = client("leo").get(there("studies", project)).text
    assert "People prefer" in listed
    again = client("emma").post(there("study_look", project, study.pk))
    assert again.status_code == 422
    assert "its looks stand" in again.text


def test_leo_reads_in_how_many_cases_a_model_is_equivalent_or_preferred(project: Project) -> None:
    """As in LIMA: both bad is a tie, and a tie is as good; of 40 prompts 14 are won, 6 tied, 4 both bad, 16 lost."""
    said = iter([*["win"] * 14, *["tie"] * 6, *["both_bad"] * 4, *["loss"] * 16])
    study = begun(project, design={"looks": 1})
    judge(study, "ben", lambda pair: next(said))
    look = take_look(study=study, person=None)
    one = result_of(look).pairs[0]
    assert (one.wins, one.ties, one.both_bad, one.losses) == (14, 6, 4, 16)
    assert one.preferred is not None
    assert (one.preferred.value, one.rate.value) == (24 / 40, (14 + 10 / 2) / 40)
    page = client("leo").get(there("study", project, study.pk)).text
    assert f"tiny is equivalent or preferred in {percent(one.preferred)} of cases." in page
    assert percent(one.preferred).startswith("60.0 % (")
    assert "No preference is shown: the win rate of tiny against tuned-1 is 47.5 %" in page
    assert estimate_pct(one.preferred) in page


def test_a_study_from_a_file_is_refused_where_it_has_too_few_prompts(project: Project) -> None:
    file = SimpleUploadedFile("few.jsonl", world.json_lines(*({"prompt": f"Q{n}?"} for n in range(5))))
    page = client("emma").post(there("study_new", project), form(project, source="file", file=file))
    assert page.status_code == 422
    assert "There are 5 prompts; a study needs 20" in page.text
    none = client("emma").post(there("study_new", project), form(project, source="file"))
    assert "No prompts were chosen" in none.text


def test_the_result_as_files_has_the_numbers_of_looks_only(project: Project) -> None:
    study = begun(project, design={"looks": 2})
    before = client("leo").get(there("study_file", project, study.pk, "csv")).content.decode()
    assert before.count("\r\n") == 1
    judge(study, "ben", "loss", most=20)
    take_look(study=study, person=None)
    table = client("leo").get(there("study_file", project, study.pk, "csv")).content.decode()
    assert table.count("\r\n") == 1 + 1 + 2
    text = client("leo").get(there("study_file", project, study.pk, "md")).content.decode()
    assert "People prefer tuned-1 to tiny" in text
    assert "| 1 | " in text
    assert client("leo").get(there("study_file", project, study.pk, "exe")).status_code == 404


def test_the_list_costs_the_same_however_many_studies_there_are(
    project: Project, django_assert_max_num_queries: Any
) -> None:
    def one(number: int) -> None:
        spec = {"targets": [{"name": "a"}, {"name": "b"}]}
        Study.objects.create(
            project=project, queue=project, name=f"s{number}", spec=spec, design={}, prompts=1, folder="f"
        )

    visitor = client("leo")
    one(0)
    visitor.get(there("studies", project))
    with django_assert_max_num_queries(30) as few:
        visitor.get(there("studies", project))
    for number in range(1, 6):
        one(number)
    with django_assert_max_num_queries(len(few.captured_queries)):
        visitor.get(there("studies", project))


def test_a_program_starts_looks_and_cancels(project: Project, suite: Suite) -> None:
    emma, root = client("emma"), f"/api/v1/projects/{project.slug}/studies/"
    root_checkpoint("tiny")
    tuned(project)
    body = {"checkpoints": ["tiny", "tuned"], "suite": "Questions", "design": {"looks": 2}}
    made = emma.post(root, {**body, "engine": "transformers"}, content_type="application/json")
    assert made.status_code == 202, made.content
    study = Study.objects.get()
    Study.objects.update(status=Status.FAILED)
    assert emma.post(f"{root}{study.pk}/resume/").json()["status"] == "queued"
    carry_study(study)
    judge(study, "ben", "tie", most=20)
    assert emma.get(f"{root}{study.pk}/").json()["looks"] == []
    look = emma.post(f"{root}{study.pk}/looks/", {}, content_type="application/json")
    assert look.status_code == 201, look.content
    assert look.json()["result"]["pairs"][0]["ties"] == 20
    assert emma.delete(f"{root}{study.pk}/").status_code == 204
    found = emma.get(f"{root}{study.pk}/").json()
    assert (found["closed_as"], len(found["looks"]), found["stage"]) == ("cancelled", 1, "Cancelled")
    again = emma.delete(f"{root}{study.pk}/")
    assert again.status_code == 422
    assert "over already" in again.text


def said(*command: str) -> dict[str, Any]:
    out = StringIO()
    call_command("study", *command, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def test_a_study_from_the_shell(project: Project, suite: Suite) -> None:
    planned = said(project.slug, "plan", "--win-rate", "0.55", "--looks", "5")
    assert planned["prompts"] > planned["fixed"] == 625
    root_checkpoint("tiny")
    tuned(project)
    options = ["--checkpoint", "tiny", "--checkpoint", "tuned", "--prompts", "suite:Questions"]
    found = said(project.slug, "start", *options, "--engine", "fake", "--wait")
    assert (found["status"], found["planned"]) == ("succeeded", 30)
    judge(Study.objects.get(), "ben", "win")
    ended = said(project.slug, "end")
    assert ended["closed_as"] == "efficacy"
    assert ended["headline"].startswith("People prefer tiny to tuned: win rate 100.0 %")
    with pytest.raises(CommandError, match="may not start training"):
        said(project.slug, "cancel", "--as", "ben")
    with pytest.raises(CommandError, match=r"There is no suite 'None' here\. Known: Questions"):
        said(project.slug, "start", "--prompts", "suite:None")
