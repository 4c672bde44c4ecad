"""Invariant 2: one slot, one person."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from labeling.annotating import skip
from labeling.models import Assignment, Project, User
from labeling.queue import claim_next, lease_token, release_expired, take_slot
from tests import world

pytestmark = pytest.mark.data_layer


def run_out(assignment: Assignment) -> None:
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_ben_gets_the_items_in_their_order_and_none_twice(project: Project, ben: User) -> None:
    items = world.fill(project, 3)
    judged = [world.judge_next(project, ben).item_id for _ in items]
    assert judged == [item.pk for item in items]
    assert claim_next(project=project, person=ben) is None


def test_two_tabs_of_ben_show_the_same_item(project: Project, ben: User) -> None:
    world.fill(project, 2)
    first, second = (claim_next(project=project, person=ben) for _ in range(2))
    assert (first.pk, first.token) == (second.pk, second.token)


def test_ben_and_bea_get_different_items_where_one_judgment_is_wanted(
    project: Project, ben: User, bea: User
) -> None:
    world.fill(project, 2)
    mine, hers = claim_next(project=project, person=ben), claim_next(project=project, person=bea)
    assert mine.item_id != hers.item_id


def test_ben_and_bea_judge_the_same_item_where_two_judgments_are_wanted(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 1)
    mine, hers = claim_next(project=project, person=ben), claim_next(project=project, person=bea)
    assert mine.item_id == hers.item_id
    assert {mine.slot, hers.slot} == {0, 1}


def test_the_item_that_ben_skips_goes_to_bea_and_never_back_to_ben(
    project: Project, ben: User, bea: User
) -> None:
    (item,) = world.fill(project, 1)
    mine = claim_next(project=project, person=ben)
    skip(project=project, assignment_id=mine.pk, person=ben, token=mine.token, reason="unclear")
    assert claim_next(project=project, person=ben) is None
    assert claim_next(project=project, person=bea).item_id == item.pk


def test_skipping_twice_opens_one_slot(project: Project, ben: User) -> None:
    (item,) = world.fill(project, 1)
    mine = claim_next(project=project, person=ben)
    for _ in range(2):
        skip(project=project, assignment_id=mine.pk, person=ben, token=mine.token, reason="unclear")
    assert item.assignments.filter(person=None).count() == 1


def test_ben_can_skip_an_item_whose_time_ran_out(project: Project, ben: User) -> None:
    world.fill(project, 1)
    mine = claim_next(project=project, person=ben)
    run_out(mine)
    release_expired()
    skip(project=project, assignment_id=mine.pk, person=ben, token=mine.token, reason="broken")
    assert claim_next(project=project, person=ben) is None


def test_an_item_that_ben_left_open_goes_to_bea_when_his_time_is_over(
    project: Project, ben: User, bea: User
) -> None:
    world.fill(project, 1)
    mine = claim_next(project=project, person=ben)
    assert claim_next(project=project, person=bea) is None
    run_out(mine)
    assert claim_next(project=project, person=bea).item_id == mine.item_id


def test_ben_keeps_an_item_that_nobody_took_when_his_time_is_over(project: Project, ben: User) -> None:
    world.fill(project, 1)
    mine = claim_next(project=project, person=ben)
    run_out(mine)
    again = claim_next(project=project, person=ben)
    assert again.pk == mine.pk
    assert again.expires_at > timezone.now()


def test_a_sweep_leaves_running_and_finished_leases_alone(project: Project, ben: User, bea: User) -> None:
    world.fill(project, 3)
    done = world.judge_next(project, ben)
    claim_next(project=project, person=bea)
    run_out(claim_next(project=project, person=ben))
    Assignment.objects.filter(pk=done.assignment_id).update(expires_at=timezone.now() - timedelta(days=1))
    assert release_expired() == 1
    assert Assignment.objects.get(pk=done.assignment_id).person == ben


def test_bens_lease_does_not_hold_up_another_project(ben: User) -> None:
    helpful, harmless = world.make_project("Helpful"), world.make_project("Harmless")
    world.fill(helpful, 1)
    world.fill(harmless, 1)
    claim_next(project=helpful, person=ben)
    assert claim_next(project=harmless, person=ben).project == harmless


def test_the_token_of_a_lease_differs_from_person_to_person(project: Project, ben: User, bea: User) -> None:
    tokens = {lease_token(assignment_id=n, person=who, turn=0) for n in (1, 2) for who in (ben, bea)}
    assert len(tokens) == 4


def test_ben_cannot_take_a_second_slot_of_an_item(ben: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 1)
    mine = claim_next(project=project, person=ben)
    assert take_slot(assignment=mine, person=ben) is None


def test_the_database_refuses_a_second_person_on_a_slot_and_a_second_slot_for_a_person(ben: User) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    claim_next(project=project, person=ben)
    with pytest.raises(IntegrityError), transaction.atomic():
        Assignment.objects.filter(item=item, person=None).update(person=ben)
    with pytest.raises(IntegrityError), transaction.atomic():
        Assignment.objects.create(project=project, item=item, slot=0)


def test_the_database_refuses_a_submission_of_nobody(project: Project) -> None:
    (item,) = world.fill(project, 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        item.assignments.update(submitted_at=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_twenty_four_people_at_once_judge_every_slot_exactly_once() -> None:
    people, items, overlap = 24, 20, 3
    project = world.make_project(overlap=overlap)
    world.fill(project, items)
    crowd = [world.person(f"annotator{n}") for n in range(people)]
    world.together([lambda who=who: world.judge_all(project, who) for who in crowd])
    for who in crowd:  # a slot that was locked while somebody looked must still be there for them
        world.judge_all(project, who)
    slots = list(project.assignments.values_list("item", "slot", "person", "submitted_at"))
    assert len(slots) == items * overlap
    assert all(submitted for *_, submitted in slots)
    assert set(Counter(item for item, *_ in slots).values()) == {overlap}
    assert max(Counter((item, who) for item, _, who, _ in slots).values()) == 1
    assert project.judgments.count() == items * overlap


@pytest.mark.django_db(transaction=True)
def test_twenty_people_claiming_at_once_hold_twenty_different_slots() -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 10)
    crowd = [world.person(f"annotator{n}") for n in range(20)]
    world.together([lambda who=who: claim_next(project=project, person=who) for who in crowd])
    for who in crowd:
        claim_next(project=project, person=who)
    held = list(project.assignments.exclude(person=None).values_list("pk", "person"))
    assert len(held) == 20
    assert len({who for _, who in held}) == 20


@pytest.mark.django_db(transaction=True)
def test_ten_tabs_of_ben_opened_at_once_show_one_item() -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 10)
    ben = world.person("ben")
    world.together([lambda: claim_next(project=project, person=ben)] * 10)
    assert project.assignments.filter(person=ben).count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_people_who_skip_one_item_at_once_open_eight_slots() -> None:
    project = world.make_project(overlap=8)
    (item,) = world.fill(project, 1)
    crowd = [world.person(f"annotator{n}") for n in range(8)]
    slots = [claim_next(project=project, person=who) for who in crowd]

    def put_aside(slot: Assignment, who: User) -> None:
        skip(project=project, assignment_id=slot.pk, person=who, token=slot.token, reason="unclear")

    world.together([lambda s=s, w=w: put_aside(s, w) for s, w in zip(slots, crowd, strict=True)])
    assert item.assignments.filter(person=None).count() == 8
