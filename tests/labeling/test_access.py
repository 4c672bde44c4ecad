"""Who may do what: every address of a project, tried by everyone."""

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from evaluation import urls as evaluation_urls
from labeling import urls as labeling_urls
from labeling.access import BY_ROLE, Can, open_from_shell, open_project, visible_projects
from labeling.curation.freezes import start_freeze
from labeling.curation.recipe import Recipe
from labeling.errors import Refused
from labeling.guidelines import save_guideline
from labeling.models import DatasetVersion, Membership, Project, User
from labeling.projects import set_role
from labeling.queue import claim_next
from tests import world
from tests.evaluation import addresses as in_evaluation
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training import urls as training_urls
from training.chaining import Asked
from training.checking import start_check
from training.forms_pipelines import METHODS
from training.merging import start_merge
from training.models import Retraining
from training.pipelines import launch_pipeline
from training.registry import register_checkpoint
from training.selecting import start_selection

# Everyone's rights, written out once more: a change of the table in access.py has to be meant.
MAY = {
    "ada": {"annotate", "review", "view_results", "curate", "train", "share", "manage"},
    "ben": {"annotate"},
    "cleo": {"annotate", "review", "view_results"},
    "emma": {"annotate", "review", "view_results", "curate", "train", "share"},
    "leo": {"review", "view_results", "share"},
}
# Address → what it takes to read it (GET) and to use it (POST).
PAGES: dict[str, dict[str, str]] = {
    "labeling:rank": {"get": "annotate"},
    "labeling:submit": {"post": "annotate"},
    "labeling:skip": {"post": "annotate"},
    "labeling:draft": {"post": "annotate"},
    "labeling:undo": {"get": "annotate"},
    "labeling:again": {"get": "annotate"},
    "labeling:ahead": {"get": "annotate"},
    "labeling:later": {"post": "annotate"},
    "labeling:beat": {"post": "annotate"},
    "labeling:preview": {"post": "annotate"},
    "labeling:read": {"post": "annotate"},
    "labeling:items": {"get": "review"},
    "labeling:judgments": {"get": "view_results"},
    "labeling:item": {"get": "review", "post": "review"},
    "labeling:review": {"get": "review", "post": "review"},
    "labeling:review_item": {"get": "review", "post": "review"},
    "labeling:disagreements": {"get": "review"},
    "labeling:quality": {"get": "review"},
    "labeling:my_quality": {"get": "annotate"},
    "labeling:imports": {"get": "curate", "post": "curate"},
    "labeling:import": {"get": "curate"},
    "labeling:people": {"get": "manage", "post": "manage"},
    "labeling:import_cancel": {"post": "curate"},
    "labeling:work": {"get": "review"},
    "labeling:setup": {"get": "manage", "post": "manage"},
    "labeling:pause": {"post": "manage"},
    "labeling:project_preview": {"get": "curate"},
    "labeling:guidelines": {"get": "review", "post": "manage"},
    "labeling:guideline": {"get": "review"},
    "labeling:agreement": {"get": "review"},
    "labeling:datasets": {"get": "view_results"},
    "labeling:dataset_new": {"get": "curate", "post": "curate"},
    "labeling:freeze": {"get": "view_results"},
    "labeling:freeze_anyway": {"post": "curate"},
    "labeling:freeze_cancel": {"post": "curate"},
    "labeling:dataset_diff": {"get": "view_results"},
    "labeling:dataset": {"get": "view_results"},
    "labeling:dataset_row": {"get": "view_results"},
    "labeling:export": {"get": "view_results"},
    "training:runs": {"get": "view_results"},
    "training:new_run": {"get": "train", "post": "train"},
    "training:run_needs": {"post": "train"},
    "training:retrain": {"get": "train", "post": "train"},
    "training:retrain_cancel": {"post": "train"},
    "training:pipelines": {"get": "view_results"},
    "training:new_pipeline": {"get": "train", "post": "train"},
    "training:pipeline": {"get": "view_results"},
    "training:pipeline_cancel": {"post": "train"},
    "training:pipeline_go_on": {"post": "train"},
    "training:pipeline_restart": {"post": "train"},
    "training:compare_runs": {"get": "view_results"},
    "training:run": {"get": "view_results"},
    "training:run_log": {"get": "view_results"},
    "training:run_log_file": {"get": "view_results"},
    "training:cancel": {"post": "train"},
    "training:resume": {"post": "train"},
    "training:checkpoints": {"get": "view_results"},
    "training:bases": {"get": "view_results", "post": "train"},
    "training:checkpoint": {"get": "view_results"},
    "training:stage": {"post": "train"},
    "training:notes": {"post": "train"},
    "training:merge": {"post": "train"},
    "training:merge_cancel": {"post": "train"},
    "training:measure": {"post": "train"},
    "training:card": {"get": "view_results", "head": "view_results"},
    "training:weights": {"get": "view_results", "head": "view_results"},
    "training:uses": {"get": "review"},
    "training:withdrawals": {"get": "manage", "post": "manage"},
    "training:choose": {"get": "curate", "post": "curate"},
    "training:check": {"get": "view_results"},
    "training:check_cancel": {"post": "train"},
    "training:check_start": {"post": "train"},
    "training:run_report": {"get": "view_results"},
    "training:selection": {"get": "view_results"},
    "training:selection_cancel": {"post": "curate"},
    "training:selection_freeze": {"post": "curate"},
}
API: dict[str, dict[str, str]] = {
    "api-imports": {"post": "curate"},
    "api-import": {"get": "curate", "head": "curate"},
    "api-next": {"post": "annotate"},
    "api-submit": {"post": "annotate"},
    "api-skip": {"post": "annotate"},
    "api-later": {"post": "annotate"},
    "api-beat": {"post": "annotate"},
    "api-draft": {"post": "annotate"},
    "api-judgments": {"get": "view_results"},
    "api-datasets": {"get": "view_results", "post": "curate", "head": "view_results"},
    "api-freeze": {"get": "view_results"},
    "api-runs": {"get": "view_results", "post": "train"},
    "api-run": {"get": "view_results", "delete": "train"},
    "api-run-resume": {"post": "train"},
    "api-checks": {"get": "view_results", "post": "train"},
    "api-check": {"get": "view_results", "delete": "train"},
    "api-retrain": {"get": "train", "post": "train"},
    "api-pipelines": {"get": "view_results", "post": "train"},
    "api-pipeline": {"get": "view_results", "delete": "train"},
    "api-pipeline-go-on": {"post": "train"},
    "api-pipeline-restart": {"post": "train"},
    "api-bases": {"get": "view_results", "post": "train", "head": "view_results"},
    "api-checkpoints": {"get": "view_results"},
    "api-checkpoint": {"get": "view_results"},
    "api-stage": {"post": "train"},
    "api-merge": {"get": "view_results", "post": "train", "delete": "train"},
    "api-weights": {"get": "view_results"},
}
PAGES |= {f"evaluation:{name}": methods for name, methods in in_evaluation.PAGES.items()}
API |= {f"api-{name}": methods for name, methods in in_evaluation.API.items()}
EVALUATION = {f"evaluation:{name}" for name in in_evaluation.PAGES} | {
    f"api-{name}" for name in in_evaluation.API
}
OUTSIDE_PROJECTS = {
    "evaluation:shared",
    "labeling:projects",
    "labeling:project_new",
    "labeling:invitation",
    "labeling:tokens",
    "labeling:keys",
    "labeling:prefer",
}


def of_a_pipeline(project: Project, version: DatasetVersion) -> dict[str, list[Any]]:
    """What the addresses of a pipeline are made of."""
    steps = {role: Asked(method, dataset_version=version) for role, method in METHODS.items()}
    chain = launch_pipeline(project=project, start=root_checkpoint(), person=None, **steps)
    whole = ("pipeline", "pipeline_cancel", "pipeline_go_on", "api-pipeline", "api-pipeline-go-on")
    of_steps = ("pipeline_restart", "api-pipeline-restart")
    return {name: [chain.pk] for name in whole} | {name: [chain.pk, "sft"] for name in of_steps}


@pytest.fixture
def addresses(project: Project) -> dict[str, str]:
    """Every address of a project in which there is one of everything."""
    version = judged_version(project)
    job = start_freeze(project=project, recipe=Recipe(), person=None)
    slot = claim_next(project=project, person=world.person("ben")) or project.assignments.first()
    batch = world.import_file(project, world.json_lines(world.good_row(1)))
    save_guideline(project=project, text="Prefer what is true.", person=None)
    run = launched(project, version)
    check = start_check(
        project=project,
        method="sft",
        dataset_version=version,
        start=root_checkpoint(),
        values={},
        person=None,
    )
    choice = start_selection(version=version, checkpoint=root_checkpoint(), values={"k": 2}, person=None)
    checkpoint = register_checkpoint(run=run, result=RESULT)
    start_merge(adapter=checkpoint, person=None)
    of_checkpoint = ("checkpoint", "stage", "notes", "merge", "merge_cancel", "measure", "card", "weights")
    of_checkpoint += ("api-checkpoint", "api-stage", "api-merge", "api-weights")
    numbers: dict[str, list[Any]] = {
        **{name: [checkpoint.pk] for name in of_checkpoint},
        "choose": [version.number], "selection": [choice.pk], "selection_cancel": [choice.pk],
        "selection_freeze": [choice.pk], "check": [check.pk], "check_cancel": [check.pk], "check_start": [check.pk],
        "api-check": [check.pk], "run_report": [run.pk],
        "retrain_cancel": [Retraining.objects.create(project=project, origin=run).pk],
        **of_a_pipeline(project, version),
        "submit": [slot.pk], "skip": [slot.pk], "draft": [slot.pk], "item": [slot.item_id], "import": [batch.pk],
        "review_item": [slot.item_id],
        "import_cancel": [batch.pk], "guideline": [1],
        "again": [slot.pk], "ahead": [slot.pk], "later": [slot.pk], "beat": [slot.pk],
        "dataset": [version.number], "dataset_row": [version.number, 0], "uses": [slot.item_id],
        "freeze": [job.pk], "freeze_anyway": [job.pk], "freeze_cancel": [job.pk], "api-freeze": [job.pk],
        "export": [version.number, "jsonl"], "judgments": ["csv"],
        "api-judgments": ["csv"], "api-skip": [slot.pk], "api-later": [slot.pk], "api-beat": [slot.pk],
        "api-draft": [slot.pk], "training:run": [run.pk], "run_log": [run.pk], "run_log_file": [run.pk],
        "training:cancel": [run.pk], "training:resume": [run.pk], "api-run-resume": [run.pk],
        "api-import": [batch.pk], "api-submit": [slot.pk], "api-run": [run.pk],
    }  # fmt: skip
    of_evaluation = in_evaluation.numbers(project, version)

    def args(name: str) -> list[Any]:
        short = name.rpartition(":")[2]
        known = of_evaluation if name in EVALUATION else numbers
        return known.get(name, known.get(short, []))

    found = {name: reverse(name, args=[project.slug, *args(name)]) for name in [*PAGES, *API]}
    found["labeling:dataset_diff"] += f"?from={version.number}&to={version.number}"
    return found


def test_every_address_of_a_project_stands_in_the_tables() -> None:
    apps = {"labeling": labeling_urls, "training": training_urls, "evaluation": evaluation_urls}
    named = {
        f"{app}:{pattern.name}"
        for app, module in apps.items()
        for pattern in module.urlpatterns
        if isinstance(pattern, URLPattern)
    }
    assert named - OUTSIDE_PROJECTS == set(PAGES)


def test_the_roles_allow_what_is_written_here() -> None:
    names = ("annotate", "review", "view_results", "curate", "train", "share", "manage")
    found = {
        who: {name for name in names if getattr(BY_ROLE[role], name)} for who, role in world.ROLES.items()
    }
    assert {who: rights for who, rights in found.items() if who != "bea"} == MAY
    assert set(Can.__slots__) == set(names)


def ask(client: Client, method: str, url: str) -> Any:
    return getattr(client, method)(url)


def test_mallory_finds_no_address_of_a_project_that_is_not_hers(
    addresses: dict[str, str], project: Project, mallory: User
) -> None:
    client = world.sign_in(mallory)
    for name, methods in {**PAGES, **API}.items():
        for method in methods:
            reply = ask(client, method, addresses[name])
            assert reply.status_code == 404, (name, method)
            assert project.name not in reply.text, (name, method)


def test_whoever_is_not_signed_in_is_sent_to_the_login_page_or_told_401(addresses: dict[str, str]) -> None:
    for name, methods in PAGES.items():
        for method in methods:
            reply = ask(Client(), method, addresses[name])
            assert (reply.status_code, reply.url.split("?")[0]) == (302, reverse("account_login")), (
                name,
                method,
            )
    for name, methods in API.items():
        for method in methods:
            assert ask(Client(), method, addresses[name]).status_code == 401, (name, method)


@pytest.mark.parametrize("who", MAY)
def test_each_role_is_let_in_where_it_may_and_told_why_not_elsewhere(
    addresses: dict[str, str], who: str
) -> None:
    client = world.sign_in(world.person(who))
    for name, methods in {**PAGES, **API}.items():
        for method, capability in methods.items():
            reply = ask(client, method, addresses[name])
            if capability in MAY[who]:
                assert reply.status_code in (200, 201, 202, 204, 302, 400, 409, 422), (
                    name,
                    method,
                    reply.status_code,
                )
            else:
                assert reply.status_code == 403, (name, method, reply.status_code)
                assert method == "head" or "may not" in reply.text, (name, method)


def test_the_refusal_names_the_role_and_what_to_do(project: Project, ben: User) -> None:
    page = world.sign_in(ben).get(reverse("labeling:people", args=[project.slug]))
    assert page.status_code == 403
    assert (
        "Your role here is Annotator, which may not change its rules or its people; ask an owner" in page.text
    )


def test_a_method_that_an_api_address_does_not_have_is_405_and_not_an_error(
    addresses: dict[str, str], ada: User
) -> None:
    client = world.sign_in(ada)
    for name in API:
        wrong = "patch" if "patch" not in API[name] else "put"
        assert ask(client, wrong, addresses[name]).status_code == 405, name
        assert ask(client, "options", addresses[name]).status_code == 200, name


def test_things_of_another_project_are_not_found_under_this_one(addresses: dict[str, str], ada: User) -> None:
    other = world.make_project("Another")
    client = world.sign_in(ada)
    for name in (
        "labeling:item",
        "labeling:import",
        "labeling:dataset",
        "labeling:dataset_row",
        "labeling:freeze",
        "training:uses",
        "training:run",
        "training:checkpoint",
        "training:card",
        "training:weights",
        "training:run_log",
        "evaluation:evaluation",
        "api-run",
        "api-check",
        "api-checkpoint",
        "api-weights",
    ):
        url = addresses[name].replace("/helpfulness/", f"/{other.slug}/")
        assert client.get(url).status_code == 404, name


def test_mallory_sees_no_project_in_her_list_and_an_administrator_sees_all(
    project: Project, mallory: User
) -> None:
    boss = User.objects.create(username="boss", is_superuser=True)
    assert project.name not in world.sign_in(mallory).get("/").text
    assert project.name in world.sign_in(boss).get("/").text
    assert list(visible_projects(mallory)) == []
    assert open_project(boss, project.slug, "manage").role_label == "Administrator"


def test_the_shell_may_do_everything_and_a_named_person_what_their_role_allows(project: Project) -> None:
    assert open_from_shell(project.slug).can.manage is True
    assert open_from_shell(project.slug, "ben", "annotate").person == world.person("ben")
    with pytest.raises(Refused, match="Annotator, which may not change its rules or its people"):
        open_from_shell(project.slug, "ben", "manage")
    with pytest.raises(Refused, match="no such project"):
        world.person("mallory") and open_from_shell(project.slug, "mallory")
    with pytest.raises(Refused, match="no user 'nobody'"):
        open_from_shell(project.slug, "nobody")
    with pytest.raises(Refused, match=r"no project 'x'\. Projects here: helpfulness"):
        open_from_shell("x")


def test_the_only_owner_cannot_give_the_role_away(project: Project, ada: User) -> None:
    with pytest.raises(Refused, match="ada is the only owner"):
        set_role(project=project, username="ada", role="lead")
    set_role(project=project, username="ben", role="owner")
    set_role(project=project, username="ada", role="lead")
    assert Membership.objects.get(user=ada).role == "lead"


def test_ada_makes_bea_a_reviewer_on_the_people_page(project: Project, ada: User, bea: User) -> None:
    url = reverse("labeling:people", args=[project.slug])
    page = world.sign_in(ada).post(url, {"username": "bea", "role": "reviewer"}, follow=True)
    assert "bea is now Reviewer" in page.text
    refused = world.sign_in(ada).post(url, {"username": "nobody", "role": "reviewer"})
    assert refused.status_code == 422
    assert "There is no user" in refused.text


def test_ada_makes_a_project_and_is_told_when_its_address_is_taken(ada: User) -> None:
    client = world.sign_in(ada)
    assert client.post("/", {"name": "New one", "overlap": 2}).status_code == 302
    again = client.post("/", {"name": "New one", "overlap": 2})
    nameless = client.post("/", {"name": "???", "overlap": 2})
    assert (again.status_code, nameless.status_code) == (422, 422)
    assert "already a project at /p/new-one/" in again.text
    assert "has no letters or digits" in nameless.text
    assert Project.objects.get().memberships.get().role == "owner"


def test_a_form_that_is_sent_without_its_token_is_refused(project: Project, ben: User) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    client = Client(enforce_csrf_checks=True)
    client.force_login(ben)
    form = {"token": slot.token, "client_key": uuid.uuid4(), "verdict": "tie"}
    assert client.post(reverse("labeling:submit", args=[project.slug, slot.pk]), form).status_code == 403
    assert project.judgments.count() == 0
