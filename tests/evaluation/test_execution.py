"""An evaluation is carried to its end once, goes on where it stopped, and its numbers can be computed again."""

from collections.abc import Callable
from typing import Any

import pytest

from evaluation.engines import ENGINES, Interrupted
from evaluation.execution import drive
from evaluation.models import CaseResult, EvalRun, Score
from evaluation.planning import create_suite, plan_evaluation
from evaluation.reading import score_lines, verdict
from evaluation.scoring import compute_scores
from labeling.models import Project
from tests.evaluation.fakes import FakeEngine
from tests.training.runs import RESULT, judged_version, launched
from training.processes import Stop
from training.registry import register_checkpoint


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch) -> EvalRun:
    monkeypatch.setitem(ENGINES, "transformers", FakeEngine)
    version = judged_version(project, items=40, test_share=0.7)
    tuned = register_checkpoint(run=launched(project, version), result=RESULT)
    suite = create_suite(version=version)
    return plan_evaluation(project=project, suite=suite, checkpoints=[tuned], person=None, name="first look")


def driven(run: EvalRun) -> EvalRun:
    drive(EvalRun.objects.get(pk=run.pk))
    return EvalRun.objects.get(pk=run.pk)


def numbers(scores: Any) -> set[tuple[Any, ...]]:
    return {
        (s.checkpoint_id, s.metric, s.value, s.low, s.high, s.n, s.p_value, s.fixed, s.broken) for s in scores
    }


def with_engine(monkeypatch: pytest.MonkeyPatch, score: Callable[..., Any]) -> None:
    monkeypatch.setitem(
        ENGINES, "transformers", type("Engine", (), {"score": lambda self, **values: score(**values)})
    )


def test_every_planned_checkpoint_is_scored_on_every_case(run: EvalRun) -> None:
    run = driven(run)
    cases = run.suite.cases.count()
    assert (run.status, run.progress) == ("succeeded", 1.0)
    assert CaseResult.objects.filter(run=run).count() == 2 * cases
    assert cases > 20


def test_every_number_has_its_interval_and_its_count(run: EvalRun) -> None:
    base, tuned = score_lines(driven(run))
    assert (base.is_base, tuned.is_base) == (True, False)
    for estimate in (
        base.accuracy,
        base.perplexity,
        tuned.accuracy,
        tuned.perplexity,
        tuned.delta,
        tuned.ratio,
    ):
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.n == run.suite.cases.count()
    assert tuned.accuracy.value == 1.0
    assert tuned.delta.low > 0
    assert tuned.delta_words == "better than the base"


def test_the_numbers_can_be_computed_again_from_the_stored_results(run: EvalRun) -> None:
    run = driven(run)
    assert numbers(compute_scores(run)) == numbers(Score.objects.filter(run=run))


def test_the_verdict_is_one_sentence_with_the_name_and_the_interval(run: EvalRun) -> None:
    words = verdict(score_lines(driven(run)))
    assert f"{run.checkpoints.last().name} is better than the base" in words
    assert "points [" in words
    assert verdict([]) == ""


def test_a_message_that_comes_twice_scores_once(run: EvalRun, monkeypatch: pytest.MonkeyPatch) -> None:
    driven(run)
    with_engine(monkeypatch, lambda **_: pytest.fail("scored again"))
    assert driven(run).status == "succeeded"


def test_results_that_were_stored_before_a_kill_are_not_doubled(run: EvalRun) -> None:
    driven(run)
    EvalRun.objects.filter(pk=run.pk).update(status="queued")
    before = numbers(Score.objects.filter(run=run))
    run = driven(run)
    assert (run.status, run.attempt) == ("succeeded", 2)
    assert CaseResult.objects.filter(run=run).count() == 2 * run.suite.cases.count()
    assert numbers(Score.objects.filter(run=run)) == before


def test_a_run_with_missing_results_fails_with_how_many(
    run: EvalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_engine(monkeypatch, lambda **values: FakeEngine().score(**values)[:-2])
    run = driven(run)
    assert run.status == "failed"
    assert "1 of " in run.error
    assert "start the evaluation again" in run.error
    assert Score.objects.count() == 0


def stops(fault: str = "") -> Callable[..., Any]:
    def score(*, requests: Any, checkpoints: Any, folder: Any, watch: Callable[[int, int], None]) -> Any:
        raise Interrupted(fault)

    return score


def test_an_engine_that_was_stopped_goes_back_to_the_queue_and_on(
    run: EvalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_engine(monkeypatch, stops())
    assert driven(run).status == "queued"
    monkeypatch.setitem(ENGINES, "transformers", FakeEngine)
    assert driven(run).status == "succeeded"


def test_an_engine_that_is_killed_every_time_fails_after_some_tries(
    run: EvalRun, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PREFLOOP_MAX_ATTEMPTS = 2
    with_engine(monkeypatch, stops("The process was killed by signal 9."))
    assert driven(run).status == "queued"
    run = driven(run)
    assert run.status == "failed"
    assert "killed by signal 9" in run.error
    assert "attempt 2" in run.error


def test_emma_stops_an_evaluation(run: EvalRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def until_stopped(
        *, requests: Any, checkpoints: Any, folder: Any, watch: Callable[[int, int], None]
    ) -> Any:
        EvalRun.objects.get(pk=run.pk).request_cancel()
        with pytest.raises(Stop):
            watch(1, 2)
        raise Interrupted

    with_engine(monkeypatch, until_stopped)
    assert driven(run).status == "cancelled"


def test_the_claim_of_another_worker_stops_this_one_which_changes_nothing(
    run: EvalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_away(*, requests: Any, checkpoints: Any, folder: Any, watch: Callable[[int, int], None]) -> Any:
        EvalRun.objects.filter(pk=run.pk).update(claim_token="00000000-0000-0000-0000-000000000001")
        with pytest.raises(Stop):
            watch(1, 2)
        raise Interrupted

    with_engine(monkeypatch, taken_away)
    assert driven(run).status == "starting"
