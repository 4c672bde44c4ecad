"""A task as its page shows it, and what a page without scripts sends."""

from dataclasses import replace
from typing import Any

import pytest
from django.http import QueryDict

from labeling.intake import ItemDraft, ResponseDraft
from labeling.models import Project, Task, User
from labeling.queue import claim_next
from labeling.screen import digit_key, duration, given_answer, given_so_far, order_of_places, screen
from labeling.tasks import Task as Shown
from labeling.tasks import show
from tests import world

ATTRIBUTES = [
    {"key": "helpful", "words": "Helpful", "low": 1, "high": 5},
    {"key": "length", "words": "Length", "low": 0, "high": 100},
]


def shown(
    ben: User, task: Task, texts: list[str], draft: dict[str, Any] | None = None
) -> tuple[Shown, Project]:
    project = world.make_project(f"Of {task}", task=task, attributes=ATTRIBUTES)
    item = ItemDraft(messages=[{"role": "user", "content": "?"}], responses=[ResponseDraft(t) for t in texts])
    world.put(project, item)
    held = claim_next(project=project, person=ben)
    assert held is not None
    return replace(show(assignment=held, person=ben), draft=draft), project


def test_responses_are_picked_by_1_to_9_then_0_then_with_shift() -> None:
    assert [digit_key(n) for n in (1, 9, 10, 11, 20, 21)] == ["1", "9", "0", "⇧1", "⇧0", ""]


def test_working_time_is_told_in_minutes_and_hours() -> None:
    assert [duration(ms) for ms in (59_999, 420_000, 4_320_000)] == ["0 min", "7 min", "1 h 12 min"]


@pytest.mark.parametrize(
    ("fields", "order"),
    [
        ({"place.1": "2", "place.2": "1", "place.3": "2"}, "2>1=3"),
        ({"place.1": "5", "place.2": "9"}, "1>2"),
        ({"place.1": "", "place.x": "1", "place.2": "-1", "other": "1"}, ""),
        ({}, ""),
    ],
)
def test_places_become_an_order(fields: dict[str, str], order: str) -> None:
    assert order_of_places(fields) == order


def test_an_order_that_a_script_sent_goes_before_the_places() -> None:
    data = QueryDict("order=1%3E2&place.1=2&place.2=1")
    assert given_answer(data, "ranking") == {"order": "1>2"}


def test_line_ends_are_kept_as_the_stored_texts_have_them() -> None:
    assert given_answer(QueryDict("text=one%0D%0Atwo"), "demonstration") == {"text": "one\ntwo"}


def test_ratings_that_are_not_all_given_keep_their_places() -> None:
    data = QueryDict("rating.helpful.3=4&rating.helpful.1=x&rating.helpful.999999=1&rating..=2")
    assert given_so_far(data, "rating") == {"ratings": {"helpful": [None, None, 4]}}


def test_a_rating_begun_is_shown_where_it_was_given(ben: User) -> None:
    task, project = shown(ben, Task.RATING, ["a", "b"], {"ratings": {"helpful": [None, 4]}})
    first, second = screen(task=task, project=project).cards
    assert [scale.value for scale in first.scales] == [None, None]
    assert second.scales[0].value == 4
    assert (4, True) in second.scales[0].steps
    assert second.scales[0].name == "rating.helpful.2"


def test_a_long_scale_is_a_number_to_type(ben: User) -> None:
    task, project = shown(ben, Task.RATING, ["a"])
    assert screen(task=task, project=project).cards[0].scales[1].steps == []


@pytest.mark.parametrize(
    ("order", "places"),
    [("2>1=3", [2, 1, 2]), ("2", [None, 1, None]), ("all_bad", [None] * 3), ("2>>", [None] * 3)],
)
def test_a_ranking_begun_is_shown_as_far_as_it_went(ben: User, order: str, places: list[int | None]) -> None:
    task, project = shown(ben, Task.RANKING, ["a", "b", "c"], {"order": order})
    assert [card.place for card in screen(task=task, project=project).cards] == places


def test_an_edit_begins_with_the_text_of_the_response_that_was_picked(ben: User) -> None:
    task, project = shown(ben, Task.EDIT, ["a", "b"])
    assert screen(task=task, project=project).text == ""
    chosen = screen(task=task, project=project, start_from=2)
    assert chosen.text == chosen.cards[1].text
    assert [card.picked for card in chosen.cards] == [False, True]
    begun = replace(task, draft={"number": 1, "text": "better"})
    kept = screen(task=begun, project=project, start_from=2)
    assert (kept.text, kept.cards[0].picked) == ("better", True)


def test_the_only_response_is_picked_from_the_start(ben: User) -> None:
    task, project = shown(ben, Task.EDIT, ["only"])
    assert screen(task=task, project=project).text == "only"


@pytest.mark.parametrize(
    ("task", "texts", "words"),
    [
        (Task.PAIRWISE, ["one"], "needs two responses, and this item has 1"),
        (Task.PAIRWISE, ["1", "2", "3"], "needs two responses, and this item has 3"),
        (Task.RANKING, [], "came without a response"),
        (Task.EDIT, [], "came without a response"),
        (Task.RANKING, ["one"], ""),
        (Task.DEMONSTRATION, [], ""),
    ],
)
def test_an_item_that_cannot_be_answered_says_why(
    ben: User, task: Task, texts: list[str], words: str
) -> None:
    found, project = shown(ben, task, texts)
    problem = screen(task=found, project=project).problem
    assert words in problem
    assert bool(problem) == bool(words)
