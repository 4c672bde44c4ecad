"""A run is scored again on what it was: whatever moved since, what was answered is taken from where it is kept."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from evaluation.endpoints import EndpointDraft, add_endpoint
from evaluation.engines import ENGINES
from evaluation.execution import drive
from evaluation.measured import find_sides, why_not
from evaluation.models import CaseResult, Endpoint, EvalRun, Output, Suite
from evaluation.planning import plan_again, plan_evaluation
from evaluation.reading import target_lines
from evaluation.suites import archive_suite, seal_share
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests.evaluation.judged import a_judge, judge_by
from tests.evaluation.planned import EXACT, Bill, a_suite, tuned
from tests.evaluation.suites import decided, put
from training.models import Checkpoint

pytestmark = pytest.mark.data_layer

HAS_RED: list[dict[str, Any]] = [{"name": "has red", "scorer": "contains", "weight": 1.0}]


def plan(suite: Suite, *checkpoints: Checkpoint, **options: Any) -> EvalRun:
    told = {"project": suite.project, "person": None, "engine": "fake"} | options
    return plan_evaluation(suite=suite, checkpoints=checkpoints, **told)


def carried(run: EvalRun) -> EvalRun:
    drive(run)
    return EvalRun.objects.select_related("suite").get(pk=run.pk)


def again(run: EvalRun, scoring: Any = HAS_RED) -> EvalRun:
    return carried(plan_again(run=EvalRun.objects.get(pk=run.pk), person=None, scoring=scoring))


def another_case(suite: Suite) -> None:
    put(suite, {"prompt": "A question that came later?", "reference": "red"})


def another_system(suite: Suite) -> None:
    Suite.objects.filter(pk=suite.pk).update(system="Be short.")


def other_packages(suite: Suite) -> None:
    ENGINES["fake"].profile = lambda self: {"engine": "fake", "torch": "2.14"}  # type: ignore[method-assign]


def no_engine(suite: Suite) -> None:
    del ENGINES["fake"]


@pytest.mark.parametrize("moved", [another_case, another_system, other_packages, no_engine])
def test_whatever_moved_since_no_answer_is_asked_for_again(
    suite: Suite, bill: Bill, moved: Callable[[Suite], None]
) -> None:
    first = carried(plan(suite, tuned(suite.project), name="First"))
    asked = len(bill.asked)
    moved(suite)
    second = again(first)
    assert (second.status, second.error, len(bill.asked)) == (Status.SUCCEEDED, "", asked)
    assert (second.version, second.spec["system"]) == (first.version, first.spec["system"])
    assert second.facts["profiles"] == first.facts["profiles"]
    assert [line.facts["reused"] for line in target_lines(second)] == [12, 12]
    assert again(second).name == second.name == "First, scored again"


def test_two_runs_that_were_measured_in_two_ways_compare_when_scored_again(suite: Suite, bill: Bill) -> None:
    def told(scorer: str) -> list[dict[str, Any]]:
        return [{"name": "m", "scorer": scorer, "weight": 1.0}]

    first = carried(plan(suite, tuned(suite.project), scoring=told("contains")))
    second = carried(plan(suite, tuned(suite.project, "other"), scoring=told("exact")))

    def refused(*runs: EvalRun) -> str:
        one, two = find_sides(suite.project, [f"{run.pk}.1" for run in runs])
        return why_not(one, two, "m")

    assert refused(first, second).endswith(
        "Score both again: their answers are kept, and their suite's scorers of today read them."
    )
    another_case(suite)
    Suite.objects.update(scoring=told("exact"))
    suite.refresh_from_db()
    assert refused(again(first, None), again(second, None)) == ""


def test_an_answer_that_was_an_error_is_asked_for_again_and_no_other(suite: Suite, bill: Bill) -> None:
    run = plan(suite, tuned(suite.project), scoring=EXACT[:1])
    carried(run)
    lost = Output.objects.filter(kind="complete").order_by("pk")[3]
    CaseResult.objects.filter(output=lost).update(output=None, error="It said nothing.")
    lost.delete()
    asked = len(bill.asked)
    other_packages(suite)
    second = again(run)
    assert (second.status, bill.asked[asked:]) == (Status.SUCCEEDED, [lost.key])
    assert CaseResult.objects.filter(run=second, reused=True).count() == 23


def test_of_a_run_that_broke_off_what_is_missing_is_asked_for(suite: Suite, bill: Bill) -> None:
    bill.options = {"fails_after": 10}
    run = carried(plan(suite, tuned(suite.project), scoring=EXACT[:1]))
    assert run.status == Status.FAILED
    kept, asked = Output.objects.count(), len(bill.asked)
    bill.options = {}
    assert again(run).status == Status.SUCCEEDED
    assert 0 < kept < 24
    assert len(bill.asked) - asked == 24 - kept


def test_of_a_run_that_never_began_all_is_asked_for_once(suite: Suite, bill: Bill) -> None:
    run = plan(suite, tuned(suite.project), scoring=EXACT[:1])
    run.request_cancel()
    other_packages(suite)
    second = again(run)
    assert (second.status, len(bill.asked)) == (Status.SUCCEEDED, 24)
    assert second.facts["profiles"]["fake"]["torch"] == "2.14"


def test_only_the_judge_is_asked_where_one_is_chosen_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = judge_by(monkeypatch, lambda shown, request: {"yes": 3.0, "no": 1.0})
    suite, judge = a_suite(project), a_judge(project, "rubric")
    run = carried(plan(suite, tuned(project), scoring=EXACT[:1]))
    asked = len(called.asked)
    judged = [{"name": "right", "scorer": "rubric", "judge": judge.pk, "weight": 1.0}]
    second = again(run, judged)
    assert second.status == Status.SUCCEEDED
    kinds = set(Output.objects.filter(key__in=called.asked[asked:]).values_list("kind", flat=True))
    assert kinds == {"choose"}
    asked = len(called.asked)
    other_packages(suite)
    assert again(again(second), judged).status == Status.SUCCEEDED
    assert len(called.asked) == asked


def test_the_same_few_cases_are_scored_again(suite: Suite, bill: Bill) -> None:
    run = plan(suite, tuned(suite.project))
    uids = list(suite.cases.values_list("uid", flat=True)[:3])
    EvalRun.objects.filter(pk=run.pk).update(spec=run.spec | {"only": uids})
    second = again(carried(EvalRun.objects.get(pk=run.pk)))
    assert second.spec["only"] == uids
    assert CaseResult.objects.filter(run=second).count() == 6


def elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    monkeypatch.setitem(ENGINES, "openai", ENGINES["fake"])
    return add_endpoint(
        project=project, person=None, draft=EndpointDraft("Elsewhere", "https://x.example/v1", "m")
    )


def test_an_endpoint_that_was_put_away_is_scored_again_and_not_asked(
    suite: Suite, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carried(plan(suite, endpoints=[elsewhere(suite.project, monkeypatch)], scoring=EXACT[:1]))
    Endpoint.objects.update(archived_at=timezone.now())
    asked = len(bill.asked)
    assert again(run).status == Status.SUCCEEDED
    CaseResult.objects.update(output=None)
    Output.objects.all()[0].delete()
    second = again(run)
    assert second.status == Status.FAILED
    assert second.error == (
        "The endpoint Elsewhere was put away, and some of its answers are missing; bring it back, then go on here."
    )
    assert len(bill.asked) == asked
    Endpoint.objects.update(archived_at=None)
    assert second.resume()
    assert carried(second).status == Status.SUCCEEDED
    assert len(bill.asked) == asked + 1


def test_a_suite_that_was_put_away_scores_nothing_again(suite: Suite, bill: Bill) -> None:
    run = carried(plan(suite, tuned(suite.project)))
    archive_suite(suite=suite)
    with pytest.raises(Refused, match="Questions was put away; take it out again on its page"):
        again(run)


def test_sealed_answers_are_scored_again_after_promotion_but_not_while_another_candidate_is_judged(
    project: Project, emma: User, bill: Bill
) -> None:
    suite = a_suite(project)
    seal_share(suite=suite, share=0.5, person=None)
    first, second = tuned(project, "first"), tuned(project, "second")
    production = Checkpoint.Stage.PRODUCTION
    Checkpoint.objects.filter(pk=first.pk).update(stage=production)
    run = carried(plan(suite, second, split="sealed"))
    asked = len(bill.asked)
    Checkpoint.objects.filter(pk=first.pk).update(stage=Checkpoint.Stage.ARCHIVED)
    Checkpoint.objects.filter(pk=second.pk).update(stage=production)
    later = again(run)
    assert (later.status, later.split, len(bill.asked)) == (Status.SUCCEEDED, "sealed", asked)
    decided(later, second, by=emma)
    plan(suite, tuned(project, "third"), split="sealed")
    with pytest.raises(Refused, match="The sealed cases were opened for third and nothing was decided"):
        again(run)
