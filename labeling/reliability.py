"""How often each rater is right where nobody knows the truth: the model of Dawid and Skene, for choices.

Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied
Statistics 28: every unit has one true class, every rater a confusion matrix, and raters err independently of
each other given the truth. Units that mislead everyone alike break that last assumption; then accuracies come
out too high: in a real crowd with known truth .86 on average, where .69 was right, though the confusion
matrices were in the right order. Known answers (gold) tell more, where there are enough. `labeling.crowd_bt`
is for rankings.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeling.estimates import Estimate, wilson_bounds
from labeling.resampling import MIN_UNITS, Clusters, Codes, Floats, group_codes, t95

MAX_ROUNDS = 1_000
TOLERANCE = 1e-4
EDGE, HALVINGS = 1e-6, 16  # accuracies are looked for between the edges, to 0.00002
TINY = 1e-300  # keeps the logarithm of an empty cell finite where smoothing is 0


@dataclass(frozen=True, slots=True, eq=False)
class DawidSkene:
    """The fitted model. `units`, `raters` and `categories` name the axes of the arrays, as they first appeared.

    posteriors: units x categories, the chance that the unit's true class is each category; rows sum to 1.
    prevalence: the share of each class among the units.
    confusion: raters x true class x label given, the chance of each label; the last axis sums to 1.
    accuracy: of each rater the share of labels that are the true class, over the n labels on units that others
        labelled too, with the interval of `judged_by_others`. None with fewer than MIN_UNITS such labels (or
        clusters), and where `can_be_told_apart` says no.
    log_likelihood: of all labels, natural logarithm, without the prior.
    converged: no posterior moved by more than TOLERANCE in the last of `rounds`.
    """

    units: list[Hashable]
    raters: list[Hashable]
    categories: list[Hashable]
    posteriors: Floats
    prevalence: Floats
    confusion: Floats
    accuracy: dict[Hashable, Estimate | None]
    log_likelihood: float
    rounds: int
    converged: bool


class Judged(NamedTuple):
    """One entry an answer: who gave it, which category it is, the chance of each category to be the true one as
    judged from the others' answers only (answers x categories), how many answers it counts as, its cluster."""

    rater: Codes
    given: Codes
    chances: Floats
    weight: Floats
    cluster: Codes


class _Labels(NamedTuple):
    unit: Codes
    rater: Codes
    given: Codes
    units: int
    raters: int
    categories: int


def dawid_skene(
    labels: Iterable[tuple[Hashable, Hashable, Hashable]],
    *,
    clusters: Clusters | None = None,
    smoothing: float = 1.0,
    max_rounds: int = MAX_ROUNDS,
) -> DawidSkene | None:
    """Fit by EM, started from the shares of votes; `labels` are (unit, rater, label) in any order.

    Any rater may miss any unit; a second label by the same rater on a unit counts as another one. `smoothing`
    is the prior: in each row of each confusion matrix as many labels, spread evenly over the categories, count
    beside the rater's own (a Dirichlet prior); 0 is the paper's maximum likelihood. `clusters` maps unit ->
    cluster key and widens the intervals. None without labels; ValueError for a smoothing below 0.
    """
    if not smoothing >= 0:
        raise ValueError(f"Smoothing is a number of labels and at least 0, not {smoothing}.")
    units, raters, categories, data = _read(labels)
    if not units:
        return None
    posteriors = np.zeros((data.units, data.categories))
    np.add.at(posteriors, (data.unit, data.given), 1.0)
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    rounds, moved = 0, np.inf
    while rounds == 0 or (moved > TOLERANCE and rounds < max_rounds):
        rounds += 1
        prevalence, confusion = _parameters(data, posteriors, smoothing)
        joint = _joint(data, prevalence, confusion)
        before, posteriors = posteriors, _normalised(joint)
        moved = float(np.abs(posteriors - before).max())
    accuracy = _accuracies(data, posteriors, joint, confusion, group_codes(units, clusters))
    return DawidSkene(
        units=units,
        raters=raters,
        categories=categories,
        posteriors=posteriors,
        prevalence=prevalence,
        confusion=confusion,
        accuracy=dict(zip(raters, accuracy, strict=True)),
        log_likelihood=float(np.sum(np.logaddexp.reduce(joint, axis=1))),
        rounds=rounds,
        converged=moved <= TOLERANCE,
    )


def judged_by_others(value: Floats, n: Codes, judged: Judged) -> list[Estimate | None]:
    """Each rater's `value`, a share of right answers, with a score interval: Wilson's, had the truth been known.

    Under an accuracy a, an answer that the others hold right with chance q is as likely as a q + (1 - a)(1 - q) /
    (categories - 1). The interval holds each a that a score test of these likelihoods does not reject, moved by
    what `value` differs from the likeliest a, and is never narrower than with known truth. Answers of one cluster
    count together (t on clusters - 1 degrees of freedom, and the design effect, at least 1). The doubt about the
    other raters is left out: on data simulated from the model of Dawid and Skene the intervals held the truth 90
    to 97 times in 100, but 76 where nobody was right more than 60 times. `n` is what the estimates report. None
    with fewer than MIN_UNITS clusters, or where the others say nothing.
    """
    raters, total = len(value), np.bincount(judged.rater, judged.weight, len(value))
    best = _crossing(judged, np.zeros(raters))
    clusters, design = _design(judged, best)
    quantile = np.array([t95(int(count) - 1) if count >= MIN_UNITS else np.nan for count in clusters])
    low, high = (_crossing(judged, side * quantile * design) + value - best for side in (1, -1))
    informed = _sums(judged, best)[1] > 1e-9
    found: list[Estimate | None] = [None] * raters
    for r in np.flatnonzero(informed & (clusters >= MIN_UNITS)):
        least, most = wilson_bounds(value[r], total[r] / design[r] ** 2, quantile[r])
        found[r] = Estimate(value[r], max(min(low[r], least), 0.0), min(max(high[r], most), 1.0), n[r])
    return found


def can_be_told_apart(unit: Codes, rater: Codes, raters: int) -> NDArray[np.bool_]:
    """Which raters share units with two others who also share units with each other.

    Two raters who agree on 82 % of yes-or-no units may be right on 90 % each, or one always and the other on
    82 %. It takes three, each pair with units in common, to tell who is right how often.
    """
    units, who = np.divmod(np.unique(unit * raters + rater), raters)
    together = np.zeros((raters, raters), dtype=np.float32)
    for step in range(1, raters):
        same = units[step:] == units[:-step]
        if not same.any():
            break
        together[who[step:][same], who[:-step][same]] = 1
    together = np.maximum(together, together.T)
    return np.asarray((together @ together * together).any(axis=1))


def _slopes(judged: Judged, accuracy: Floats) -> tuple[Floats, Floats]:
    """Per answer, at its rater's accuracy: the slope of its log likelihood, and its Fisher information."""
    a, categories = accuracy[judged.rater], judged.chances.shape[1]
    slope, information = np.zeros(len(a)), np.zeros(len(a))
    for category in range(categories):
        chance = judged.chances[:, category]
        change = (categories * chance - 1) / (categories - 1)
        share = change / (chance - change + a * change)
        information += change * share
        np.copyto(slope, share, where=judged.given == category)
    return slope, information


def _sums(judged: Judged, accuracy: Floats) -> tuple[Floats, Floats]:
    slope, information = _slopes(judged, accuracy)
    return _total(judged, judged.weight * slope, accuracy), _total(
        judged, judged.weight * information, accuracy
    )


def _total(judged: Judged, values: Floats, raters: Floats) -> Floats:
    return np.asarray(np.bincount(judged.rater, values, len(raters)), dtype=np.float64)


def _crossing(judged: Judged, reach: Floats) -> Floats:
    """Each rater's accuracy at which the slope is `reach` standard errors of it (0: the likeliest), by halving."""
    low, high = np.full(len(reach), EDGE), np.full(len(reach), 1 - EDGE)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        slope, information = _sums(judged, middle)
        above = slope > reach * np.sqrt(information)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray((low + high) / 2)


def _design(judged: Judged, accuracy: Floats) -> tuple[Codes, Floats]:
    """How many clusters each rater's answers have, and the root of the design effect, at least 1."""
    raters, base = len(accuracy), judged.cluster.max(initial=0) + 1
    slope = _slopes(judged, accuracy)[0]
    pieces, place = np.unique(judged.rater * base + judged.cluster, return_inverse=True)
    scatter = np.bincount(pieces // base, np.bincount(place, judged.weight * slope) ** 2, raters)
    plain = np.bincount(judged.rater, judged.weight * slope**2, raters)
    clusters = np.bincount(pieces // base, minlength=raters)
    effect = scatter / np.maximum(plain, TINY) * clusters / np.maximum(clusters - 1, 1)
    return clusters, np.asarray(np.sqrt(np.maximum(effect, 1.0)))


def _read(
    labels: Iterable[tuple[Hashable, Hashable, Hashable]],
) -> tuple[list[Hashable], list[Hashable], list[Hashable], _Labels]:
    units: dict[Hashable, int] = {}
    raters: dict[Hashable, int] = {}
    categories: dict[Hashable, int] = {}
    codes = [
        (
            units.setdefault(unit, len(units)),
            raters.setdefault(rater, len(raters)),
            categories.setdefault(label, len(categories)),
        )
        for unit, rater, label in labels
    ]
    unit, rater, given = np.array(codes, dtype=np.intp).reshape(-1, 3).T.copy()
    data = _Labels(unit, rater, given, len(units), len(raters), len(categories))
    return list(units), list(raters), list(categories), data


def _parameters(data: _Labels, posteriors: Floats, smoothing: float) -> tuple[Floats, Floats]:
    """The M step: prevalence and confusion from the posteriors."""
    cell, cells = data.rater * data.categories + data.given, data.raters * data.categories
    counts = np.empty((data.raters, data.categories, data.categories))
    for true, weight in enumerate(posteriors.T):
        counts[:, true] = np.bincount(cell, weight[data.unit], cells).reshape(data.raters, -1)
    counts += max(smoothing / data.categories, TINY)
    return posteriors.mean(axis=0), counts / counts.sum(axis=2, keepdims=True)


def _joint(data: _Labels, prevalence: Floats, confusion: Floats) -> Floats:
    """Logarithm of the chance of each class together with the unit's labels: units x categories."""
    cell = data.rater * data.categories + data.given
    joint = np.empty((data.units, data.categories))
    for true in range(data.categories):
        chances = np.log(np.maximum(confusion[:, true], TINY)).ravel()
        joint[:, true] = np.bincount(data.unit, chances[cell], data.units)
    return np.asarray(joint + np.log(np.maximum(prevalence, TINY)))


def _normalised(joint: Floats) -> Floats:
    shares = np.exp(joint - joint.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _accuracies(
    data: _Labels, posteriors: Floats, joint: Floats, confusion: Floats, clusters: Codes
) -> list[Estimate | None]:
    if data.categories < 2:
        return [None] * data.raters
    own, place = np.unique(data.unit * data.raters + data.rater, return_inverse=True)
    shared = np.bincount(own // data.raters, minlength=data.units)[data.unit] > 1
    chances = np.log(np.maximum(confusion, TINY))[data.rater, :, data.given]
    of_rater = np.zeros((len(own), data.categories))
    np.add.at(of_rater, place, chances)
    others = _normalised((joint[data.unit] - of_rater[place])[shared])
    unit, rater, given = data.unit[shared], data.rater[shared], data.given[shared]
    n = np.bincount(rater, minlength=data.raters)
    right = np.bincount(rater, posteriors[unit, given], data.raters) / np.maximum(n, 1)
    judged = Judged(rater, given, others, np.ones(len(rater)), clusters[unit])
    found = judged_by_others(np.minimum(right, 1.0), n, judged)
    told = can_be_told_apart(unit, rater, data.raters)
    return [estimate if told[r] else None for r, estimate in enumerate(found)]
