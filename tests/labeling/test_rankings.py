"""Agreement on rankings matches published examples and scipy, and its intervals say what the data can."""

import json
from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from labeling.estimates import Estimate, wilson_bounds
from labeling.rankings import kendall_tau_b, kendall_w, pairwise_taus, tau_estimate, w_estimate
from tests.world import SHARED_DATA

Ranks = dict[Hashable, dict[Hashable, Sequence[float]]]

# Ratings of 20 people by 3 raters: irr::anxiety of R's irr package, as printed in statsmodels' tests (BSD-3-Clause)
ANXIETY = ["33345523522615221243", "36462424332333221334", "21443216111233113322"]


def noisy(
    rng: np.random.Generator, items: int, *, responses: int = 4, raters: str = "abc", start: int = 0
) -> Ranks:
    """Raters who each rank the same true qualities with their own noise; near ones are tied."""
    ranks: Ranks = {}
    for item in range(start, start + items):
        quality = rng.normal(size=responses)
        ranks[item] = {rater: np.rint(quality + rng.normal(0, 0.7, responses)).tolist() for rater in raters}
    return ranks


def scipy_taus(given: dict[Hashable, Sequence[float]]) -> list[float]:
    return [
        float(stats.kendalltau(a, b).statistic)
        for a, b in combinations(given.values(), 2)
        if len(set(a)) > 1 and len(set(b)) > 1
    ]


def known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def test_tau_b_matches_two_published_examples() -> None:
    # The example in the documentation of scipy.stats.kendalltau.
    assert kendall_tau_b([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]) == pytest.approx(-0.47140452079103173)
    # Optimism by exercise, 0.617 by SPSS (stats.stackexchange.com, question 653196).
    optimism = [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 1, 2, 1]
    exercise = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert kendall_tau_b(optimism, exercise) == pytest.approx(0.617, abs=5e-4)


def test_w_with_ties_matches_r_irr() -> None:
    # irr::kendall(anxiety, TRUE) prints W 0.54 and a chi-squared of 30.8, which is raters * (people - 1) * W.
    w = kendall_w([[int(digit) for digit in row] for row in ANXIETY])
    assert w == pytest.approx(0.54, abs=5e-3)
    assert w is not None
    assert 3 * 19 * w == pytest.approx(30.8, abs=5e-2)


def test_w_without_ties_matches_two_worked_examples() -> None:
    # Four judges of three competitors: 1/16 (proofwiki.org, Kendall's Coefficient of Concordance, Example 1).
    assert kendall_w([[1, 3, 2], [1, 2, 3], [2, 3, 1], [3, 1, 2]]) == pytest.approx(1 / 16)
    # Ten projects, four judges: squares of 1048 about the mean rank sum (scribd.com, document 659863121).
    judges = [
        [1, 3, 4, 5, 2, 8, 6, 7, 10, 9],
        [2, 1, 4, 5, 6, 3, 8, 7, 10, 9],
        [3, 2, 1, 5, 7, 4, 6, 8, 9, 10],
        [4, 2, 3, 1, 6, 7, 5, 9, 8, 10],
    ]
    assert kendall_w(judges) == pytest.approx(12 * 1048 / (4**2 * (10**3 - 10)))


@pytest.mark.parametrize("seed", range(6))
def test_tau_b_and_w_match_scipy_on_random_rankings_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 5, (4, 7)).tolist()
    for a, b in combinations(table, 2):
        assert kendall_tau_b(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)
    friedman = stats.friedmanchisquare(*zip(*table, strict=True)).statistic
    assert kendall_w(table) == pytest.approx(friedman / (4 * 6))


def test_ranks_need_not_start_at_one_nor_be_close() -> None:
    assert kendall_tau_b([1, 2, 3], [10, 200, 3000]) == 1
    assert kendall_w([[1, 2, 3], [0.5, 7, 7.5]]) == pytest.approx(1)
    assert kendall_tau_b([1, 2, 3], [3, 2, 1]) == -1
    assert kendall_w([[1, 2, 3], [3, 2, 1]]) == 0


def test_a_ranking_that_ties_everything_says_nothing() -> None:
    assert kendall_tau_b([1, 1, 1], [1, 2, 3]) is None
    assert kendall_w([[1, 1, 1], [2, 2, 2]]) is None
    assert kendall_w([[1, 1, 1], [1, 2, 3]]) == pytest.approx(0.5)
    assert kendall_w([[1, 2, 3]]) is None


def test_estimates_are_means_over_items_of_all_sizes() -> None:
    rng = np.random.default_rng(1)
    ranks = noisy(rng, 25) | noisy(rng, 15, responses=3, raters="bcd", start=100)
    taus = [np.mean(found) for found in map(scipy_taus, ranks.values()) if found]
    tau, w = known(tau_estimate(ranks)), known(w_estimate(ranks))
    assert tau.value == pytest.approx(np.mean(taus))
    assert tau.n == len(taus)
    ws = [value for value in (kendall_w([*given.values()]) for given in ranks.values()) if value is not None]
    assert w.value == pytest.approx(np.mean(ws))
    assert w.n == len(ws) == 40


def test_each_pair_of_raters_has_the_mean_of_their_taus() -> None:
    rng = np.random.default_rng(2)
    ranks = noisy(rng, 30) | noisy(rng, 20, responses=5, raters="ad", start=100)
    pairs = pairwise_taus(ranks)
    assert [(a, b) for a, b, _ in pairs] == list(combinations("abcd", 2))
    for a, b, tau in pairs:
        both = [{a: given[a], b: given[b]} for given in ranks.values() if a in given and b in given]
        expected = [found for given in both for found in scipy_taus(given)]
        if len(expected) < 10:
            assert tau is None
        else:
            assert known(tau).value == pytest.approx(np.mean(expected))
            assert known(tau).n == len(expected)
    assert pairs[-1].tau is None


def test_the_interval_is_the_one_of_a_plain_bootstrap() -> None:
    ranks = noisy(np.random.default_rng(3), 60)
    rng = np.random.default_rng(0)
    taus = np.array([np.mean(scipy_taus(given)) for given in ranks.values()])
    ws = np.array([kendall_w([*given.values()]) for given in ranks.values()], dtype=float)
    for estimate, values in ((known(tau_estimate(ranks)), taus), (known(w_estimate(ranks)), ws)):
        draws = values[rng.integers(0, 60, (2000, 60))].mean(axis=1)
        assert (estimate.low, estimate.high) == pytest.approx(
            tuple(np.quantile(draws, [0.025, 0.975])), abs=0.015
        )


def test_intervals_hold_the_truth_and_repeated_items_only_when_clustered() -> None:
    rng = np.random.default_rng(4)
    large = noisy(rng, 8_000)
    truths = known(tau_estimate(large)).value, known(w_estimate(large)).value
    held: dict[str, list[bool]] = defaultdict(list)
    for _ in range(100):
        once = noisy(rng, 60)
        repeated: Ranks = {(item, copy): given for item, given in once.items() for copy in range(4)}
        prompts: dict[Hashable, Hashable] = {(item, copy): item for item in once for copy in range(4)}
        for estimate, truth in zip((tau_estimate, w_estimate), truths, strict=True):
            for name, found in (
                ("once", estimate(once)),
                ("alone", estimate(repeated)),
                ("together", estimate(repeated, clusters=prompts)),
            ):
                held[f"{estimate.__name__} {name}"].append(known(found).low <= truth <= known(found).high)
    for name, holds in held.items():
        assert 0.90 <= np.mean(holds) <= 0.99 or (name.endswith("alone") and np.mean(holds) < 0.80), name


def test_rankings_at_random_agree_as_chance_does() -> None:
    rng = np.random.default_rng(5)
    ranks: Ranks = {item: {rater: rng.permutation(4).tolist() for rater in "abcd"} for item in range(400)}
    tau, w = known(tau_estimate(ranks)), known(w_estimate(ranks))
    assert tau.low < 0 < tau.high
    assert w.low < 1 / 4 < w.high


def test_perfect_agreement_is_never_certain() -> None:
    ranks: Ranks = {item: {"Ben": [1, 2, 3], "Bea": [1, 2, 3]} for item in range(40)}
    unseen = 1 - wilson_bounds(1.0, 40)[0]
    assert tau_estimate(ranks) == Estimate(1.0, 1 - 2 * unseen, 1.0, 40)
    assert w_estimate(ranks) == Estimate(1.0, 1 - unseen, 1.0, 40)
    assert pairwise_taus(ranks)[0].tau == Estimate(1.0, 1 - 2 * unseen, 1.0, 40)


def test_perfect_disagreement_is_never_certain() -> None:
    ranks: Ranks = {item: {"Ben": [1, 2, 3], "Bea": [3, 2, 1]} for item in range(40)}
    unseen = 1 - wilson_bounds(1.0, 40)[0]
    assert tau_estimate(ranks) == Estimate(-1.0, -1.0, -1 + 2 * unseen, 40)
    assert w_estimate(ranks) == Estimate(0.0, 0.0, unseen, 40)


def test_too_little_gives_no_number() -> None:
    nine = noisy(np.random.default_rng(6), 9)
    assert (tau_estimate(nine), w_estimate(nine)) == (None, None)
    assert (tau_estimate({}), w_estimate({}), pairwise_taus({})) == (None, None, [])
    alone: Ranks = {item: {"Ben": [1, 2, 3]} for item in range(40)}
    single: Ranks = {item: {"Ben": [1], "Bea": [1]} for item in range(40)}
    unranked: Ranks = {item: {} for item in range(40)}
    for ranks in (alone, single, unranked):
        assert (tau_estimate(ranks), w_estimate(ranks)) == (None, None)
    many = noisy(np.random.default_rng(7), 90)
    few: dict[Hashable, Hashable] = {item: item % 9 for item in range(90)}
    assert (tau_estimate(many, clusters=few), w_estimate(many, clusters=few)) == (None, None)


def test_the_same_seed_gives_the_same_interval() -> None:
    ranks = noisy(np.random.default_rng(8), 40)
    assert tau_estimate(ranks, seed=3) == tau_estimate(ranks, seed=3) != tau_estimate(ranks, seed=4)


def test_an_unfinished_ranking_is_refused_with_its_item() -> None:
    with pytest.raises(ValueError, match="The rankings of item 7 have 2 to 3 places"):
        tau_estimate({7: {"Ben": [1, 2, 3], "Bea": [1, 2]}})
    gap: list[Any] = [1, None, 2]
    with pytest.raises(ValueError, match="item 7 has a response without a rank"):
        w_estimate({7: {"Ben": [1, 2, 3], "Bea": gap}})
    with pytest.raises(ValueError, match="2 to 3 places"):
        kendall_tau_b([1, 2, 3], [1, 2])


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"real data sets are not at {SHARED_DATA}")
def test_real_ratings_of_three_systems_match_scipy() -> None:
    # MTRAG (Apache-2.0): three of seven people mark the answers of three systems on each of 80 tasks.
    file = SHARED_DATA / "mtrag-human-eval" / "reference_subset_with_human_evaluations.part.json"
    marks: dict[Hashable, dict[Hashable, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in json.loads(file.read_text())["evaluations"]:
        for person, given in row["annotations"]["appropriateness"].items():
            marks[row["task_id"]][person][row["model_id"]] = float(given["value"])
    ranks: Ranks = {
        task: {person: [*systems.values()] for person, systems in people.items() if len(systems) == 3}
        for task, people in marks.items()
    }
    expected = [np.mean(found) for found in map(scipy_taus, ranks.values()) if found]
    tau, w = known(tau_estimate(ranks)), known(w_estimate(ranks))
    assert tau.value == pytest.approx(np.mean(expected))
    assert 10 < tau.n == len(expected) < 80
    assert w.low > 1 / 3
    assert tau.low > 0
