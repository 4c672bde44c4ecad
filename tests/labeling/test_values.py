"""Answers of every kind: what is taken, what is refused and how, and what it means of the stored responses."""

from typing import Any

import pytest

from labeling.annotating import save_draft
from labeling.errors import Refused
from labeling.models import Draft, Judgment, Project, User
from labeling.queue import claim_next
from labeling.reading import read_answer, read_draft
from labeling.tasks import show, shown_order
from labeling.values import LONGEST_TEXT, Attribute, RankingAnswer
from tests import world

pytestmark = pytest.mark.data_layer
SCALES: list[Attribute] = [
    {"key": "helpful", "words": "Helpful", "low": 0, "high": 4},
    {"key": "correct", "words": "Correct", "low": 1, "high": 5},
]
RATED = {"helpful": [0, 4], "correct": [1, 5]}


def item_with(project: Project, responses: int) -> None:
    draft = world.ItemDraft(
        messages=[{"role": "user", "content": "Which?"}],
        responses=[world.ResponseDraft(f"text {n}", origin="secret") for n in range(responses)],
    )
    world.put(project, draft)


def answer(project: Project, who: User, **values: Any) -> Judgment:
    slot = claim_next(project=project, person=who)
    return world.send(slot, who, read_answer(values, task=project.task))


@pytest.mark.parametrize(
    ("task", "values", "says"),
    [
        ("pairwise", {}, "verdict given is nothing; choose first, second, tie or both_bad"),
        ("pairwise", {"verdict": "third"}, "'third'"),
        ("pairwise", {"verdict": "first", "strength": 4}, "strength given is 4"),
        ("pairwise", {"verdict": "first", "winner": "a"}, "winner"),
        ("ranking", {}, "put every response in order"),
        ("rating", {"ratings": {"helpful": ["x", "2"]}}, "ratings.helpful.0 given is 'x'"),
        ("demonstration", {"text": "x" * (LONGEST_TEXT + 1)}, "write a response"),
        ("edit", {"number": 0, "text": "x"}, "improve a response"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_what_was_given_and_what_to_do(
    task: str, values: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_answer(values, task=task)
    assert says in refused.value.sentence


@pytest.mark.parametrize(
    ("task", "values", "says"),
    [
        ("ranking", {"order": "1>2"}, "name each of the responses 1 to 3 once"),
        ("ranking", {"order": "1>2>2"}, "name each of the responses 1 to 3 once"),
        ("ranking", {"order": "1>2>3>4"}, "name each of the responses 1 to 3 once"),
        ("ranking", {"order": "best first"}, "write numbers from best to worst"),
        ("pairwise", {"verdict": "first"}, "has 3 responses; a comparison needs two"),
        ("rating", {"ratings": {"helpful": [1, 2, 3]}}, "rate correct, helpful"),
        ("rating", {"ratings": {"helpful": [1, 2], "correct": [1, 2]}}, "each of the 3 responses"),
        ("rating", {"ratings": {"helpful": [1, 2, 5], "correct": [1, 2, 3]}}, "a value from 0 to 4"),
        ("demonstration", {"text": "  \n "}, "write one, or skip"),
        ("edit", {"number": 4, "text": "better"}, "the item has 3"),
        ("edit", {"number": 1, "text": " "}, "write it, or skip"),
    ],
)
def test_an_answer_that_does_not_fit_the_item_changes_nothing(
    task: str, values: dict[str, Any], says: str, ben: User
) -> None:
    project = world.make_project(task=task, attributes=SCALES)
    item_with(project, 3)
    with pytest.raises(Refused) as refused:
        answer(project, ben, **values)
    assert says in refused.value.sentence
    assert not Judgment.objects.exists()
    assert claim_next(project=project, person=ben).submitted_at is None


def test_a_required_reason_and_strength_are_asked_for(ben: User) -> None:
    project = world.make_project(rationale="required", ask_strength=True)
    item_with(project, 2)
    with pytest.raises(Refused, match="The reason is empty"):
        answer(project, ben, verdict="first", strength=1)
    with pytest.raises(Refused, match="The strength is missing"):
        answer(project, ben, verdict="first", rationale="clearer")
    given = answer(project, ben, verdict="second", strength=3, rationale="clearer")
    assert (given.strength, given.answer["rationale"]) == (3, "clearer")


def test_a_tie_has_no_strength(ben: User) -> None:
    project = world.make_project(ask_strength=True)
    item_with(project, 2)
    assert answer(project, ben, verdict="tie", strength=2).strength is None


@pytest.mark.parametrize("responses", [2, 3, 12])
def test_a_ranking_means_the_responses_that_stood_there(responses: int, ben: User) -> None:
    project = world.make_project(task="ranking")
    item_with(project, responses)
    slot = claim_next(project=project, person=ben)
    texts = [response.text for response in show(assignment=slot, person=ben).responses]
    numbers = ">".join(str(n) for n in range(responses, 0, -1))
    label = world.send(slot, ben, RankingAnswer(order=numbers)).label
    assert [f"text {position}" for position in label.split(">")] == texts[::-1]


def test_ties_in_a_ranking_do_not_depend_on_the_order_in_which_they_were_named(ben: User, bea: User) -> None:
    project = world.make_project(task="ranking", overlap=2)
    item_with(project, 3)
    slots = [claim_next(project=project, person=who) for who in (ben, bea)]
    labels = []
    for slot, who, first in ((slots[0], ben, 0), (slots[1], bea, 1)):
        order = shown_order(slot, slot.turn)
        named = [order.index(first) + 1, order.index(1 - first) + 1, order.index(2) + 1]
        labels.append(world.send(slot, who, RankingAnswer(order="{}={}>{}".format(*named))).label)
    assert labels == ["0=1>2", "0=1>2"]


def test_ratings_are_kept_as_they_stood_on_the_screen_with_the_order(ben: User) -> None:
    project = world.make_project(task="rating", attributes=SCALES)
    item_with(project, 2)
    given = answer(project, ben, ratings=RATED)
    assert (given.answer["ratings"], sorted(given.display_order)) == (RATED, [0, 1])


def test_an_edit_names_the_response_that_was_improved(ben: User) -> None:
    project = world.make_project(task="edit")
    item_with(project, 3)
    slot = claim_next(project=project, person=ben)
    edited = world.send(slot, ben, read_answer({"number": 2, "text": "better"}, task="edit"))
    assert int(edited.label) == shown_order(slot, slot.turn)[1]


def test_a_demonstration_needs_no_response(ben: User) -> None:
    project = world.make_project(task="demonstration")
    item_with(project, 0)
    assert answer(project, ben, text="Ein Satz. 🙂 שלום").answer["text"] == "Ein Satz. 🙂 שלום"


def test_an_answer_of_another_kind_than_the_project_asks_for_is_refused(ben: User) -> None:
    project = world.make_project(task="ranking")
    item_with(project, 2)
    slot = claim_next(project=project, person=ben)
    with pytest.raises(Refused, match="this project asks for a ranking"):
        world.send(slot, ben, read_answer({"verdict": "first"}))


def test_identical_responses_are_pointed_out(ben: User) -> None:
    project = world.make_project(task="ranking")
    same = [world.ResponseDraft(text, origin=text + str(n)) for n, text in enumerate(["a", "b", "a"])]
    world.put(project, world.ItemDraft(messages=[{"role": "user", "content": "?"}], responses=same))
    task = show(assignment=claim_next(project=project, person=ben), person=ben)
    twins = [response.number for response in task.responses if response.text == "a"]
    assert [r.same_as for r in task.responses if r.text == "a"] == [[twins[1]], [twins[0]]]
    assert [r.same_as for r in task.responses if r.text == "b"] == [[]]


def test_an_unfinished_answer_is_kept_as_far_as_it_goes(ben: User) -> None:
    project = world.make_project(task="ranking")
    item_with(project, 3)
    slot = claim_next(project=project, person=ben)
    kept = read_draft({"order": "2", "rationale": "", "stranger": "x"}, task="ranking")
    values = {"project": project, "assignment_id": slot.pk, "person": ben, "token": slot.token}
    save_draft(**values, answer=kept)
    assert Draft.objects.get().answer == {"order": "2"}


def test_a_draft_beyond_all_measure_is_refused() -> None:
    with pytest.raises(Refused, match="shorten it"):
        read_draft({"text": "x" * (3 * LONGEST_TEXT)}, task="demonstration")
