"""Invariant 9: pages cost the same with five rows and with fifty, and no list or count reads a payload column."""

import re
import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evaluation.models import Suite
from evaluation.planning import plan_evaluation
from labeling.models import ImportBatch, Project, User
from tests import world
from tests.evaluation.planned import a_suite
from tests.training.runs import root_checkpoint
from training.models import TrainingRun

PAYLOAD = re.compile(
    r'"labeling_item"\."(messages|extra)"|"evaluation_case"\."(prompt|reference|rejected|contexts|checks)"|"evaluation_output"\."text"|"labeling_response"'
)


def items(project: Project, count: int) -> None:
    world.fill(project, count, start=1000 + project.items.count())
    world.judge_all(project, world.person("ben"), ["0", "tie"] * count)


def imports(project: Project, count: int) -> None:
    for n in range(count):
        ImportBatch.objects.create(
            project=project, filename=f"f{n}", path="x", created_by=world.person("emma")
        )


def versions(project: Project, count: int) -> None:
    items(project, 6)
    seed = project.dataset_versions.count()
    for n in range(count):
        world.frozen(project, seed=seed + n)


def projects(project: Project, count: int) -> None:
    for _ in range(count):
        world.fill(world.make_project(uuid.uuid4().hex), 1)


def runs(project: Project, count: int) -> None:
    versions(project, count)
    root = root_checkpoint()
    for n in range(count):
        TrainingRun.objects.create(
            project=project, name=f"r{n}", method="sft", dataset_version=project.dataset_versions.first(),
            base=root.base, start=root, spec={}, folder="x",
        )  # fmt: skip


def evaluations(project: Project, count: int) -> None:
    suite = Suite.objects.first() or a_suite(project)
    for n in range(count):
        plan_evaluation(
            project=project, suite=suite, checkpoints=[root_checkpoint()], person=None, name=f"e{n}"
        )


def suites(project: Project, count: int) -> None:
    for n in range(count):
        a_suite(project, cases=2, name=f"Suite {Suite.objects.count()}.{n}")


# What there is five or fifty of, and the lists that it stands in.
LISTS: dict[Callable[[Project, int], None], list[str]] = {
    items: ["labeling:items", "evaluation:dashboard", "labeling:agreement", "labeling:people"],
    imports: ["labeling:imports"],
    versions: ["labeling:datasets", "api-datasets"],
    projects: ["labeling:projects"],
    runs: ["training:runs", "api-runs"],
    evaluations: ["evaluation:evaluations", "api-evaluations"],
    suites: ["evaluation:suites", "api-suites", "evaluation:leaderboard"],
}
READS_TEXTS = {"labeling:datasets": "its preview reads the texts of the rows that it promises"}


def address(route: str, project: Project) -> str:
    return reverse(route, args=[] if route == "labeling:projects" else [project.slug])


def queries(who: User, url: str) -> list[str]:
    client = world.sign_in(who)
    client.get(url)
    with CaptureQueriesContext(connection) as captured:
        reply = client.get(url)
    assert reply.status_code == 200
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("add", LISTS)
def test_a_list_with_fifty_rows_asks_the_database_as_often_as_one_with_five(
    project: Project, ada: User, add: Callable[[Project, int], None]
) -> None:
    add(project, 5)
    few = {route: queries(ada, address(route, project)) for route in LISTS[add]}
    add(project, 45)
    for route in LISTS[add]:
        many = queries(ada, address(route, project))
        assert len(many) == len(few[route]), "\n".join([route, *sorted(set(many) - set(few[route]))])


@pytest.mark.parametrize("add", LISTS)
def test_no_list_or_count_reads_a_text_of_an_item(
    project: Project, ada: User, add: Callable[[Project, int], None]
) -> None:
    add(project, 5)
    for route in set(LISTS[add]) - set(READS_TEXTS):
        for sql in queries(ada, address(route, project)):
            assert not PAYLOAD.search(sql), (route, sql)


def test_judging_reads_one_item_however_many_there_are(project: Project, ben: User) -> None:
    url = reverse("labeling:rank", args=[project.slug])
    world.fill(project, 3)
    few = queries(ben, url)
    world.fill(project, 200, start=3)
    assert len(queries(ben, url)) == len(few)


@pytest.mark.parametrize(
    "query", ["?q=question", "?status=open", "?status=done", "?sort=judgments", "?sort=newest&page=2"]
)
def test_filters_and_orders_of_the_item_list_read_no_text(project: Project, ada: User, query: str) -> None:
    items(project, 60)
    for sql in queries(ada, reverse("labeling:items", args=[project.slug]) + query):
        assert not PAYLOAD.search(sql), sql


@pytest.mark.data_layer
@pytest.mark.parametrize(
    "query", ["?q=%00", "?page=x", "?page=-1", "?page=99999", "?sort=%27;--", "?status=%00"]
)
def test_the_item_list_answers_whatever_stands_in_its_address(
    project: Project, ada: User, query: str
) -> None:
    items(project, 3)
    assert world.sign_in(ada).get(reverse("labeling:items", args=[project.slug]) + query).status_code == 200
