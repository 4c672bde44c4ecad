"""Where a project has a gate, nobody goes round it by the stage of a checkpoint."""

import html
from typing import Any

import pytest
from django.urls import reverse

from evaluation.deciding import set_gate
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import checkpoint, suite_of
from training.models import Checkpoint, StageChange

GATE = "The gate of Support decides what goes into production here."


@pytest.fixture
def candidate(project: Project, ada: User) -> Checkpoint:
    """A candidate in a project whose owner has set a gate."""
    set_gate(suite=suite_of(project, 3, name="Support").suite, values={"margin": 0.01}, person=ada)
    made: Checkpoint = checkpoint(project, "candidate")
    return made


def press(who: User, found: Checkpoint, after: str = "production", reason: str = "") -> tuple[int, str]:
    """What comes of the button on the page."""
    sent = {"before": found.stage, "after": after, "replaces": "", "reason": reason}
    place = reverse("training:stage", args=[found.project.slug, found.pk])
    page = world.sign_in(who).post(place, sent, follow=True)
    found.refresh_from_db()
    return page.status_code, html.unescape(page.text)


def test_emma_cannot_go_round_the_gate_and_the_page_says_who_decides(
    candidate: Checkpoint, emma: User
) -> None:
    status, words = press(emma, candidate, reason="It feels better")
    assert (status, candidate.stage) == (409, "candidate")
    assert (
        f"{GATE} Promote candidate by an evaluation; past the gate only an owner does, with a reason."
        in words
    )
    client, place = world.sign_in(emma), [candidate.project.slug, candidate.pk]
    sent = {"before": "candidate", "after": "production"}
    by_api = client.post(reverse("api-stage", args=place), sent, content_type="application/json")
    assert (by_api.status_code, by_api.json()["detail"] in words) == (422, True)
    page = client.get(reverse("training:checkpoint", args=place)).text
    assert GATE in page
    assert "Promote to production" not in page
    assert "Archive" in page
    assert press(emma, candidate, "archived")[0] == 200
    assert candidate.stage == "archived"


def test_ada_goes_past_it_with_a_reason(candidate: Checkpoint, ada: User) -> None:
    status, words = press(ada, candidate)
    assert (status, candidate.stage) == (409, "candidate")
    assert f"{GATE} Promoting past it needs a reason; say in a sentence why." in words
    assert press(ada, candidate, reason="The old one is unsafe")[0] == 200
    assert candidate.stage == "production"
    assert StageChange.objects.get(checkpoint=candidate).reason == "The old one is unsafe"


@pytest.mark.parametrize("change", ["no gate", "archived", "rewards", "elsewhere"])
def test_where_no_gate_is_set_for_it_whoever_trains_promotes(
    candidate: Checkpoint, emma: User, change: str
) -> None:
    suite = candidate.project.suites.get()
    if change == "no gate":
        suite.gate.delete()
    elif change == "archived":
        type(suite).objects.update(archived_at=suite.created_at)
    elif change == "elsewhere":
        type(suite).objects.update(project=world.make_project("Another"))
    else:
        Checkpoint.objects.filter(pk=candidate.pk).update(line="reward")
    sent: dict[str, Any] = {"before": "candidate", "after": "production", "replaces": "", "reason": ""}
    place = reverse("training:stage", args=[candidate.project.slug, candidate.pk])
    assert world.sign_in(emma).post(place, sent).status_code == 302
    candidate.refresh_from_db()
    assert candidate.stage == "production"
