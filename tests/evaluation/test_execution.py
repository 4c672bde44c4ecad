"""A run is carried to its end: nothing is asked twice, whatever is killed on the way; nothing is dropped silently."""

from typing import Any

import pytest

from evaluation.engines.fake import Died
from evaluation.execution import drive
from evaluation.models import CaseResult, CaseScore, EvalRun, Output, RunTarget, Score, Suite
from evaluation.planning import plan_again, plan_evaluation
from evaluation.reading import target_lines, verdict
from labeling.lifecycle import Status
from labeling.models import Project
from tests.evaluation.planned import EXACT, Bill, a_suite, counting, tuned
from tests.training.runs import root_checkpoint
from training.models import Checkpoint

pytestmark = pytest.mark.data_layer


@pytest.fixture
def bill(monkeypatch: pytest.MonkeyPatch) -> Bill:
    return counting(monkeypatch)


@pytest.fixture
def suite(project: Project) -> Suite:
    return a_suite(project)


@pytest.fixture
def candidate(project: Project) -> Checkpoint:
    return tuned(project)


def plan(suite: Suite, *checkpoints: Checkpoint, **options: Any) -> EvalRun:
    return plan_evaluation(
        project=suite.project, suite=suite, checkpoints=checkpoints, person=None, engine="fake", **options
    )


def carried(run: EvalRun) -> EvalRun:
    drive(run)
    run.refresh_from_db()
    return run


def test_every_target_answers_every_case_once_and_each_answer_is_marked(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    run = carried(plan(suite, candidate))
    assert (run.status, run.error, run.progress) == (Status.SUCCEEDED, "", 1.0)
    assert [target.name for target in run.targets.all()] == ["tiny", "tuned"]
    assert CaseResult.objects.filter(run=run).count() == 24
    assert CaseScore.objects.filter(result__run=run).count() == 24 * 3
    assert len(bill.asked) == len(set(bill.asked)) == 48  # an answer and a likelihood each


def test_numbers_are_stored_with_their_intervals_and_paired_with_the_baseline(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    run = carried(plan(suite, candidate))
    base, other = target_lines(run)
    assert [reading.metric.name for reading in base.readings] == ["exact", "chrf", "perplexity"]
    assert base.primary.estimate is not None
    assert base.primary.estimate.n == 12
    assert other.primary.difference is not None
    assert other.readings[2].difference is not None
    assert other.readings[2].difference.low > 0  # a ratio
    assert str(verdict([base, other]))
    slices = set(Score.objects.filter(run=run, slice__gt="").values_list("slice", flat=True))
    assert slices == {"third", "rest"}


@pytest.mark.parametrize("after", [0, 1, 7, 20, 47])
def test_a_run_that_is_killed_goes_on_and_asks_nothing_twice(
    suite: Suite, candidate: Checkpoint, bill: Bill, after: int
) -> None:
    run = plan(suite, candidate)
    bill.options = {"dies_after": after}
    with pytest.raises(Died):
        raise_through(run)
    bill.options = {}
    EvalRun.objects.filter(pk=run.pk).update(status=Status.QUEUED, claim_token=None)
    run = carried(EvalRun.objects.get(pk=run.pk))
    assert run.status == Status.SUCCEEDED
    kept = {key: bill.asked.count(key) for key in set(bill.asked)}
    lost = sum(count - 1 for count in kept.values())
    assert lost <= 6  # what the fake had in its hands when it died, less than one batch
    assert Output.objects.count() == 48


def raise_through(run: EvalRun) -> None:
    """What a kill is like: no handler of the job runs."""
    from evaluation.execution import _Work
    from evaluation.plans import Plan

    assert run.claim()
    _Work(run, Plan(run)).carry()


def test_what_one_run_generated_the_next_one_takes_from_where_it_is_kept(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    carried(plan(suite, candidate))
    before = len(bill.asked)
    second = carried(plan(suite, candidate, tuned(suite.project, "second")))
    assert len(bill.asked) - before == 24  # the new checkpoint's only
    reused = CaseResult.objects.filter(run=second, reused=True).count()
    assert reused == 24
    assert target_lines(second)[0].facts["reused"] == 12


def test_a_run_is_scored_again_with_other_scorers_and_nothing_is_generated(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    first = carried(plan(suite, candidate))
    before = len(bill.asked)
    scoring = [{"name": "has red", "scorer": "contains", "weight": 1.0}]
    again = carried(plan_again(run=first, person=None, scoring=scoring))
    assert again.status == Status.SUCCEEDED
    assert len(bill.asked) == before
    assert [metric["name"] for metric in again.metrics] == ["has red"]


def test_other_settings_are_other_questions(suite: Suite, candidate: Checkpoint, bill: Bill) -> None:
    carried(plan(suite, candidate))
    before = len(bill.asked)
    carried(plan(suite, candidate, sampling={"max_tokens": 3}))
    assert len(bill.asked) - before == 24  # the answers; the likelihoods are the same questions


def test_several_samples_are_several_answers_and_one_case(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    run = carried(plan(suite, candidate, sampling={"temperature": 1.0, "samples": 3}))
    assert CaseResult.objects.filter(run=run).count() == 72
    assert Output.objects.filter(kind="complete").count() == 72
    line = target_lines(run)[0]
    assert line.primary.estimate is not None
    assert line.primary.estimate.n == 12


def test_an_answer_that_never_came_counts_as_wrong_and_is_counted(
    suite: Suite, candidate: Checkpoint, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan(suite, candidate)
    from evaluation.execution import _Work
    from evaluation.plans import Plan

    one = Plan(run)
    case = next(iter(_Work(run, one)._cases()))
    bill.options = {"garbled": {next(iter(_Work(run, one)._completions(case, one.asked["1"]))).id}}
    run = carried(run)
    line = target_lines(run)[1]
    assert run.status == Status.SUCCEEDED
    failed = CaseResult.objects.get(run=run, output=None)
    assert failed.error == "The fake engine was told to say nothing."
    assert line.primary.own is not None
    assert (line.primary.own.n, line.primary.own.errors) == (12, 1)
    assert line.readings[1].own is not None
    assert line.readings[1].own.errors == 1


def test_cases_without_a_reference_are_unscorable_and_counted(
    project: Project, candidate: Checkpoint, bill: Bill
) -> None:
    suite = a_suite(project, reference=None, scoring=EXACT[:1])
    run = carried(plan(suite, candidate))
    line = target_lines(run)[0]
    assert line.primary.estimate is None
    assert line.primary.own is not None
    assert (line.primary.own.n, line.primary.own.unscorable) == (0, 12)
    assert "too few cases" in str(verdict(target_lines(run))) or not verdict(target_lines(run))


@pytest.mark.parametrize("cases", [1, 2])
def test_a_suite_of_a_case_or_two_gives_no_difference(
    project: Project, candidate: Checkpoint, bill: Bill, cases: int
) -> None:
    run = carried(plan(a_suite(project, cases=cases), candidate))
    assert run.status == Status.SUCCEEDED
    assert target_lines(run)[1].primary.difference is None
    assert "too few cases to compare" in str(verdict(target_lines(run)))


def test_weighted_metrics_make_one_primary_metric(
    project: Project, candidate: Checkpoint, bill: Bill
) -> None:
    scoring = [
        {"name": "exact", "scorer": "exact", "weight": 3.0},
        {"name": "words", "scorer": "length", "weight": 1.0, "floor": 10.0, "ceiling": 0.0},
    ]
    run = carried(plan(a_suite(project, scoring=scoring), candidate))
    assert run.primary == "primary"
    result = CaseResult.objects.filter(run=run).first()
    assert result is not None
    marks = {score.metric: score.value for score in result.scores.all()}
    assert marks["primary"] == pytest.approx((3 * marks["exact"] + (1 - marks["words"] / 10)) / 4)


def test_a_run_that_costs_more_than_its_budget_stops_and_keeps_what_was_answered(
    suite: Suite, candidate: Checkpoint, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from evaluation.engines.fake import FakeEngine

    answer = FakeEngine.answer
    monkeypatch.setattr(FakeEngine, "answer", lambda self, request: replace(answer(self, request), cost=0.5))
    run = carried(plan(suite, candidate, limits={"budget": 5.0}))
    assert run.status == Status.FAILED
    assert "and the budget is 5.00; what was answered is kept" in run.error
    assert 0 < Output.objects.count() < 48


def test_a_run_that_was_cancelled_ends_as_cancelled(
    suite: Suite, candidate: Checkpoint, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan(suite, candidate)
    assert run.claim()
    run.request_cancel()
    from evaluation.carrying import interruptible
    from evaluation.execution import _evaluate

    run.carry(lambda: interruptible(run, lambda: _evaluate(run)))
    run.refresh_from_db()
    assert run.status == Status.CANCELLED


def test_an_engine_that_refuses_ends_the_run_with_its_sentence(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    bill.options = {"fails_after": 10}
    run = carried(plan(suite, candidate))
    assert (run.status, run.error) == (Status.FAILED, "The fake engine was told to fail.")
    assert run.resume()
    bill.options = {}
    run = carried(EvalRun.objects.get(pk=run.pk))
    assert run.status == Status.SUCCEEDED
    assert len(bill.asked) - len(set(bill.asked)) <= 6


def test_targets_of_two_bases_are_asked_in_two_groups(project: Project, suite: Suite, bill: Bill) -> None:
    run = carried(plan(suite, tuned(project), tuned(project, "other one", base="other")))
    assert run.status == Status.SUCCEEDED
    assert [target.name for target in run.targets.all()] == ["tiny", "other", "tuned", "other one"]
    assert sorted(path.name for path in run.path.iterdir()) == ["answers-0", "answers-1"]


def test_the_champion_in_production_is_the_baseline(project: Project, suite: Suite, bill: Bill) -> None:
    champion = tuned(project, "champion")
    Checkpoint.objects.filter(pk=champion.pk).update(stage=Checkpoint.Stage.PRODUCTION)
    run = plan(suite, tuned(project))
    assert [target.name for target in RunTarget.objects.filter(run=run)] == ["champion", "tiny", "tuned"]


def test_the_base_alone_can_be_scored(suite: Suite, bill: Bill) -> None:
    run = carried(plan(suite, root_checkpoint()))
    assert run.status == Status.SUCCEEDED
    assert not verdict(target_lines(run))
