"""What tests of statistics ask of an estimate."""

from labeling.estimates import Estimate


def bounds(estimate: Estimate | None) -> tuple[float, float]:
    assert estimate is not None
    return estimate.low, estimate.high


def covers(estimate: Estimate | None, truth: float) -> bool:
    low, high = bounds(estimate)
    return low <= truth <= high
