"""How many people judge an item can be changed at any time, and the number of slots is always exactly right."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from labeling.allocation import own_numbers, pause, remove_member, resume, set_overlap, set_priority
from labeling.annotating import skip
from labeling.errors import Refused, StaleLease
from labeling.gold import mark_gold
from labeling.models import Assignment, Item, Membership, Project, Purpose, Seat, User
from labeling.projects import set_role
from labeling.queue import claim_next, heartbeat, release_expired, why_nothing
from labeling.tasks import shown_order
from labeling.values import PairwiseAnswer
from tests import world

pytestmark = pytest.mark.data_layer
TIE = PairwiseAnswer(verdict="tie")


def live(item: Item) -> Any:
    return Assignment.objects.filter(item=item, purpose=Purpose.WORK, skipped_at=None)


def free(item: Item) -> int:
    return int(live(item).filter(person=None).count())


def claim(project: Project, who: User) -> Assignment:
    slot = claim_next(project=project, person=who)
    assert slot is not None
    return slot


def run_out(slot: Assignment) -> None:
    Assignment.objects.filter(pk=slot.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def orders(item: Item) -> Counter[tuple[int, ...]]:
    return Counter(
        tuple(shown_order(slot, slot.turn)) for slot in live(item).select_related("item", "project")
    )


def assert_exact(project: Project) -> None:
    for item in project.items.all():
        slots = list(live(item).values_list("slot", "person"))
        taken = [person for _, person in slots if person is not None]
        assert len(slots) == max(item.overlap, len(taken)), (item.pk, item.overlap, slots)
        assert len({slot for slot, _ in slots}) == len(slots)
        had = Counter(item.assignments.exclude(person=None).values_list("person", flat=True))
        assert not had or max(had.values()) == 1


class Crowd:
    """People who do whatever chance says, in a project whose overlap changes under them."""

    def __init__(self, project: Project, people: list[User], chance: random.Random) -> None:
        self.project, self.people, self.chance = project, people, chance

    def step(self) -> None:
        names = ["claim"] * 6 + ["submit"] * 4 + ["skip", "expire", "come_late", "change", "change_one"]
        getattr(self, self.chance.choice(names))()
        self.project.refresh_from_db()

    def held(self) -> Assignment | None:
        rows = Assignment.objects.filter(submitted_at=None, skipped_at=None, person__isnull=False)
        found = list(rows.select_related("item", "project", "person").order_by("pk"))
        return self.chance.choice(found) if found else None

    def claim(self) -> None:
        claim_next(project=self.project, person=self.chance.choice(self.people))

    def submit(self) -> None:
        if (slot := self.held()) and slot.person:
            world.send(slot, slot.person, TIE)

    def skip(self) -> None:
        if (slot := self.held()) and slot.person and slot.token:
            skip(
                project=self.project,
                assignment_id=slot.pk,
                person=slot.person,
                token=slot.token,
                reason="unclear",
            )

    def expire(self) -> None:
        if slot := self.held():
            run_out(slot)
            release_expired()

    def come_late(self) -> None:
        """Answer after the time ran out: the slot is free again, taken by somebody else, or gone."""
        if (slot := self.held()) and slot.person:
            run_out(slot)
            release_expired()
            claim_next(project=self.project, person=self.chance.choice(self.people))
            try:
                world.send(slot, slot.person, TIE)
            except (StaleLease, Refused):
                assert not slot.judgments.exists()

    def change(self) -> None:
        every = self.chance.random() < 0.5
        set_overlap(project=self.project, overlap=self.chance.randint(1, 5), every=every)

    def change_one(self) -> None:
        item = self.chance.choice(list(self.project.items.all()))
        set_overlap(project=self.project, overlap=self.chance.randint(1, 6), items=[item])
        set_priority(project=self.project, items=[item], priority=self.chance.randint(-2, 2))


@pytest.mark.parametrize("seed", range(8))
def test_whatever_people_do_while_the_overlap_changes_each_item_has_the_slots_it_wants(
    db: None, seed: int
) -> None:
    chance = random.Random(seed)
    project = world.make_project(overlap=chance.randint(1, 3))
    world.fill(project, 4)
    crowd = Crowd(project, [world.person(f"annotator{n}") for n in range(7)], chance)
    for _ in range(60):
        crowd.step()
        assert_exact(project)
    for who in crowd.people:
        world.judge_all(project, who)
    assert_exact(project)
    had = Assignment.objects.exclude(person=None)
    for item in project.items.all():  # nothing is stranded: what is free is free for nobody who is here
        assert not free(item) or had.filter(item=item).count() == len(crowd.people)


def test_items_that_were_done_are_judged_by_one_more_person(project: Project, ben: User, bea: User) -> None:
    items = world.fill(project, 3)
    world.judge_all(project, ben)
    assert claim_next(project=project, person=bea) is None

    change = set_overlap(project=project, overlap=2)

    assert (change.items, change.opened, change.withdrawn) == (3, 3, 0)
    assert world.judge_all(project, bea) == 3
    assert [free(item) for item in items] == [0, 0, 0]


def test_fewer_people_than_have_answered_leaves_every_answer(ben: User, bea: User) -> None:
    project = world.make_project(overlap=3)
    (item,) = world.fill(project, 1)
    world.judge_next(project, ben)
    world.judge_next(project, bea)
    change = set_overlap(project=project, overlap=1)
    assert (change.withdrawn, live(item).count(), project.judgments.count()) == (1, 2, 2)


def test_who_holds_an_item_beyond_the_new_number_may_finish_it(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    world.judge_next(project, ben)
    hers = claim(project, bea)
    set_overlap(project=project, overlap=1)
    world.send(hers, bea, TIE)
    assert project.judgments.count() == 2
    assert live(item).count() == 2


def test_a_lease_beyond_the_new_number_that_runs_out_goes(ben: User, bea: User, cleo: User) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    world.judge_next(project, ben)
    run_out(claim(project, bea))
    set_overlap(project=project, overlap=1)
    assert claim_next(project=project, person=cleo) is None
    assert live(item).count() == 1


def test_a_number_of_its_own_stays_with_an_item_unless_every_item_is_meant(project: Project) -> None:
    first, second = world.fill(project, 2)
    set_overlap(project=project, overlap=4, items=[first])
    assert own_numbers(project) == 1
    set_overlap(project=project, overlap=2)
    assert [live(first).count(), live(second).count()] == [4, 2]
    set_overlap(project=project, overlap=3, every=True)
    assert [live(first).count(), live(second).count(), own_numbers(project)] == [3, 3, 0]


def test_new_items_want_as_many_people_as_the_project_says_now(project: Project) -> None:
    world.fill(project, 1)
    set_overlap(project=project, overlap=3)
    (item,) = world.fill(project, 1, start=1)
    assert live(item).count() == 3


def test_items_of_another_project_are_left_alone(project: Project) -> None:
    other = world.make_project("Another")
    (theirs,) = world.fill(other, 1)
    set_overlap(project=project, overlap=3, items=[theirs])
    set_priority(project=project, items=[theirs], priority=5)
    theirs.refresh_from_db()
    assert (theirs.overlap, theirs.priority, live(theirs).count()) == (1, 0, 1)


def test_an_item_with_a_known_answer_gets_no_free_slots(project: Project, cleo: User) -> None:
    (item,) = world.fill(project, 1)
    mark_gold(project=project, item_id=item.pk, person=cleo, label="0")
    set_overlap(project=project, overlap=3)
    assert free(item) == 0


@pytest.mark.parametrize("steps", [(2,), (4, 2), (5, 1, 3), (3, 4, 2, 6)])
def test_both_orders_are_shown_as_often_however_the_number_came_about(
    project: Project, steps: tuple[int, ...]
) -> None:
    (item,) = world.fill(project, 1)
    for overlap in steps:
        set_overlap(project=project, overlap=overlap)
        shown = orders(item)
        assert abs(shown[(0, 1)] - shown[(1, 0)]) <= 1


def test_a_slot_opened_for_an_item_that_ben_saw_one_way_shows_it_the_other_way(
    ben: User, bea: User, cleo: User
) -> None:
    project = world.make_project(overlap=4)
    (item,) = world.fill(project, 1)
    for who in (ben, bea):
        claim(project, who)
    held = Assignment.objects.get(person=bea)
    Assignment.objects.filter(person=bea).update(turn=0)  # as when she had begun a draft in that order
    set_overlap(project=project, overlap=2)
    set_overlap(project=project, overlap=4)
    assert sorted(live(item).values_list("turn", flat=True)) == [0, 0, 1, 1]
    assert held.pk in live(item).values_list("pk", flat=True)


@pytest.mark.parametrize("overlap", [0, 21, -1])
def test_a_number_that_no_item_can_want_is_refused(project: Project, overlap: int) -> None:
    world.fill(project, 1)
    with pytest.raises(Refused, match=f"overlap given is {overlap}; between 1 and 20"):
        set_overlap(project=project, overlap=overlap)
    project.refresh_from_db()
    assert project.overlap == 1


def test_an_item_of_a_higher_priority_comes_next_also_for_who_has_passed_its_place(
    project: Project, ben: User
) -> None:
    items = world.fill(project, 5)
    run_out_later = claim(project, ben)
    world.send(run_out_later, ben, TIE)
    world.judge_next(project, ben)
    set_priority(project=project, items=[items[4]], priority=7)
    assert claim(project, ben).item_id == items[4].pk


def test_a_raised_item_behind_bens_place_is_found_at_once(project: Project, ben: User, bea: User) -> None:
    items = world.fill(project, 4)
    world.judge_next(project, bea)
    for _ in range(2):
        world.judge_next(project, ben)
    set_overlap(project=project, overlap=2, items=[items[0]])
    assert claim(project, ben).item_id == items[0].pk


def test_a_held_item_that_comes_back_has_the_new_priority(project: Project, ben: User, bea: User) -> None:
    items = world.fill(project, 3)
    held = claim(project, ben)
    set_priority(project=project, items=Item.objects.filter(pk=items[0].pk), priority=3)
    run_out(held)
    release_expired()
    assert claim(project, bea).item_id == items[0].pk
    with pytest.raises(Refused, match="from -100 to 100"):
        set_priority(project=project, items=items, priority=101)


def test_nothing_is_given_out_while_a_project_is_paused_but_what_is_held_can_be_finished(
    project: Project, ben: User, bea: User
) -> None:
    world.fill(project, 3)
    held = claim(project, ben)
    pause(project=project)
    assert claim_next(project=project, person=bea) is None
    assert "paused" in why_nothing(project=project, person=bea)
    world.send(held, ben, TIE)
    resume(project=project)
    assert claim_next(project=project, person=bea) is not None


def test_pausing_again_keeps_the_time_of_the_first(project: Project) -> None:
    pause(project=project)
    first = project.paused_at
    pause(project=project)
    assert project.paused_at == first


def test_what_a_removed_person_holds_goes_to_the_next_at_once_and_their_answers_stay(
    project: Project, ben: User, bea: User
) -> None:
    world.fill(project, 2)
    world.judge_next(project, ben)
    held = claim(project, ben)

    assert remove_member(project=project, person=ben) == 1

    assert not Membership.objects.filter(project=project, user=ben).exists()
    assert held.token is not None
    assert not heartbeat(project=project, assignment_id=held.pk, person=ben, token=held.token)
    assert claim(project, bea).pk == held.pk
    assert project.judgments.get().person == ben
    assert Seat.objects.get(project=project, person=ben).judged == 1


def test_the_last_owner_and_strangers_cannot_be_removed(project: Project, ada: User, mallory: User) -> None:
    with pytest.raises(Refused, match="ada is the only owner"):
        remove_member(project=project, person=ada)
    with pytest.raises(Refused, match="mallory is not a member"):
        remove_member(project=project, person=mallory)
    set_role(project=project, username="ben", role="owner")
    remove_member(project=project, person=ada)
    assert Membership.objects.filter(project=project, role="owner").get().user.username == "ben"


@pytest.mark.django_db(transaction=True)
def test_twelve_people_judge_while_the_number_goes_up_and_down() -> None:
    project = world.make_project(overlap=3)
    world.fill(project, 12)
    people = [world.person(f"annotator{n}") for n in range(12)]

    def change() -> None:
        for overlap in (1, 4, 2, 5, 1, 3):
            set_overlap(project=project, overlap=overlap, every=True)

    world.together([change, *(lambda who=who: world.judge_all(project, who) for who in people)])

    for who in people:
        world.judge_all(project, who)
    assert_exact(project)
    assert not any(free(item) for item in project.items.all())
    assert project.judgments.count() == Assignment.objects.filter(submitted_at__isnull=False).count()


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_remove_each_other_at_once_leave_one() -> None:
    project = world.make_project()
    ada, ben = world.person("ada"), world.person("ben")
    set_role(project=project, username="ben", role="owner")

    def remove(who: User) -> bool:
        try:
            remove_member(project=project, person=who)
        except Refused:
            return False
        return True

    assert sorted(world.together([lambda: remove(ada), lambda: remove(ben)])) == [False, True]
