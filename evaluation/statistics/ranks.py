"""Which ranks a model may hold, from all pairwise contrasts at once."""

from collections.abc import Hashable
from itertools import combinations
from typing import NamedTuple

from scipy import stats

from evaluation.statistics.checking import share_between
from evaluation.statistics.multiplicity import holm
from evaluation.statistics.rating import Ratings


class RankInterval(NamedTuple):
    """Rank 1 is best; the model's rank lies within `best` to `worst`."""

    model: Hashable
    best: int
    worst: int


def rank_intervals(ratings: Ratings, *, alpha: float = 0.05) -> list[RankInterval]:
    """Ranks that the pairwise contrasts leave open, for every model, best rating first.

    `best` is one more than the number of models that are better, `worst` the number of models that are not
    worse, each by the contrast's own variance with t on clusters - 1 degrees of freedom. Holm over all pairs:
    with probability 1 - alpha or more, all intervals hold their true ranks together (after Mogstad, Romano,
    Shaikh and Wilhelm 2024, Review of Economic Studies 91). A contrast without variance tells nothing.
    """
    share_between(alpha, "alpha")
    pairs = list(combinations(range(len(ratings.models)), 2))
    adjusted = holm([_p(ratings, i, j) for i, j in pairs])
    better, worse = [0] * len(ratings.models), [0] * len(ratings.models)
    for (i, j), p in zip(pairs, adjusted, strict=True):
        if p <= alpha:
            winner, loser = (i, j) if ratings.theta[i] > ratings.theta[j] else (j, i)
            better[loser] += 1
            worse[winner] += 1
    order = sorted(range(len(ratings.models)), key=lambda place: -float(ratings.theta[place]))
    return [
        RankInterval(ratings.models[place], 1 + better[place], len(ratings.models) - worse[place])
        for place in order
    ]


def _p(ratings: Ratings, i: int, j: int) -> float:
    error = ratings.contrast_error(ratings.models[i], ratings.models[j])
    if error <= 1e-12 or ratings.clusters < 2:
        return 1.0
    distance = abs(float(ratings.theta[i] - ratings.theta[j]))
    return float(2 * stats.t.sf(distance / error, ratings.clusters - 1))
