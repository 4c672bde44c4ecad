"""One score of one run: shares, means, weighted means, and the interval that suits the data.

What suits: Wilson for 0/1 scores and shares (Brown, Cai and DasGupta 2001, Statistical Science 16; for
evaluations of LLMs Bowyer et al. 2025, arXiv 2503.01747), t for other scores of ENOUGH_FOR_T independent
cases or more, a bootstrap below that: scores crowd at the end of their scale, and t on 30 of them covers 94 %
where BCa covers 95 (benchmarks/coverage.py). Where fewer than MIN_UNITS scores from 0 to 1 are anything but the
commonest, both see too little (t covers 89 % where 6 of 200 are not 1), and Wilson is careful instead.
"""

from collections.abc import Sequence

import numpy as np

from evaluation.statistics.bootstrap import bootstrap_mean
from evaluation.statistics.checking import MIN_CASES, Floats, is_binary, numbers, shares, weights_of
from evaluation.statistics.clustered import (
    Clusters,
    Codes,
    cluster_sums,
    codes_of,
    half_width,
    standard_error,
    sums_of,
    t95,
)
from labeling.estimates import Estimate, wilson_bounds
from labeling.resampling import MIN_UNITS

ENOUGH_FOR_T = 100
Ends = tuple[float, float]


def wilson(successes: int, n: int) -> Estimate | None:
    """Share of successes with Wilson's (1927) score interval; None for n = 0."""
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes out of {n} cannot be; give 0 <= successes <= n.")
    return Estimate(successes / n, *wilson_bounds(successes / n, n), n) if n else None


def mean_estimate(values: Sequence[float], clusters: Clusters = None) -> Estimate | None:
    """Mean with a t interval, in the unit of the values; not clipped to the range of the scale."""
    scores = numbers(values, "scores")
    if len(scores) < MIN_CASES:
        return None
    mean = float(scores.mean())
    half = half_width((scores - mean) / len(scores), clusters, scale=float(np.abs(scores).max()))
    return None if half is None else Estimate(mean, mean - half, mean + half, len(scores))


def proportion_estimate(outcomes: Sequence[float], clusters: Clusters = None) -> Estimate | None:
    """Share of outcomes 0 to 1 (a tie is 0.5) with an interval that stays within 0 to 1.

    Independent outcomes: Wilson. Clusters: Wilson at the effective sample size n / deff with t on G - 1
    degrees of freedom, after Korn and Graubard (1998, Survey Methodology 24), who use Clopper-Pearson. deff
    is the clustered over the binomial variance, at least 1, so ties only ever widen the interval; where every
    outcome is 0 or every one is 1 it cannot be seen, and n counts as the number of clusters. None without
    outcomes or with one cluster.
    """
    found = shares(outcomes)
    n = len(found)
    if n == 0:
        return None
    share = float(found.mean())
    sums = cluster_sums(found - share, clusters)
    groups = len(sums)
    if groups == n:
        return Estimate(share, *wilson_bounds(share, n), n)
    if groups < 2:
        return None
    binomial = share * (1 - share) / n
    clustered = groups / (groups - 1) * float(np.sum(sums**2)) / n**2
    effective = float(groups) if binomial == 0 else n / max(1.0, clustered / binomial)
    return Estimate(share, *wilson_bounds(share, effective, t95(groups - 1)), n)


def score_estimate(
    values: Sequence[float], clusters: Clusters = None, *, ends: Ends | None = None, seed: int = 0
) -> Estimate | None:
    """Mean score with the interval that suits it; n is the number of cases.

    `ends` are the least and the greatest score possible; None says that a score has no such ends. 0/1 scores,
    and scores on ends of (0, 1) that hardly vary: `proportion_estimate`. Otherwise t from ENOUGH_FOR_T clusters
    on, and with fewer the BCa bootstrap over clusters (`seed`); both are cut at the ends. Where all scores lie on
    one end, the interval reaches as far as if as many cases as Wilson's bound allows lay on the other. ValueError
    for a score beyond the ends.
    """
    scores = numbers(values, "scores")
    if ends is not None and len(scores) and (scores.min() < ends[0] or scores.max() > ends[1]):
        raise ValueError(f"Scores of {scores.min():g} to {scores.max():g} leave the scale of {ends}.")
    if ends == (0, 1) and (is_binary(scores) or _hardly_varies(scores, codes_of(clusters, len(scores)))):
        return proportion_estimate(values, clusters)
    if ends is not None and len(scores) >= MIN_CASES and scores.min() == scores.max() and scores[0] in ends:
        return _on_one_end(scores, clusters, ends)
    pieces = len(cluster_sums(scores, clusters))
    if pieces >= ENOUGH_FOR_T:
        return cut(mean_estimate(values, clusters), ends)
    return cut(bootstrap_mean(values, clusters, seed=seed), ends)


def weighted_mean_estimate(
    values: Sequence[float], weights: Sequence[float], clusters: Clusters = None, *, ends: Ends | None = None
) -> Estimate | None:
    """sum(w v) / sum(w), as where some cases matter more to the business; n counts cases of weight above 0.

    Hajek's ratio, linearised (Cochran 1977, Sampling Techniques, section 6), with t on Satterthwaite's (1946)
    degrees of freedom for the clusters' shares of the weights: G - 1 where they are equal, fewer where some
    are heavy. On `ends` of (0, 1) scores that are 0/1, or hardly vary, get Wilson's interval at the effective
    sample size: binomial variance over this one, at most Kish's sum(w)^2 / sum(w^2), with t on G - 1 degrees of
    freedom. Other intervals are cut at the ends. None with fewer than MIN_CASES cases or two clusters, and
    without such ends where nothing varies.
    """
    scores = numbers(values, "scores")
    w = weights_of(weights, len(scores))
    codes = codes_of(clusters, len(scores))
    kept = w > 0
    scores, w, codes = scores[kept], w[kept], codes[kept]
    groups = len(np.unique(codes))
    if len(scores) < MIN_CASES or groups < 2:
        return None
    share = w / w.sum()
    mean = float(share @ scores)
    error, freedom = weighted_error(share * (scores - mean), share, codes)
    if ends == (0, 1) and (is_binary(scores) or _hardly_varies(scores, codes)):
        return _weighted_share(mean, error, share, codes)
    if error <= 1e-12 * float(np.abs(scores).max()):
        return None
    half = t95(freedom) * error
    return cut(Estimate(mean, mean - half, mean + half, len(scores)), ends)


def weighted_error(residuals: Floats, share: Floats, codes: Codes) -> tuple[float, float]:
    """Error of a weighted mean and its degrees of freedom, from its residuals and the shares of its weights,
    one a case."""
    _, places = np.unique(codes, return_inverse=True)
    squares = sums_of(share, places) ** 2
    freedom = float(squares.sum() ** 2 / np.sum(squares**2)) - 1
    return standard_error(sums_of(residuals, places)), max(1.0, freedom)


def cut(found: Estimate | None, ends: Ends | None) -> Estimate | None:
    """The estimate with its interval, and if need be its value, kept on the scale."""
    if found is None or ends is None:
        return found
    value, low, high = (min(max(number, ends[0]), ends[1]) for number in (found.value, found.low, found.high))
    return Estimate(value, low, high, found.n)


def _hardly_varies(scores: Floats, codes: Codes) -> bool:
    """Whether fewer than MIN_UNITS clusters hold anything but the commonest score: too few to see the variance by.
    Wilson's interval takes the largest that scores of 0 to 1 can have, so it is wide rather than wrong."""
    found, counts = np.unique(scores, return_counts=True)
    return not len(found) or len(np.unique(codes[scores != found[counts.argmax()]])) < MIN_UNITS


def _weighted_share(mean: float, error: float, share: Floats, codes: Codes) -> Estimate:
    by_cluster = sums_of(share, np.unique(codes, return_inverse=True)[1])
    effective = 1 / float(np.sum(by_cluster**2))
    if 0 < mean < 1:
        kish = 1 / float(np.sum(share**2))
        effective = min(kish, mean * (1 - mean) / error**2) if error > 0 else kish
    return Estimate(mean, *wilson_bounds(mean, effective, t95(len(by_cluster) - 1)), len(share))


def _on_one_end(scores: Floats, clusters: Clusters, ends: Ends) -> Estimate | None:
    value, pieces = float(scores[0]), len(cluster_sums(scores, clusters))
    if pieces < 2:
        return None
    reach = (1 - wilson_bounds(1.0, pieces, t95(pieces - 1))[0]) * (ends[1] - ends[0])
    low, high = (ends[0], ends[0] + reach) if value == ends[0] else (ends[1] - reach, ends[1])
    return Estimate(value, low, high, len(scores))
