"""The overview says where the loop stands and what moves it on."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evaluation.dashboard import judgments_by_day, overview
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import better_than, finished, passing, suite_of
from tests.training.runs import launched


def words(project: Project) -> str:
    return " / ".join(step["words"] for step in overview(project)["next_steps"])


def test_an_empty_project_asks_for_items(project: Project) -> None:
    found = overview(project)
    assert words(project) == "Import the first prompts and responses"
    assert found["agreement"] is None
    assert found["charts"] == {"judgments": None, "scores": None}
    assert found["headline"] is None


def test_each_step_leads_to_the_next(project: Project) -> None:
    world.fill(project, 10)
    assert "10 judgments are still wanted" in words(project)
    world.judge_all(project, world.person("ben"))
    assert "Freeze a dataset version of 10 new judgments" in words(project)
    version = world.frozen(project)
    assert "Train a first checkpoint" in words(project)
    launched(project, version)
    assert "Evaluate the checkpoints against the base" in words(project)
    assert overview(project)["live"] is True


def test_the_counts_are_those_of_this_project_only(project: Project) -> None:
    other = world.make_project("Other")
    world.fill(other, 7)
    world.fill(project, 3)
    world.judge_next(project, world.person("ben"))
    counts = overview(project)["counts"]
    assert (counts["items"], counts["judgments"], counts["left"]) == (3, 1, 2)


def test_a_day_with_judgments_has_its_bar(project: Project) -> None:
    world.fill(project, 3)
    world.judge_all(project, world.person("ben"))
    assert sum(count for _, count in judgments_by_day(project)) == 3
    assert overview(project)["charts"]["judgments"].spec["data"]["values"][-1]["judgments"] == 3


@pytest.mark.parametrize("items", [0, 3])
def test_leo_reads_the_overview_and_emma_what_to_do_next(
    project: Project, leo: User, emma: User, items: int
) -> None:
    world.fill(project, items)
    world.judge_all(project, world.person("ben"))
    address = reverse("evaluation:dashboard", args=[project.slug])
    step = overview(project)["next_steps"][0]["words"]
    assert step in world.sign_in(emma).get(address).text
    page = world.sign_in(leo).get(address)
    assert page.status_code == 200
    assert step not in page.text


def test_leo_finds_the_latest_verdict_with_its_chart_on_the_overview(project: Project, leo: User) -> None:
    first = passing(0.5)
    finished(project, {"champion": first, "tuned": better_than(first, 0.6)}, cases=80)
    page = world.sign_in(leo).get(reverse("evaluation:dashboard", args=[project.slug]))
    assert "tuned is better than champion in exact" in page.text
    assert 'data-kind="better"' in page.text
    assert "Measured on 80 cases from 80 independent prompts." in page.text
    assert page.context["charts"]["scores"].n_words == "n 80"


def test_an_open_verdict_asks_for_more_items(project: Project) -> None:
    first = passing(0.5)
    finished(project, {"champion": first, "tuned": better_than(first, 0.06, 0.03)}, cases=60)
    assert "The latest verdict is open: more judged items would settle it" in words(project)


def test_more_runs_and_cases_cost_the_overview_no_more_queries(project: Project, leo: User) -> None:
    first, counts = passing(0.5), []
    address = reverse("evaluation:dashboard", args=[project.slug])
    for number, cases in enumerate((20, 100, 100)):
        version = suite_of(project, cases, name=f"suite {number}")
        finished(project, {"champion": first, "tuned": better_than(first, 0.6)}, version=version)
        with CaptureQueriesContext(connection) as queries:
            world.sign_in(leo).get(address)
        counts.append(len(queries))
        assert not [
            q for q in queries if "evaluation_casescore" in q["sql"] or "evaluation_output" in q["sql"]
        ]
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.django_db
def test_two_people_who_agree_on_everything_have_an_alpha_with_its_interval() -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 30)
    for who in ("ben", "bea"):
        world.judge_all(project, world.person(who), ["0", "1", "tie"] * 10)
    alpha = overview(project)["agreement"]
    assert (alpha.value, alpha.n) == (1.0, 30)
