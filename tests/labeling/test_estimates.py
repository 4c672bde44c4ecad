"""An estimate always has an interval around its value, and travels as JSON."""

import json
import math

import numpy as np
import pytest

from labeling.estimates import Estimate, cluster_codes, wilson_bounds


def test_an_estimate_reads_with_its_interval_and_its_size() -> None:
    assert str(Estimate(value=0.7125, low=0.6421, high=0.7779, n=1600)) == "0.71 (0.64 to 0.78, n = 1,600)"


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(12.3456, 12.3411, 12.3501, 50), "12.346 (12.341 to 12.350, n = 50)"),
        (Estimate(431.6, 402.2, 460.9, 7), "432 (402 to 461, n = 7)"),
        (Estimate(0.5, 0.5, 0.5, 3), "0.50 (0.50 to 0.50, n = 3)"),
    ],
)
def test_a_narrow_interval_earns_decimals_and_a_wide_one_does_not(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text


@pytest.mark.parametrize(("value", "low", "high"), [(0.5, 0.6, 0.7), (0.8, 0.6, 0.7), (0.5, 0.7, 0.3)])
def test_a_value_outside_its_interval_is_refused(value: float, low: float, high: float) -> None:
    with pytest.raises(ValueError, match="inside its interval"):
        Estimate(value, low, high, 10)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(odd: float) -> None:
    for numbers in ((odd, 0.0, 1.0), (0.5, odd, 1.0), (0.5, 0.0, odd)):
        with pytest.raises(ValueError, match="finite"):
            Estimate(*numbers, 10)


@pytest.mark.parametrize("n", [0, -1])
def test_an_estimate_from_nothing_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="at least one observation"):
        Estimate(0.5, 0.4, 0.6, n)


def test_an_estimate_survives_a_trip_through_json() -> None:
    estimate = Estimate(np.float64(0.5), np.float64(0.4), np.float64(0.6), np.int64(10))  # type: ignore[arg-type]
    assert Estimate.from_dict(json.loads(json.dumps(estimate.as_dict()))) == estimate


def test_a_stored_estimate_that_cannot_be_is_refused_when_read() -> None:
    with pytest.raises(ValueError, match="inside its interval"):
        Estimate.from_dict({"value": 2.0, "low": 0.0, "high": 1.0, "n": 10})
    with pytest.raises(KeyError):
        Estimate.from_dict({"value": 0.5, "low": 0.0, "n": 10})


def test_an_estimate_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Estimate(0.5, 0.4, 0.6, 10).value = 0.9  # type: ignore[misc]


def test_wilson_bounds_hold_the_share_and_never_meet() -> None:
    for n in (1, 2, 2.5, 30, 1e6):
        for share in (0.0, 1e-9, 0.3, 0.5, 1.0):
            low, high = wilson_bounds(share, n)
            assert 0 <= low <= share <= high <= 1
            assert low < high


def test_cases_without_a_cluster_stand_alone() -> None:
    assert cluster_codes(["b", None, "a", "b", None]) == [0, 1, 2, 0, 3]
