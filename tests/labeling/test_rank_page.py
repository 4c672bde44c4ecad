"""The ranking page tells only what is so: who is signed out, what was stored, what is left."""

import re
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.annotating import skip
from labeling.errors import StaleLease
from labeling.intake import ItemDraft, ResponseDraft
from labeling.models import (
    Guideline,
    Judgment,
    Membership,
    Project,
    Rationale,
    Review,
    ReviewState,
    Seat,
    Task,
    User,
)
from labeling.queue import claim_next, left_for
from tests import world

HTMX = {"HX-Request": "true"}
TONE = [{"key": "tone", "words": "Tone", "low": 1, "high": 5}]


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


def kind_of(task: Task, texts: Sequence[str] = ("One answer", "Another"), **rules: Any) -> Project:
    """A project of this kind with two items of these responses, and a third that is like them."""
    project = world.make_project(f"Kind {task} {len(texts)}", task=task, **rules)
    world.put(
        project,
        *(
            ItemDraft(
                messages=[{"role": "user", "content": f"Question {n}?"}],
                responses=[ResponseDraft(text, origin="secret-model") for text in texts],
            )
            for n in range(3)
        ),
    )
    return project


def page_of(project: Project, who: User, **headers: str) -> str:
    return world.sign_in(who).get(reverse("labeling:rank", args=[project.slug]), headers=headers).text


@pytest.mark.parametrize(
    ("task", "title", "field"),
    [
        (Task.PAIRWISE, "Which response is better?", 'name="verdict"'),
        (Task.RANKING, "Put the responses in order, best first", 'name="place.2"'),
        (Task.RATING, "Rate each response", 'name="rating.tone.2"'),
        (Task.DEMONSTRATION, "Write the best response", '<textarea class="input written"'),
        (Task.EDIT, "Improve a response", 'name="number" value="2"'),
    ],
)
def test_each_kind_of_task_has_its_question_and_its_fields_and_no_name_of_a_model(
    ben: User, task: Task, title: str, field: str
) -> None:
    page = page_of(kind_of(task, attributes=TONE), ben)
    assert title in page
    assert field in page
    assert "secret-model" not in page


@pytest.mark.parametrize("task", Task.values)
def test_a_ranking_begins_empty_and_nothing_is_chosen_for_anybody(ben: User, task: str) -> None:
    page = page_of(kind_of(Task(task), attributes=TONE, ask_strength=True), ben)
    assert "checked" not in page
    assert 'data-order=""' in page or task != "ranking"


def test_a_fragment_is_the_item_alone_with_the_keys_and_the_guidelines_it_is_judged_by(
    filled: Project, ben: User
) -> None:
    guideline = Guideline.objects.create(project=filled, number=1, text="Be fair.")
    Project.objects.update(guideline=guideline)
    page, part = page_of(filled, ben), page_of(filled, ben, **HTMX)
    assert "Be fair." in page
    assert part.lstrip().startswith("<section")
    assert "Be fair." not in part
    assert f'data-guideline="{guideline.pk}"' in part


def test_twelve_long_texts_come_whole_and_hostile_ones_as_text(ben: User) -> None:
    hostile = "<script>steal()</script>"
    long = "word " * 40_000
    page = page_of(kind_of(Task.RANKING, [hostile, long, *(f"Answer {n}" for n in range(10))]), ben)
    assert "steal()" in page
    assert "<script>steal" not in page
    assert long in page
    assert page.count('<article class="response"') == 12


def test_identical_and_empty_responses_are_called_so(ben: User) -> None:
    page = page_of(kind_of(Task.RANKING, ["same", "same", ""]), ben)
    assert page.count("Same text as") == 2
    assert page.count("(empty)") == 1


@pytest.mark.parametrize(("task", "texts"), [(Task.PAIRWISE, ["one"]), (Task.EDIT, [])])
def test_an_item_that_cannot_be_answered_can_only_be_skipped(ben: User, task: Task, texts: list[str]) -> None:
    page = page_of(kind_of(task, texts), ben)
    assert "Skip it as broken." in page
    assert "Submit and next" not in page
    assert 'value="broken"' in page


def test_what_is_refused_comes_back_as_it_was_filled_in(ben: User) -> None:
    project = kind_of(Task.PAIRWISE, ask_strength=True, rationale=Rationale.REQUIRED)
    url, values = form(project, ben, "second")
    reply = world.sign_in(ben).post(url, {**values, "rationale": "  Kind of better"})
    assert (reply.status_code, "The strength is missing" in reply.text) == (422, True)
    assert 'value="second" checked' in reply.text
    assert "  Kind of better" in reply.text
    assert values["token"] in reply.text


def test_an_answer_opened_again_and_refused_is_still_the_one_that_is_shown(ben: User) -> None:
    project = kind_of(Task.RANKING)
    url, values = form(project, ben)
    client = world.sign_in(ben)
    client.post(url, {**values, "order": "1>2"})
    change = {**values, "client_key": str(uuid.uuid4()), "revises": "1", "order": "1"}
    reply = client.post(url, change)
    assert reply.status_code == 422
    assert "You are changing an answer" in reply.text
    assert client.post(url, {**change, "order": "2>1"})["Prefloop-Saved"] == "1"
    assert list(Judgment.objects.order_by("revision").values_list("answer__order", flat=True)) == [
        "1>2",
        "2>1",
    ]


def test_places_without_scripts_are_stored_as_an_order(ben: User) -> None:
    project = kind_of(Task.RANKING, ["a", "b", "c"])
    url, values = form(project, ben)
    values |= {"place.1": "2", "place.2": "1", "place.3": "2"}
    assert world.sign_in(ben).post(url, values).status_code == 200
    assert Judgment.objects.get().answer == {"order": "2>1=3"}


def test_the_item_ahead_is_another_one_and_the_same_when_asked_again(filled: Project, ben: User) -> None:
    client = world.sign_in(ben)
    held = claim_next(project=filled, person=ben)
    assert held is not None
    url = reverse("labeling:ahead", args=[filled.slug, held.pk])
    first, second = client.get(url, headers=HTMX).text, client.get(url, headers=HTMX).text
    assert assignment_in(first) == assignment_in(second) != held.pk


def test_a_page_that_shows_the_next_item_gets_the_one_after_it_and_204_at_the_end(
    filled: Project, ben: User
) -> None:
    client = world.sign_in(ben)
    url, values = form(filled, ben)
    seen = [int(url.rstrip("/").rsplit("/", 1)[1])]
    ahead = reverse("labeling:ahead", args=[filled.slug, seen[0]])
    seen.append(assignment_in(client.get(ahead, headers=HTMX).text))

    reply = client.post(url, {**values, "ahead": seen[1]}, headers=HTMX)
    seen.append(assignment_in(reply.text))
    assert (reply.status_code, reply["Prefloop-Saved"], len(set(seen))) == (200, "1", 3)
    assert '<strong data-number="done">1</strong> done' in reply.text
    assert '<span data-number="left">2</span> left' in reply.text

    url, values = form(filled, ben)
    reply = client.post(url, {**values, "ahead": seen[2]}, headers=HTMX)
    assert (reply.status_code, reply["Prefloop-Saved"]) == (204, "1")
    assert client.get(reverse("labeling:ahead", args=[filled.slug, seen[2]])).status_code == 204


def test_later_comes_after_all_others_and_a_stranger_token_moves_nothing(filled: Project, ben: User) -> None:
    client = world.sign_in(ben)
    url, values = form(filled, ben)
    put_off = assignment_in(page_of(filled, ben))
    assert client.post(f"{url}later/", {"token": str(uuid.uuid4())}).status_code == 409
    assert client.post(f"{url}later/", values)["Prefloop-Saved"] == "1"
    order = []
    for _ in range(3):
        order.append(assignment_in(page_of(filled, ben)))
        world.judge_next(filled, ben)
    assert order[-1] == put_off
    assert len(set(order)) == 3


def test_a_heartbeat_holds_the_item_and_tells_when_it_is_gone(filled: Project, ben: User) -> None:
    client = world.sign_in(ben)
    url, values = form(filled, ben)
    assert client.post(f"{url}beat/", values).status_code == 204
    gone = client.post(f"{url}beat/", {"token": str(uuid.uuid4())})
    assert (gone.status_code, "somebody else may have it" in gone.text) == (409, True)


def test_ben_undoes_his_last_answer_and_reads_what_a_reviewer_asks(
    filled: Project, ben: User, cleo: User
) -> None:
    client, undo = world.sign_in(ben), reverse("labeling:undo", args=[filled.slug])
    nothing = client.get(undo)
    assert (nothing.status_code, "no answer of yours to go back to" in nothing.text) == (422, True)
    url, values = form(filled, ben, "second")
    client.post(url, values)
    page = client.get(undo).text
    assert 'value="second" checked' in page
    assert 'name="revises" value="1"' in page
    assert "It stands as it is until you submit another." in page

    judgment = Judgment.objects.get()
    judgment.assignment.review = ReviewState.RETURNED
    judgment.assignment.save()
    Review.objects.create(
        assignment=judgment.assignment,
        judgment=judgment,
        reviewer=cleo,
        state=ReviewState.RETURNED,
        comment="Read <b>both</b> again.",
    )
    assert "Read &lt;b&gt;both&lt;/b&gt; again." in client.get(f"{url}again/").text


def test_ben_removed_from_the_project_while_he_held_an_item_stores_nothing(
    filled: Project, ben: User
) -> None:
    url, values = form(filled, ben)
    Membership.objects.filter(user=ben).delete()
    assert world.sign_in(ben).post(url, values, headers=HTMX).status_code == 404
    assert Judgment.objects.count() == 0


def test_ben_hears_of_newer_guidelines_until_he_has_read_them(filled: Project, ben: User) -> None:
    client = world.sign_in(ben)
    for number, words in [(1, "Not read yet"), (2, "New: you read version 1")]:
        guideline = Guideline.objects.create(project=filled, number=number, text=f"Rule {number}")
        Project.objects.update(guideline=guideline)
        assert words in page_of(filled, ben)
        reply = client.post(reverse("labeling:read", args=[filled.slug]))
        assert reply["Location"] == reverse("labeling:rank", args=[filled.slug])
        page = page_of(filled, ben)
        assert f"Rule {number}" in page
        assert 'id="guide-new"' not in page


def test_the_progress_line_tells_the_cap_the_pace_and_that_there_is_more(
    filled: Project, ben: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, values = form(filled, ben)
    Project.objects.update(daily_cap=1000)
    world.sign_in(ben).post(url, values)
    Seat.objects.update(active_today_ms=120_000)
    monkeypatch.setattr("labeling.progress.MOST_COUNTED", 1)
    page = page_of(filled, ben)
    assert '<span data-number="today">1</span> of 1,000 today' in page
    assert "30 an hour" in page
    assert "2 min active" in page
    assert '<span data-number="left">2+</span> left' in page


def test_nothing_left_says_why(filled: Project, ben: User) -> None:
    Project.objects.update(daily_cap=1)
    world.judge_next(filled, ben)
    assert "You have judged all you may today: 1, the most that this project allows in a day." in page_of(
        filled, ben
    )


def test_a_preview_shows_a_text_as_text(filled: Project, ben: User) -> None:
    reply = world.sign_in(ben).post(
        reverse("labeling:preview", args=[filled.slug]), {"text": "<script>x()</script> **bold**"}
    )
    assert "<script>x" not in reply.text
    assert "bold" in reply.text


def assignment_in(page: str) -> int:
    found = re.search(r'data-assignment="(\d+)"', page)
    assert found is not None
    return int(found[1])
