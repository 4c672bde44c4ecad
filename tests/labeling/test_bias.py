"""Bias is found where it is, not where it is not, and every share says how sure it is."""

import json
import math
from collections.abc import Hashable

import numpy as np
import pytest
from scipy import stats

from labeling.bias import gold_pass_share, length_bias, noise_ceiling, position_bias, self_consistency
from labeling.estimates import Estimate, wilson_bounds
from tests.world import SHARED_DATA

RUNS, CHOICES = 1_000, 280


def known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(17, 20, 0.639581, 0.947631), (850, 1000, 0.826531, 0.870790), (0, 30, 0.0, 0.113513)],
)
def test_counted_shares_have_wilsons_interval(part: int, whole: int, low: float, high: float) -> None:
    # Golden numbers computed with statsmodels' proportion_confint(method="wilson").
    for share in (position_bias, gold_pass_share):
        found = known(share(part, whole - part))
        assert (found.value, found.n) == (part / whole, whole)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.6, 0.9])
def test_the_interval_of_position_bias_holds_the_truth_in_a_thousand_runs(share: float) -> None:
    wins = np.random.default_rng(1).binomial(200, share, RUNS)
    found = [known(position_bias(int(won), 200 - int(won))) for won in wins]
    assert np.mean([estimate.low <= share <= estimate.high for estimate in found]) >= 0.93


def chance_of_alarm(share: float) -> float:
    """The exact chance that an interval of CHOICES choices leaves out .5."""
    alarms = [won for won in range(CHOICES + 1) if alarm(won)]
    return math.fsum(stats.binom.pmf(won, CHOICES, share) for won in alarms)


def alarm(won: int) -> bool:
    found = known(position_bias(won, CHOICES - won))
    return not found.low <= 0.5 <= found.high


def test_280_choices_show_a_left_share_of_sixty_percent() -> None:
    shown = sum(alarm(int(won)) for won in np.random.default_rng(2).binomial(CHOICES, 0.60, RUNS))
    exact = chance_of_alarm(0.60)
    assert exact > 0.90
    assert stats.binom.ppf(0.001, RUNS, exact) <= shown <= stats.binom.ppf(0.999, RUNS, exact)


def test_a_fair_annotator_is_accused_in_no_more_than_five_of_a_hundred() -> None:
    accused = sum(alarm(int(won)) for won in np.random.default_rng(3).binomial(CHOICES, 0.50, RUNS))
    assert accused <= stats.binom.ppf(0.999, RUNS, 0.05)
    assert chance_of_alarm(0.50) <= 0.05


def test_too_few_choices_give_no_number_and_no_counts_are_below_zero() -> None:
    assert position_bias(5, 4) is None
    assert gold_pass_share(9, 0) is None
    assert length_bias([(3, 2)] * 9) is None
    assert length_bias([(3, 3)] * 40) is None
    assert self_consistency([("a", "a")] * 9) is None
    with pytest.raises(ValueError, match="-1 and 30 cannot be counts"):
        position_bias(-1, 30)


def test_the_longer_response_is_counted_and_equal_lengths_are_left_out() -> None:
    lengths = [(120, 80)] * 15 + [(80, 120)] * 5 + [(90, 90)] * 30
    assert length_bias(lengths) == Estimate(0.75, *wilson_bounds(0.75, 20), 20)


def test_length_bias_by_prompt_holds_the_truth_where_the_plain_one_does_not() -> None:
    rng = np.random.default_rng(4)
    prompts: list[Hashable] = [f"prompt {number // 6}" for number in range(240)]
    together, alone = [], []
    for _ in range(RUNS):
        own = np.repeat(rng.beta(1, 1, 40), 6)
        lengths = [(2, 1) if longer else (1, 2) for longer in rng.random(240) < own]
        plain, clustered = known(length_bias(lengths)), known(length_bias(lengths, prompts))
        alone.append(plain.low <= 0.5 <= plain.high)
        together.append(clustered.low <= 0.5 <= clustered.high)
    assert np.mean(together) >= 0.93
    assert RUNS - sum(together) <= stats.binom.ppf(0.999, RUNS, 0.05)
    assert np.mean(alone) < 0.85


def test_cluster_keys_must_be_one_an_observation() -> None:
    with pytest.raises(ValueError, match="3 cluster keys cannot belong to 20 observations"):
        length_bias([(1, 2)] * 20, ["a", "b", "c"])


def test_equal_lengths_take_their_prompt_with_them() -> None:
    lengths = [(2, 1), (1, 1)] * 12
    prompts: list[Hashable] = [number // 2 for number in range(24)]
    assert length_bias(lengths, prompts) == Estimate(1.0, *wilson_bounds(1.0, 12), 12)


def test_self_consistency_is_the_share_of_repeats_that_say_the_same() -> None:
    pairs = [("0", "0")] * 40 + [("0", "1")] * 6 + [("tie", "tie")] * 4
    assert self_consistency(pairs) == Estimate(0.88, *wilson_bounds(0.88, 50), 50)
    assert known(self_consistency(pairs, [number // 2 for number in range(50)])).n == 50


@pytest.mark.parametrize("categories", [2, 3, 4])
@pytest.mark.parametrize("right", [0.6, 0.8, 0.95])
def test_the_noise_ceiling_is_how_often_the_truth_agrees_with_a_label(categories: int, right: float) -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, categories, 200_000)
    first, again = (
        np.where(
            rng.random(200_000) < right, truth, (truth + rng.integers(1, categories, 200_000)) % categories
        )
        for _ in range(2)
    )
    same = known(self_consistency(list(zip(first.tolist(), again.tolist(), strict=True))))
    ceiling = noise_ceiling(same, categories)
    assert ceiling.value == pytest.approx(np.mean(first == truth), abs=0.01)
    assert ceiling.low <= right <= ceiling.high
    assert ceiling.n == 200_000


def test_the_ceilings_kappa_is_the_root_of_the_consistencys() -> None:
    ceiling = noise_ceiling(Estimate(0.82, 0.75, 0.88, 150), 2)
    assert 2 * ceiling.value - 1 == pytest.approx(math.sqrt(2 * 0.82 - 1))


def test_repeats_at_chance_or_below_leave_nothing_to_reach() -> None:
    assert noise_ceiling(Estimate(0.45, 0.30, 0.60, 40), 2).value == 0.5
    assert noise_ceiling(Estimate(0.45, 0.30, 0.60, 40), 2).low == 0.5
    assert noise_ceiling(Estimate(1.0, 0.91, 1.0, 40), 3).value == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least 2 categories, not 1"):
        noise_ceiling(Estimate(0.9, 0.8, 1.0, 40), 1)


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"real data sets are not at {SHARED_DATA}")
def test_a_real_annotator_prefers_the_longer_response() -> None:
    # PandaLM's first annotator on 999 items with 170 prompts (Apache-2.0); no figure is published.
    rows = json.loads((SHARED_DATA / "pandalm" / "testset-v1.json").read_text())
    lengths, prompts = [], []
    for row in rows:
        if row["annotator1"]:
            sizes = {1: len(str(row["response1"])), 2: len(str(row["response2"]))}
            lengths.append((sizes[row["annotator1"]], sizes[3 - row["annotator1"]]))
            prompts.append((row["instruction"], row["input"]))
    alone, together = known(length_bias(lengths)), known(length_bias(lengths, prompts))
    assert together.value == alone.value == pytest.approx(0.67, abs=0.01)
    assert together.n == alone.n < 999
    assert together.low > 0.5
    assert together.high - together.low > 1.2 * (alone.high - alone.low)
