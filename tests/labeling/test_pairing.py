"""Rankings, edits and settled answers become pairs of chosen and rejected."""

import pytest

from labeling.curation.previewing import preview
from labeling.curation.recipe import Recipe
from labeling.errors import Refused
from labeling.models import Project, Resolution, User
from labeling.queue import claim_next
from labeling.values import EditAnswer, RankingAnswer, pairs_of
from tests import world

pytestmark = pytest.mark.data_layer


def many(number: int, responses: int) -> world.ItemDraft:
    return world.ItemDraft(
        messages=[{"role": "user", "content": f"Question {number}?"}],
        responses=[world.ResponseDraft(f"text {n}") for n in range(responses)],
    )


def shown_as(slot: world.Assignment, stored: str) -> str:
    """An order of stored positions in the numbers that the holder of this slot sees."""
    order = world.shown_order(slot, slot.turn)
    return "".join(str(order.index(int(part)) + 1) if part.isdigit() else part for part in stored)


def rank_next(project: Project, who: User, stored: str) -> None:
    slot = claim_next(project=project, person=who)
    world.send(slot, who, RankingAnswer(order=shown_as(slot, stored)))


def pairs(project: Project, **recipe: int) -> set[tuple[str, str]]:
    made = preview(project=project, recipe=Recipe(complete=False, **recipe), sample=100)
    return {(row["chosen"], row["rejected"]) for row in made.sample}


def test_the_pairs_that_a_ranking_says() -> None:
    assert pairs_of("2>0=1") == [(0, 1, "tie"), (0, 2, "1"), (1, 2, "1")]
    assert pairs_of("0") == [(0, 1, "0")]
    assert len(pairs_of(">".join(map(str, range(12))))) == 66


def test_a_ranking_of_three_gives_each_pair_that_is_no_tie(ben: User) -> None:
    project = world.make_project(task="ranking")
    world.put(project, many(1, 3))
    rank_next(project, ben, "2>0=1")
    made = preview(project=project, recipe=Recipe(complete=False), sample=10)
    assert pairs(project) == {("text 2", "text 0"), ("text 2", "text 1")}
    assert made.dropped == {"tie": 1}


def test_each_pair_of_a_ranking_is_decided_by_its_own_majority(ben: User, bea: User, cleo: User) -> None:
    project = world.make_project(task="ranking", overlap=3)
    world.put(project, many(1, 3))
    for who, order in ((ben, "0>1>2"), (bea, "0>2>1"), (cleo, "1>0>2")):
        rank_next(project, who, order)
    assert pairs(project) == {("text 0", "text 1"), ("text 0", "text 2"), ("text 1", "text 2")}


def test_an_item_that_all_call_bad_gives_no_pair(ben: User) -> None:
    project = world.make_project(task="ranking")
    world.put(project, many(1, 3))
    slot = claim_next(project=project, person=ben)
    world.send(slot, ben, RankingAnswer(order="all_bad"))
    assert preview(project=project, recipe=Recipe(complete=False)).dropped == {"both_bad": 1}


def test_an_edit_is_preferred_to_its_original(ben: User) -> None:
    project = world.make_project(task="edit")
    world.put(project, many(1, 2))
    slot = claim_next(project=project, person=ben)
    world.send(slot, ben, EditAnswer(number=1, text="much better"))
    original = f"text {world.shown_order(slot, slot.turn)[0]}"
    assert pairs(project) == {("much better", original)}


def test_an_edit_that_changes_nothing_is_refused_with_a_sentence_and_can_be_sent_again(ben: User) -> None:
    project = world.make_project(task="edit")
    world.put(project, many(1, 1))
    slot = claim_next(project=project, person=ben)
    with pytest.raises(Refused, match="still that of response 1"):
        world.send(slot, ben, EditAnswer(number=1, text="text 0 \n"))
    world.send(slot, ben, EditAnswer(number=1, text="text one"))
    assert pairs(project) == {("text one", "text 0")}


def test_a_settled_answer_counts_for_more_than_the_votes_and_its_newest_revision_most(
    ben: User, bea: User, cleo: User
) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    for who in (ben, bea):
        world.judge_next(project, who, "0")
    for revision, label in ((1, "tie"), (2, "1")):
        Resolution.objects.create(project=project, item=item, revision=revision, label=label, person=cleo)
    assert pairs(project) == {("Answer two to 0", "Answer one to 0")}


def test_identical_responses_are_never_a_pair(ben: User) -> None:
    project = world.make_project()
    world.put(project, world.draft(1, first="the same", second="the same"))
    world.judge_next(project, ben, "0")
    assert preview(project=project, recipe=Recipe(complete=False)).dropped == {"identical": 1}
