"""Scores get the interval that suits them: Wilson, t or a bootstrap, with weights, clusters and repeats."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import WLS

from evaluation.statistics import (
    bootstrap_estimate,
    bootstrap_mean,
    mean_estimate,
    proportion_estimate,
    score_estimate,
    weighted_mean_estimate,
)
from labeling.estimates import Estimate, wilson_bounds
from tests.evaluation.fakes_statistics import bounds, covers

KEYS = np.repeat(np.arange(30), 4).tolist()
SCORES = np.random.default_rng(0).beta(3, 0.75, 120)
FEW = np.repeat(np.arange(20), 3).tolist()


def f1(truth: np.ndarray, said: np.ndarray, rows: np.ndarray) -> float:
    hits, both = np.sum(truth[rows] & said[rows]), np.sum(truth[rows]) + np.sum(said[rows])
    return float(2 * hits / both) if both else math.nan


def test_answers_right_or_wrong_get_wilsons_interval() -> None:
    outcomes = [1.0] * 17 + [0.0] * 3
    assert bounds(score_estimate(outcomes, ends=(0, 1))) == pytest.approx((0.639581, 0.947631), abs=1e-6)
    in_clusters = np.round(SCORES).tolist()
    assert score_estimate(in_clusters, KEYS, ends=(0, 1)) == proportion_estimate(in_clusters, KEYS)


def test_many_scores_get_t_and_few_get_the_bootstrap() -> None:
    many, few = SCORES[:100].tolist(), SCORES[:99].tolist()
    assert score_estimate(many) == mean_estimate(many)
    assert score_estimate(few, seed=3) == bootstrap_mean(few, seed=3)
    assert score_estimate(few) != mean_estimate(few)


def test_what_counts_as_many_is_clusters_not_cases() -> None:
    twice = np.repeat(SCORES[:100], 2).tolist()
    pairs = np.repeat(range(100), 2).tolist()
    assert score_estimate(twice, pairs) == mean_estimate(twice, pairs)
    shared = np.repeat(SCORES[:20], 3).tolist()
    assert score_estimate(shared, FEW) == bootstrap_mean(shared, FEW)


def test_an_interval_stays_on_the_scale() -> None:
    scores = [1.0] * 115 + [0.9] * 9 + [0.0]
    assert bounds(mean_estimate(scores))[1] > 1
    assert bounds(score_estimate(scores, ends=(0, 1)))[1] == 1
    with pytest.raises(ValueError, match="leave the scale"):
        score_estimate([1.0, 6.0], ends=(1, 5))


def test_scores_that_are_alike_but_for_a_few_get_wilsons_interval() -> None:
    for scores in ([0.5] * 40, [1.0] * 38 + [0.9, 0.2], [0.3, 0.4, 0.5]):
        assert score_estimate(scores, ends=(0, 1)) == proportion_estimate(scores)
    shared = np.repeat([1.0] * 25 + [0.9, 0.8, 0.7, 0.6, 0.5], 4).tolist()
    assert score_estimate(shared, KEYS, ends=(0, 1)) == proportion_estimate(shared, KEYS)
    weighted = weighted_mean_estimate([0.5] * 40, [1.0, 3.0] * 20, ends=(0, 1))
    assert bounds(weighted) == pytest.approx(wilson_bounds(0.5, 32, stats.t.ppf(0.975, 39)))


@pytest.mark.parametrize(("score", "low", "high"), [(5.0, False, True), (1.0, True, False)])
def test_scores_all_on_one_end_leave_room_towards_the_other(score: float, low: bool, high: bool) -> None:
    found = score_estimate([score] * 40, ends=(1, 5))
    assert found is not None
    assert (found.low == score, found.high == score) == (low, high)
    assert 0.3 < found.high - found.low < 0.5
    fewer = score_estimate([score] * 40, [1, 2] * 20, ends=(1, 5))
    assert fewer is not None
    assert fewer.high - fewer.low > found.high - found.low
    assert score_estimate([score] * 40, [1] * 40, ends=(1, 5)) is None


@pytest.mark.parametrize("scores", [[], [3.0], [2.0, 3.0], [3.0] * 50, [2.0, 3.0] * 4])
def test_too_few_or_equal_scores_have_no_interval(scores: list[float]) -> None:
    assert score_estimate(scores, ends=(1, 5)) is None


def test_nan_is_refused_everywhere() -> None:
    for refuse in (
        lambda bad: score_estimate(bad),
        lambda bad: bootstrap_mean(bad),
        lambda bad: weighted_mean_estimate(bad, [1.0] * 6),
        lambda bad: weighted_mean_estimate([1.0] * 6, bad),
    ):
        with pytest.raises(ValueError, match="NaN"):
            refuse([0.5, 1, 0, 1, 0, math.nan])


def test_the_bca_interval_is_scipys_with_its_level_widened_for_few_cases() -> None:
    few = SCORES[:20]
    quantile = math.sqrt(20 / 19) * stats.t.ppf(0.975, 19)
    level = 1 - 2 * stats.norm.sf(quantile)
    expected = stats.bootstrap(
        (few,),
        np.mean,
        n_resamples=20_000,
        confidence_level=level,
        method="BCa",
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = bootstrap_estimate(lambda rows: float(few[rows].mean()), 20, resamples=20_000)
    assert bounds(found) == pytest.approx((expected.low, expected.high), abs=0.006)
    assert bounds(bootstrap_mean(few.tolist())) == pytest.approx(bounds(found), abs=0.015)


def test_percentiles_are_a_choice() -> None:
    few = SCORES[:20]
    expected = stats.bootstrap(
        (few,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = bootstrap_estimate(
        lambda rows: float(few[rows].mean()), 20, method="percentile", resamples=20_000
    )
    assert bounds(found) == pytest.approx((expected.low, expected.high), abs=0.004)
    assert bounds(bootstrap_mean(few.tolist(), method="percentile")) == pytest.approx(bounds(found), abs=0.01)


def test_the_bootstrap_resamples_whole_clusters() -> None:
    copied = np.repeat(SCORES[:20], 3)
    once, three = bootstrap_mean(SCORES[:20].tolist()), bootstrap_mean(copied.tolist(), FEW)
    assert bounds(once) == pytest.approx(bounds(three))
    naive = bootstrap_mean(copied.tolist())
    assert bounds(naive)[1] - bounds(naive)[0] < 0.7 * (bounds(three)[1] - bounds(three)[0])
    general = bootstrap_estimate(lambda rows: float(copied[rows].mean()), 60, FEW)
    assert bounds(general) == pytest.approx(bounds(three))


def test_a_seed_gives_the_same_interval_again() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random(120) < 0.4
    said = truth ^ (rng.random(120) < 0.2)
    first, again, other = (
        bootstrap_estimate(lambda rows: f1(truth, said, rows), 120, KEYS, resamples=300, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert covers(first, f1(truth, said, np.arange(120)))


def test_a_statistic_that_is_often_undefined_has_no_interval() -> None:
    truth = np.arange(40) == 0
    assert bootstrap_estimate(lambda rows: f1(truth, truth, rows), 40, resamples=200) is None
    rare = np.arange(40) < 20
    assert bootstrap_estimate(lambda rows: f1(rare, rare, rows), 40, resamples=200) is None  # always 1
    assert bootstrap_estimate(lambda rows: math.nan, 40, resamples=50) is None
    assert bootstrap_estimate(lambda rows: 1.0, 9) is None


def test_equal_weights_change_nothing() -> None:
    plain = mean_estimate(SCORES.tolist())
    assert bounds(weighted_mean_estimate(SCORES.tolist(), [7.0] * 120)) == pytest.approx(bounds(plain))
    clustered = mean_estimate(SCORES.tolist(), KEYS)
    assert bounds(weighted_mean_estimate(SCORES.tolist(), [7.0] * 120, KEYS)) == pytest.approx(
        bounds(clustered)
    )


def test_a_weighted_mean_has_the_clustered_error_of_statsmodels_and_less_freedom() -> None:
    weights = np.random.default_rng(3).lognormal(0, 1, 120)
    fit = WLS(SCORES, np.ones(120), weights=weights).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(KEYS)}
    )
    by_cluster = weights.reshape(30, 4).sum(axis=1) ** 2
    freedom = by_cluster.sum() ** 2 / np.sum(by_cluster**2) - 1
    assert 3 < freedom < 25
    half = stats.t.ppf(0.975, freedom) * float(fit.bse[0])
    found = weighted_mean_estimate(SCORES.tolist(), weights.tolist(), KEYS)
    assert found is not None
    assert found.value == pytest.approx(float(fit.params[0]))
    assert bounds(found) == pytest.approx((found.value - half, found.value + half))


def test_cases_of_weight_zero_do_not_count() -> None:
    weights = [1.0] * 60 + [0.0] * 60
    assert weighted_mean_estimate(SCORES.tolist(), weights) == weighted_mean_estimate(
        SCORES[:60].tolist(), [1.0] * 60
    )
    assert weighted_mean_estimate(SCORES.tolist(), [1.0] * 4 + [0.0] * 116) is None


def test_a_weighted_share_stays_within_its_ends_and_knows_that_a_heavy_case_is_one_case() -> None:
    outcomes, weights = [1.0] * 59 + [0.0], [1.0] * 59 + [3.0]
    found = weighted_mean_estimate(outcomes, weights, ends=(0, 1))
    assert found is not None
    assert found.value == pytest.approx(59 / 62)
    assert 0.7 < found.low < found.high < 1
    passed = weighted_mean_estimate([1.0] * 60, [1.0] * 60, ends=(0, 1))
    assert bounds(passed) == pytest.approx(wilson_bounds(1.0, 60, stats.t.ppf(0.975, 59)))
    heavy = weighted_mean_estimate([1.0] * 60, [1.0] * 59 + [59.0], ends=(0, 1))
    assert bounds(heavy)[0] < 0.5


def test_weights_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="one weight a case"):
        weighted_mean_estimate([1.0] * 6, [1.0] * 5)
    for weights in ([-1.0] + [1.0] * 5, [0.0] * 6):
        with pytest.raises(ValueError, match="zero or more"):
            weighted_mean_estimate([1.0] * 6, weights)


def test_equal_scores_have_no_weighted_interval_but_equal_passes_have() -> None:
    assert weighted_mean_estimate([0.3] * 20, [1.0, 2.0] * 10) is None
    assert weighted_mean_estimate([1.0] * 20, [1.0, 2.0] * 10, ["one"] * 20, ends=(0, 1)) is None
    assert weighted_mean_estimate([1.0] * 20, [1.0, 2.0] * 10, ends=(0, 1)) is not None


def test_a_weighted_mean_of_unequal_clusters_covers_its_truth() -> None:
    rng = np.random.default_rng(6)
    runs: list[Estimate | None] = []
    for _ in range(400):
        weights = np.repeat(rng.lognormal(0, 0.8, 30), 4)
        values = np.repeat(rng.normal(size=30), 4) + rng.normal(size=120)
        runs.append(weighted_mean_estimate(values.tolist(), weights.tolist(), KEYS))
    assert np.mean([covers(found, 0) for found in runs]) == pytest.approx(0.95, abs=0.03)
