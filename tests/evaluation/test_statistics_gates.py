"""Gates pass, fail or say that they cannot tell, and planners say how many cases would tell."""

import math

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from evaluation.statistics import (
    Gate,
    benjamini_hochberg,
    best_by_chance,
    cases_needed,
    mcnemar_cases,
    mcnemar_chi2,
    mcnemar_detectable_effect,
    mean_cases,
    mean_estimate,
    minimal_detectable_effect,
    non_inferiority,
    paired_difference,
    proportion_estimate,
    superiority,
    weighted_mean_estimate,
)

KEYS = np.repeat(np.arange(30), 4).tolist()


def runs(fixed: int, broken: int, n: int) -> tuple[list[float], list[float]]:
    """Two runs of pass and fail with so many flips; the cases that stay alternate."""
    same = [float(case % 2) for case in range(n - fixed - broken)]
    return [0.0] * fixed + [1.0] * broken + same, [1.0] * fixed + [0.0] * broken + same


def known(gate: Gate | None) -> Gate:
    assert gate is not None
    return gate


def scores(seed: int = 0, by: float = 0.1) -> tuple[list[float], list[float]]:
    """In 30 clusters of 4; the differences lie around `by` without skewness, so the bounds are those of t."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=120)
    part = np.repeat(rng.normal(0, 0.2, 15), 4) + rng.normal(0, 0.3, 60)
    return a.tolist(), (a + by + np.concatenate([part, -part])).tolist()


def tango_by_likelihood(b: int, c: int, n: int, at: float) -> float:
    """The score statistic, its nuisance found by maximising the trinomial likelihood under p12 - p21 = at."""

    def negative(q: float) -> float:
        return -float(stats.multinomial.logpmf([b, c, n - b - c], n, [q + at, q, 1 - 2 * q - at]))

    q = optimize.minimize_scalar(
        negative, bounds=(max(0.0, -at), (1 - at) / 2), method="bounded", options={"xatol": 1e-12}
    ).x
    return float((b - c - n * at) / math.sqrt(n * (2 * q + at * (1 - at))))


def test_the_score_bound_of_flips_matches_a_published_interval() -> None:
    """Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33, airway data: Tango -0.517 to -0.026."""
    gate = known(superiority(*runs(1, 7, 21), alpha=0.025))
    assert (gate.low, gate.high) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert gate.verdict == "failed"


@pytest.mark.parametrize(("b", "c", "n"), [(12, 4, 100), (3, 9, 60), (20, 22, 300)])
def test_the_score_bound_of_flips_matches_its_likelihood(b: int, c: int, n: int) -> None:
    gate = known(non_inferiority(*runs(b, c, n), margin=0.03))
    assert gate.p_value == pytest.approx(stats.norm.sf(tango_by_likelihood(b, c, n, -0.03)), abs=1e-6)
    assert tango_by_likelihood(b, c, n, gate.low) == pytest.approx(stats.norm.ppf(0.95), abs=1e-5)
    assert tango_by_likelihood(b, c, n, gate.high) == pytest.approx(-stats.norm.ppf(0.95), abs=1e-5)


def test_a_better_candidate_passes_and_its_mirror_image_fails() -> None:
    a, b = runs(30, 6, 300)
    better, worse = known(superiority(a, b)), known(superiority(b, a))
    assert (better.verdict, worse.verdict) == ("passed", "failed")
    assert (worse.low, worse.high) == pytest.approx((-better.high, -better.low))
    assert worse.p_value == pytest.approx(1 - better.p_value)
    assert known(non_inferiority(b, a, margin=0.02)).verdict == "failed"


def test_not_significant_is_inconclusive_not_no_change() -> None:
    a, b = runs(15, 15, 300)
    for gate in (superiority(a, b), non_inferiority(a, b, margin=0.02)):
        assert known(gate).verdict == "inconclusive"
    assert known(non_inferiority(a, b, margin=0.05)).verdict == "passed"


def test_two_equal_runs_are_the_same_within_what_their_number_can_show() -> None:
    few, many = runs(0, 0, 40), runs(0, 0, 400)
    assert known(superiority(*many)).p_value == 0.5
    assert known(non_inferiority(*few, margin=0.02)).verdict == "inconclusive"
    assert known(non_inferiority(*many, margin=0.02)).verdict == "passed"
    gate = known(non_inferiority(*few, margin=0.02))
    assert (gate.low, gate.high) == pytest.approx((-(high := gate.high), high))
    assert high > 0.02
    clustered = known(non_inferiority(*many, [case // 10 for case in range(400)], margin=0.02))
    assert clustered.low == pytest.approx(gate.low, abs=0.01)  # 40 clusters know no more than 40 cases
    assert clustered.verdict == "inconclusive"


def test_candidates_that_flip_everything_stay_within_one() -> None:
    gate = known(superiority([0.0] * 20, [1.0] * 20))
    assert (gate.difference, gate.high, gate.verdict) == (1.0, 1.0, "passed")
    assert 0.7 < gate.low < 1


def test_scores_are_gated_by_the_t_test_of_scipy() -> None:
    a, b = scores()
    gate = known(superiority(a, b))
    expected = stats.ttest_rel(b, a, alternative="greater")
    assert gate.p_value == pytest.approx(expected.pvalue)
    assert gate.low == pytest.approx(expected.confidence_interval(0.95).low)


def test_clustered_scores_are_gated_by_the_clustered_error() -> None:
    a, b = scores()
    change = (np.array(b) - np.array(a)).tolist()
    two_sided = mean_estimate(change, KEYS)
    assert two_sided is not None
    gate = known(superiority(a, b, KEYS, alpha=0.025))
    assert (gate.low, gate.high) == pytest.approx((two_sided.low, two_sided.high))
    weights = np.random.default_rng(1).lognormal(0, 0.5, 60).tolist() * 2
    weighted = weighted_mean_estimate(change, weights, KEYS)
    assert weighted is not None
    gate = known(superiority(a, b, KEYS, weights=weights, alpha=0.025))
    assert (gate.low, gate.high) == pytest.approx((weighted.low, weighted.high))


def test_bounds_of_skewed_scores_reach_further_on_the_long_side() -> None:
    change = np.random.default_rng(2).exponential(size=40) - 0.5
    by_t = stats.ttest_1samp(change, 0).confidence_interval(0.9)
    gate, mirrored = known(superiority([0.0] * 40, change)), known(superiority(change, [0.0] * 40))
    assert by_t.low < gate.low < gate.high > by_t.high
    assert (mirrored.low, mirrored.high) == pytest.approx((-gate.high, -gate.low))
    at_the_bound = known(superiority([0.0] * 40, change - gate.low))
    assert at_the_bound.p_value == pytest.approx(0.05)


def test_clustered_flips_are_less_sure_than_independent_ones() -> None:
    a, b = [0.0] * 120, [1.0] * 20 + [0.0] * 100
    alone, together = known(superiority(a, b)), known(superiority(a, b, KEYS))
    assert together.low < alone.low
    assert together.p_value > alone.p_value


def test_too_little_is_not_gated() -> None:
    assert superiority([0, 1, 0, 1], [1, 1, 1, 1]) is None
    assert superiority([0.0] * 9, [1.0] * 9, ["one"] * 9) is None
    assert superiority([0.3] * 9, [0.5] * 9) is None
    assert non_inferiority([0.3] * 9, [0.3] * 9, margin=0.1) is None
    assert superiority([], []) is None
    assert cases_needed([], []) is None


def test_gates_refuse_what_cannot_be() -> None:
    a, b = runs(3, 2, 20)
    for margin in (0.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="margin is above zero"):
            non_inferiority(a, b, margin=margin)
    with pytest.raises(ValueError, match="alpha"):
        superiority(a, b, alpha=1.0)
    with pytest.raises(ValueError, match="NaN"):
        superiority([math.nan, *a[1:]], b)
    with pytest.raises(ValueError, match="pair them"):
        superiority(a, b[1:])


def test_a_page_can_say_how_many_more_cases_would_tell() -> None:
    a, b = runs(15, 15, 300)
    assert cases_needed(a, b) is None  # no difference to plan for
    needed = cases_needed(a, b, margin=0.02)
    assert needed == mcnemar_cases(31 / 302, 0.0, margin=0.02, one_sided=True)
    assert needed is not None
    assert 1_500 < needed < 1_700
    assert cases_needed(a, b, margin=0.04) < needed
    assert cases_needed(a, b, effect=0.03) == mcnemar_cases(31 / 302, 0.03, one_sided=True)
    assert cases_needed(a, b, margin=0.02, effect=-0.02) is None
    assert cases_needed(*runs(20, 10, 300)) is not None


def test_cases_in_clusters_need_more_cases() -> None:
    a, b = [0.0] * 120, [1.0] * 20 + [0.0] * 100
    alone, together = cases_needed(a, b), cases_needed(a, b, KEYS)
    assert alone is not None
    assert together is not None
    assert together > 2 * alone
    c, d = scores()
    assert cases_needed(c, d, KEYS, effect=0.05) > 120
    assert cases_needed(c, d, effect=0.05, weights=[1.0, 9.0] * 60) > cases_needed(c, d, effect=0.05)
    change = np.array(d) - np.array(c)
    assert cases_needed(c, d, effect=0.05) == pytest.approx(
        mean_cases(change.var(ddof=1), 0.05, one_sided=True), abs=2
    )


def test_sizes_match_their_golden_numbers() -> None:
    assert mean_cases(1 / 9, 0.03) == 969
    assert mcnemar_cases(0.2, 0.05) == 626
    assert mcnemar_cases(0.1, 0.03) == 870
    assert mcnemar_cases(0.2, 0.02) == 3923


def test_sizes_match_the_planner_of_statsmodels() -> None:
    expected = NormalIndPower(ddof=0).solve_power(0.3, alpha=0.01, power=0.9, ratio=0, alternative="larger")
    assert mean_cases(1.0, 0.3, alpha=0.01, power=0.9, one_sided=True) == math.ceil(expected)
    assert mean_cases(1.0, 0.1, margin=0.2, alpha=0.01, power=0.9, one_sided=True) == math.ceil(expected)


def test_what_a_suite_can_detect_is_the_inverse_of_its_size() -> None:
    for discordant, effect in ((0.2, 0.05), (0.1, 0.03), (0.2, 0.02)):
        size = mcnemar_cases(discordant, effect)
        assert size is not None
        assert mcnemar_detectable_effect(size, discordant) == pytest.approx(effect, abs=5e-5)
        assert mcnemar_detectable_effect(2 * size, discordant, design_effect=2) == pytest.approx(
            effect, abs=5e-5
        )
    detected = minimal_detectable_effect(500, 0.2, cluster_size=4, icc=0.3)
    assert detected is not None
    assert mean_cases(0.2, detected, cluster_size=4, icc=0.3) == 500


def test_a_suite_too_small_for_any_effect_says_so() -> None:
    assert mcnemar_detectable_effect(30, 0.1) is None
    assert mcnemar_detectable_effect(4, 0.5) is None
    assert mean_cases(0.0, 0.1) is None
    assert mean_cases(1.0, 0.1, margin=-0.1) is None
    assert mcnemar_cases(0.2, 0.0) is None
    with pytest.raises(ValueError, match="too few"):
        mcnemar_cases(0.02, 0.05)
    with pytest.raises(ValueError, match="Power"):
        mcnemar_cases(0.2, 0.05, power=1.0)
    with pytest.raises(ValueError, match="share of flips"):
        mcnemar_detectable_effect(100, 0.0)


def test_the_best_of_many_equal_candidates_looks_better_than_it_is() -> None:
    assert best_by_chance(1, 2.0) == 0
    assert best_by_chance(2, 1.0) == pytest.approx(1 / math.sqrt(math.pi))
    assert best_by_chance(3, 1.0) == pytest.approx(1.5 / math.sqrt(math.pi))
    assert best_by_chance(10, 0.02) == pytest.approx(0.02 * 1.538753)
    drawn = np.random.default_rng(0).normal(size=(20_000, 100)).max(axis=1)
    assert best_by_chance(100, 1.0) == pytest.approx(drawn.mean(), abs=0.02)
    for candidates, error in ((0, 1.0), (3, -1.0), (3, math.nan)):
        with pytest.raises(ValueError, match="cannot be"):
            best_by_chance(candidates, error)


def test_chi_squared_matches_its_golden_value_and_statsmodels() -> None:
    assert mcnemar_chi2(12, 4) == pytest.approx(0.0801183, abs=1e-7)
    for b, c in ((30, 41), (250, 180)):
        expected = statsmodels_mcnemar([[5, b], [c, 5]], exact=False, correction=True).pvalue
        assert mcnemar_chi2(b, c) == pytest.approx(expected)
    assert mcnemar_chi2(0, 0) == mcnemar_chi2(3, 3) == 1
    with pytest.raises(ValueError, match="counts"):
        mcnemar_chi2(-1, 2)


def test_benjamini_and_hochberg_match_their_golden_values_in_any_order() -> None:
    p, adjusted = [0.001, 0.012, 0.03, 0.04, 0.2], [0.005, 0.03, 0.05, 0.05, 0.2]
    assert benjamini_hochberg(p) == pytest.approx(adjusted)
    assert benjamini_hochberg(p[::-1]) == pytest.approx(adjusted[::-1])
    assert benjamini_hochberg([]) == []
    random = np.random.default_rng(0).random(40) ** 4
    assert benjamini_hochberg(random.tolist()) == pytest.approx(multipletests(random, method="fdr_bh")[1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg([0.2, 1.2])


def test_equal_means_with_much_churn_are_told_apart_from_equal_runs() -> None:
    a, b = runs(20, 20, 200)
    found = paired_difference(a, b)
    assert found.churn == proportion_estimate([1.0] * 40 + [0.0] * 160)
    assert found.churn is not None
    assert (found.difference.value, found.churn.value) == (0, 0.2)
    assert paired_difference(a[:4], b[:4]).churn is None


def test_a_weighted_comparison_is_of_the_weighted_mean() -> None:
    a, b = runs(12, 4, 100)
    weights = [5.0] * 12 + [1.0] * 88
    found = paired_difference(a, b, weights=weights)
    assert found.difference is not None
    assert found.difference.value == pytest.approx((60 - 4) / 148)
    assert (found.fixed, found.broken, found.mid_p) == (12, 4, None)
    plain = paired_difference(a, b).p_value
    assert found.p_value is not None
    assert plain is not None
    assert found.p_value < plain
    with pytest.raises(ValueError, match="one weight a case"):
        paired_difference(a, b, weights=[1.0])
