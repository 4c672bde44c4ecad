"""Scores have intervals that cover, tests that match published numbers, and None where data cannot say."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import WLS
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from evaluation.statistics import (
    flip_difference,
    holm,
    mcnemar,
    mean_estimate,
    minimal_detectable_effect,
    paired,
    paired_difference,
    paired_perplexity_ratio,
    perplexity_estimate,
    proportion_estimate,
    wilson,
)
from labeling.estimates import Estimate, wilson_bounds
from tests.evaluation.fakes_statistics import bounds, covers

KEYS = np.repeat(np.arange(30), 6).tolist()  # 30 documents with 6 questions each
SHARED_PART = np.repeat(np.eye(30), 6, axis=0)


def oracle(values: np.ndarray, weights: np.ndarray, keys: list[int]) -> tuple[float, float]:
    """statsmodels: weighted mean and its clustered standard error, with the G / (G - 1) correction."""
    fit = WLS(values, np.ones(len(values)), weights=weights).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(keys)}
    )
    return float(fit.params[0]), float(fit.bse[0])


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (17, 20, 0.639581, 0.947631),
        (850, 1000, 0.826531, 0.870790),
        (5, 5, 0.565518, 1),
        (0, 30, 0, 0.113513),
    ],
)
def test_wilson_matches_its_golden_intervals(successes: int, n: int, low: float, high: float) -> None:
    found = wilson(successes, n)
    assert bounds(found) == pytest.approx((low, high), abs=1e-6)
    assert bounds(found) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-9)


def test_wilson_says_nothing_about_nothing_and_refuses_the_impossible() -> None:
    assert wilson(0, 0) is None
    for successes, n in ((6, 5), (-1, 5)):
        with pytest.raises(ValueError, match="cannot be"):
            wilson(successes, n)


def test_mcnemar_matches_its_golden_p_values() -> None:
    found = mcnemar(12, 4)
    assert found.exact == pytest.approx(0.0768127, abs=1e-7)
    assert found.mid_p == pytest.approx(0.0490417, abs=1e-7)
    assert mcnemar(4, 12) == found
    assert mcnemar(0, 0) == (1, 1)
    assert mcnemar(3, 3) == pytest.approx((1, 1))


@pytest.mark.parametrize(("b", "c"), [(1, 0), (7, 2), (30, 41), (250, 180)])
def test_mcnemars_exact_p_matches_statsmodels(b: int, c: int) -> None:
    assert mcnemar(b, c).exact == pytest.approx(statsmodels_mcnemar([[5, b], [c, 5]], exact=True).pvalue)


def test_negative_flips_are_refused() -> None:
    with pytest.raises(ValueError, match="counts"):
        mcnemar(-1, 2)


def test_the_interval_of_flips_matches_agresti_and_min() -> None:
    found = flip_difference(12, 4, 100)
    assert found is not None
    assert found.value == pytest.approx(0.08)
    assert bounds(found) == pytest.approx((0.000680, 0.156182), abs=1e-6)


def test_the_interval_of_flips_holds_its_value_and_never_closes() -> None:
    for n in (5, 6, 20, 61):
        for fixed, broken in itertools.product(range(n + 1), repeat=2):
            if fixed + broken <= n:
                low, high = bounds(flip_difference(fixed, broken, n))
                assert -1 <= low < high <= 1
    assert flip_difference(1, 0, 4) is None


def test_holm_matches_its_golden_values_in_any_order() -> None:
    p, adjusted = [0.001, 0.012, 0.03, 0.04, 0.2], [0.005, 0.048, 0.09, 0.09, 0.2]
    assert holm(p) == pytest.approx(adjusted)
    assert holm(p[::-1]) == pytest.approx(adjusted[::-1])
    assert holm([]) == []
    random = np.random.default_rng(0).random(40) ** 4
    assert holm(random.tolist()) == pytest.approx(multipletests(random, method="holm")[1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.2, 1.2])


def test_the_size_planner_matches_millers_example() -> None:
    effect = minimal_detectable_effect(969, 1 / 9)
    assert effect == pytest.approx(0.03, abs=1e-5)
    assert effect is not None
    assert minimal_detectable_effect(969, 0, within_a=2 / 9, within_b=2 / 9, samples=4) == pytest.approx(
        effect
    )
    assert minimal_detectable_effect(969 * 2, 1 / 9, cluster_size=6, icc=0.2) == pytest.approx(effect)
    assert minimal_detectable_effect(4, 1 / 9) is None
    assert minimal_detectable_effect(969, 0.0) is None


def test_a_mean_has_the_t_interval_of_scipy() -> None:
    values = np.random.default_rng(0).normal(3, 2, 25)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert bounds(mean_estimate(values.tolist())) == pytest.approx((expected.low, expected.high))


def test_clusters_of_one_change_nothing() -> None:
    values = np.random.default_rng(0).random(25)
    for estimate, scores in ((mean_estimate, values), (proportion_estimate, np.round(values))):
        for keys in (list(range(25)), [None] * 25):
            assert bounds(estimate(scores.tolist(), keys)) == pytest.approx(bounds(estimate(scores.tolist())))


def test_a_clustered_mean_has_the_error_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    values = SHARED_PART @ rng.normal(size=30) + rng.normal(size=180)
    mean, error = oracle(values, np.ones(180), KEYS)
    half = stats.t.ppf(0.975, 29) * error
    found = mean_estimate(values.tolist(), KEYS)
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(mean), 180)
    assert bounds(found) == pytest.approx((mean - half, mean + half))


def test_a_clustered_perplexity_has_the_error_of_statsmodels_on_the_log_scale() -> None:
    rng = np.random.default_rng(2)
    tokens = rng.integers(5, 400, 180).astype(float)
    nll = tokens * (2 + SHARED_PART @ rng.normal(0, 0.3, 30) + rng.normal(0, 0.2, 180))
    rate, error = oracle(nll / tokens, tokens, KEYS)
    half = stats.t.ppf(0.975, 29) * error
    found = perplexity_estimate(nll.tolist(), tokens.tolist(), KEYS)
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(math.exp(nll.sum() / tokens.sum())), 180)
    assert bounds(found) == pytest.approx((math.exp(rate - half), math.exp(rate + half)))


@pytest.mark.parametrize("values", [[], [0.1] * 4, [0.1] * 50, [1.0, 2.0, 3.0, 4.0]])
def test_too_few_or_equal_scores_give_no_mean(values: list[float]) -> None:
    assert mean_estimate(values) is None


def test_one_cluster_gives_no_interval() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    one = ["document"] * 6
    assert mean_estimate(values, one) is None
    assert proportion_estimate(values, one) is None
    assert perplexity_estimate(values, [3] * 6, one) is None
    compared = paired_difference(values, values[::-1], one)
    assert (compared.difference, compared.p_value, compared.mid_p) == (None, None, None)


def test_clusters_that_balance_exactly_give_no_zero_width_mean() -> None:
    assert mean_estimate([0.1, 0.3] * 10, np.repeat(range(10), 2).tolist()) is None


def test_a_share_of_independent_cases_is_wilsons() -> None:
    assert proportion_estimate([1] * 17 + [0] * 3) == wilson(17, 20)
    assert proportion_estimate([1] * 5) == wilson(5, 5)
    assert proportion_estimate([0.5] * 20) == Estimate(0.5, *wilson_bounds(0.5, 20), 20)
    assert proportion_estimate([]) is None


def test_a_share_without_any_failure_counts_clusters_not_cases() -> None:
    found = proportion_estimate([1] * 180, KEYS)
    assert found == Estimate(1, *wilson_bounds(1.0, 30, stats.t.ppf(0.975, 29)), 180)


def test_copies_of_a_case_add_nothing_to_a_share() -> None:
    copied = proportion_estimate(np.repeat([1, 0, 1] * 10, 6).tolist(), KEYS)
    once = wilson(20, 30)
    assert copied is not None
    assert once is not None
    assert once.high - once.low < copied.high - copied.low < 1.1 * (once.high - once.low)


@pytest.mark.parametrize("outcome", [-0.1, 1.5, math.nan, math.inf])
def test_an_outcome_outside_its_range_is_refused(outcome: float) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1|NaN"):
        proportion_estimate([0, 1, outcome])


def test_bad_documents_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="turn the sign"):
        perplexity_estimate([-3.0] * 6, [2] * 6)
    with pytest.raises(ValueError, match="without tokens"):
        perplexity_estimate([3.0] * 6, [2] * 5 + [0])
    with pytest.raises(ValueError, match="pair them"):
        perplexity_estimate([3.0] * 6, [2] * 5)
    with pytest.raises(ValueError, match="pair them"):
        paired_difference([1, 0], [1])
    with pytest.raises(ValueError, match="one key a case"):
        mean_estimate([1, 0, 1, 1, 0], ["a", "b"])


def test_a_perplexity_without_variation_or_an_upper_end_is_no_number() -> None:
    assert perplexity_estimate([6.0] * 9, [3] * 9) is None
    assert perplexity_estimate([1.0, 9.0], [3, 3]) is None
    assert perplexity_estimate([0, 0, 0, 9e4, 9e4, 9e4], [100] * 6, [1, 1, 1, 2, 2, 2]) is None


def test_a_perplexity_ratio_is_the_ratio_and_pairing_narrows_it() -> None:
    rng = np.random.default_rng(3)
    tokens = rng.integers(20, 200, 60).astype(float)
    rates = rng.normal(2, 0.4, 60)
    nll_a, nll_b = (tokens * rates).tolist(), (tokens * (rates - 0.1 + rng.normal(0, 0.01, 60))).tolist()
    counts = tokens.tolist()
    a, b = perplexity_estimate(nll_a, counts), perplexity_estimate(nll_b, counts)
    ratio = paired_perplexity_ratio(nll_a, nll_b, counts, counts)
    assert a is not None
    assert b is not None
    assert ratio is not None
    assert ratio.value == pytest.approx(b.value / a.value)
    assert a.low < b.high
    assert ratio.high < 1
    back = paired_perplexity_ratio(nll_b, nll_a, counts, counts)
    assert bounds(back) == pytest.approx((1 / ratio.high, 1 / ratio.low))
    assert paired_perplexity_ratio(nll_a, nll_a, counts, counts) is None


def test_a_comparison_of_answers_counts_flips_and_uses_mid_p() -> None:
    a = [0] * 12 + [1] * 4 + [1] * 50 + [0] * 34
    b = [1] * 12 + [0] * 4 + [1] * 50 + [0] * 34
    found = paired_difference(a, b)
    assert (found.fixed, found.broken, found.tied, found.n) == (12, 4, 84, 100)
    assert found.difference == flip_difference(12, 4, 100)
    assert found.mid_p == pytest.approx(0.0490417, abs=1e-7)
    assert found.p_value == pytest.approx(0.0768127, abs=0.008)  # the exact test, by 9,999 draws


def test_two_equal_runs_differ_by_nothing_known_within_limits() -> None:
    found = paired_difference([1, 0] * 20, [1, 0] * 20)
    assert (found.p_value, found.mid_p, found.tied) == (1, 1, 40)
    low, high = bounds(found.difference)
    assert low < 0 < high
    assert paired_difference([0.2, 0.4] * 20, [0.2, 0.4] * 20).difference is None


def test_a_comparison_of_too_little_is_counted_but_not_judged() -> None:
    found = paired_difference([0, 0, 0, 0], [1, 1, 1, 1])
    assert (found.difference, found.p_value, found.mid_p) == (None, None, None)
    assert (found.fixed, found.n) == (4, 4)
    assert paired_difference([], []).n == 0


def test_flips_within_clusters_get_no_mcnemar_and_stay_within_one() -> None:
    a, b, keys = [0] * 20, [1] * 18 + [0] * 2, [1] * 10 + [2] * 10
    found = paired_difference(a, b, keys)
    assert found.mid_p is None
    assert found.p_value == pytest.approx(0.5)
    assert bounds(found.difference)[1] == 1


def test_few_clusters_are_permuted_exhaustively() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=10), rng.normal(0.5, 1, 10)
    d = b - a
    flips = [abs(np.dot(signs, d)) >= abs(d.sum()) - 1e-12 for signs in itertools.product((1, -1), repeat=10)]
    assert paired_difference(a.tolist(), b.tolist()).p_value == pytest.approx(np.mean(flips))
    scipys = stats.permutation_test((b, a), lambda x, y: np.mean(x - y), permutation_type="samples")
    assert paired_difference(a.tolist(), b.tolist()).p_value == pytest.approx(scipys.pvalue)


def test_many_clusters_are_permuted_with_a_seed() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=60).tolist(), rng.normal(0.3, 1, 60).tolist()
    first = paired_difference(a, b)
    assert first.p_value is not None
    assert paired_difference(a, b) == first
    assert paired_difference(a, b, seed=1).p_value == pytest.approx(first.p_value, abs=0.03)
    assert first.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)


def test_drawn_signs_are_each_as_often_plus_as_minus_and_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    """With sizes that are powers of two a sum tells every sign; with three clusters all patterns come equally often."""
    monkeypatch.setattr(paired, "PERMUTATIONS", 80_000)
    totals = paired._drawn(np.array([1.0, 2.0, 4.0]), 0)
    found, counts = np.unique(totals, return_counts=True)
    assert found.tolist() == [-7, -5, -3, -1, 1, 3, 5, 7]
    assert stats.chisquare(counts).pvalue > 0.001
    many = paired._drawn(2.0 ** np.arange(20), 1)  # over three bytes
    signs = ((many[:, None] + 2**20 - 1).astype(int) // 2 >> np.arange(20)) & 1
    assert np.abs(np.corrcoef(signs.T) - np.eye(20)).max() < 0.02


def test_a_clustered_mean_covers_its_truth_and_a_naive_one_does_not() -> None:
    rng = np.random.default_rng(6)
    runs = [(SHARED_PART @ rng.normal(size=30) + rng.normal(size=180)).tolist() for _ in range(400)]
    assert np.mean([covers(mean_estimate(values, KEYS), 0) for values in runs]) == pytest.approx(
        0.95, abs=0.03
    )
    assert np.mean([covers(mean_estimate(values), 0) for values in runs]) < 0.80


@pytest.mark.parametrize(("alpha", "beta"), [(3.0, 1.0), (1.0, 1.0), (9.0, 1.0)])
def test_a_clustered_share_covers_its_truth_and_wilson_alone_does_not(alpha: float, beta: float) -> None:
    rng = np.random.default_rng(7)
    runs = [(rng.random(180) < np.repeat(rng.beta(alpha, beta, 30), 6)).tolist() for _ in range(400)]
    truth = alpha / (alpha + beta)
    clustered = np.mean([covers(proportion_estimate(values, KEYS), truth) for values in runs])
    assert clustered == pytest.approx(0.95, abs=0.03)
    assert np.mean([covers(proportion_estimate(values), truth) for values in runs]) < clustered - 0.02


def test_clustered_perplexities_and_their_ratio_cover_their_truths() -> None:
    rng = np.random.default_rng(8)
    single, ratio = [], []
    for _ in range(400):
        tokens = rng.integers(20, 300, 180).astype(float)
        rates = 2 + SHARED_PART @ rng.normal(0, 0.3, 30) + rng.normal(0, 0.2, 180)
        better = rates - 0.05 + SHARED_PART @ rng.normal(0, 0.05, 30) + rng.normal(0, 0.05, 180)
        nll_a, nll_b, counts = (tokens * rates).tolist(), (tokens * better).tolist(), tokens.tolist()
        single.append(covers(perplexity_estimate(nll_a, counts, KEYS), math.exp(2)))
        ratio.append(covers(paired_perplexity_ratio(nll_a, nll_b, counts, counts, KEYS), math.exp(-0.05)))
    assert np.mean(single) == pytest.approx(0.95, abs=0.03)
    assert np.mean(ratio) == pytest.approx(0.95, abs=0.03)


def test_the_permutation_test_of_equal_clustered_runs_alarms_one_time_in_twenty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paired, "PERMUTATIONS", 499)
    rng = np.random.default_rng(9)
    alarms = {"clustered": 0, "naive": 0}
    for _ in range(400):
        a = rng.normal(size=180)
        b = a + SHARED_PART @ rng.normal(size=30) + rng.normal(size=180)
        for name, keys in (("clustered", KEYS), ("naive", None)):
            p = paired_difference(a.tolist(), b.tolist(), keys).p_value
            assert p is not None
            alarms[name] += p <= 0.05
    assert alarms["clustered"] / 400 == pytest.approx(0.05, abs=0.03)
    assert alarms["naive"] / 400 > 0.15
