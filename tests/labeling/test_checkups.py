"""Items mixed in unseen: some with a known answer, some shown again and swapped, as often as the project asks."""

import math
from collections import Counter

import pytest

from labeling.annotating import skip
from labeling.checkups import chance
from labeling.curation.votes import current_judgments
from labeling.gold import mark_gold
from labeling.models import Assignment, Judgment, Project, Purpose, User
from labeling.queue import claim_next
from labeling.repeats import repeated_by_person
from labeling.values import DemonstrationAnswer, PairwiseAnswer, RankingAnswer, RatingAnswer
from tests import world
from tests.labeling.sure import sure

pytestmark = pytest.mark.data_layer
ATTRIBUTES = [{"key": "help", "words": "Helpfulness", "low": 1, "high": 5}]


def history(project: Project, who: User) -> list[Judgment]:
    """What this person answered, first to last."""
    return list(project.judgments.filter(person=who).order_by("pk"))


def within(seen: int, n: int, share: float) -> bool:
    """Whether a count is one that a share of n gives by chance, but for 1 in 15,000 runs (4 standard deviations)."""
    return abs(seen - n * share) <= 4 * math.sqrt(n * share * (1 - share))


def judge_as_the_page_does(project: Project, who: User) -> int:
    """Judge all there is with the next item always held as well; returns how many."""
    on_screen, count = claim_next(project=project, person=who), 0
    while on_screen is not None:
        ahead = claim_next(project=project, person=who, besides=[on_screen.pk])
        world.send(on_screen, who, PairwiseAnswer(verdict="tie"))
        on_screen, count = ahead or claim_next(project=project, person=who), count + 1
    return count


@pytest.fixture
def worked(ben: User) -> Project:
    """A project whose 200 items Ben has judged, with a fifth of repeats 25 items later."""
    project = world.make_project(repeat_share=0.2, repeat_after=25)
    world.fill(project, 200)
    world.judge_all(project, ben)
    return project


def test_a_fifth_is_repeated_at_least_so_many_items_later_once_each_and_swapped(
    worked: Project, ben: User
) -> None:
    done = history(worked, ben)
    work = {j.item_id: (place, j) for place, j in enumerate(done) if j.purpose == Purpose.WORK}
    again = [(place, j) for place, j in enumerate(done) if j.purpose == Purpose.REPEAT]
    assert within(len(again), len(done) - worked.repeat_after, worked.repeat_share)
    assert max(Counter(j.item_id for _, j in again).values()) == 1
    for place, repeat in again:
        first_place, first = work[repeat.item_id]
        assert place - first_place > worked.repeat_after
        assert repeat.display_order == first.display_order[::-1]


def test_repeats_are_spread_over_what_was_judged_and_not_the_same_for_everybody(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2, repeat_share=0.2, repeat_after=10)
    world.fill(project, 80)
    for who in (ben, bea):
        world.judge_all(project, who)
    repeated = [
        list(
            project.judgments.filter(person=who, purpose="repeat")
            .order_by("pk")
            .values_list("item", flat=True)
        )
        for who in (ben, bea)
    ]
    assert repeated[0] != repeated[1]
    assert all(items != sorted(items) for items in repeated)


def test_a_repeat_is_never_work_and_never_in_a_dataset(worked: Project, ben: User) -> None:
    assert worked.judgments.filter(purpose="repeat").exists()
    current = current_judgments(worked)
    assert current.count() == 200
    assert not current.exclude(purpose="work").exists()
    frozen = world.frozen(worked)
    assert not frozen.entries.exclude(judgment__purpose="work").exists()


def test_repeats_leave_no_slot_behind_when_they_are_put_down(ben: User) -> None:
    project = world.make_project(repeat_share=0.2, repeat_after=5)
    world.fill(project, 120)
    while (slot := claim_next(project=project, person=ben)) is not None:
        if slot.purpose == Purpose.REPEAT:
            skip(project=project, assignment_id=slot.pk, person=ben, token=sure(slot.token), reason="unclear")
            break
        world.send(slot, ben, PairwiseAnswer(verdict="tie"))
    assert slot is not None
    assert not Assignment.objects.filter(item=slot.item_id, person=None).exists()
    world.judge_all(project, ben)
    assert project.judgments.filter(item=slot.item_id).count() == 1


def test_no_repeat_comes_before_there_is_enough_between(ben: User) -> None:
    project = world.make_project(repeat_share=0.2, repeat_after=50)
    world.fill(project, 50)
    world.judge_all(project, ben)
    assert not project.judgments.filter(purpose="repeat").exists()


def test_texts_that_are_written_are_not_asked_for_twice(ben: User) -> None:
    project = world.make_project(task="demonstration", repeat_share=0.2, repeat_after=1)
    assert chance(project, "repeat", ben, 0) == chance(project, "repeat", ben, 0)
    world.fill(project, 40)
    while (slot := claim_next(project=project, person=ben)) is not None:
        world.send(slot, ben, DemonstrationAnswer(text="A good answer"))
    assert not project.judgments.filter(purpose="repeat").exists()


def test_about_as_many_known_items_come_as_the_project_asks_each_once(ben: User, ada: User) -> None:
    project = world.make_project(gold_share=0.2)
    items = world.fill(project, 240)
    for item in items[:80]:
        mark_gold(project=project, item_id=item.pk, person=ada, label="0")
    world.judge_all(project, ben)
    done = history(project, ben)
    golds = [j.item_id for j in done if j.purpose == Purpose.GOLD]
    assert within(len(golds), len(done), project.gold_share)
    assert len(golds) == len(set(golds)) < 80
    assert sorted(j.item_id for j in done if j.purpose == Purpose.WORK) == [item.pk for item in items[80:]]


def test_known_items_come_unforeseeably_and_not_at_once(ben: User, bea: User, ada: User) -> None:
    project = world.make_project(overlap=2, gold_share=0.2)
    items = world.fill(project, 90)
    for item in items[:40]:
        mark_gold(project=project, item_id=item.pk, person=ada, label="0")
    for who in (ben, bea):
        world.judge_all(project, who)
    places = [
        [place for place, j in enumerate(history(project, who)) if j.purpose == Purpose.GOLD]
        for who in (ben, bea)
    ]
    assert places[0] != places[1]
    gaps = {b - a for a, b in zip(places[0], places[0][1:], strict=False)}
    assert len(gaps) > 2


def test_with_the_next_item_always_ready_the_shares_stay_the_same(ben: User, ada: User) -> None:
    project = world.make_project(gold_share=0.2, repeat_share=0.2, repeat_after=10)
    items = world.fill(project, 180)
    for item in items[:60]:
        mark_gold(project=project, item_id=item.pk, person=ada, label="0")
    count = judge_as_the_page_does(project, ben)
    kinds = Counter(j.purpose for j in history(project, ben))
    assert kinds["work"] == 120
    assert within(kinds["gold"], count, 0.2)
    assert within(kinds["repeat"], count - kinds["gold"] - 10, 0.2)


def test_reloading_does_not_change_what_is_due(ben: User, ada: User) -> None:
    project = world.make_project(gold_share=0.5)
    items = world.fill(project, 20)
    for item in items[:10]:
        mark_gold(project=project, item_id=item.pk, person=ada, label="0")
    for _ in range(10):
        first, second = (sure(claim_next(project=project, person=ben)) for _ in range(2))
        assert first.pk == second.pk
        world.send(first, ben, PairwiseAnswer(verdict="tie"))


def test_saying_the_same_of_a_swapped_comparison_is_consistent_and_clicking_the_same_side_is_not(
    ben: User, bea: User
) -> None:
    project = world.make_project(overlap=2, repeat_share=0.2, repeat_after=5)
    world.fill(project, 60)
    world.judge_all(project, ben)  # always the stored first response, wherever it stands
    while (slot := claim_next(project=project, person=bea)) is not None:
        world.send(slot, bea, PairwiseAnswer(verdict="first"))
    found = repeated_by_person(project)
    assert set(found[ben.pk]) == {1.0}
    assert set(found[bea.pk]) == {0.0}
    assert repeated_by_person(project, person=ben) == {ben.pk: found[ben.pk]}


def test_rankings_and_ratings_are_alike_by_degrees(ben: User) -> None:
    ranking = world.make_project("Order", task="ranking", repeat_share=0.2, repeat_after=1)
    rating = world.make_project(
        "Rate", task="rating", attributes=ATTRIBUTES, repeat_share=0.2, repeat_after=1
    )
    answers = {ranking: RankingAnswer(order="1>2"), rating: RatingAnswer(ratings={"help": [1, 4]})}
    for project, answer in answers.items():
        world.fill(project, 60)
        while (slot := claim_next(project=project, person=ben)) is not None:
            world.send(slot, ben, answer)
    assert set(repeated_by_person(ranking)[ben.pk]) == {0.0}
    assert set(repeated_by_person(rating)[ben.pk]) == {0.0}
