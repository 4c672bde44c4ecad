"""A few human labels and many of a judge: the judge's errors measured on the few, taken out of the many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from evaluation.statistics.checking import Floats, numbers, same_length
from evaluation.statistics.clustered import Clusters, codes_of, standard_error, sums_of
from evaluation.statistics.intervals import Ends, cut, score_estimate, weighted_mean_estimate
from labeling.estimates import Estimate

MIN_LABELLED = 20


@dataclass(frozen=True, slots=True)
class PredictionPowered:
    """`estimate` uses both; `labelled_only` the human labels alone; `judge_only` is the judge's mean over all
    items, with the judge's errors in it. `trust` (lambda, 0 to 1) is how far the judge is followed."""

    estimate: Estimate | None
    labelled_only: Estimate | None
    judge_only: float
    trust: float


def prediction_powered_mean(
    labels: Sequence[float],
    judged: Sequence[float],
    unlabelled: Sequence[float],
    *,
    probabilities: Sequence[float] | None = None,
    clusters: Clusters = None,
    unlabelled_clusters: Clusters = None,
    ends: Ends | None = None,
    tail: float = 0.05,
) -> PredictionPowered | None:
    """Mean label over all items by PPI++ (Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453).

    `labels` and `judged` are the human's and the judge's scores of the labelled items, `unlabelled` the
    judge's scores of the rest; all in one unit. theta = lambda mean(unlabelled) + mean(labels - lambda judged)
    with lambda = Cov / ((1 + n / N) Var), cut to 0 to 1. The labelled items are a random sample of all.

    Where a queue preferred some items, give each labelled one's probability of having been chosen in
    `probabilities`. Then theta = lambda mean of the judge over all + the weighted mean (Hajek) of labels -
    lambda judged, weights 1 / probability, and lambda is the one of least variance; the error is that of the
    influence function over all items (Robins, Rotnitzky and Zhao 1994, JASA 89). An item that could not have
    been chosen at all is not spoken for. Equal probabilities give PPI++ again.

    Intervals are t on labelled clusters - 1 degrees of freedom, cut to `ends`; that of `estimate` at the two-sided
    level `tail`. None with fewer than MIN_LABELLED labelled clusters or without unlabelled items; no estimate where
    nothing varies.
    """
    y, f, rest = numbers(labels, "labels"), numbers(judged, "judged scores"), numbers(unlabelled, "scores")
    same_length(y, f)
    keys = [*(clusters or [None] * len(y)), *(unlabelled_clusters or [None] * len(rest))]
    codes = codes_of(keys, len(y) + len(rest))
    groups = len(np.unique(codes[: len(y)]))
    if groups < MIN_LABELLED or len(rest) == 0:
        return None
    if probabilities is None:
        theta, trust, influence = _uniform(y, f, rest)
        alone = score_estimate(labels, clusters, ends=ends)
    else:
        w = 1 / _chances(probabilities, len(y))
        theta, trust, influence = _weighted(y, f, rest, w)
        alone = weighted_mean_estimate(labels, w.tolist(), clusters, ends=ends)
    error = standard_error(sums_of(influence, codes))
    half, scale = (
        float(stats.t.isf(tail / 2, groups - 1)) * error,
        float(max(np.abs(y).max(), np.abs(f).max())),
    )
    found = Estimate(theta, theta - half, theta + half, len(y) + len(rest)) if error > 1e-12 * scale else None
    judge = float(np.concatenate([f, rest]).mean())
    return PredictionPowered(cut(found, ends), alone, judge, trust)


def _uniform(y: Floats, f: Floats, rest: Floats) -> tuple[float, float, Floats]:
    """The estimate, lambda, and each item's part in its deviation, labelled items first."""
    n, others = len(y), len(rest)
    spread = float(np.concatenate([f, rest]).var(ddof=1))
    covariance = float(np.cov(y, f)[0, 1])
    trust = min(max(covariance / ((1 + n / others) * spread), 0.0), 1.0) if spread > 0 else 0.0
    errors = y - trust * f
    theta = trust * float(rest.mean()) + float(errors.mean())
    influence = np.concatenate([(errors - errors.mean()) / (n - 1), trust * (rest - rest.mean()) / others])
    return theta, trust, influence


def _weighted(y: Floats, f: Floats, rest: Floats, w: Floats) -> tuple[float, float, Floats]:
    """The same with inverse-probability weights of the labelled items; dividing by one minus an item's share of
    the weights makes up for its pull on the mean, as a jackknife does."""
    everything = np.concatenate([f, rest])
    share, size = w / w.sum(), len(everything)
    factor = share / (1 - share)

    def placed(values: Floats) -> Floats:
        part = np.zeros(size)
        part[: len(y)] = factor * (values - share @ values)
        return part

    by_label = placed(y)
    by_judge = (everything - everything.mean()) / size - placed(f)
    spread = float(by_judge @ by_judge)
    trust = min(max(-float(by_label @ by_judge) / spread, 0.0), 1.0) if spread > 0 else 0.0
    theta = trust * float(everything.mean()) + float(share @ (y - trust * f))
    return theta, trust, by_label + trust * by_judge


def _chances(probabilities: Sequence[float], n: int) -> Floats:
    found = numbers(probabilities, "probabilities")
    if len(found) != n:
        raise ValueError(f"{len(found)} probabilities for {n} labelled items; give one an item.")
    if np.any((found <= 0) | (found > 1)):
        raise ValueError("A labelled item's probability lies above 0 and is at most 1.")
    return found
