"""The rules of the queue: priority, later, daily cap, pause, heartbeat, the item ahead, and fair sides."""

import itertools
import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from labeling import queue
from labeling.annotating import reopen, skip
from labeling.errors import Refused, StaleLease
from labeling.models import Assignment, Item, Judgment, Project, Seat, User
from labeling.progress import own_progress
from labeling.queue import claim_next, heartbeat, postpone, release_all, release_expired, why_nothing
from labeling.tasks import show
from labeling.values import PairwiseAnswer, display_order
from tests import world

pytestmark = pytest.mark.data_layer


def prefer(items: list[Item], priority: int) -> None:
    """Put these items first, as `labeling.allocation` does."""
    Item.objects.filter(pk__in=[item.pk for item in items]).update(priority=priority)
    Assignment.objects.filter(item__in=items, person=None).update(priority=priority)
    Project.objects.filter(pk=items[0].project_id).update(epoch=F("epoch") + 1)


def put_aside(slot: Assignment, who: User) -> None:
    skip(project=slot.project, assignment_id=slot.pk, person=who, token=slot.token, reason="other")


def put_off(slot: Assignment, who: User) -> bool:
    return postpone(project=slot.project, assignment_id=slot.pk, person=who, token=slot.token)


def run_out(slot: Assignment) -> None:
    Assignment.objects.filter(pk=slot.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def judged(project: Project, who: User, count: int) -> list[int]:
    """The ids of the items that somebody is given one after the other."""
    found = []
    for _ in range(count):
        judgment = world.judge_next(project, who)
        found.append(judgment.item_id if judgment else 0)
    return found


def test_items_of_a_higher_priority_come_first_also_when_they_arrive_late(ben: User) -> None:
    project = world.make_project()
    items = world.fill(project, 6)
    assert judged(project, ben, 2) == [items[0].pk, items[1].pk]
    prefer([items[4], items[5]], 5)
    project.refresh_from_db()
    rest = judged(project, ben, 5)
    assert rest == [items[4].pk, items[5].pk, items[2].pk, items[3].pk, 0]


def test_an_item_that_ben_puts_off_comes_back_to_him_last_and_bea_may_have_it_meanwhile(
    ben: User, bea: User
) -> None:
    project = world.make_project(overlap=2)
    items = world.fill(project, 3)
    assert put_off(claim_next(project=project, person=ben), ben)
    assert judged(project, bea, 1) == [items[0].pk]
    assert judged(project, ben, 4) == [items[1].pk, items[2].pk, items[0].pk, 0]


def test_items_that_ben_puts_off_come_back_in_the_order_in_which_he_put_them_off(ben: User) -> None:
    project = world.make_project()
    items = world.fill(project, 2)
    for _ in items:
        put_off(claim_next(project=project, person=ben), ben)
    assert judged(project, ben, 2) == [items[0].pk, items[1].pk]


def test_an_item_that_is_not_bens_any_more_cannot_be_put_off(ben: User, bea: User) -> None:
    project = world.make_project()
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    run_out(slot)
    release_expired()
    assert claim_next(project=project, person=bea) is not None
    assert not put_off(slot, ben)


def test_a_slot_that_bea_gave_back_goes_to_the_next_person_before_new_items(
    ben: User, bea: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.make_project()
    items = world.fill(project, 5)
    mine = claim_next(project=project, person=bea)
    judged(project, ben, 2)
    put_aside(mine, bea)
    monkeypatch.setattr(queue, "LOOK_AGAIN", timedelta(0))  # some seconds later
    assert judged(project, ben, 1) == [items[0].pk]


def test_slots_that_ben_gave_back_himself_are_looked_at_once_and_not_at_each_claim(ben: User) -> None:
    project = world.make_project()
    world.fill(project, 30)
    for _ in range(20):
        put_aside(claim_next(project=project, person=ben), ben)
    seat = Seat.objects.get(person=ben)
    assert seat.freed_seen is not None
    assert judged(project, ben, 11)[-1] == 0


def test_the_daily_cap_ends_bens_day_and_a_new_day_starts_anew(ben: User) -> None:
    project = world.make_project(daily_cap=2)
    world.fill(project, 5)
    assert world.judge_all(project, ben) == 2
    assert "the most that this project allows" in why_nothing(project=project, person=ben)
    Seat.objects.update(day=timezone.localdate() - timedelta(days=1))
    assert world.judge_all(project, ben) == 2


def test_the_item_ahead_counts_for_the_daily_cap(ben: User) -> None:
    project = world.make_project(daily_cap=1)
    world.fill(project, 5)
    slot = claim_next(project=project, person=ben)
    assert claim_next(project=project, person=ben, besides=[slot.pk]) is None


def test_a_paused_project_gives_nothing_new_but_takes_what_ben_holds(ben: User) -> None:
    project = world.make_project()
    world.fill(project, 2)
    slot = claim_next(project=project, person=ben)
    project.paused_at = timezone.now()
    project.save()
    assert claim_next(project=project, person=ben).pk == slot.pk
    world.send(slot, ben, PairwiseAnswer(verdict="tie"))
    assert claim_next(project=project, person=ben) is None
    assert "paused" in why_nothing(project=project, person=ben)


def test_ben_holds_two_items_and_finds_them_in_their_order_after_a_reload(ben: User) -> None:
    project = world.make_project()
    world.fill(project, 4)
    first = claim_next(project=project, person=ben)
    second = claim_next(project=project, person=ben, besides=[first.pk])
    again = claim_next(project=project, person=ben, besides=[first.pk])
    assert (second.pk, claim_next(project=project, person=ben).pk) == (again.pk, first.pk)
    assert first.pk != second.pk


def test_while_bens_page_is_open_his_time_does_not_run_out(ben: User) -> None:
    project = world.make_project()
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    run_out(slot)
    values = {"project": project, "assignment_id": slot.pk, "person": ben}
    assert heartbeat(**values, token=slot.token)
    assert release_expired() == 0
    assert not heartbeat(**values, token=uuid.uuid4())


def test_what_a_person_held_who_was_removed_is_free_at_once(ben: User, bea: User) -> None:
    project = world.make_project()
    world.fill(project, 1)
    claim_next(project=project, person=ben)
    assert release_all(project=project, person=ben) == 1
    assert claim_next(project=project, person=bea) is not None


def test_bens_numbers_move_with_every_answer(ben: User) -> None:
    project = world.make_project()
    world.fill(project, 3)
    slot = claim_next(project=project, person=ben)
    Assignment.objects.filter(pk=slot.pk).update(leased_at=timezone.now() - timedelta(minutes=10))
    world.send(slot, ben, PairwiseAnswer(verdict="first"), active_ms=120_000)
    own = own_progress(project=project, person=ben)
    assert (own.done, own.today, own.left, own.per_hour, own.active_today_ms) == (1, 1, 2, 30.0, 120_000)


def test_nobody_worked_longer_on_an_item_than_they_had_it(ben: User) -> None:
    project = world.make_project()
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    judgment = world.send(slot, ben, PairwiseAnswer(verdict="first"), active_ms=86_400_000)
    assert judgment.active_ms < 60_000


@pytest.mark.parametrize("responses", [2, 3, 5])
def test_over_all_turns_each_response_stands_in_each_place_equally_often(responses: int) -> None:
    turns = range(2 * responses)
    shown = [display_order(key="k", item_hash="h", turn=turn, responses=responses) for turn in turns]
    for place in range(responses):
        assert sorted(order[place] for order in shown) == sorted([*range(responses)] * 2)
    assert all(a == b[::-1] for a, b in zip(shown[::2], shown[1::2], strict=True))


def test_after_any_number_of_turns_two_sides_differ_by_one_at_most() -> None:
    for item in range(200):
        sides = [display_order(key="k", item_hash=f"{item}", turn=turn, responses=2)[0] for turn in range(20)]
        assert all(abs(2 * sum(sides[:n]) - n) <= 1 for n in range(1, 21))


@pytest.mark.django_db
def test_the_sides_of_an_item_stay_balanced_when_people_skip_it() -> None:
    project = world.make_project(overlap=4)
    world.fill(project, 12)
    people = [world.person(f"annotator{n}") for n in range(30)]
    skipping = itertools.cycle([True, False, False, True, False])
    for who in people:
        while (slot := claim_next(project=project, person=who)) is not None:
            if next(skipping):
                put_aside(slot, who)
            else:
                world.send(slot, who, PairwiseAnswer(verdict="first"))
    for item in project.items.all():
        orders = [
            tuple(order)
            for order in Judgment.objects.filter(item=item).values_list("display_order", flat=True)
        ]
        assert (len(orders), orders.count((0, 1))) == (4, 2)


def test_ben_sees_his_draft_in_the_order_in_which_he_began_it_when_he_gets_another_slot(
    ben: User, bea: User
) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    seen = [response.text for response in show(assignment=slot, person=ben).responses]
    world.keep_draft(slot, ben, {"verdict": "first"})
    run_out(slot)
    release_expired()
    assert world.judge_next(project, bea) is not None
    again = claim_next(project=project, person=ben)
    task = show(assignment=again, person=ben)
    assert again.pk != slot.pk
    assert ([response.text for response in task.responses], task.draft) == (seen, {"verdict": "first"})


def test_ben_changes_his_last_answer_and_both_revisions_are_kept(ben: User) -> None:
    project = world.make_project()
    world.fill(project, 1)
    world.judge_next(project, ben, "0")
    slot = reopen(project=project, person=ben)
    assert show(assignment=slot, person=ben).revises == 1
    changed = world.send(slot, ben, PairwiseAnswer(verdict="tie"), revises=1)
    assert (changed.revision, changed.label) == (2, "tie")
    assert Judgment.objects.count() == 2
    assert Seat.objects.get(person=ben).judged == 1


def test_an_answer_that_was_changed_in_another_tab_is_not_changed_again_from_an_old_page(ben: User) -> None:
    project = world.make_project()
    world.fill(project, 1)
    world.judge_next(project, ben, "0")
    slot = reopen(project=project, person=ben)
    world.send(slot, ben, PairwiseAnswer(verdict="tie"), revises=1)
    with pytest.raises(StaleLease, match="changed or accepted"):
        world.send(slot, ben, PairwiseAnswer(verdict="both_bad"), revises=1)
    assert Judgment.objects.order_by("revision").last().label == "tie"


def test_ben_cannot_go_back_to_what_is_not_his_or_was_accepted(ben: User, bea: User) -> None:
    project = world.make_project()
    world.fill(project, 1)
    world.judge_next(project, ben)
    with pytest.raises(Refused, match="no answer of yours"):
        reopen(project=project, person=bea)
    Assignment.objects.update(review="accepted")
    with pytest.raises(Refused, match="accepted"):
        reopen(project=project, person=ben)
