"""Which captures people judge: the rules, and the way from a capture to an item, which loses nothing on the way."""

import random
from collections import Counter
from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError

from labeling.capturing import queueing, sampling
from labeling.capturing.queueing import queue_captures
from labeling.capturing.sampling import apply_rules, move_rule, remove_rule, save_rule, would_take
from labeling.errors import Refused
from labeling.jobs import sweep
from labeling.models import Capture, CaptureRule, Item, Project, User
from tests import world
from tests.labeling.captured import a_capture, a_token, took

pytestmark = pytest.mark.data_layer


def rule(project: Project, **values: Any) -> CaptureRule:
    return save_rule(project=project, person=None, **values)


def states(project: Project) -> dict[str, int]:
    return Counter(Capture.objects.filter(project=project).values_list("state", flat=True))


def test_all_bad_ones_and_a_share_of_the_others_reach_the_queue_and_the_rest_stays(project: Project) -> None:
    token, _ = a_token(project)
    rule(project, voice="bad")
    share = rule(project, share=2_000, slice="shipping")
    took(token, *(a_capture(n, thumbs="down") for n in range(10)))
    took(token, *(a_capture(n, thumbs="up", slice="Shipping") for n in range(10, 400)))
    took(token, *(a_capture(n, thumbs="up") for n in range(400, 420)))
    taken = states(project)["taken"]
    assert 10 + 40 <= taken <= 10 + 120  # 78 of 390 in the mean, far within five standard deviations
    assert states(project)["left"] == 420 - taken
    assert not Capture.objects.filter(state="taken", slice="", voice="good").exists()
    assert Capture.objects.filter(rule=share).count() == taken - 10


def test_python_and_the_database_agree_on_what_every_rule_takes(project: Project) -> None:
    token, _ = a_token(project)
    chance = random.Random(7)
    for place in range(6):
        rule(
            project,
            voice=chance.choice(["", "good", "bad", "chose", "silent"]),
            slice=chance.choice(["", "a_b", "100%"]),
            model=chance.choice(["", "m1"]),
            share=chance.randint(1, 10_000),
            daily_cap=None if place else 5,
        )
    values = [
        a_capture(
            n,
            thumbs=chance.choice(["up", "down", None]),
            tags=chance.sample(["a_b", "axb", "100%", "1000"], 2),
            model=chance.choice(["m1", "m2"]),
        )
        for n in range(300)
    ]
    took(token, *values)
    rules = sampling.rules_of(project)
    at_once = {each.pk: Capture.objects.filter(rule=each).count() for each in rules}
    counted = would_take(project=project)
    assert counted.looked_at == 300
    assert counted.by_rule == at_once | {rules[0].pk: min(5, at_once[rules[0].pk])}
    Capture.objects.update(rule=None, state="left")
    assert apply_rules(project=project) == sum(at_once.values()) > 0
    assert {each.pk: Capture.objects.filter(rule=each).count() for each in rules} == at_once


def test_rules_are_tried_in_their_order_which_can_be_changed(project: Project) -> None:
    token, _ = a_token(project)
    first, second = rule(project, voice="bad"), rule(project)
    took(token, a_capture(1, thumbs="down"))
    move_rule(project=project, rule_id=second.pk, up=True)
    took(token, a_capture(2, thumbs="down"))
    save_rule(project=project, person=None, rule_id=second.pk, is_on=False)
    took(token, a_capture(3, thumbs="down"))
    remove_rule(project=project, rule_id=first.pk)
    took(token, a_capture(4, thumbs="down"))
    taken = Capture.objects.order_by("pk").values_list("rule", "state")
    assert list(taken) == [(None, "taken"), (second.pk, "taken"), (None, "taken"), (None, "left")]
    for verb in (
        remove_rule,
        lambda **at: move_rule(up=True, **at),
        lambda **at: save_rule(person=None, **at),
    ):
        with pytest.raises(Refused, match="There is no such rule any more"):
            verb(project=project, rule_id=first.pk)


def test_a_capture_of_a_rag_project_is_an_item_with_its_chunks(db: None) -> None:
    project = world.make_project(task="rag")
    token, _ = a_token(project)
    rule(project)
    took(
        token,
        a_capture(
            1, contexts=["one", {"text": "two", "title": "B"}], model="m", conversation="c", licence="CC0"
        ),
        a_capture(2, answer=None, answers=["a", "b"], chosen=1),
        a_capture(3, answer=None, answers=["a", "b"]),
    )
    assert queue_captures(project) == 3
    first, second, third = Capture.objects.order_by("pk")
    item = first.item
    assert item is not None
    assert (item.source_kind, item.source_ref, item.licence) == ("capture", f"capture {first.uid}", "CC0")
    assert list(item.chunks.values_list("title", "text")) == [("", "one"), ("B", "two")]
    assert [(r.text, r.origin) for r in item.responses.all()] == [("In Berlin, 1.", "m")]
    assert len(item.extra["conversation"]) == 32
    assert second.item is not None
    assert [r.text for r in second.item.responses.all()] == ["b"]
    assert (third.state, third.note) == (
        "unfit",
        "it has 2 answers and none was chosen; a review is of one answer",
    )


def test_several_answers_are_a_pair_and_people_see_what_the_model_saw(project: Project, ben: User) -> None:
    token, _ = a_token(project)
    rule(project)
    took(
        token,
        a_capture(1, answer=None, answers=["a", "b", "c"], chosen=2, contexts=["Utrecht"]),
        a_capture(2),
        a_capture(3, answer=None, answers=[{"text": "a", "model": "m1"}, {"text": "b", "model": "m2"}]),
    )
    queue_captures(project)
    pair, single, plain = Capture.objects.order_by("pk")
    assert pair.item is not None
    assert plain.item is not None
    assert [r.text for r in pair.item.responses.all()] == ["a", "c"]
    assert "[1] Utrecht" in pair.item.messages[-1]["content"]
    assert [r.origin for r in plain.item.responses.all()] == ["m1", "m2"]
    assert (single.state, single.item) == ("unfit", None)
    assert "a pairwise item has exactly 2" in single.note
    assert world.judge_all(project, ben) == 2


def test_a_question_and_answer_that_came_twice_is_one_item_that_both_name(project: Project) -> None:
    token, _ = a_token(project)
    rule(project)
    same = {"answer": None, "answers": ["a", "b"]}
    took(token, a_capture(1, **same), a_capture(1, **same))
    queue_captures(project)
    took(token, a_capture(1, **same))
    queue_captures(project)
    assert states(project) == {"queued": 1, "known": 2}
    assert set(Capture.objects.values_list("item", flat=True)) == {Item.objects.get().pk}


def test_a_rule_takes_no_more_a_day_than_its_cap(project: Project) -> None:
    token, _ = a_token(project)
    rule(project, daily_cap=3)
    pairs = [a_capture(n, answer=None, answers=["a", "b"]) for n in range(5)]
    took(token, a_capture(99), *pairs[:2])
    queue_captures(project)
    took(token, *pairs[2:])
    queue_captures(project)
    assert states(project) == {"unfit": 1, "queued": 3, "full": 2}


def test_a_worker_that_dies_in_the_middle_loses_and_doubles_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = a_token(project)
    rule(project)
    took(token, *(a_capture(n, answer=None, answers=["a", "b"]) for n in range(20)))
    stored = queueing.add_items

    def and_dies(**values: Any) -> Any:
        stored(**values)
        raise OperationalError("the database went away")

    monkeypatch.setattr(queueing, "CHUNK", 8)
    monkeypatch.setattr(queueing, "add_items", and_dies)
    with pytest.raises(OperationalError):
        queue_captures(project)
    assert (states(project), Item.objects.count()) == ({"taken": 20}, 0)

    monkeypatch.setattr(queueing, "add_items", stored)
    sent: list[Any] = []
    monkeypatch.setattr(current_app, "send_task", lambda *args, **more: sent.append((args, more)))
    sweep()
    assert ((queueing.JOB,), {"args": [project.pk]}) in sent
    assert queue_captures(project) == 20
    assert queue_captures(project) == 0
    assert (states(project), Item.objects.count()) == ({"queued": 20}, 20)


def test_a_capture_that_cannot_be_stored_holds_up_no_others(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token, _ = a_token(project)
    rule(project)
    took(token, *(a_capture(n, answer=None, answers=["a", "b"]) for n in range(30)))
    made, tried = queueing.draft_of, 0

    def or_fails(project: Project, capture: Capture) -> Any:
        nonlocal tried
        tried += 1
        if "parcel 29" in capture.preview:
            raise ZeroDivisionError
        return made(project, capture)

    monkeypatch.setattr(queueing, "draft_of", or_fails)
    queue_captures(project)
    assert states(project) == {"queued": 29, "unfit": 1}
    assert "cannot become an item" in caplog.text
    assert tried < 10 * 30  # and not as if each were alone


@pytest.mark.django_db(transaction=True)
def test_four_workers_at_once_queue_each_capture_once() -> None:
    project = world.make_project()
    token, _ = a_token(project)
    rule(project, daily_cap=30)
    took(token, *(a_capture(n, answer=None, answers=["a", "b"]) for n in range(40)))
    world.together([lambda: queue_captures(project)] * 4)
    assert states(project) == {"queued": 30, "full": 10}
    assert Item.objects.filter(project=project).count() == 30
    assert project.assignments.count() == 30
