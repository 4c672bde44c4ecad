"""Who ranks reliably is found without knowing the truth, and said to be unknown where it cannot be."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable, Hashable
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from labeling import crowd_bt as module
from labeling.crowd_bt import CrowdBT, crowd_bt
from labeling.estimates import Estimate
from labeling.rankings import Comparison, comparisons_of
from tests.world import SHARED_DATA

Ranks = dict[Hashable, dict[Hashable, list[float]]]
Data = tuple[list[Comparison], NDArray[np.float64], dict[Hashable, float]]
needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason=f"real data sets are not at {SHARED_DATA}"
)


def say(rng: np.random.Generator, better: float, eta: float) -> float:
    """1.0 if this rater prefers the first response, whose score is higher by `better`."""
    first = rng.random() < 1 / (1 + np.exp(-better))
    return float(first if rng.random() < eta else not first)


def items(
    seed: int, *, items: int = 300, responses: int = 4, raters: int = 10, each: int = 5, spread: float = 1.0
) -> Data:
    """Comparisons of all pairs of each item's responses, from the model; the etas; the scores."""
    rng = np.random.default_rng(seed)
    eta = rng.uniform(0.55, 0.98, raters)
    said: list[Comparison] = []
    scores: dict[Hashable, float] = {}
    for item in range(items):
        quality = rng.normal(0, spread, responses)
        scores |= {(item, place): float(score) for place, score in enumerate(quality)}
        for rater in rng.permutation(raters)[:each].tolist():
            for i, j in combinations(range(responses), 2):
                outcome = say(rng, quality[i] - quality[j], eta[rater])
                said.append(Comparison(rater, (item, i), (item, j), outcome, cluster=item))
    return said, eta, scores


def models(seed: int, *, models: int = 12, raters: int = 12, each: int = 200) -> Data:
    """Comparisons among a few models that everyone sees."""
    rng = np.random.default_rng(seed)
    eta, quality = rng.uniform(0.55, 0.98, raters), rng.normal(size=models)
    said = []
    for rater in np.repeat(np.arange(raters), each).tolist():
        i, j = rng.permutation(models)[:2].tolist()
        said.append(Comparison(rater, i, j, say(rng, quality[i] - quality[j], eta[rater])))
    return said, eta, dict(enumerate(quality.tolist()))


def fitted(said: list[Comparison]) -> CrowdBT:
    fit = crowd_bt(said)
    assert fit is not None
    return fit


def eta_of(fit: CrowdBT, rater: Hashable) -> Estimate:
    estimate = fit.eta[rater]
    assert estimate is not None
    return estimate


@pytest.mark.parametrize(("make", "off", "alike"), [(items, 0.06, 0.85), (models, 0.09, 0.75)])
def test_etas_and_scores_are_recovered_from_simulated_comparisons(
    make: Callable[[int], Data], off: float, alike: float
) -> None:
    errors, correlations = [], []
    for seed in range(4):
        said, eta, scores = make(seed)
        fit = fitted(said)
        assert fit.converged
        found = [eta_of(fit, rater).value for rater in range(len(eta))]
        errors += (np.array(found) - eta).tolist()
        correlations.append(np.corrcoef(found, eta)[0, 1])
        assert np.corrcoef([fit.scores[key] for key in scores], [*scores.values()])[0, 1] > 0.5
    assert np.sqrt(np.mean(np.square(errors))) < off
    assert abs(np.mean(errors)) < 0.03
    assert np.mean(correlations) > alike


@pytest.mark.parametrize("spread", [0.7, 1.0, 1.5])
def test_intervals_of_eta_hold_the_truth_at_each_spread_of_the_scores(spread: float) -> None:
    holds = []
    for seed in range(8):
        said, eta, _ = items(seed, items=150, responses=3, spread=spread)
        fit = fitted(said)
        holds += [
            eta_of(fit, rater).low <= eta[rater] <= eta_of(fit, rater).high for rater in range(len(eta))
        ]
    assert np.mean(holds) >= 0.90


def noisy_rankings(seed: int, random_share: list[float], *, count: int = 200, responses: int = 4) -> Ranks:
    """Each rater ranks by true quality with noise, or with their own chance at random; the last one backwards."""
    rng = np.random.default_rng(seed)
    ranks: Ranks = {}
    for item in range(count):
        quality, given = rng.normal(0, 1.5, responses), {}
        for rater in rng.permutation(len(random_share))[:3].tolist():
            seen = quality + rng.gumbel(size=responses)
            seen = rng.random(responses) if rng.random() < random_share[rater] else seen
            order = stats.rankdata(seen if rater == len(random_share) - 1 else -seen)
            given[rater] = order.tolist()
        ranks[item] = given
    return ranks


def test_of_rankings_the_random_one_and_the_one_turned_round_are_found() -> None:
    share = [0.0, 0.1, 0.0, 0.2, 0.1, 1.0, 0.0]
    fit = fitted(list(comparisons_of(noisy_rankings(1, share))))
    assert fit.converged
    assert eta_of(fit, 5).low < 0.5 < eta_of(fit, 5).high
    assert eta_of(fit, 6).high < 0.3
    assert min(eta_of(fit, rater).low for rater in range(5)) > 0.6
    assert eta_of(fit, 0).n == 6 * sum(0 in given for given in noisy_rankings(1, share).values())


def test_a_ranking_counts_as_one_comparison_less_than_it_has_responses() -> None:
    said = list(comparisons_of({"prompt": {"Ben": [1, 2, 2, 4]}}, clusters={"prompt": "document"}))
    assert sum(comparison.weight for comparison in said) == pytest.approx(3)
    assert [comparison.outcome for comparison in said] == [1, 1, 1, 0.5, 1, 1]
    assert said[0][:3] == ("Ben", ("prompt", 0), ("prompt", 1))
    assert {comparison.cluster for comparison in said} == {("cluster", "document")}
    assert list(comparisons_of({"prompt": {}})) == []


def test_a_ranking_with_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="item 'prompt' has a response without a rank"):
        list(comparisons_of({"prompt": {"Ben": [1, float("nan"), 2]}}))


def test_items_that_share_a_prompt_widen_the_intervals() -> None:
    ranks = noisy_rankings(2, [0.0, 0.3, 0.6, 0.2, 0.0], count=60)
    copies: Ranks = {(item, copy): given for item, given in ranks.items() for copy in range(3)}
    prompts: dict[Hashable, Hashable] = {(item, copy): item for item in ranks for copy in range(3)}
    alone = fitted(list(comparisons_of(copies)))
    together = fitted(list(comparisons_of(copies, clusters=prompts)))
    for rater in range(4):
        narrow, wide = eta_of(alone, rater), eta_of(together, rater)
        assert wide.value == pytest.approx(narrow.value)
        assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)


def test_a_tie_is_half_a_win_each_way() -> None:
    ties = [Comparison(rater, "a", "b", 0.5) for rater in "xyz" for _ in range(30)]
    fit = fitted(ties)
    assert fit.scores == {"a": pytest.approx(0), "b": pytest.approx(0)}
    halves = [Comparison(rater, "a", "b", won, 0.5) for rater in "xyz" for _ in range(30) for won in (0, 1)]
    assert fitted(halves).scores == {"a": pytest.approx(0), "b": pytest.approx(0)}
    mixed = fitted([*ties, Comparison("x", "a", "b", 1.0), Comparison("y", "b", "a", 0.0)])
    assert mixed.scores["a"] > 0 > mixed.scores["b"]


def test_swapping_first_and_second_changes_nothing() -> None:
    said, _, _ = models(3)
    turned = [c._replace(first=c.second, second=c.first, outcome=1 - c.outcome) for c in said]
    before, after = fitted(said), fitted(turned)
    for rater in range(12):
        assert eta_of(before, rater).value == pytest.approx(eta_of(after, rater).value)
    assert before.scores == pytest.approx({key: after.scores[key] for key in before.scores})


def test_solving_in_small_batches_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said, _, _ = items(4, items=80)
    whole = fitted(said)
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 200)
    parts = fitted(said)
    assert parts.scores == pytest.approx(whole.scores)
    assert [eta_of(parts, r).value for r in range(10)] == pytest.approx(
        [eta_of(whole, r).value for r in range(10)]
    )


def test_of_two_people_nobody_can_say_who_is_reliable() -> None:
    said, _, _ = items(5, items=100, raters=2, each=2)
    assert fitted(said).eta == {0: None, 1: None}
    alone, _, _ = items(5, items=100, raters=1, each=1)
    assert fitted(alone).eta == {0: None}


def test_fewer_than_ten_items_give_no_eta() -> None:
    said, _, _ = items(6, items=60, raters=4, each=4)
    few = [Comparison("Ben", (item, 0), (item, 1), 1.0, cluster=item) for item in range(9)]
    assert fitted(said + few).eta["Ben"] is None
    tenth = Comparison("Ben", (9, 0), (9, 1), 1.0, cluster=9)
    assert fitted([*said, *few, tenth]).eta["Ben"] is not None


def test_a_fit_that_was_cut_short_says_so() -> None:
    said, _, _ = items(7, items=60)
    cut = crowd_bt(said, max_rounds=1)
    assert cut is not None
    assert (cut.rounds, cut.converged) == (1, False)


@pytest.mark.parametrize(
    "odd",
    [
        Comparison("Ben", "a", "a", 1.0),
        Comparison("Ben", "a", "b", 1.5),
        Comparison("Ben", "a", "b", float("nan")),
        Comparison("Ben", "a", "b", 1.0, weight=0.0),
        Comparison("Ben", "a", "b", 1.0, weight=float("inf")),
    ],
)
def test_what_cannot_be_a_comparison_is_refused(odd: Comparison) -> None:
    with pytest.raises(ValueError, match="cannot be: a comparison has two different responses"):
        crowd_bt([odd])


def test_nothing_gives_nothing_and_too_much_at_once_is_refused() -> None:
    assert crowd_bt([]) is None
    endless = [Comparison("Ben", number, number + 1, 1.0) for number in range(1_000)]
    with pytest.raises(ValueError, match=r"connect 1,001 responses with one another; at most 1,000"):
        crowd_bt(endless)


@needs_shared_data
def test_a_real_crowd_of_votes_gives_the_published_ranking_and_finds_the_competent() -> None:
    # UKPConvArg1 (CC BY 4.0). figures.json: mean Spearman with the published ranking -0.909 over 32 topics, by plain
    # Bradley-Terry; competence is the authors', by MACE. Here are four of the topics.
    folder = SHARED_DATA / "ukpconvarg1"
    topics = sorted(path.stem for path in (folder / "ranking").glob("*.csv"))[:4]
    outcomes = {"a1": 1.0, "a2": 0.0, "equal": 0.5}
    with gzip.open(folder / "assignments.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["topic"] in topics]
    said = [Comparison(row["worker"], row["arg1_id"], row["arg2_id"], outcomes[row["value"]]) for row in rows]
    fit = fitted(said)
    assert fit.converged
    found, wins = [], defaultdict(list)
    for c in said:
        wins[c.first].append(c.outcome)
        wins[c.second].append(1 - c.outcome)
    for topic in topics:
        with (folder / "ranking" / f"{topic}.csv").open() as file:
            published = {row["#id"]: float(row["rank"]) for row in csv.DictReader(file, delimiter="\t")}
        found.append(stats.spearmanr([fit.scores[key] for key in published], [*published.values()]).statistic)
        shares = [float(np.mean(wins[key])) for key in published]
        assert found[-1] <= stats.spearmanr(shares, [*published.values()]).statistic + 0.02
    assert np.mean(found) == pytest.approx(-0.909, abs=0.03)
    competence = {row["worker"]: float(row["worker_competence"]) for row in rows if row["worker_competence"]}
    busy = [worker for worker, eta in fit.eta.items() if eta and eta.n >= 30 and worker in competence]
    known = [competence[str(worker)] for worker in busy]
    assert stats.spearmanr([eta_of(fit, worker).value for worker in busy], known).statistic > 0.3
