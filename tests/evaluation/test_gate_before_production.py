"""Where a project has a gate, nobody goes round it by the stage of a checkpoint."""

import html
from typing import Any

import pytest
from django.urls import reverse

from evaluation.deciding import decide, set_gate
from evaluation.gates import examine
from labeling.errors import Refused
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import checkpoint, suite_of
from tests.evaluation.gating import better
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
        f"{GATE} Promote candidate by an evaluation; past the gate only an owner decides, with a reason."
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
    assert f"{GATE} To go past it needs a reason; say in a sentence why." in words
    assert press(ada, candidate, reason="The old one is unsafe")[0] == 200
    assert candidate.stage == "production"
    assert StageChange.objects.get(checkpoint=candidate).reason == "The old one is unsafe"


def test_what_is_in_production_is_taken_out_by_owners_or_rolled_back(
    candidate: Checkpoint, emma: User, ada: User
) -> None:
    press(ada, candidate, reason="First one")
    place = reverse("training:checkpoint", args=[candidate.project.slug, candidate.pk])
    page = world.sign_in(emma).get(place).text
    assert ("Roll back to what was" in page, 'name="after"' in page) == (True, False)
    status, words = press(emma, candidate, "archived", reason="It is bad")
    assert (status, candidate.stage) == (409, "production")
    assert f"{GATE} Roll it back; past the gate only an owner decides, with a reason." in words
    assert press(ada, candidate, "archived", reason="It is bad")[0] == 200
    assert candidate.stage == "archived"


def test_emma_puts_no_suite_away_to_be_rid_of_its_gate(candidate: Checkpoint, emma: User, ada: User) -> None:
    suite = candidate.project.suites.get()
    place, words = [candidate.project.slug, suite.pk], "only an owner puts the suite away"
    client = world.sign_in(emma)
    assert words in client.post(reverse("evaluation:suite_archive", args=place), follow=True).text
    by_api = client.patch(
        reverse("api-suite", args=place), {"archived": True}, content_type="application/json"
    )
    assert (by_api.status_code, words in by_api.json()["detail"]) == (422, True)
    suite.refresh_from_db()
    assert suite.archived_at is None
    assert (
        "was put away"
        in world.sign_in(ada).post(reverse("evaluation:suite_archive", args=place), follow=True).text
    )


def test_the_usual_conditions_of_another_suite_decide_nothing(
    project: Project, emma: User, ada: User
) -> None:
    run, target = better(project)
    set_gate(suite=suite_of(project, 3, name="Support").suite, values={"margin": 0.01}, person=ada)
    with pytest.raises(Refused, match="Open: measured where a gate was set"):
        decide(run=run, target=target, promote=True, person=emma)
    words = next(each.words for each in examine(run, target).open)
    assert words == f"{GATE} {run.suite} has none of its own; evaluate candidate there."
    made = decide(run=run, target=target, promote=True, person=ada, despite=True, reason="It is urgent")
    assert (made.action, made.passed) == ("promoted", False)


def test_a_suite_with_a_gate_of_its_own_decides(project: Project, emma: User, ada: User) -> None:
    run, target = better(project)
    for suite in (run.suite, suite_of(project, 3, name="Support").suite):
        set_gate(suite=suite, values={"margin": 0.01}, person=ada)
    assert decide(run=run, target=target, promote=True, person=emma).passed is True


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
