"""Shares and means of units that hang together have intervals that hold the truth."""

import numpy as np
import pytest
from scipy import stats

from labeling.estimates import Estimate, wilson_bounds
from labeling.resampling import Codes, Floats, group_codes, mean_estimate, share_estimate, t95

RUNS = 1_000


def prompts_of_five(rng: np.random.Generator, prompts: int, share: float) -> tuple[Floats, Codes]:
    """Five outcomes a prompt; prompts differ in their own share (beta-distributed, correlation 1/3)."""
    own = rng.beta(2 * share, 2 * (1 - share), prompts)
    outcomes = (rng.random((prompts, 5)) < own[:, None]).astype(float)
    return outcomes.ravel(), np.repeat(np.arange(prompts), 5)


def known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


@pytest.mark.parametrize("freedom", [9, 10, 15, 30, 100, 10_000])
def test_students_t_matches_scipy(freedom: int) -> None:
    assert t95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=2e-5)


def test_independent_outcomes_have_wilsons_interval() -> None:
    outcomes = np.array([1.0] * 17 + [0.0] * 3)
    assert share_estimate(outcomes) == Estimate(0.85, *wilson_bounds(0.85, 20), 20)
    assert share_estimate(outcomes, np.arange(20)) == share_estimate(outcomes)
    assert share_estimate(outcomes[:9]) is None


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("prompts", [12, 40])
def test_the_interval_of_a_share_by_prompts_holds_the_truth(prompts: int, share: float) -> None:
    rng = np.random.default_rng(prompts)
    together, alone = [], []
    for _ in range(RUNS):
        outcomes, groups = prompts_of_five(rng, prompts, share)
        found, naive = known(share_estimate(outcomes, groups)), known(share_estimate(outcomes))
        together.append(found.low <= share <= found.high)
        alone.append(naive.low <= share <= naive.high)
    assert np.mean(together) >= 0.93
    assert np.mean(alone) < 0.88


def test_prompts_without_a_difference_never_narrow_the_interval() -> None:
    outcomes = np.tile([1.0, 0.0], 30)
    assert known(share_estimate(outcomes, np.repeat(np.arange(30), 2))).low < wilson_bounds(0.5, 60)[0]


def test_a_share_of_all_or_nothing_counts_each_prompt_once() -> None:
    groups = np.repeat(np.arange(20), 5)
    assert share_estimate(np.ones(100), groups) == Estimate(1.0, *wilson_bounds(1.0, 20), 100)
    assert share_estimate(np.zeros(100), groups) == Estimate(0.0, *wilson_bounds(0.0, 20), 100)
    assert share_estimate(np.ones(100), groups % 9) is None


def test_a_mean_of_prompts_holds_the_truth() -> None:
    rng = np.random.default_rng(1)
    holds = []
    for _ in range(150):
        outcomes, groups = prompts_of_five(rng, 60, 0.7)
        found = known(mean_estimate(2 * outcomes - 1, groups, ends=(-1.0, 1.0), seed=0))
        holds.append(found.low <= 0.4 <= found.high)
    assert 0.90 <= np.mean(holds) <= 0.99


def test_units_without_a_key_stand_alone() -> None:
    assert group_codes(["a", "b", "c", "d"], {"a": 1, "c": 1}).tolist() == [0, 1, 0, 2]
    assert group_codes(["a", "b"], None).tolist() == [0, 1]
