"""Looks at growing data keep the error rate: against the literature, and against simulation."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from evaluation import statistics as of

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
SPENDINGS = ("obrien_fleming", "pocock")


@pytest.mark.parametrize(
    ("spending", "golden"),
    [
        ("obrien_fleming", (4.877, 3.357, 2.680, 2.290, 2.031)),
        ("pocock", (2.438, 2.427, 2.410, 2.397, 2.386)),
    ],
)
def test_five_equal_looks_have_the_boundaries_of_lan_and_demets(
    spending: of.Spending, golden: tuple[float, ...]
) -> None:
    assert of.boundaries(FIVE, spending=spending) == pytest.approx(golden, abs=0.0007)


def test_one_look_at_the_end_is_the_usual_test() -> None:
    for spending in SPENDINGS:
        assert of.boundaries((1.0,), spending=spending) == pytest.approx((1.959964,), abs=1e-5)
    assert of.spent(1.0) == pytest.approx(0.05)
    assert of.spent(1.0, spending="pocock") == pytest.approx(0.05)
    assert of.spent(0.2) == pytest.approx(1.08e-6, rel=0.01)


@pytest.mark.parametrize("times", [FIVE, (0.1, 0.11, 0.115, 0.5, 0.502, 1.0), (0.02, 0.9), (0.37,)])
@pytest.mark.parametrize("spending", SPENDINGS)
def test_what_is_spent_by_each_look_is_what_may_be_spent(
    times: tuple[float, ...], spending: of.Spending
) -> None:
    bounds = of.boundaries(times, alpha=0.04, spending=spending)
    allowed = [of.spent(time, alpha=0.04, spending=spending) for time in times]
    assert of.course(times, bounds).stopped == pytest.approx(allowed, abs=2e-7)


def test_a_look_keeps_its_boundary_however_the_study_goes_on() -> None:
    before = of.boundaries((0.3, 0.5))
    for more in ((0.51,), (0.7, 0.9, 1.0)):
        assert of.boundaries((0.3, 0.5, *more))[:2] == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("spending", SPENDINGS)
def test_a_random_walk_stops_as_often_as_was_reckoned(spending: of.Spending) -> None:
    times, rng = (0.25, 0.4, 0.8, 1.0), np.random.default_rng(8)
    bounds = of.boundaries(times, spending=spending)
    drift = of.drift_needed(times, bounds, power=0.8)
    steps = np.diff((0.0, *times))
    walk = np.cumsum(rng.normal(0, np.sqrt(steps), (150_000, 4)), axis=1)
    for true in (0.0, drift):
        z = (walk + true * np.array(times)) / np.sqrt(times)
        over = np.abs(z) >= bounds
        stopped = [over[:, : look + 1].any(axis=1).mean() for look in range(4)]
        reckoned = of.course(times, bounds, drift=true).stopped
        assert stopped == pytest.approx(reckoned, abs=4 * math.sqrt(0.25 / 150_000))
        if true == 0:
            assert reckoned[-1] == pytest.approx(0.05, abs=1e-7)
        first = np.argmax(over, axis=1)
        upward = over.any(axis=1) & (np.take_along_axis(z, first[:, None], 1)[:, 0] > 0)
        assert upward.mean() == pytest.approx(0.8 if true else 0.025, abs=0.005)


def test_looks_cost_an_obrien_fleming_study_little_and_a_pocock_study_a_fifth() -> None:
    variance = of.prompt_variance(0.55, 0.0)
    size = of.study_size(0.55, variance, looks=5)
    early = of.study_size(0.55, variance, looks=5, spending="pocock")
    assert size.fixed == math.ceil((1.959964 + 0.841621) ** 2 * 0.2475 / 0.05**2) + 4 == 782
    assert 1.02 < size.prompts / size.fixed < 1.04
    assert 1.18 < early.prompts / early.fixed < 1.25
    assert size.expected < size.fixed
    assert early.expected < size.expected
    assert size.stops[-1] == pytest.approx(0.8, abs=0.001)
    assert size.by_chance[-1] == pytest.approx(0.05, abs=1e-6)


def test_more_people_ties_and_clusters_change_the_size_as_they_should() -> None:
    assert of.prompt_variance(0.5, 0.2) == pytest.approx(0.25 - 0.05)
    assert of.prompt_variance(0.5, 0.2, annotators=2, correlation=0.3) == pytest.approx(0.2 * 0.65)
    assert of.prompt_variance(0.5, 0.2, annotators=9, correlation=1.0) == pytest.approx(0.2)
    assert of.prompt_variance(0.5, 0.0, cluster_size=5, icc=0.25) == pytest.approx(0.25 * 2)
    three = of.study_size(0.55, 0.2, alpha=0.05 / 3)
    assert three.prompts > 1.2 * of.study_size(0.55, 0.2).prompts


def test_what_so_many_prompts_find_is_the_inverse_of_how_many_are_needed() -> None:
    variance = of.prompt_variance(0.6, 0.2, annotators=2)
    size = of.study_size(0.6, variance, looks=4)
    found = of.detectable_win_rate(size.prompts, 0.2, annotators=2, looks=4)
    assert found == pytest.approx(0.6, abs=0.001)
    assert of.detectable_win_rate(3, 0.2) is None


def studied(rng: np.random.Generator, win_rate: float, prompts: int) -> np.ndarray:
    """Means of two people each, 20 % ties, whose judgments of a pair correlate with .3."""
    wins = win_rate - 0.1
    shares = rng.dirichlet((1 / 0.3 - 1) * np.array([wins, 0.2, 0.8 - wins]), prompts)
    draw = rng.random((prompts, 2, 1)) > np.cumsum(shares, axis=1)[:, None, :2]
    return np.asarray(1 - draw.sum(axis=2).mean(axis=1) / 2)


def test_studies_alarm_and_find_as_often_as_they_say_and_peeking_does_not() -> None:
    size = of.study_size(0.6, of.prompt_variance(0.6, 0.2, annotators=2), looks=3, spending="pocock")
    plain = (1.959964,) * 3
    counts = {"alarm": 0, "peeking": 0, "found": 0, "held": 0}
    for number in range(400):
        rng = np.random.default_rng([29, number])
        for truth in (0.5, 0.6):
            values = studied(rng, truth, size.prompts)
            looks = [
                of.repeated_win_rate(values[: round(t * len(values))], tail=2 * NormalDist().cdf(-b))
                for t, b in zip(size.fractions, size.bounds, strict=True)
            ]
            zs = [abs(look.z) for look in looks if look]
            over = any(z >= b for z, b in zip(zs, size.bounds, strict=True))
            if truth == 0.5:
                counts["alarm"] += over
                counts["peeking"] += any(z >= b for z, b in zip(zs, plain, strict=True))
            else:
                counts["found"] += over
                counts["held"] += all(look and look.rate.low <= truth <= look.rate.high for look in looks)
    assert counts["alarm"] <= 400 * 0.05 + 2 * math.sqrt(400 * 0.05 * 0.95)
    assert counts["peeking"] > 400 * 0.08
    assert counts["found"] == pytest.approx(400 * 0.8, abs=3 * math.sqrt(400 * 0.16))
    assert counts["held"] >= 400 * 0.95 - 2 * math.sqrt(400 * 0.05 * 0.95)


def test_the_interval_leaves_out_one_half_exactly_where_the_boundary_is_passed() -> None:
    rng = np.random.default_rng(4)
    for wins, bound in itertools.product(range(30, 61, 2), (1.96, 2.4, 3.2)):
        values = [1.0] * wins + [0.5] * 10 + [0.0] * (70 - wins)
        units = rng.integers(0, 50, 80).tolist()
        found = of.repeated_win_rate(values, units, tail=2 * NormalDist().cdf(-bound))
        assert found is not None
        assert (abs(found.z) >= bound) == (not found.rate.low <= 0.5 <= found.rate.high)


def test_several_people_on_one_prompt_are_no_more_evidence_than_their_mean() -> None:
    values = [1.0, 0.0, 0.5, 1.0] * 10
    apart = of.repeated_win_rate(values)
    doubled = of.repeated_win_rate(values * 2, [*range(40), *range(40)])
    assert apart
    assert doubled
    assert doubled.z == pytest.approx(apart.z)
    assert (doubled.rate.low, doubled.rate.high) == pytest.approx((apart.rate.low, apart.rate.high))


def test_shares_at_a_look_are_wider_than_at_the_usual_level_and_stay_within_0_and_1() -> None:
    usual, strict = of.repeated_share([1.0] * 38 + [0.0] * 2), of.repeated_share([1.0] * 40, tail=1e-4)
    assert usual
    assert strict
    assert usual.low > 0.8
    assert strict.high == 1
    assert 0 < strict.low < usual.low
    assert of.repeated_share([1.0] * 19) is None


def test_conditional_power_is_that_of_the_walk_from_here() -> None:
    found = of.conditional_power(1.2, 0.5, final=2.0, drift=2.8)
    left = NormalDist(1.2 * math.sqrt(0.5) + 1.4, math.sqrt(0.5))
    assert found == pytest.approx(1 - left.cdf(2.0) + left.cdf(-2.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: of.boundaries(()), "given: none"),
        (lambda: of.boundaries((0.5, 0.5)), "rise from above 0"),
        (lambda: of.boundaries((0.5, 1.2)), "to 1 at most"),
        (lambda: of.study_size(0.5, 0.25), "no difference"),
        (lambda: of.prompt_variance(0.9, 0.4), "With 40% ties"),
        (lambda: of.spent(2.0), "between 0 and 1"),
        (lambda: of.course((1.0,), (2.0, 2.0)), "2 critical values for 1 looks"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]
