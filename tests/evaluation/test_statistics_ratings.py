"""Ratings, ranks and win rates know which judgments share a prompt, and refuse what cannot be told."""

import math

import numpy as np
import pytest
from scipy import special, stats
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from evaluation.statistics import (
    Disconnected,
    Ratings,
    bradley_terry,
    flip_difference,
    length_controlled_win_rate,
    proportion_estimate,
    rank_intervals,
    rows_of_counts,
    win_rate,
)
from tests.evaluation.fakes_statistics import bounds, covers

GOLDEN = [
    (0, 1, 30, 18, 6),
    (0, 2, 25, 20, 10),
    (1, 2, 22, 24, 8),
    (0, 3, 35, 10, 5),
    (1, 3, 28, 15, 9),
    (2, 3, 26, 14, 12),
]


def known(found: Ratings | None) -> Ratings:
    assert found is not None
    return found


def two_orders(seed: int, prompts: int = 500) -> tuple[list[str], list[str], list[float], list[int]]:
    """Random pairs of a, b, c, d judged in two orders that mostly agree; a is best, d worst."""
    rng = np.random.default_rng(seed)
    theta = np.array([0.5, 0.1, -0.1, -0.5])
    pairs = np.array([rng.choice(4, 2, replace=False) for _ in range(prompts)])
    draw = rng.random((2, prompts))
    draw[1] = np.where(rng.random(prompts) < 0.7, draw[0], draw[1])
    y = (draw < special.expit(theta[pairs[:, 0]] - theta[pairs[:, 1]])).astype(float)
    names = np.array(list("abcd"))
    first, second = names[pairs[:, 0]].tolist(), names[pairs[:, 1]].tolist()
    return first * 2, second * 2, y.ravel().tolist(), [*range(prompts), *range(prompts)]


def test_ratings_with_half_ties_match_their_golden_numbers() -> None:
    found = known(bradley_terry(*rows_of_counts(GOLDEN)))
    assert found.theta == pytest.approx([0.421387, -0.003575, 0.094047, -0.511859], abs=1e-6)
    errors = np.sqrt(np.diag(found.covariance))
    assert errors == pytest.approx([0.114236, 0.111285, 0.109616, 0.115033], abs=1e-6)
    assert found.contrast_error(0, 1) == pytest.approx(0.184245, abs=1e-6)
    assert found.nu is None


def test_ratings_with_davidsons_ties_match_their_golden_numbers() -> None:
    found = known(bradley_terry(*rows_of_counts(GOLDEN), ties="davidson"))
    assert found.theta == pytest.approx([0.506031, -0.004151, 0.112960, -0.614839], abs=1e-6)
    assert found.nu == pytest.approx(0.393768, abs=1e-6)


def test_ratings_without_ties_are_the_same_either_way() -> None:
    rows = rows_of_counts([(i, j, wins, losses, 0) for i, j, wins, losses, _ in GOLDEN])
    half, davidson = known(bradley_terry(*rows)), known(bradley_terry(*rows, ties="davidson"))
    assert half.theta == pytest.approx([0.487266, 0.006816, 0.126468, -0.620551], abs=1e-6)
    assert davidson.theta == pytest.approx(half.theta)
    assert davidson.nu == 0


def test_contrasts_have_the_clustered_error_of_statsmodels() -> None:
    first, second, y, prompts = two_orders(0)
    found = known(bradley_terry(first, second, y, prompts))
    design = np.zeros((len(y), 4))
    for row, (one, other) in enumerate(zip(first, second, strict=True)):
        design[row, found.models.index(one)] += 1
        design[row, found.models.index(other)] -= 1
    fit = GLM(np.array(y), design[:, 1:], family=Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(prompts), "use_correction": False}
    )
    assert found.theta[1:] - found.theta[0] == pytest.approx(fit.params, abs=1e-6)
    for place in (1, 2, 3):
        error = found.contrast_error(found.models[0], found.models[place])
        assert error == pytest.approx(fit.bse[place - 1], rel=1e-5)


def test_two_orders_of_a_prompt_count_as_one_piece_of_evidence() -> None:
    first, second, y, prompts = two_orders(1)
    copied = y[:500] * 2
    once = known(bradley_terry(first[:500], second[:500], y[:500]))
    twice = known(bradley_terry(first, second, copied, prompts))
    naive = known(bradley_terry(first, second, copied))
    assert twice.contrast_error("a", "b") == pytest.approx(once.contrast_error("a", "b"))
    assert naive.contrast_error("a", "b") == pytest.approx(once.contrast_error("a", "b") / math.sqrt(2))


def test_a_rating_is_on_the_scale_of_chess() -> None:
    found = known(bradley_terry(*rows_of_counts([("ada", "ben", 10, 1, 0)])))
    value = {model: found.rating(model) for model in found.models}
    assert value["ada"] is not None
    assert value["ben"] is not None
    assert value["ada"].value - value["ben"].value == pytest.approx(400)
    assert value["ada"].value + value["ben"].value == pytest.approx(2000)
    contrast = found.contrast("ada", "ben")
    assert contrast is not None
    assert contrast.value == pytest.approx(math.log(10))


def test_davidsons_covariance_is_that_of_its_bootstrap() -> None:
    rng = np.random.default_rng(2)
    rows = rows_of_counts([("a", "b", 60, 40, 30), ("b", "c", 50, 45, 25), ("a", "c", 70, 40, 20)])
    columns = [np.array(column) for column in rows]
    found = known(bradley_terry(*rows, ties="davidson"))
    draws = []
    for _ in range(100):
        pick = rng.integers(0, len(rows.outcomes), len(rows.outcomes))
        one = known(bradley_terry(*(column[pick].tolist() for column in columns), ties="davidson"))
        theta = dict(zip(one.models, one.theta, strict=True))
        draws.append(theta["a"] - theta["c"])
    assert found.contrast_error("a", "c") == pytest.approx(np.std(draws), rel=0.25)


def test_models_without_wins_both_ways_are_named_not_rated() -> None:
    with pytest.raises(Disconnected, match=r"\(a, b\), \(c\)") as refusal:
        bradley_terry(["a", "b", "b"], ["b", "a", "c"], [1, 1, 1])  # c lost all
    assert "Compare them more" in str(refusal.value)
    with pytest.raises(Disconnected, match=r"\(a, b\), \(c, d\)"):
        bradley_terry(["a", "b", "c"], ["b", "a", "d"], [1, 1, 0.5])  # never met
    assert bradley_terry(["a", "b", "b"], ["b", "a", "c"], [1, 1, 0.5]) is not None  # a tie joins


def test_comparisons_that_cannot_be_are_refused() -> None:
    assert bradley_terry([], [], []) is None
    for outcomes, match in (([0.7], "1, 0.5 or 0"), ([math.nan], "NaN"), ([1, 0], "for 2 outcomes")):
        with pytest.raises(ValueError, match=match):
            bradley_terry(["a"], ["b"], outcomes)
    with pytest.raises(ValueError, match="with itself"):
        bradley_terry(["a"], ["a"], [1])
    with pytest.raises(ValueError, match="Every comparison is a tie"):
        bradley_terry(["a"], ["b"], [0.5], ties="davidson")
    with pytest.raises(ValueError, match="zero or more"):
        rows_of_counts([("a", "b", 1, -1, 0)])


def test_only_ties_have_no_interval() -> None:
    found = known(bradley_terry(["a", "b", "c"] * 9, ["b", "c", "a"] * 9, [0.5] * 27))
    assert found.theta == pytest.approx([0, 0, 0])
    assert found.rating("a") is None
    assert found.contrast("a", "b") is None
    assert [(rank.best, rank.worst) for rank in rank_intervals(found)] == [(1, 3)] * 3


def test_one_prompt_gives_no_interval() -> None:
    found = known(bradley_terry(["a", "b", "a"], ["b", "a", "b"], [1, 1, 1], ["one"] * 3))
    assert found.contrast("a", "b") is None
    assert [(rank.best, rank.worst) for rank in rank_intervals(found)] == [(1, 2)] * 2


def test_ranks_are_told_as_far_as_the_contrasts_tell_them() -> None:
    found = known(bradley_terry(*two_orders(3)))
    ranks = rank_intervals(found)
    assert ranks[0].model == "a"
    by_model = {rank.model: (rank.best, rank.worst) for rank in ranks}
    assert by_model["a"][0] == 1
    assert by_model["d"][1] == 4
    assert by_model["a"][1] < by_model["d"][0]  # a is better than d for sure
    assert by_model["b"][1] > by_model["c"][0]  # b and c cannot be told apart
    certain = known(bradley_terry(*rows_of_counts([("a", "b", 90, 10, 0), ("b", "c", 90, 10, 0)])))
    assert [(rank.best, rank.worst) for rank in rank_intervals(certain)] == [(1, 1), (2, 2), (3, 3)]


def test_a_win_rate_counts_a_tie_as_half() -> None:
    found = win_rate([1.0] * 45 + [0.5] * 30 + [0.0] * 25)
    assert (found.wins, found.ties, found.losses) == (45, 30, 25)
    assert found.rate is not None
    assert found.rate.value == 0.6
    assert found.p_value == pytest.approx(stats.binomtest(45, 70).pvalue)
    difference = bounds(flip_difference(45, 25, 100))
    normal = tuple((1 + end) / 2 for end in difference)
    assert bounds(found.rate) == pytest.approx(normal, abs=0.002)  # t instead of normal quantiles
    without_ties = [1.0] * 45 + [0.0] * 25
    assert win_rate(without_ties).rate == proportion_estimate(without_ties)


def test_a_win_in_one_order_only_is_a_tie_of_the_prompt() -> None:
    outcomes, prompts = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0], ["p", "p", "q", "q", "r", "r"]
    found = win_rate(outcomes, prompts)
    assert (found.wins, found.ties, found.losses, found.p_value) == (1, 1, 1, 1.0)
    order_only = win_rate([1.0, 0.0] * 50, np.repeat(range(50), 2).tolist())
    assert (order_only.ties, order_only.p_value) == (50, 1.0)
    assert covers(order_only.rate, 0.5)
    assert 0 < bounds(order_only.rate)[1] - bounds(order_only.rate)[0] < 0.1


def test_a_win_rate_at_the_end_keeps_its_doubt() -> None:
    for outcomes in ([1.0] * 40, [1.0] * 39 + [0.5]):
        low, high = bounds(win_rate(outcomes).rate)
        assert 0.85 < low < 0.97
        assert high == 1
    doubled = win_rate([1.0] * 80, np.repeat(range(40), 2).tolist())
    assert 0.85 < bounds(doubled.rate)[0] < 0.97


def test_too_few_judgments_have_no_win_rate() -> None:
    assert win_rate([]).rate is None
    assert (win_rate([1.0, 1.0, 0.5, 0.0]).rate, win_rate([1.0, 1.0, 0.5, 0.0]).p_value) == (None, None)
    assert win_rate([1.0] * 9, ["one"] * 9).rate is None
    with pytest.raises(ValueError, match="between 0 and 1"):
        win_rate([2.0])


def biased(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Equal quality, longer answers of the candidate, and a judge that likes length; two orders a prompt."""
    rng = np.random.default_rng(seed)
    lengths = rng.normal(60, 100, n)
    return (rng.random((2, n)) < special.expit(1.2 * np.tanh(lengths / 100))).astype(float), lengths


def test_a_long_winded_model_is_seen_through() -> None:
    y, lengths = biased(0)
    found = length_controlled_win_rate(y.mean(axis=0).tolist(), lengths.tolist())
    assert found.raw is not None
    assert found.slope is not None
    assert found.raw.low > 0.5
    assert covers(found.controlled, 0.5)
    assert found.slope.low > 0
    assert (found.flagged, found.reason) == (found.raw.value - found.controlled.value > 0.1, "")


def test_the_controlled_rate_has_the_clustered_error_of_statsmodels() -> None:
    y, lengths = biased(1)
    twice, prompts = np.tile(lengths, 2), [*range(400), *range(400)]
    found = length_controlled_win_rate(y.ravel().tolist(), twice.tolist(), prompts)
    design = np.stack([np.ones(800), np.tanh(twice / twice.std())], axis=1)
    fit = GLM(y.ravel(), design, family=Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(prompts)}
    )
    half = stats.t.ppf(0.975, 399) * fit.bse
    expected = special.expit([fit.params[0] - half[0], fit.params[0] + half[0]])
    assert bounds(found.controlled) == pytest.approx(expected, rel=1e-6)
    assert bounds(found.slope) == pytest.approx((fit.params[1] - half[1], fit.params[1] + half[1]), rel=1e-6)


@pytest.mark.parametrize(
    ("outcomes", "lengths", "reason"),
    [
        ([1.0, 0.0] * 40, [5.0, -5.0] * 40, "there are 80"),
        ([1.0, 0.0] * 60, [5.0] * 120, "too little in length"),
        ([1.0, 0.0] * 60, [0.0] * 119 + [900.0], "too little in length"),
        ([1.0, 0.0] * 60, list(range(1, 121)), "longer on more than 95%"),
        ([1.0, 0.0] * 60, [5.0, -5.0] * 60, "vary enough"),
        ([1.0] * 120, [5.0, -5.0] * 60, "vary enough"),
    ],
)
def test_no_controlled_rate_where_length_cannot_be_told_apart(
    outcomes: list[float], lengths: list[float], reason: str
) -> None:
    found = length_controlled_win_rate(outcomes, lengths)
    assert reason in found.reason
    assert (found.controlled, found.slope, found.flagged) == (None, None, False)
    assert found.raw is not None


def test_two_orders_of_eighty_prompts_are_eighty_prompts() -> None:
    y, lengths = biased(2, 80)
    found = length_controlled_win_rate(
        y.ravel().tolist(), np.tile(lengths, 2).tolist(), [*range(80), *range(80)]
    )
    assert "there are 80" in found.reason
