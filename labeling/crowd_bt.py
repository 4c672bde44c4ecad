"""How reliable each rater is where people rank or compare: Bradley-Terry with raters who may answer wrongly.

The model is Crowd-BT (Chen, Bennett, Collins-Thompson and Horvitz 2013, "Pairwise ranking aggregation in a
crowdsourced setting", WSDM): rater k says that i beats j with probability eta_k s + (1 - eta_k)(1 - s), where
s = sigmoid(score_i - score_j). An eta of 1 answers as Bradley-Terry says, .5 at random, 0 always the other way
round. A tie is half a win each way. The priors: scores are N(0, 1), as in the paper's Bayesian version; eta has
one comparison more, .8 of it right.

The paper finds scores and etas together. With a few responses an item, as here, scores then follow the votes and
every eta drifts towards 1: by .11 to .22 in simulations with 2 to 4 responses and 3 to 5 raters an item. So
here scores have a Gaussian posterior (Laplace's) that is averaged over, and every rater is judged by the scores
that the others' votes give, without their own. In the same simulations eta is then off by less than .02 on
average where scores are N(0, 1). Their real spread cannot be told from such data; at a spread of 1.5 every eta
comes out .06 too high, at .7 as much too low, in the same order. So the model is fitted with these spreads too,
and the intervals hold those of all three: between these spreads they held the truth 86 to 100 times in 100.
Plain choices between two responses are told better by `labeling.reliability.dawid_skene`.
"""

import math
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labeling.estimates import Estimate
from labeling.rankings import Comparison
from labeling.reliability import Judged, can_be_told_apart, judged_by_others
from labeling.resampling import Codes, Floats

MAX_ROUNDS = 200
TOLERANCE = 1e-3
SPREADS = (1.0, 0.7, 1.5)  # of the scores: the first gives the values, all of them the intervals
MAX_CONNECTED = 1_000
NUMBERS_AT_ONCE = 4_000_000  # in the matrices of a batch: 32 MB each
PRIOR_RIGHT = 0.8  # also where eta starts
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class CrowdBT:
    """The fitted model.

    scores: of each response, in logits, with mean 0 among the responses that comparisons connect; those of
        different sets cannot be compared.
    eta: of each rater, from 0 to 1, from n comparisons, with an interval around those of `judged_by_others` under
        SPREADS. None with fewer than MIN_UNITS clusters of comparisons, and where `can_be_told_apart` says no.
    converged: no eta moved by more than TOLERANCE in the last of `rounds`, under any of SPREADS.
    """

    scores: dict[Hashable, float]
    eta: dict[Hashable, Estimate | None]
    rounds: int
    converged: bool


class _Votes(NamedTuple):
    """Comparisons with a winner; a tie is two of half the weight."""

    rater: Codes
    winner: Codes
    loser: Codes
    weight: Floats
    cluster: Codes


class _Batch(NamedTuple):
    """Connected sets of equally many responses, solved together; a block is what one rater said in one set."""

    votes: Codes
    responses: Codes  # sets x size
    set_of: Codes  # per vote
    winner: Codes  # per vote, place in its set
    loser: Codes
    block_of: Codes  # per vote
    set_of_block: Codes


class _Fit(NamedTuple):
    scores: Floats
    eta: list[Estimate | None]
    rounds: int
    moved: float


def crowd_bt(comparisons: Iterable[Comparison], *, max_rounds: int = MAX_ROUNDS) -> CrowdBT | None:
    """Fit scores and etas; None without comparisons.

    ValueError for a response compared with itself, an outcome outside 0 to 1, a weight not above 0, or more than
    MAX_CONNECTED responses that comparisons connect (time grows with their cube).
    """
    responses, raters, n, votes = _read(comparisons)
    if not raters:
        return None
    sets = _connected(votes, len(responses))
    batches = list(_batches(votes, sets, len(raters)))
    fits = [_fit(votes, batches, len(responses), n, spread, max_rounds) for spread in SPREADS]
    told = can_be_told_apart(sets[votes.winner], votes.rater, len(raters))
    return CrowdBT(
        scores=dict(zip(responses, fits[0].scores.tolist(), strict=True)),
        eta={
            rater: _around([fit.eta[r] for fit in fits]) if told[r] else None
            for r, rater in enumerate(raters)
        },
        rounds=fits[0].rounds,
        converged=all(fit.moved <= TOLERANCE for fit in fits),
    )


def _fit(
    votes: _Votes, batches: list[_Batch], responses: int, n: Codes, spread: float, max_rounds: int
) -> _Fit:
    scores, right = np.zeros(responses), np.empty(len(votes.rater))
    eta, rounds, moved = np.full(len(n), PRIOR_RIGHT), 0, np.inf
    while rounds == 0 or (moved > TOLERANCE and rounds < max_rounds):
        rounds += 1
        for batch in batches:
            right[batch.votes] = _judge(votes, batch, scores, eta, 1 / spread**2)
        before, eta = eta, _eta(votes, right, eta)
        moved = float(np.abs(eta - before).max())
    chances = np.stack([right, 1 - right], axis=1)
    judged = Judged(votes.rater, np.zeros_like(votes.rater), chances, votes.weight, votes.cluster)
    return _Fit(scores, judged_by_others(eta, n, judged), rounds, moved)


def _around(found: list[Estimate | None]) -> Estimate | None:
    """The first estimate, with an interval that holds those of all."""
    known = [estimate for estimate in found if estimate]
    if len(known) < len(found):
        return None
    low, high = min(estimate.low for estimate in known), max(estimate.high for estimate in known)
    return Estimate(known[0].value, low, high, known[0].n)


def _read(comparisons: Iterable[Comparison]) -> tuple[list[Hashable], list[Hashable], Codes, _Votes]:
    responses: dict[Hashable, int] = {}
    raters: dict[Hashable, int] = {}
    clusters: dict[Hashable, int] = {}
    rows = []
    for said in comparisons:
        if said.first == said.second or not 0 <= said.outcome <= 1 or not 0 < said.weight < math.inf:
            raise ValueError(
                f"{said} cannot be: a comparison has two different responses, an outcome from 0 to 1 and a "
                "weight above 0."
            )
        first = responses.setdefault(said.first, len(responses))
        second = responses.setdefault(said.second, len(responses))
        rater = raters.setdefault(said.rater, len(raters))
        key = object() if said.cluster is None else said.cluster
        cluster = clusters.setdefault(key, len(clusters))
        rows.append((rater, first, second, cluster, said.outcome, said.weight))
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    rater, first, second, cluster = table[:, :4].T.astype(np.intp)
    outcome, weight = table[:, 4], table[:, 5]
    both = np.concatenate
    votes = _Votes(
        both([rater, rater]),
        both([first, second]),
        both([second, first]),
        both([outcome * weight, (1 - outcome) * weight]),
        both([cluster, cluster]),
    )
    kept = votes.weight > 0
    n = np.bincount(rater, minlength=len(raters))
    return list(responses), list(raters), n, _Votes(*(column[kept] for column in votes))  # type: ignore[arg-type]


def _connected(votes: _Votes, responses: int) -> Codes:
    """For each response the lowest number of those it is connected with by comparisons."""
    lowest = np.arange(responses)
    while True:
        lower = lowest.copy()
        np.minimum.at(lower, votes.winner, lowest[votes.loser])
        np.minimum.at(lower, votes.loser, lowest[votes.winner])
        lower = lower[lower]
        if np.array_equal(lower, lowest):
            break
        lowest = lower
    largest = int(np.bincount(lowest).max())
    if largest > MAX_CONNECTED:
        raise ValueError(
            f"Comparisons connect {largest:,} responses with one another; at most {MAX_CONNECTED:,} can be "
            "scored together. Compare within items or topics."
        )
    return lowest


def _batches(votes: _Votes, sets: Codes, raters: int) -> Iterator[_Batch]:
    roots, number, sizes = np.unique(sets, return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    place = np.empty(len(sets), dtype=np.intp)
    place[order] = np.arange(len(sets)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    home = number[votes.winner]
    blocks = np.bincount(np.unique(home * raters + votes.rater) // raters, minlength=len(roots))
    for size in np.unique(sizes[sizes > 1]):
        numbers = np.where(sizes == size, blocks, 0) * size**2
        part = np.where(sizes == size, np.cumsum(numbers) // NUMBERS_AT_ONCE, -1)
        for chunk in np.unique(part[part >= 0]):
            chosen = np.flatnonzero(part[home] == chunk)
            inside, set_of = np.unique(home[chosen], return_inverse=True)
            block, block_of = np.unique(set_of * raters + votes.rater[chosen], return_inverse=True)
            yield _Batch(
                chosen,
                order[(np.cumsum(sizes) - sizes)[inside][:, None] + np.arange(size)],
                set_of,
                place[votes.winner[chosen]],
                place[votes.loser[chosen]],
                block_of,
                block // raters,
            )


def _judge(votes: _Votes, batch: _Batch, scores: Floats, eta: Floats, certainty: float) -> Floats:
    """Improve the batch's scores in place; the chance that each vote's winner is the better by the others."""
    sets, blocks = len(batch.responses), len(batch.set_of_block)
    prior = certainty * np.eye(batch.responses.shape[1])
    for _ in range(2):
        gap, slope, information, _ = _slopes(votes, batch, scores, eta)
        precision = _matrices(batch, batch.set_of, sets, information) + prior
        pull = _vectors(batch, batch.set_of, sets, slope) - certainty * scores[batch.responses]
        scores[batch.responses] += np.linalg.solve(precision, pull[:, :, None])[:, :, 0]
    gap, slope, _, bend = _slopes(votes, batch, scores, eta)
    precision = (_matrices(batch, batch.set_of, sets, bend) + prior)[batch.set_of_block]
    pull = _vectors(batch, batch.set_of, sets, slope + bend * gap)[batch.set_of_block]
    spread = np.linalg.inv(precision - _matrices(batch, batch.block_of, blocks, bend))
    mean = np.einsum("bij,bj->bi", spread, pull - _vectors(batch, batch.block_of, blocks, slope + bend * gap))
    b, i, j = batch.block_of, batch.winner, batch.loser
    variance = spread[b, i, i] + spread[b, j, j] - 2 * spread[b, i, j]
    return _sigmoid((mean[b, i] - mean[b, j]) / np.sqrt(1 + np.pi / 8 * variance))  # MacKay 1992


def _slopes(
    votes: _Votes, batch: _Batch, scores: Floats, eta: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Of each vote: the gap of scores, and its log likelihood's slope, Fisher information and bend there.

    The bend is minus the second derivative, 0 at least: following it takes a rater's votes out exactly where
    Fisher's information would leave a trace of them in the scores.
    """
    gap = scores[votes.winner[batch.votes]] - scores[votes.loser[batch.votes]]
    straight, weight = 2 * eta[votes.rater[batch.votes]] - 1, votes.weight[batch.votes]
    better = _sigmoid(gap)
    likelihood = np.clip((1 - straight) / 2 + straight * better, TINY, 1 - TINY)
    change = straight * better * (1 - better)
    slope = change / likelihood
    information = slope * change / (1 - likelihood)
    bend = np.maximum(slope**2 - slope * (1 - 2 * better), 0.0)
    return gap, weight * slope, weight * information, weight * bend


def _matrices(batch: _Batch, to: Codes, count: int, values: Floats) -> Floats:
    """Sums of value * (e_winner - e_loser)(e_winner - e_loser)' over the votes of each set or block."""
    size = batch.responses.shape[1]
    i, j, total = batch.winner, batch.loser, count * size * size
    sums = np.zeros(total)
    for row, column, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
        sums += sign * np.bincount((to * size + row) * size + column, values, total)
    return sums.reshape(count, size, size)


def _vectors(batch: _Batch, to: Codes, count: int, values: Floats) -> Floats:
    size = batch.responses.shape[1]
    up = np.bincount(to * size + batch.winner, values, count * size)
    down = np.bincount(to * size + batch.loser, values, count * size)
    return np.asarray(up - down, dtype=np.float64).reshape(count, size)


def _eta(votes: _Votes, right: Floats, eta: Floats) -> Floats:
    """Half the way to the etas that make the votes likeliest, given how the others judge them.

    The whole way would, in some data with raters who contradict each other, swing to and fro for ever.
    """
    best = eta
    for _ in range(4):
        of_vote = best[votes.rater]
        change = (2 * right - 1) / (of_vote * right + (1 - of_vote) * (1 - right))
        slope = PRIOR_RIGHT / best - (1 - PRIOR_RIGHT) / (1 - best)
        slope = slope + np.bincount(votes.rater, votes.weight * change, len(eta))
        bend = PRIOR_RIGHT / best**2 + (1 - PRIOR_RIGHT) / (1 - best) ** 2
        bend = bend + np.bincount(votes.rater, votes.weight * change**2, len(eta))
        best = np.clip(best + slope / bend, best / 2, (1 + best) / 2)
    return (eta + best) / 2


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
