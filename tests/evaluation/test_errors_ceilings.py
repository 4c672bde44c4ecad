"""How much a metric can rise if a kind of error vanished: values worked out by hand, and coverage by simulation."""

import numpy as np
import pytest

from evaluation.statistics import Drawn, ceiling_estimate
from labeling.estimates import Estimate


def test_the_ceiling_of_25_in_100_read_of_200_failures_of_1000_cases() -> None:
    """q = .2 * .25 = .05; V = .05 * .95 / 1000 + .04 * .1875 / 100 * .5 = .000085; Wilson at .0475 / V = 558.82."""
    found = ceiling_estimate(1000, 200, 100, 25)
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(0.05), 100)
    assert (found.low, found.high) == (pytest.approx(0.0348038, abs=1e-6), pytest.approx(0.0713408, abs=1e-6))


def test_where_every_failure_was_read_only_the_cases_are_drawn() -> None:
    """q = .05, V = .0000475: as Wilson says of 50 in 1000."""
    found = ceiling_estimate(1000, 200, 200, 50)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.0381303, abs=1e-6), pytest.approx(0.0653138, abs=1e-6))


def test_a_kind_that_nobody_met_may_still_cost_something() -> None:
    """V / q tends to 1 / 1000 + .2 / 100 * .5 = .002: Wilson's bound of 0 in 500."""
    found = ceiling_estimate(1000, 200, 100, 0)
    assert found is not None
    assert (found.value, found.low, found.high) == (0.0, 0.0, pytest.approx(0.0076244, abs=1e-6))


def test_partial_marks_gain_what_is_left_of_them_and_heavy_cases_count_more() -> None:
    """Two of four failures read, gains .5 and 1, in 10 cases; then the first of them weighs three times the others."""
    places = np.array([0, 1, 2, 3, 4])
    plain = Drawn(places, 5, np.ones(10)).ceiling([0.5, 1.0, 0.0, 0.0, 0.0])
    heavy = Drawn(places, 5, np.array([3.0, *[1.0] * 9])).ceiling([0.5, 1.0, 0.0, 0.0, 0.0])
    assert plain is not None
    assert heavy is not None
    assert plain.value == pytest.approx(1.5 / 10)
    assert heavy.value == pytest.approx((3 * 0.5 + 1) / 12)


def test_cases_of_one_document_are_not_independent() -> None:
    places, gains = np.arange(0, 100, 4), [1.0] * 10 + [0.0] * 15
    alone = Drawn(places, 25, np.ones(100)).ceiling(gains)
    ten = Drawn(places, 25, np.ones(100), [n // 10 for n in range(100)]).ceiling(gains)
    assert alone is not None
    assert ten is not None
    assert ten.value == alone.value
    assert ten.high - ten.low > 1.5 * (alone.high - alone.low)
    assert Drawn(places, 25, np.ones(100), ["one"] * 100).ceiling(gains) is None


def test_too_few_failures_read_say_nothing_and_counts_that_cannot_be_are_refused() -> None:
    assert ceiling_estimate(1000, 200, 4, 1) is None
    with pytest.raises(ValueError, match="cannot be"):
        ceiling_estimate(1000, 200, 100, 101)
    with pytest.raises(ValueError, match="cannot be"):
        ceiling_estimate(100, 200, 100, 10)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Drawn(np.arange(5), 5, np.ones(10)).ceiling([2.0, 0, 0, 0, 0])


@pytest.mark.parametrize(("read", "share"), [(40, 0.3), (100, 0.1), (200, 0.5)])
def test_ceilings_cover_the_truth(read: int, share: float) -> None:
    """800 evaluations each: 95 % plus or minus three times what chance allows."""
    rng, hits = np.random.default_rng([20261129, read]), 0
    for _ in range(800):
        errors = max(read, int(rng.binomial(1000, 0.25)))
        found = ceiling_estimate(1000, errors, read, int(rng.binomial(read, share)))
        hits += _holds(found, 0.25 * share)
    assert 0.927 <= hits / 800 <= 0.975


def _holds(found: Estimate | None, truth: float) -> bool:
    return found is not None and found.low <= truth <= found.high
