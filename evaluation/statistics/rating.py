"""Bradley-Terry ratings from comparisons of models, with errors that know which comparisons share a prompt.

P(i beats j) = sigmoid(theta_i - theta_j), the thetas adding up to 0. Ties are half a win each way, or have a
probability of their own (Davidson 1970, JASA 65). The covariance is the sandwich of Chiang et al. (2024, arXiv
2403.04132), its middle summed by cluster: the same prompt judged in two orders, or by three judges, or with
three pairs of models is one piece of evidence. Where two orders count apart, intervals of 95 % cover 87 % in
benchmarks/coverage.py.

For two models a win rate says the same more plainly (`evaluation.statistics.winrate`).
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import coo_array, csgraph

from evaluation.statistics.checking import Floats, numbers
from evaluation.statistics.clustered import Clusters, Codes, codes_of, t95
from labeling.estimates import Estimate

Ties = Literal["half", "davidson"]

CENTRE = 1_000.0
POINTS = 400 / math.log(10)  # rating points of one unit of theta, as in chess
MAX_STEPS = 200
SINGULAR = 1e-10  # of the largest eigenvalue: equal thetas are no information


class Disconnected(ValueError):
    """No finite ratings: some models are not joined to the others by wins and losses both ways."""


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Strengths of models, in log odds (theta) and as ratings of CENTRE + POINTS theta.

    `covariance` is of the thetas, models x models, in the order of `models`; `nu` is Davidson's weight of ties
    (two equal models tie with chance nu / (2 + nu)), None for half ties; `clusters` counts independent pieces.
    """

    models: tuple[Hashable, ...]
    theta: Floats
    covariance: Floats
    nu: float | None
    n: int
    clusters: int

    def rating(self, model: Hashable) -> Estimate | None:
        """The rating with its interval against the mean of all models; to compare two, use `contrast`."""
        place = self.models.index(model)
        weights = np.full(len(self.models), 0.0)
        weights[place] = 1.0
        found = self._estimate(weights)
        if found is None:
            return None
        value, low, high = (CENTRE + POINTS * number for number in (found.value, found.low, found.high))
        return Estimate(value, low, high, self.n)

    def contrast(self, model: Hashable, other: Hashable) -> Estimate | None:
        """theta of a model less that of another, in log odds, by the variance of the contrast itself."""
        return self._estimate(self._between(model, other))

    def contrast_error(self, model: Hashable, other: Hashable) -> float:
        """The standard error of `contrast`: sqrt(e'Ve)."""
        weights = self._between(model, other)
        return math.sqrt(max(0.0, float(weights @ self.covariance @ weights)))

    def _between(self, model: Hashable, other: Hashable) -> Floats:
        weights = np.zeros(len(self.models))
        weights[self.models.index(model)] += 1.0
        weights[self.models.index(other)] -= 1.0
        return weights

    def _estimate(self, weights: Floats) -> Estimate | None:
        error = math.sqrt(max(0.0, float(weights @ self.covariance @ weights)))
        if error <= 1e-12 or self.clusters < 2:
            return None
        value, half = float(weights @ self.theta), t95(self.clusters - 1) * error
        return Estimate(value, value - half, value + half, self.n)


class Rows(NamedTuple):
    """Columns for `bradley_terry`, one entry a comparison."""

    first: list[Hashable]
    second: list[Hashable]
    outcomes: list[float]


def rows_of_counts(counts: Iterable[tuple[Hashable, Hashable, int, int, int]]) -> Rows:
    """Single comparisons from (first, second, wins of first, wins of second, ties): each on its own, so use it
    only where no prompt came twice."""
    rows = Rows([], [], [])
    for first, second, wins, losses, ties in counts:
        if min(wins, losses, ties) < 0:
            raise ValueError(f"Counts are zero or more, not {wins}, {losses} and {ties}.")
        total = wins + losses + ties
        rows.first.extend([first] * total)
        rows.second.extend([second] * total)
        rows.outcomes.extend([1.0] * wins + [0.0] * losses + [0.5] * ties)
    return rows


def bradley_terry(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    outcomes: Sequence[float],
    clusters: Clusters = None,
    *,
    ties: Ties = "half",
) -> Ratings | None:
    """Maximum likelihood ratings from one row a comparison.

    `outcomes` is 1 where the first model won, 0 where the second did, 0.5 for a tie. Models come in order of
    appearance. None without a comparison. Disconnected (a ValueError) where no finite maximum exists; its
    sentence names the models. ValueError for other outcomes, for a model compared with itself, and for
    Davidson's ties where every comparison is one.
    """
    y = numbers(outcomes, "outcomes")
    if not len(first) == len(second) == len(y):
        raise ValueError(f"{len(first)} first and {len(second)} second models for {len(y)} outcomes.")
    if not np.all(np.isin(y, (0, 0.5, 1))):
        raise ValueError("An outcome is 1, 0.5 or 0: the first won, a tie, the second won.")
    place: dict[Hashable, int] = {}
    for pair in zip(first, second, strict=True):
        if pair[0] == pair[1]:
            raise ValueError(f"{pair[0]} is compared with itself; leave those rows out.")
        for model in pair:
            place.setdefault(model, len(place))
    if len(y) == 0:
        return None
    i = np.fromiter((place[model] for model in first), dtype=np.intp, count=len(y))
    j = np.fromiter((place[model] for model in second), dtype=np.intp, count=len(y))
    _refuse_disconnected(tuple(place), i, j, y)
    davidson = ties == "davidson" and bool(np.any(y == 0.5))
    if davidson and np.all(y == 0.5):
        raise ValueError("Every comparison is a tie; there is nothing to rate.")
    design = _Design(i, j, y, len(place), davidson)
    found = design.maximum()
    codes = codes_of(clusters, len(y))
    covariance = design.sandwich(found, codes)
    nu = math.exp(found[-1]) if davidson else (0.0 if ties == "davidson" else None)
    return Ratings(
        models=tuple(place),
        theta=found[: len(place)],
        covariance=covariance[: len(place), : len(place)],
        nu=nu,
        n=len(y),
        clusters=len(np.unique(codes)),
    )


class _Design(NamedTuple):
    """The likelihood: parameters are the thetas and, for Davidson's ties, log nu behind them."""

    i: Codes
    j: Codes
    y: Floats
    models: int
    davidson: bool

    def maximum(self) -> Floats:
        """Newton's method, halving steps that lose likelihood: it is concave in the thetas and log nu."""
        found = np.zeros(self.models + self.davidson)
        value = self._log_likelihood(found)
        for _ in range(MAX_STEPS):
            step = self.inverse(found) @ self.scores(found).sum(axis=0)
            while (tried := self._log_likelihood(found + step)) < value - 1e-9 * abs(value):
                step = step / 2
            found, value = found + step, tried
            found[: self.models] -= found[: self.models].mean()
            if np.abs(step).max() < 1e-10:
                break
        return found

    def sandwich(self, found: Floats, codes: Codes) -> Floats:
        bread = self.inverse(found)
        sums = np.zeros((int(codes.max()) + 1, len(found)))
        np.add.at(sums, codes, self.scores(found))
        return np.asarray(bread @ sums.T @ sums @ bread, dtype=np.float64)

    def inverse(self, found: Floats) -> Floats:
        """Of the information, among thetas that add up to 0."""
        return np.asarray(np.linalg.pinv(self.information(found), rcond=SINGULAR, hermitian=True))

    def scores(self, found: Floats) -> Floats:
        """Gradient of each comparison's log-likelihood: comparisons x parameters."""
        win, loss, tie = self._chances(found)
        slope = (2 * self.y - 1 - win + loss) / 2
        rows = np.zeros((len(self.y), len(found)))
        places = np.arange(len(self.y))
        rows[places, self.i], rows[places, self.j] = slope, -slope
        if self.davidson:
            rows[:, -1] = (self.y == 0.5) - tie
        return rows

    def information(self, found: Floats) -> Floats:
        """The negative second derivative, parameters x parameters; singular along equal thetas."""
        win, loss, tie = self._chances(found)
        matrix = np.zeros((len(found), len(found)))
        curve = (win + loss - (win - loss) ** 2) / 4
        for rows, columns, sign in ((self.i, self.i, 1), (self.j, self.j, 1), (self.i, self.j, -1)):
            np.add.at(matrix, (rows, columns), sign * curve)
        np.add.at(matrix, (self.j, self.i), -curve)
        if self.davidson:
            cross = -(win - loss) * tie / 2
            column = np.bincount(self.i, cross, self.models) - np.bincount(self.j, cross, self.models)
            matrix[:-1, -1] = matrix[-1, :-1] = column
            matrix[-1, -1] = np.sum(tie * (1 - tie))
        return matrix

    def _chances(self, found: Floats) -> tuple[Floats, Floats, Floats]:
        log = self._logits(found)
        chances = np.exp(log - np.logaddexp.reduce(log, axis=0))
        return chances[0], chances[1], chances[2]

    def _logits(self, found: Floats) -> Floats:
        half = (found[self.i] - found[self.j]) / 2
        return np.stack([half, -half, np.full_like(half, found[-1] if self.davidson else -np.inf)])

    def _log_likelihood(self, found: Floats) -> float:
        log = self._logits(found)
        if self.davidson:
            seen = np.where(self.y == 0.5, log[2], (2 * self.y - 1) * log[0])
        else:
            seen = (2 * self.y - 1) * log[0]
        return float(np.sum(seen - np.logaddexp.reduce(log, axis=0)))


def _refuse_disconnected(models: tuple[Hashable, ...], i: Codes, j: Codes, y: Floats) -> None:
    """An edge leads from each model to those it did not always lose to; ties lead both ways."""
    start = np.concatenate([i[y > 0], j[y < 1]])
    end = np.concatenate([j[y > 0], i[y < 1]])
    graph = coo_array((np.ones(len(start)), (start, end)), shape=(len(models), len(models)))
    count, labels = csgraph.connected_components(graph.tocsr(), directed=True, connection="strong")
    if count == 1:
        return
    groups = [
        ", ".join(str(models[place]) for place in np.flatnonzero(labels == label)) for label in range(count)
    ]
    raise Disconnected(
        f"No finite ratings: between the groups ({'), ('.join(sorted(groups))}) no wins run both ways. "
        "Compare them more, or leave models out."
    )
