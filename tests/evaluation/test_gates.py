"""The gate as a whole, on numbers and on runs: what it lets through, and how often by mistake."""

from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import binom

from evaluation.gates import examine, tries_of
from evaluation.models import EvalRun, Gate, RunTarget
from evaluation.reading import target_lines, verdict
from evaluation.weighing import BETTER, INCONCLUSIVE, NOT_WORSE, WORSE, Tries, Values, weigh, weigh_rails
from labeling.models import Project
from tests.evaluation.finished import finished, suite_of
from tests.evaluation.gating import EVEN, UP, listed, marks, pair

ALPHA = 0.05


def drawn(rng: np.random.Generator, *, n: int, gain: float, flips: float = 0.2) -> Values:
    """A champion and a candidate whose pass rates differ by `gain`, of which a share of cases flips."""
    kinds = rng.choice(3, size=n, p=[(flips + gain) / 2, (flips - gain) / 2, 1 - flips])
    same = rng.random(n) < 0.6
    a = np.where(kinds == 0, 0.0, np.where(kinds == 1, 1.0, same))
    b = np.where(kinds == 0, 1.0, np.where(kinds == 1, 0.0, same))
    return Values(a.tolist(), b.tolist())


def most(times: int, rate: float) -> int:
    """What a rate of mistakes gives at most but once in a thousand."""
    return int(binom.ppf(0.999, times, rate))


def test_equal_candidates_are_promoted_at_most_as_often_as_alpha_says() -> None:
    rng, times = np.random.default_rng(1), 400
    wrong = sum(
        weigh(drawn(rng, n=150, gain=0.0), alpha=ALPHA, margin=0.02).verdict == BETTER for _ in range(times)
    )
    assert wrong <= most(times, ALPHA)


def test_ten_equal_candidates_one_after_another_are_one_risk_together() -> None:
    rng, times, wrong = np.random.default_rng(2), 200, 0
    for _ in range(times):
        found = [
            weigh(drawn(rng, n=150, gain=0.0), alpha=ALPHA, margin=0.02, tries=Tries(earlier=k)).verdict
            for k in range(10)
        ]
        wrong += BETTER in found
    assert wrong <= most(times, ALPHA)


def test_ten_equal_candidates_of_one_run_are_one_risk_together() -> None:
    rng, times, wrong = np.random.default_rng(3), 200, 0
    for _ in range(times):
        tries = Tries(together=10)
        wrong += any(
            weigh(drawn(rng, n=150, gain=0.0), alpha=ALPHA, margin=0.02, tries=tries).verdict == BETTER
            for _ in range(10)
        )
    assert wrong <= most(times, ALPHA)


def test_what_all_candidates_ever_spend_is_the_whole_of_alpha() -> None:
    one_by_one = sum(Tries(earlier=k).alpha(ALPHA) for k in range(10_000))
    together = sum(Tries(earlier=k, together=5).alpha(ALPHA) * 5 for k in range(0, 10_000, 5))
    assert one_by_one == pytest.approx(ALPHA, rel=1e-3)
    assert together == pytest.approx(ALPHA, rel=1e-3)
    assert Tries().alpha(ALPHA) == pytest.approx(0.025)  # as a two-sided interval of 95 %


def test_a_candidate_worse_by_the_margin_gets_through_a_guardrail_at_most_as_often_as_alpha_says() -> None:
    rng, times = np.random.default_rng(4), 400
    wrong = sum(
        weigh_rails([(drawn(rng, n=200, gain=-0.05), 0.05)], alpha=ALPHA)[0].passed for _ in range(times)
    )
    assert wrong <= most(times, ALPHA)


def test_a_candidate_five_points_better_mostly_gets_through() -> None:
    rng, times = np.random.default_rng(5), 60
    right = sum(
        weigh(drawn(rng, n=1500, gain=0.05), alpha=ALPHA, margin=0.02).verdict == BETTER for _ in range(times)
    )
    assert right >= 0.9 * times


@pytest.mark.parametrize(
    ("gain", "n", "verdict"),
    [(0.15, 600, BETTER), (-0.15, 600, WORSE), (0.0, 4000, NOT_WORSE), (0.01, 60, INCONCLUSIVE)],
)
def test_the_verdict_has_four_words(gain: float, n: int, verdict: str) -> None:
    assert weigh(drawn(np.random.default_rng(6), n=n, gain=gain), alpha=ALPHA, margin=0.03).verdict == verdict


def test_an_open_question_says_how_many_cases_would_answer_it() -> None:
    found = weigh(drawn(np.random.default_rng(7), n=100, gain=0.04), alpha=ALPHA, margin=0.02)
    assert found.verdict == INCONCLUSIVE
    assert found.more is not None
    assert found.more > 100


def test_a_loss_that_is_not_sure_says_how_many_cases_would_settle_it() -> None:
    up, down = [1.0, 0.0, 1.0] * 40, [0.0, 1.0, 1.0] * 39 + [0.0, 0.0, 1.0]
    lost = weigh(Values(up, down), alpha=ALPHA, margin=0.02)
    won = weigh(Values(down, up), alpha=ALPHA, margin=0.02)
    assert lost.better is not None
    assert lost.better.difference < 0
    assert lost.verdict == INCONCLUSIVE
    assert lost.more == won.more is not None


def test_cases_that_would_settle_it_are_counted_with_the_weights_of_cases() -> None:
    """Unweighted the two are even, and no number of cases would tell them apart."""
    a, b, weights = [0.0, 1.0] * 30, [1.0, 0.0] * 30, [2.0, 1.5] * 30
    assert weigh(Values(a, b), alpha=ALPHA, margin=0.02).more is None
    assert weigh(Values(a, b, weights=weights), alpha=ALPHA, margin=0.02).more is not None


@pytest.mark.parametrize("n", [0, 1, 4])
def test_too_few_cases_tell_nothing(n: int) -> None:
    found = weigh(Values([0.0] * n, [1.0] * n), alpha=ALPHA, margin=0.02)
    assert (found.verdict, found.better, found.more) == (INCONCLUSIVE, None, None)
    assert not weigh_rails([(Values([0.0] * n, [0.0] * n), 0.1)], alpha=ALPHA)[0].passed


@pytest.mark.django_db
def test_a_better_candidate_passes_every_condition(project: Project) -> None:
    found = examine(*pair(project, EVEN, UP))
    assert found.passed
    assert found.sentence == "candidate is better than champion in exact."
    assert found.as_dict()["passed"]


@pytest.mark.django_db
def test_planted_forgetting_blocks_a_better_candidate(project: Project) -> None:
    run, target = pair(project, EVEN, UP)
    other = suite_of(project, 200, name="General skills")
    Gate.objects.create(suite=run.suite, forgetting=other.suite)
    shuffled = np.random.default_rng(8).permutation(marks(120, 200)).tolist()
    finished(project, {"champion": listed(marks(180, 200)), "candidate": listed(shuffled)}, version=other)
    found = examine(run, target)
    assert found.verdict == BETTER
    assert [each.key for each in found.open] == ["forgetting"]


@pytest.mark.django_db
def test_a_judge_of_both_suites_is_asked_about_once(project: Project) -> None:
    run, target = pair(project, EVEN, UP)
    other = suite_of(project, 200, name="General skills")
    Gate.objects.create(suite=run.suite, forgetting=other.suite)
    past = finished(project, {"champion": listed(EVEN), "candidate": listed(EVEN)}, version=other)
    for each in (run, past):
        each.spec["metrics"][0]["judge"] = 99
        each.save()
    assert [each.key for each in examine(run, target).conditions].count("judge") == 1


@pytest.mark.django_db
def test_the_gate_and_the_verdict_say_what_would_settle_it_in_the_same_words(project: Project) -> None:
    slight = [float(n % 2) if n >= 20 else float(n % 4 == 0) for n in range(200)]
    run, target = pair(project, EVEN, slight)
    words = " more cases would settle a difference of this size."
    assert examine(run, target).sentence.endswith(words)
    assert str(verdict(target_lines(run))).endswith(words)


@pytest.mark.django_db
def test_two_that_never_differ_are_not_called_too_few(project: Project) -> None:
    run, target = pair(project, [1.0] * 3, [1.0] * 3)
    found = examine(run, target)
    assert "the same value on all 3 cases" in found.conditions[0].words
    assert not found.passed


def again(project: Project, run: EvalRun, *names: str, **options) -> list[RunTarget]:
    """Another run on the same cases against the same champion."""
    found = finished(
        project,
        {"champion": listed(EVEN), **{name: listed(UP) for name in names}},
        version=run.version,
        **options,
    )
    return list(found.targets.filter(index__gt=0))


@pytest.mark.django_db
def test_every_candidate_that_was_tried_on_these_cases_counts(project: Project) -> None:
    run, target = pair(project, EVEN, UP)
    assert tries_of(run, target) == Tries(0, 1)
    second, third = again(project, run, "second", "third")
    assert tries_of(second.run, second) == tries_of(third.run, third) == Tries(1, 2)
    assert tries_of(run, target) == Tries(0, 1)
    (repeated,) = again(project, run, "candidate")
    assert tries_of(repeated.run, repeated) == Tries(0, 1)
    (base,) = again(project, run, "base")
    assert tries_of(base.run, base).earlier == 3
    (fourth,) = again(project, run, "fourth")
    assert tries_of(fourth.run, fourth) == Tries(3, 1)
    assert "4 candidates were held against champion" in examine(fourth.run, fourth).conditions[0].words


@pytest.mark.django_db
def test_sampling_again_or_another_measure_is_another_try(project: Project) -> None:
    run, _ = pair(project, EVEN, UP)
    (warm,) = again(project, run, "candidate", sampling={"temperature": 0.7, "seed": 2})
    assert tries_of(warm.run, warm) == Tries(1, 1)
    (other,) = again(project, run, "candidate", metrics=("contains",))
    assert tries_of(other.run, other) == Tries(2, 1)


@pytest.mark.django_db
def test_another_champion_begins_to_count_anew(project: Project) -> None:
    run, _ = pair(project, EVEN, UP)
    found = finished(project, {"second": listed(UP), "third": listed(UP)}, version=run.version)
    target = found.targets.get(index=1)
    assert tries_of(found, target) == Tries(0, 1)


@pytest.mark.django_db
def test_runs_count_in_the_order_in_which_they_ended(project: Project) -> None:
    """Of runs that were planned in one order and end in the other, none is the first one twice."""
    run, target = pair(project, EVEN, UP)
    found = [target, *(again(project, run, name)[0] for name in ("second", "third"))]
    for place, one in enumerate(reversed(found)):
        EvalRun.objects.filter(pk=one.run_id).update(finished_at=run.created_at + timedelta(hours=place))
    tries = [tries_of(EvalRun.objects.get(pk=one.run_id), one) for one in found]
    assert tries == [Tries(2, 1), Tries(1, 1), Tries(0, 1)]
