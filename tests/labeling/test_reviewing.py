"""Review and adjudication: one reviewer at a time, nobody their own, and no judgment is ever changed."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from labeling import reviewing
from labeling.annotating import reopen
from labeling.blind import hidden_items, read_without_judging
from labeling.curation.votes import current_judgments
from labeling.errors import Refused, StaleLease
from labeling.models import Assignment, Judgment, Membership, Project, Resolution, Review, ReviewState, User
from labeling.queue import claim_next
from labeling.reviewing import accept, accept_many, resolve, return_with_comment, take_back, take_up
from labeling.tasks import show
from labeling.values import PairwiseAnswer, RankingAnswer
from tests import world
from tests.labeling.sure import sure

pytestmark = pytest.mark.data_layer


@pytest.fixture
def mine(project: Project, ben: User) -> Judgment:
    """Ben's answer to the only item."""
    world.fill(project, 1)
    return sure(world.judge_next(project, ben))


def state(judgment: Judgment) -> str:
    return Assignment.objects.values_list("review", flat=True).get(pk=judgment.assignment_id)


def act(verb: Callable[..., Review], judgment: Judgment, who: User, **more: Any) -> Review:
    return verb(project=judgment.project, assignment_id=judgment.assignment_id, reviewer=who, **more)


def answer_again(judgment: Judgment, who: User, verdict: str) -> Judgment:
    slot = Assignment.objects.select_related("project", "item").get(pk=judgment.assignment_id)
    return world.send(slot, who, PairwiseAnswer(verdict=verdict), revises=judgment.revision)


def test_an_answer_is_submitted_taken_up_and_accepted_and_each_step_is_a_row(
    mine: Judgment, cleo: User
) -> None:
    assert state(mine) == "submitted"
    act(take_up, mine, cleo)
    assert state(mine) == "in_review"
    act(accept, mine, cleo, comment="Well seen")
    assert state(mine) == "accepted"
    steps = list(Review.objects.values_list("state", "reviewer__username", "judgment", "comment"))
    assert steps == [("in_review", "cleo", mine.pk, ""), ("accepted", "cleo", mine.pk, "Well seen")]


def test_cleo_accepts_with_one_key_what_nobody_has_taken_up(mine: Judgment, cleo: User) -> None:
    act(accept, mine, cleo)
    assert state(mine) == "accepted"


def test_pressing_twice_is_pressing_once(mine: Judgment, cleo: User) -> None:
    for verb in (take_up, take_up, accept, accept):
        act(verb, mine, cleo)
    assert list(Review.objects.values_list("state", flat=True)) == ["in_review", "accepted"]


def test_ben_does_not_review_his_own_answer(ben: User) -> None:
    project = world.make_project()
    Membership.objects.filter(user=ben).update(role="reviewer")
    world.fill(project, 1)
    judged = sure(world.judge_next(project, ben))
    for verb in (take_up, accept, take_back):
        with pytest.raises(Refused, match="your own"):
            act(verb, judged, ben)
    with pytest.raises(Refused, match="your own"):
        act(return_with_comment, judged, ben, comment="Again")
    assert (state(judged), Review.objects.count()) == ("submitted", 0)


def test_emma_is_told_that_cleo_has_the_answer_in_review(mine: Judgment, cleo: User, emma: User) -> None:
    act(take_up, mine, cleo)
    for verb in (take_up, accept):
        with pytest.raises(Refused, match="cleo is reviewing the answer of ben"):
            act(verb, mine, emma)


def test_emma_may_take_over_what_cleo_has_left_lying(
    mine: Judgment, cleo: User, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(take_up, mine, cleo)
    monkeypatch.setattr(reviewing, "HELD", timedelta(0))
    act(accept, mine, emma)
    assert sure(Review.objects.last()).reviewer == emma


def test_an_accepted_answer_cannot_be_changed_by_ben(mine: Judgment, ben: User, cleo: User) -> None:
    act(accept, mine, cleo)
    with pytest.raises(Refused, match="accepted this answer"):
        reopen(project=mine.project, person=ben)
    with pytest.raises(StaleLease):
        answer_again(mine, ben, "tie")
    assert Judgment.objects.get() == mine


def test_cleo_does_not_accept_an_answer_that_ben_changed_under_her_eyes(
    mine: Judgment, ben: User, cleo: User
) -> None:
    act(take_up, mine, cleo)
    again = answer_again(mine, ben, "tie")
    with pytest.raises(Refused, match="changed while you were reading it"):
        act(accept, mine, cleo, judgment_id=mine.pk)
    act(accept, mine, cleo, judgment_id=again.pk)
    assert sure(Review.objects.last()).judgment == again


def test_a_returned_answer_comes_back_first_to_ben_with_the_comment_and_his_new_one_replaces_it(
    project: Project, ben: User, bea: User, cleo: User
) -> None:
    world.fill(project, 3)
    judged = sure(world.judge_next(project, ben))
    claim_next(project=project, person=ben)
    act(return_with_comment, judged, cleo, comment="Read the second one to its end.")
    assert not current_judgments(project).exists()

    assert sure(claim_next(project=project, person=bea)).item_id != judged.item_id
    slot = sure(claim_next(project=project, person=ben))
    task = show(assignment=slot, person=ben)
    assert (slot.item_id, task.revises) == (judged.item_id, 1)
    assert task.comment == "Read the second one to its end."

    again = world.send(slot, ben, PairwiseAnswer(verdict="tie"), revises=1)
    assert (again.revision, state(again)) == (2, "submitted")
    assert list(current_judgments(project)) == [again]
    assert sure(claim_next(project=project, person=ben)).item_id != judged.item_id
    assert Judgment.objects.filter(pk=judged.pk, label=judged.label).exists()


def test_an_answer_is_not_returned_without_a_word(mine: Judgment, cleo: User) -> None:
    with pytest.raises(Refused, match="The comment is empty"):
        act(return_with_comment, mine, cleo, comment="  ")
    with pytest.raises(Refused, match="5,000 are allowed"):
        act(return_with_comment, mine, cleo, comment="x" * 5001)
    assert state(mine) == "submitted"


def test_a_review_can_be_taken_back(
    project: Project, mine: Judgment, ben: User, cleo: User, emma: User
) -> None:
    act(return_with_comment, mine, cleo, comment="Again")
    act(take_back, mine, cleo)
    assert state(mine) == "submitted"
    assert claim_next(project=project, person=ben) is None
    act(accept, mine, cleo)
    act(take_back, mine, cleo)
    assert reopen(project=project, person=ben).pk == mine.assignment_id
    with pytest.raises(Refused, match="it waits for review already"):
        act(take_back, mine, emma)


def test_what_is_accepted_is_not_returned_before_that_is_taken_back(mine: Judgment, cleo: User) -> None:
    act(accept, mine, cleo)
    with pytest.raises(Refused, match="is accepted by cleo; take that back first"):
        act(return_with_comment, mine, cleo, comment="Again")


def test_an_answer_is_not_returned_to_somebody_who_left_the_project(
    mine: Judgment, ben: User, cleo: User
) -> None:
    Membership.objects.filter(user=ben).delete()
    with pytest.raises(Refused, match="ben is no member of this project"):
        act(return_with_comment, mine, cleo, comment="Again")
    act(accept, mine, cleo)


def test_many_answers_are_accepted_at_once_and_each_refusal_says_why(
    project: Project, ben: User, cleo: User
) -> None:
    world.fill(project, 4)
    slots = [sure(world.judge_next(project, who)).assignment_id for who in (ben, ben, cleo, ben)]
    done = accept_many(project=project, assignment_ids=[*slots, 10**9], reviewer=cleo)
    assert [review.assignment_id for review in done.reviews] == [slots[0], slots[1], slots[3]]
    assert ["your own" in done.refused[0], "no such answer" in done.refused[1]] == [True, True]
    with pytest.raises(Refused, match="at most 200 at once"):
        accept_many(project=project, assignment_ids=range(201), reviewer=cleo)


def test_cleo_reads_no_answer_to_an_item_that_she_may_still_be_given(
    bea: User, cleo: User, leo: User
) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    judged = sure(world.judge_next(project, bea))
    assert hidden_items(project=project, person=cleo, items=[item.pk]) == {item.pk}
    assert hidden_items(project=project, person=leo, items=[item.pk]) == set()
    with pytest.raises(Refused, match="still be given item"):
        act(accept, judged, cleo)

    read_without_judging(project=project, item_id=item.pk, person=cleo)
    read_without_judging(project=project, item_id=item.pk, person=cleo)
    assert claim_next(project=project, person=cleo) is None
    act(accept, judged, cleo)
    assert item.assignments.filter(person=None).count() == 1


def test_cleo_must_put_down_an_item_before_she_reads_what_others_said_of_it(bea: User, cleo: User) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    world.judge_next(project, bea)
    claim_next(project=project, person=cleo)
    with pytest.raises(Refused, match="judge or skip it first"):
        read_without_judging(project=project, item_id=item.pk, person=cleo)


def test_a_settled_answer_is_a_row_of_its_own_and_no_judgment_changes(
    ben: User, bea: User, cleo: User
) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    world.judge_next(project, ben, "0")
    world.judge_next(project, bea, "1")
    before = list(Judgment.objects.values())
    first = resolve(project=project, item_id=item.pk, person=cleo, label="0", comment="Both sources agree")
    second = resolve(project=project, item_id=item.pk, person=cleo, label="tie")
    assert [first.revision, second.revision] == [1, 2]
    assert list(Resolution.objects.values_list("label", flat=True)) == ["0", "tie"]
    assert list(Judgment.objects.values()) == before


def test_a_settled_answer_must_fit_the_task(project: Project, ben: User, cleo: User) -> None:
    (item,) = world.fill(project, 1)
    with pytest.raises(Refused, match="still be given item"):
        resolve(project=project, item_id=item.pk, person=cleo, label="0")
    world.judge_next(project, ben)
    for label in ("2", "", "0>1", "best"):
        with pytest.raises(Refused, match="choose A, B, tie or both bad"):
            resolve(project=project, item_id=item.pk, person=cleo, label=label)
    with pytest.raises(Refused, match="no item 999"):
        resolve(project=project, item_id=999, person=cleo, label="0")
    assert not Resolution.objects.exists()


def test_a_ranking_is_settled_by_letters(ben: User, cleo: User) -> None:
    project = world.make_project(task="ranking")
    (item,) = world.fill(project, 1)
    world.send(sure(claim_next(project=project, person=ben)), ben, RankingAnswer(order="1>2"))
    settled = resolve(project=project, item_id=item.pk, person=cleo, label="b > a")
    assert settled.label == "1>0"
    for label in ("A", "A > C", "A > B > A", ""):
        with pytest.raises(Refused, match="name each response once"):
            resolve(project=project, item_id=item.pk, person=cleo, label=label)


def test_the_database_refuses_to_change_a_review_or_a_settled_answer(mine: Judgment, cleo: User) -> None:
    act(accept, mine, cleo)
    resolve(project=mine.project, item_id=mine.item_id, person=cleo, label="0")
    for model in (Review, Resolution):
        with pytest.raises(DatabaseError), transaction.atomic():
            QuerySet(model).update(comment="changed")


@pytest.mark.django_db(transaction=True)
def test_of_six_reviewers_who_take_up_one_answer_at_once_exactly_one_has_it() -> None:
    project = world.make_project()
    world.fill(project, 1)
    judged = sure(world.judge_next(project, world.person("ben")))
    crowd = [world.person(f"reviewer{n}") for n in range(6)]
    Membership.objects.bulk_create(Membership(project=project, user=who, role="lead") for who in crowd)

    def attempt(who: User) -> bool:
        try:
            act(take_up, judged, who)
        except Refused:
            return False
        return True

    won = world.together([partial(attempt, who) for who in crowd])
    assert won.count(True) == 1
    assert Review.objects.get().reviewer == crowd[won.index(True)]


@pytest.mark.django_db(transaction=True)
def test_an_answer_accepted_and_changed_at_once_ends_as_one_of_the_two() -> None:
    project, ben, cleo = world.make_project(), world.person("ben"), world.person("cleo")
    world.fill(project, 5)
    for _ in range(5):
        judged = sure(world.judge_next(project, ben))

        def accepts(judged: Judgment = judged) -> bool:
            try:
                act(accept, judged, cleo, judgment_id=judged.pk)
            except Refused:
                return False
            return True

        def changes(judged: Judgment = judged) -> bool:
            try:
                answer_again(judged, ben, "tie")
            except StaleLease:
                return False
            return True

        accepted, changed = world.together([accepts, changes])
        assert accepted != changed
        assert state(judged) == (ReviewState.ACCEPTED if accepted else ReviewState.SUBMITTED)


@pytest.mark.django_db(transaction=True)
def test_four_people_who_settle_an_item_at_once_write_four_revisions_or_are_told() -> None:
    project = world.make_project()
    (item,) = world.fill(project, 1)
    world.judge_next(project, world.person("ben"))
    crowd = [world.person(f"lead{n}") for n in range(4)]
    Membership.objects.bulk_create(Membership(project=project, user=who, role="lead") for who in crowd)

    def settle(who: User) -> bool:
        try:
            resolve(project=project, item_id=item.pk, person=who, label="0", comment=str(uuid.uuid4()))
        except Refused:
            return False
        return True

    done = world.together([partial(settle, who) for who in crowd])
    found = list(Resolution.objects.order_by("revision").values_list("revision", flat=True))
    assert found == list(range(1, done.count(True) + 1))
    assert found
