"""Leo finds an evaluation among many, and reads what each came to in a word and a number."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evaluation.models import EvalRun
from evaluation.reading import target_lines
from evaluation.runlist import found_runs, run_lines
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import always, better_than, finished, passing, suite_of

CHAMPION = passing(0.5)
TARGETS = {"champion": CHAMPION, "tuned": better_than(CHAMPION, 0.6)}


def listed(who: User, project: Project, query: str = "") -> Any:
    return world.sign_in(who).get(reverse("evaluation:evaluations", args=[project.slug]) + query)


def names(page: Any) -> list[str]:
    return [line.run.name for line in page.context["lines"]]


def test_each_row_says_the_verdict_and_the_difference_that_its_page_says(project: Project, leo: User) -> None:
    version = suite_of(project, 80)
    runs = [
        finished(project, TARGETS, version=version, name="tried"),
        finished(project, {"champion": CHAMPION, "worse": always(0)}, version=version, name="tried too"),
        finished(project, {"champion": CHAMPION, "same": CHAMPION}, version=version, name="the same"),
        finished(project, {"champion": CHAMPION}, version=version, name="alone"),
    ]
    page = listed(leo, project)
    lines = {line.run.name: line for line in page.context["lines"]}
    assert {name: line.headline.word for name, line in lines.items()} == {
        "tried": "Better", "tried too": "Worse", "the same": "No difference", "alone": "No verdict",
    }  # fmt: skip
    for run in runs[:3]:
        line = lines[run.name]
        assert line.number in line.headline.sentence
        own = world.sign_in(leo).get(reverse("evaluation:evaluation", args=[project.slug, run.pk]))
        assert own.context["screen"].headline == line.headline
    assert re.fullmatch(r"\d+\.\d %", lines["alone"].number)
    assert lines["tried"].number in page.text


@pytest.mark.parametrize("state", [Status.QUEUED, Status.RUNNING, Status.FAILED, Status.CANCELLED])
def test_an_evaluation_without_numbers_has_no_verdict_yet(project: Project, leo: User, state: Status) -> None:
    EvalRun.objects.create(
        project=project, suite=(version := suite_of(project, 5)).suite, version=version, name="begun",
        engine="fake", spec={"primary": "exact", "metrics": []}, folder="x", status=state,
    )  # fmt: skip
    page = listed(leo, project)
    assert "none yet" in page.text
    assert ("every 3s" in page.text) == (state in (Status.QUEUED, Status.RUNNING))


def test_a_run_whose_scorer_is_gone_leaves_the_others_their_verdicts(project: Project, leo: User) -> None:
    version = suite_of(project, 80)
    old = finished(project, TARGETS, version=version, name="old")
    finished(project, TARGETS, version=version, name="new")
    old.spec["metrics"][0]["scorer"] = "gone"
    old.save()
    lines = {line.run.name: line.headline for line in listed(leo, project).context["lines"]}
    assert (lines["old"], lines["new"] is not None) == (None, True)


def test_it_is_found_by_its_name_its_suite_a_target_and_its_status(project: Project, leo: User) -> None:
    refunds, billing = suite_of(project, 5, name="Refunds"), suite_of(project, 5, name="Billing")
    finished(project, TARGETS, version=refunds, name="first")
    finished(project, {"champion": CHAMPION, "other": CHAMPION}, version=billing, name="second")
    EvalRun.objects.filter(name="second").update(status=Status.FAILED)
    found = {
        query: names(listed(leo, project, query))
        for query in (
            "?q=FIRST", "?q=billing", "?q=tuned", "?q=champion", f"?suite={refunds.suite_id}", "?status=failed",
            f"?q=champion&suite={billing.suite_id}", "?suite=99999999999999999999", "?suite=x&status=x", "?q=%00",
        )
    }  # fmt: skip
    both = ["second", "first"]
    assert list(found.values()) == [
        ["first"], ["second"], ["first"], both, ["first"], ["second"], ["second"], [], both, both,
    ]  # fmt: skip
    nothing = listed(leo, project, "?q=nobody").text
    assert "No evaluation fits" in nothing
    assert "Nothing evaluated yet" not in nothing


def test_the_hundredth_is_reached_page_by_page(project: Project, leo: User) -> None:
    version = suite_of(project, 5)
    EvalRun.objects.bulk_create(
        EvalRun(
            project=project, suite=version.suite, version=version, name=f"e{n}", engine="fake",
            spec={"primary": "exact", "metrics": []}, folder=str(n), status=Status.CANCELLED,
        )
        for n in range(100)
    )  # fmt: skip
    assert "1 to 50 of 100 evaluations" in listed(leo, project).text
    last = listed(leo, project, "?page=2&status=cancelled")
    assert names(last)[-1] == "e0"
    assert "51 to 100 of 100 evaluations" in last.text


def test_verdicts_of_a_page_are_read_at_once_and_without_the_facts_of_scoring(project: Project) -> None:
    version = suite_of(project, 5)
    counted = []
    for count in (2, 6):
        for n in range(count):
            finished(project, TARGETS, version=version, name=f"e{count}.{n}")
        with CaptureQueriesContext(connection) as captured:
            lines = run_lines(list(found_runs(project, {})))
        counted.append(len(captured))
        assert all(line.headline for line in lines)
    assert counted[0] == counted[1]
    run = EvalRun.objects.first()
    assert run is not None
    assert target_lines(run)[1].facts
