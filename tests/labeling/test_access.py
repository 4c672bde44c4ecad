"""Who may do what: every address of a project, tried by everyone."""

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from evaluation import urls as evaluation_urls
from labeling import urls as labeling_urls
from labeling.access import BY_ROLE, Can, open_from_shell, open_project, visible_projects
from labeling.errors import Refused
from labeling.models import Membership, Project, User
from labeling.projects import set_role
from labeling.queue import claim_next
from tests import world
from tests.labeling.addresses import API, OUTSIDE_PROJECTS, PAGES, every_address
from training import urls as training_urls

# Everyone's rights, written out once more: a change of the table in access.py has to be meant.
MAY = {
    "ada": {"annotate", "review", "view_results", "curate", "train", "share", "manage"},
    "ben": {"annotate"},
    "cleo": {"annotate", "review", "view_results"},
    "emma": {"annotate", "review", "view_results", "curate", "train", "share"},
    "leo": {"review", "view_results", "share"},
}


@pytest.fixture
def addresses(project: Project) -> dict[str, str]:
    return every_address(project)


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
