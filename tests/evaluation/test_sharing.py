"""Leo sends a link to somebody without an account; it shows numbers, ends by itself, and can be made worthless."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from evaluation.models import EvalRun, ShareLink
from evaluation.sharing import MOST_OPEN, hash_of, open_links, share, shared_run
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import better_than, finished, passing


@pytest.fixture
def run(project: Project) -> EvalRun:
    first = passing(0.5)
    return finished(project, {"champion": first, "tuned": better_than(first, 0.6)}, cases=80)


def make(who: User, run: EvalRun, days: str = "7") -> Any:
    address = reverse("evaluation:share", args=[run.project.slug, run.pk])
    return world.sign_in(who).post(address, {"days": days})


def opened(secret: str) -> Any:
    return Client().get(reverse("evaluation:shared", args=[secret]))


def secret_in(page: Any) -> str:
    return str(page.context["address"]).rstrip("/").split("/")[-1]


def test_a_stranger_reads_the_verdict_by_leos_link(run: EvalRun, leo: User) -> None:
    page = opened(secret_in(make(leo, run)))
    assert page.status_code == 200
    assert "tuned is better than champion" in page.text
    assert "What this rests on" in page.text


def test_the_stranger_reads_no_text_of_a_case_and_finds_no_way_in(run: EvalRun, leo: User) -> None:
    page = opened(secret_in(make(leo, run)))
    assert "How do I return order" not in page.text
    assert "says: open order" not in page.text
    assert f"/p/{run.project.slug}/" not in page.text


def test_the_stranger_reads_no_reason_either_as_it_may_quote_an_answer(project: Project, leo: User) -> None:
    some = lambda n, m: None if n < 5 else passing(0.5)(n, m)  # noqa: E731
    page = opened(
        secret_in(make(leo, finished(project, {"champion": passing(0.5), "tuned": some}, cases=80)))
    )
    assert "exact: 5 errors" in page.text
    assert "the judge said nothing" not in page.text


def test_search_engines_and_other_sites_learn_nothing_of_the_link(run: EvalRun, leo: User) -> None:
    page = opened(secret_in(make(leo, run)))
    assert page["X-Robots-Tag"] == "noindex, nofollow"
    assert page["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page["Cache-Control"]


def test_the_secret_is_shown_once_and_only_its_hash_is_kept(run: EvalRun, leo: User) -> None:
    page = make(leo, run)
    secret = secret_in(page)
    assert secret in page.text
    assert "no-store" in page["Cache-Control"]
    again = world.sign_in(leo).get(reverse("evaluation:share", args=[run.project.slug, run.pk]))
    link = ShareLink.objects.get()
    assert secret not in again.text
    assert link.token_hash == hash_of(secret)
    assert secret not in str(link.__dict__)


def test_a_link_that_ended_was_revoked_or_never_was_opens_nothing(run: EvalRun, leo: User) -> None:
    ended, revoked = (secret_in(make(leo, run)) for _ in range(2))
    ShareLink.objects.filter(token_hash=hash_of(ended)).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    number = ShareLink.objects.get(token_hash=hash_of(revoked)).pk
    world.sign_in(leo).post(reverse("evaluation:share_revoke", args=[run.project.slug, run.pk, number]))
    assert [opened(secret).status_code for secret in (ended, revoked, "guessed", "\0")] == [404] * 4
    assert open_links(run) == []


def test_a_link_opens_its_own_run_only(run: EvalRun, project: Project, ada: User) -> None:
    other = finished(world.make_project("Other"), {"a": passing(0.5), "b": passing(0.6)})
    _, secret = share(run=other, days=1, person=ada)
    link = shared_run(secret)
    assert link is not None
    assert link.run == other


@pytest.mark.parametrize("days", ["0", "365", "", "seven"])
def test_a_link_holds_for_a_time_that_is_offered(run: EvalRun, leo: User, days: str) -> None:
    page = make(leo, run, days)
    assert page.status_code == 422
    assert "choose one of 1, 7, 30" in page.text
    assert ShareLink.objects.count() == 0


def test_a_run_without_a_verdict_is_not_shared(run: EvalRun, leo: User) -> None:
    EvalRun.objects.filter(pk=run.pk).update(status=Status.RUNNING)
    assert "share it when it has ended" in make(leo, run).text


def test_there_is_an_end_to_open_links(run: EvalRun, leo: User) -> None:
    for _ in range(MOST_OPEN):
        share(run=run, days=1, person=leo)
    with pytest.raises(Refused, match="revoke some first"):
        share(run=run, days=1, person=leo)


@pytest.mark.parametrize(
    ("who", "status"), [("ada", 200), ("emma", 200), ("leo", 200), ("cleo", 403), ("ben", 403)]
)
def test_owners_engineers_and_leads_share(run: EvalRun, who: str, status: int) -> None:
    assert make(world.person(who), run).status_code == status


def test_mallory_neither_shares_nor_revokes(run: EvalRun, leo: User, mallory: User) -> None:
    secret = secret_in(make(leo, run))
    address = reverse("evaluation:share_revoke", args=[run.project.slug, run.pk, ShareLink.objects.get().pk])
    assert make(mallory, run).status_code == 404
    assert world.sign_in(mallory).post(address).status_code == 404
    assert opened(secret).status_code == 200


def test_leos_script_makes_a_link_whose_address_is_told_once_and_revokes_it(run: EvalRun, leo: User) -> None:
    client = world.sign_in(leo)
    at = reverse("api-share-links", args=[run.project.slug, run.pk])
    made = client.post(at, {"days": 7}, "application/json")
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    address = made.json()["address"]
    assert Client().get(address).status_code == 200
    (listed,) = client.get(at).json()
    assert (listed["created_by"], "address" in listed) == ("leo", False)
    assert client.post(at, {"days": 3}, "application/json").status_code == 422
    assert client.delete(f"{at}{listed['id']}/").status_code == 204
    assert (Client().get(address).status_code, client.get(at).json()) == (404, [])
