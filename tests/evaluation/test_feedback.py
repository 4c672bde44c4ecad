"""Cases go back to people: as items that nobody can tell the targets by, once, and never into training."""

import pytest

from evaluation.comparison import Side, find_sides
from evaluation.feedback import MOST, parcel_of, send_to_labeling
from evaluation.models import CaseResult, EvalRun
from evaluation.suites import put_cases
from evaluation.suites.reading import read_case
from labeling.errors import Refused
from labeling.intake import prompt_hash
from labeling.models import Item, Project, Task, User
from labeling.protection import protect
from tests import world
from tests.evaluation.finished import edited, finished, suite_of
from tests.evaluation.gating import listed, marks, pair

pytestmark = pytest.mark.django_db
SIX = marks(3, 6)


def sides(project: Project, run: EvalRun, *indexes: int) -> list[Side]:
    return find_sides(project, [f"{run.pk}.{index}" for index in indexes or (0, 1)])


def cases(run: EvalRun) -> list[int]:
    return list(run.suite.cases.values_list("pk", flat=True))


def say(run: EvalRun, index: int, position: int, text: str) -> None:
    output = CaseResult.objects.get(run=run, target__index=index, case__position=position).output
    assert output is not None
    type(output).objects.filter(pk=output.pk).update(text=text)


def test_both_answers_become_one_item_with_its_source(project: Project) -> None:
    run, _ = pair(project, SIX, SIX)
    intake, parcel = send_to_labeling(project=project, sides=sides(project, run), case_ids=cases(run)[:2])
    assert (intake.new, intake.duplicate, parcel.few) == (2, 0, 0)
    item = Item.objects.first()
    assert item is not None
    case = run.suite.cases.all()[0]
    assert item.messages == case.prompt
    assert item.prompt_hash == prompt_hash(case.prompt)
    assert (item.source_kind, item.source_ref) == ("evaluation", f"evaluation {run.pk} case {case.uid}")
    assert {response.origin for response in item.responses.all()} == {"champion", "candidate"}


def test_sending_again_or_the_other_way_round_makes_nothing_new(project: Project) -> None:
    run, _ = pair(project, SIX, SIX)
    send_to_labeling(project=project, sides=sides(project, run), case_ids=cases(run))
    again, _ = send_to_labeling(project=project, sides=sides(project, run, 1, 0), case_ids=cases(run))
    assert (again.new, again.duplicate) == (0, 6)
    assert parcel_of(project=project, sides=sides(project, run), case_ids=cases(run)).new == 0


def test_the_place_of_a_response_tells_nothing_of_its_target(project: Project) -> None:
    run, _ = pair(project, marks(20, 40), marks(20, 40))
    send_to_labeling(project=project, sides=sides(project, run), case_ids=cases(run))
    first = [item.responses.all()[0].origin for item in Item.objects.all()]
    assert 8 <= first.count("champion") <= 32


def test_equal_answers_and_missing_ones_are_skipped_and_counted(project: Project) -> None:
    run, _ = pair(project, SIX, SIX)
    for index in (0, 1):
        say(run, index, 0, "The same.")
    CaseResult.objects.filter(run=run, target__index=1, case__position=1).update(
        output=None, error="no answer"
    )
    intake, parcel = send_to_labeling(project=project, sides=sides(project, run), case_ids=cases(run))
    assert (intake.new, parcel.few) == (4, 2)


def test_where_all_are_skipped_nothing_is_sent(project: Project) -> None:
    run, _ = pair(project, [1.0], [1.0])
    for index in (0, 1):
        say(run, index, 0, "The same.")
    with pytest.raises(Refused, match="nothing to send: 1 stayed: too few different answers"):
        send_to_labeling(project=project, sides=sides(project, run), case_ids=cases(run))


def test_a_project_that_ranks_gets_all_answers_and_one_of_pairs_two(project: Project) -> None:
    run = finished(project, {"a": listed(SIX), "b": listed(SIX), "c": listed(SIX)}, cases=6)
    three = sides(project, run, 0, 1, 2)
    assert {
        len(draft.responses) for draft in parcel_of(project=project, sides=three, case_ids=cases(run)).drafts
    } == {2}
    project.task = Task.RANKING
    assert {
        len(draft.responses) for draft in parcel_of(project=project, sides=three, case_ids=cases(run)).drafts
    } == {3}


@pytest.mark.parametrize(
    ("task", "answers", "texts"),
    [
        (Task.PAIRWISE, [2, 2], []),
        (Task.RANKING, [3, 3], []),
        (Task.RATING, [3, 3], []),
        (Task.EDIT, [3, 3], []),
        (Task.DEMONSTRATION, [0, 0], []),
        (Task.RAG, [1] * 6, ["One text.", "Another."]),
    ],
)
def test_each_task_gets_the_items_that_its_people_can_judge(
    task: str, answers: list[int], texts: list[str]
) -> None:
    project = world.make_project("Judging", task=task)
    run = finished(project, {name: listed(SIX) for name in "abc"}, cases=6)
    run.suite.cases.update(contexts=["One text.", {"text": "Another."}])
    intake, _ = send_to_labeling(project=project, sides=sides(project, run, 0, 1, 2), case_ids=cases(run)[:2])
    items = list(Item.objects.filter(project=project))
    assert (intake.new, [item.responses.count() for item in items]) == (len(answers), answers)
    assert all([chunk.text for chunk in item.chunks.all()] == texts for item in items)


def test_one_target_is_enough_where_nothing_is_compared() -> None:
    project = world.make_project("Reviews", task=Task.RAG)
    run, _ = pair(project, SIX, SIX)
    assert parcel_of(project=project, sides=sides(project, run)[1:], case_ids=cases(run)).new == 6


def test_a_third_answer_that_a_pair_does_not_take_is_named(project: Project) -> None:
    run = finished(project, {name: listed(SIX) for name in "abc"}, cases=6)
    say(run, 1, 0, "a says: open order 0, then return it.")  # as a does: the pair is of a and c
    parcel = parcel_of(project=project, sides=sides(project, run, 0, 1, 2), case_ids=cases(run))
    assert parcel.left == {"c": 5}
    assert parcel.stayed == ["5 answers of c stayed: a pair has two"]


def test_reviewed_answers_stand_beside_the_texts_of_their_own_run() -> None:
    project = world.make_project("Reviews", task=Task.RAG)
    version = suite_of(project, 6)
    version.suite.cases.update(contexts=["Retrieved."], gold=["Gold."])
    one, _ = pair(project, SIX, SIX, version=version)
    two, _ = pair(project, SIX, SIX, version=version, contexts="gold")
    chosen = find_sides(project, [f"{one.pk}.1", f"{two.pk}.1"])
    send_to_labeling(project=project, sides=chosen, case_ids=cases(one)[:1])
    assert sorted(item.chunks.get().text for item in Item.objects.all()) == ["Gold.", "Retrieved."]


def test_what_no_item_takes_stays_and_is_named() -> None:
    project = world.make_project("Reviews", task=Task.RAG)
    run, _ = pair(project, SIX, SIX)
    run.suite.cases.filter(position=0).update(contexts=["y" * 150_000])
    parcel = parcel_of(project=project, sides=sides(project, run), case_ids=cases(run))
    assert parcel.new == 10
    assert "“Question 0?” (context 1 has 150,000" in parcel.stayed[0]


def test_an_answer_to_an_older_prompt_is_not_sent_with_the_newer_one(project: Project) -> None:
    version = suite_of(project, 6)
    one, _ = pair(project, SIX, SIX, version=version)
    newer, old = edited(version, position=3)
    two, _ = pair(project, SIX, SIX, version=newer, names=("champion", "other"))
    chosen = find_sides(project, [f"{one.pk}.1", f"{two.pk}.1"])
    parcel = parcel_of(project=project, sides=chosen, case_ids=[old.pk])
    assert (parcel.new, parcel.few) == (0, 1)


def test_protected_prompts_are_counted_and_never_trained_on(project: Project, ben: User) -> None:
    run, _ = pair(project, SIX, SIX)
    case = run.suite.cases.all()[0]
    put_cases(suite=run.suite, drafts=[read_case({"id": "more", "prompt": "More?"})], person=None)
    protect(project=project, prompts={prompt_hash(case.prompt): case.prompt[0]["content"]}, reason="a suite")
    for each in run.suite.cases.all():
        type(each).objects.filter(pk=each.pk).update(prompt_hash=prompt_hash(each.prompt))
    parcel = parcel_of(project=project, sides=sides(project, run), case_ids=cases(run)[:3])
    assert parcel.protected == 1
    send_to_labeling(project=project, sides=sides(project, run), case_ids=cases(run)[:3])
    world.judge_all(project, ben)
    version = world.frozen(project, near_duplicates=None)
    assert version.rows == 2


def test_cases_of_two_runs_are_paired_by_their_uid(project: Project) -> None:
    version = suite_of(project, 6)
    one, _ = pair(project, SIX, SIX, version=version)
    two, _ = pair(project, SIX, SIX, version=version, names=("champion", "other"))
    chosen = find_sides(project, [f"{one.pk}.1", f"{two.pk}.1"])
    assert parcel_of(project=project, sides=chosen, case_ids=cases(one)).new == 6


@pytest.mark.parametrize("what", ["nobody", "nothing", "too many", "sealed", "strange"])
def test_what_cannot_be_sent_is_refused_with_a_sentence(project: Project, what: str) -> None:
    run, _ = pair(project, SIX, SIX)
    chosen, keys = sides(project, run), cases(run)
    if what == "nobody":
        chosen = chosen[:1]
    elif what == "nothing":
        keys = []
    elif what == "too many":
        keys = list(range(MOST + 1))
    elif what == "sealed":
        chosen[1].run.split = "sealed"
    else:
        keys = [10**9]
    with pytest.raises(Refused):
        send_to_labeling(project=project, sides=chosen, case_ids=keys)
    assert not Item.objects.exists()
