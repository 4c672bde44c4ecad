"""The ranking page tells only what is so: who is signed out, what was stored, what is left."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from labeling.annotating import skip
from labeling.errors import StaleLease
from labeling.models import Judgment, Project, User
from labeling.queue import claim_next, left_for
from tests import world

HTMX = {"HX-Request": "true"}


def form(project: Project, who: User, verdict: str = "tie") -> tuple[str, dict[str, str]]:
    held = claim_next(project=project, person=who)
    assert held is not None
    values = {"token": str(held.token), "client_key": str(uuid.uuid4()), "verdict": verdict}
    return reverse("labeling:submit", args=[project.slug, held.pk]), values


@pytest.fixture
def filled(project: Project) -> Project:
    world.fill(project, 3)
    return project


def test_ben_signed_out_reads_so_and_nothing_is_called_saved(filled: Project, ben: User) -> None:
    url, values = form(filled, ben)
    answer = Client().post(url, values, headers=HTMX)
    assert (answer.status_code, "Prefloop-Saved" in answer) == (401, False)
    assert "You were signed out. Your choice is still on this page" in answer.text
    assert Judgment.objects.count() == 0


def test_ben_signed_out_without_scripts_comes_back_to_the_page_and_not_to_the_form(
    filled: Project, ben: User
) -> None:
    url, values = form(filled, ben)
    page = reverse("labeling:rank", args=[filled.slug])
    answer = Client().post(url, values, headers={"Referer": f"http://testserver{page}"})
    assert answer["Location"] == f"{reverse('account_login')}?next={page}"


def test_a_live_block_of_somebody_signed_out_gets_a_sentence_and_no_form(filled: Project) -> None:
    answer = Client().get(reverse("training:runs", args=[filled.slug]), headers=HTMX)
    assert (answer.status_code, answer.text) == (401, "You were signed out. Sign in again to go on.")


def test_what_was_stored_carries_the_header_that_says_so(filled: Project, ben: User) -> None:
    url, values = form(filled, ben)
    assert world.sign_in(ben).post(url, values, headers=HTMX)["Prefloop-Saved"] == "1"
    refused = world.sign_in(ben).post(url, {**values, "verdict": "maybe"}, headers=HTMX)
    assert "Prefloop-Saved" not in refused


def test_left_counts_what_ben_may_still_get_and_ends_at_nothing(filled: Project, ben: User) -> None:
    assert left_for(project=filled, person=ben) == 3
    world.judge_all(filled, ben)
    assert left_for(project=filled, person=ben) == 0


def test_with_two_judgments_an_item_left_is_not_counted_twice(ben: User, bea: User) -> None:
    project = world.make_project("Twice", overlap=2)
    world.fill(project, 4)
    assert left_for(project=project, person=ben) == 4
    world.judge_all(project, ben)
    assert (left_for(project=project, person=ben), left_for(project=project, person=bea)) == (0, 4)


def test_an_item_judged_in_one_tab_cannot_be_skipped_in_another(filled: Project, ben: User) -> None:
    held = claim_next(project=filled, person=ben)
    assert held is not None
    assert held.token is not None
    url, values = form(filled, ben)
    world.sign_in(ben).post(url, values)
    with pytest.raises(StaleLease, match="already judged"):
        skip(project=filled, assignment_id=held.pk, person=ben, token=held.token, reason="other")
    assert Judgment.objects.count() == 1
