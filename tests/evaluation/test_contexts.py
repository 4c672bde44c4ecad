"""What stands in the prompts of a run: retrieved, gold, no or reordered contexts, carried from plan to question."""

from typing import Any

import pytest
from django.core.management import call_command

from evaluation.comparing import screen
from evaluation.comparison import compare, find_sides
from evaluation.execution import drive
from evaluation.models import Case, EvalRun, Suite
from evaluation.planning import plan_again, plan_evaluation
from evaluation.plans import Plan, parse_spec
from evaluation.questions import reordered
from evaluation.suites import edit_case, freeze_version, put_cases
from evaluation.suites.content import content_of
from evaluation.suites.diffing import changes
from evaluation.suites.reading import read_case
from evaluation.verdicts_trust import trust
from labeling.errors import Refused
from labeling.models import Project
from tests.evaluation.planned import EXACT, Bill, a_suite, tuned

pytestmark = pytest.mark.django_db
RETRIEVED, GOLD = ["Red is warm.", "Blue is cold.", "Green is calm."], ["The answer is red."]


@pytest.fixture
def suite(project: Project) -> Suite:
    return a_suite(project, cases=6, scoring=EXACT[:1], contexts=RETRIEVED, gold=GOLD)


def planned(suite: Suite, contexts: str, **options: Any) -> EvalRun:
    checkpoint = suite.project.checkpoints.first() or tuned(suite.project)
    return plan_evaluation(
        project=suite.project, suite=suite, checkpoints=[checkpoint], person=None, engine="fake", contexts=contexts,
        **options,
    )  # fmt: skip


def prompt(run: EvalRun) -> str:
    case = Plan(run).facts(Case.objects.of_run(run)[0])
    return case.messages[-1]["content"]


def test_a_prompt_holds_what_its_run_says(suite: Suite, bill: Bill) -> None:
    question = "Questions question 0?"
    assert prompt(planned(suite, "apart")) == question
    assert prompt(planned(suite, "none")) == question
    assert all(text in prompt(planned(suite, "retrieved")) for text in [*RETRIEVED, question])
    gold = prompt(planned(suite, "gold"))
    assert GOLD[0] in gold
    assert RETRIEVED[0] not in gold
    shuffled = prompt(planned(suite, "shuffled", contexts_seed=3))
    assert all(text in shuffled for text in RETRIEVED)
    assert shuffled != prompt(planned(suite, "retrieved"))
    assert shuffled == prompt(planned(suite, "shuffled", contexts_seed=3))


def test_scorers_see_the_contexts_that_were_given(suite: Suite, bill: Bill) -> None:
    seen = {
        contexts: Plan(planned(suite, contexts)).facts(suite.cases.all()[0]).contexts
        for contexts in ("apart", "gold", "none")
    }
    assert seen == {"apart": tuple(RETRIEVED), "gold": tuple(GOLD), "none": ()}


def test_a_plan_without_contexts_reads_as_it_always_did(suite: Suite, bill: Bill) -> None:
    run = planned(suite, "apart")
    assert not {"contexts", "contexts_seed", "only"} & run.spec.keys()
    assert parse_spec(run.spec).contexts == "apart"
    given = planned(suite, "shuffled", contexts_seed=4)
    assert (given.spec["contexts"], given.spec["contexts_seed"]) == ("shuffled", 4)
    assert plan_again(run=given, person=None).spec == given.spec


def test_the_same_prompt_is_asked_once_and_another_order_anew(suite: Suite, bill: Bill) -> None:
    for contexts, asked in (
        ("apart", 12),
        ("none", 12),
        ("retrieved", 24),
        ("shuffled", 36),
        ("retrieved", 36),
    ):
        drive(planned(suite, contexts))
        assert len(bill.asked) == asked, contexts


def test_two_runs_with_other_contexts_are_compared_and_told_apart(
    project: Project, suite: Suite, bill: Bill
) -> None:
    runs = [planned(suite, "retrieved"), planned(suite, "gold")]
    for run in runs:
        drive(run)
        run.refresh_from_db()
    sides = find_sides(project, [f"{run.pk}.1" for run in runs])
    assert compare(*sides, "exact").n == 6
    found = screen(sides, "")
    assert found is not None
    assert ("Contexts", ["With the retrieved contexts", "With the gold contexts"]) in found.properties
    assert "Their prompts hold other texts" in found.closer[0].remarks[1]
    assert "With the gold contexts" in [
        fact.words for fact in trust(runs[1], [], None) if fact.label == "Contexts"
    ]


def test_cases_without_gold_contexts_are_left_out_where_these_are_given(suite: Suite, bill: Bill) -> None:
    one = suite.cases.all()[0]
    edit_case(case=one, content=content_of(one, gold=[]), person=None)
    run = planned(suite, "gold")
    drive(run)
    run.refresh_from_db()
    assert (run.status, run.results.count()) == ("succeeded", 10)


def test_contexts_that_no_case_has_are_refused(project: Project, bill: Bill) -> None:
    bare = a_suite(project, cases=3, name="Bare", scoring=EXACT[:1])
    for contexts, words in (("gold", "No case of Bare v1 has gold contexts"), ("shuffled", "has contexts")):
        with pytest.raises(Refused, match=words):
            planned(bare, contexts)
    with pytest.raises(Refused, match="contexts"):
        planned(bare, "bogus")
    assert not EvalRun.objects.exists()


def test_gold_contexts_are_read_kept_and_shown_as_a_change(project: Project, suite: Suite) -> None:
    case = suite.cases.all()[0]
    assert (case.contexts, case.gold) == (RETRIEVED, GOLD)
    row = {"prompt": "Which?", "gold": [{"text": "One."}, "Two."], "id": "g"}
    put_cases(suite=suite, drafts=[read_case(row)], person=None)
    assert suite.cases.get(uid="g").gold == ["One.", "Two."]
    after = edit_case(case=case, content=content_of(case, gold=["Another."]), person=None)
    assert [change.words for change in changes(case, after)] == ["Gold contexts"]
    assert after.content_hash != case.content_hash


def test_a_case_without_gold_has_the_hash_that_it_always_had(project: Project) -> None:
    case = a_suite(project, cases=1, name="Bare").cases.get()
    assert "gold" not in case.content()
    assert case.uid == read_case({"prompt": case.prompt, "reference": "red", "gold": ["x"]}).uid


def test_an_order_is_never_the_one_that_was_retrieved() -> None:
    two = ("a", "b")
    assert {reordered(two, f"{seed}/case") for seed in range(20)} == {("b", "a")}
    assert reordered(("a", "a"), "1/case") == ("a", "a")
    many = tuple("abcdef")
    assert len({reordered(many, f"{seed}/case") for seed in range(20)}) > 10


def test_emma_names_the_contexts_at_the_shell(project: Project, suite: Suite, bill: Bill) -> None:
    tuned(project)
    freeze_version(suite=suite, person=None)
    call_command(
        "evaluate", suite=f"{project.slug}/{suite.name}", checkpoint=["tuned"], engine="fake", contexts="gold"
    )
    assert EvalRun.objects.get().spec["contexts"] == "gold"
