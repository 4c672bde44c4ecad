"""Scores with their doubt: 95 % intervals and paired tests over evaluation cases.

Every function takes plain sequences in case order. `clusters` holds one key a case (source document,
conversation, prompt repeated in two orders); cases that share a key are not independent, None stands alone.
Clustered errors follow Miller 2024 (arXiv 2411.00640): sqrt(G / (G - 1)) times the sandwich, with t on G - 1
degrees of freedom.

None means the data cannot say: fewer than MIN_CASES cases, fewer than two clusters, or no variation to learn
from. Bad input (unequal lengths, NaN, shares outside 0 to 1) raises ValueError with a sentence.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from labeling.estimates import Z95, Estimate, cluster_codes, wilson_bounds

Floats = NDArray[np.float64]
Clusters = Sequence[Hashable] | None

MIN_CASES = 5
PERMUTATIONS = 9_999
ENUMERATE_UP_TO = 14  # clusters: 2**14 sign patterns are fewer than 9,999 draws are worth
SIGNS_AT_ONCE = 4_000_000


class McNemar(NamedTuple):
    """Two-sided p values that flips go both ways alike."""

    exact: float
    mid_p: float


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Candidate b against baseline a on the same cases.

    `difference` is mean(b - a); `p_value` is of the sign-flip permutation test of that same mean; `mid_p` is
    McNemar's, for 0/1 scores on independent cases only. `fixed`, `broken` and `tied` count cases where b
    scores above, below and like a; they add up to `n`.
    """

    difference: Estimate | None
    p_value: float | None
    mid_p: float | None
    fixed: int
    broken: int
    tied: int
    n: int


def wilson(successes: int, n: int) -> Estimate | None:
    """Share of successes with Wilson's (1927) score interval; None for n = 0."""
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes out of {n} cannot be; give 0 <= successes <= n.")
    return Estimate(successes / n, *wilson_bounds(successes / n, n), n) if n else None


def mean_estimate(values: Sequence[float], clusters: Clusters = None) -> Estimate | None:
    """Mean with a t interval, in the unit of the values; not clipped to the range of the scale."""
    scores = _numbers(values, "scores")
    if len(scores) < MIN_CASES:
        return None
    mean = float(scores.mean())
    half = _half_width((scores - mean) / len(scores), clusters, scale=float(np.abs(scores).max()))
    return None if half is None else Estimate(mean, mean - half, mean + half, len(scores))


def proportion_estimate(outcomes: Sequence[float], clusters: Clusters = None) -> Estimate | None:
    """Share of outcomes 0 to 1 (a tie is 0.5) with an interval that stays within 0 to 1.

    Independent outcomes: Wilson. Clusters: Wilson at the effective sample size n / deff with t on G - 1
    degrees of freedom, after Korn and Graubard (1998, Survey Methodology 24), who use Clopper-Pearson. deff
    is the clustered over the binomial variance, at least 1, so ties only ever widen the interval; where every
    outcome is 0 or every one is 1 it cannot be seen, and n counts as the number of clusters. None without
    outcomes or with one cluster.
    """
    shares = _numbers(outcomes, "outcomes")
    if np.any((shares < 0) | (shares > 1)):
        raise ValueError(f"Outcomes lie between 0 and 1, not {shares.min():g} to {shares.max():g}.")
    n = len(shares)
    if n == 0:
        return None
    share = float(shares.mean())
    sums = _cluster_sums(shares - share, clusters)
    groups = len(sums)
    if groups == n:
        return Estimate(share, *wilson_bounds(share, n), n)
    if groups < 2:
        return None
    binomial = share * (1 - share) / n
    clustered = groups / (groups - 1) * float(np.sum(sums**2)) / n**2
    effective = float(groups) if binomial == 0 else n / max(1.0, clustered / binomial)
    return Estimate(share, *wilson_bounds(share, effective, _t95(groups - 1)), n)


def perplexity_estimate(
    nll_sums: Sequence[float], token_counts: Sequence[float], clusters: Clusters = None
) -> Estimate | None:
    """exp(sum of negative log-likelihoods / sum of tokens); n is the number of documents.

    `nll_sums` are in nats, one sum a document, `token_counts` the tokens scored in it. The interval is a t
    interval for the ratio (linearised: Cochran 1977, Sampling Techniques, section 6) on the log scale,
    exponentiated.
    """
    nll, tokens = _documents(nll_sums, token_counts)
    if len(nll) < MIN_CASES:
        return None
    rate = float(nll.sum() / tokens.sum())
    return _exponentiated(rate, (nll - rate * tokens) / tokens.sum(), clusters)


def paired_perplexity_ratio(
    nll_a: Sequence[float],
    nll_b: Sequence[float],
    tokens_a: Sequence[float],
    tokens_b: Sequence[float],
    clusters: Clusters = None,
) -> Estimate | None:
    """Perplexity of b over perplexity of a on the same documents: below 1, b is better. Interval as above,
    paired.

    Per-token perplexities of different tokenizers do not compare; pass bytes or words as the counts there.
    """
    (first, count_a), (second, count_b) = _documents(nll_a, tokens_a), _documents(nll_b, tokens_b)
    _same_length(first, second)
    if len(first) < MIN_CASES:
        return None
    rate_a, rate_b = float(first.sum() / count_a.sum()), float(second.sum() / count_b.sum())
    residuals = (second - rate_b * count_b) / count_b.sum() - (first - rate_a * count_a) / count_a.sum()
    return _exponentiated(rate_b - rate_a, residuals, clusters)


def paired_difference(
    a: Sequence[float], b: Sequence[float], clusters: Clusters = None, *, seed: int = 0
) -> PairedComparison:
    """Compare candidate `b` with baseline `a`, case by case.

    The interval is a t interval of the mean difference; for 0/1 scores on independent cases it is Agresti and
    Min's, for 0/1 scores in clusters it is cut at -1 and 1. The permutation test flips the sign of whole
    clusters: all sign patterns up to ENUMERATE_UP_TO clusters that differ, else PERMUTATIONS draws from
    `seed`.
    """
    first, second = _numbers(a, "scores"), _numbers(b, "scores")
    _same_length(first, second)
    change, n = second - first, len(first)
    sums = _cluster_sums(change, clusters)
    fixed, broken = int(np.count_nonzero(change > 0)), int(np.count_nonzero(change < 0))
    binary = bool(np.all(np.isin(first, (0, 1)) & np.isin(second, (0, 1))))
    independent = binary and len(sums) == n
    if independent:
        difference = flip_difference(fixed, broken, n)
    else:
        difference = mean_estimate(list(change), clusters)
        if binary and difference:
            low, high = max(difference.low, -1.0), min(difference.high, 1.0)
            difference = Estimate(difference.value, low, high, n)
    enough = n >= MIN_CASES and len(sums) >= 2
    return PairedComparison(
        difference=difference,
        p_value=_sign_flip_p(sums, seed) if enough else None,
        mid_p=mcnemar(fixed, broken).mid_p if enough and independent else None,
        fixed=fixed,
        broken=broken,
        tied=n - fixed - broken,
        n=n,
    )


def flip_difference(fixed: int, broken: int, n: int) -> Estimate | None:
    """(fixed - broken) / n with the interval of Agresti and Min (2005), which has width even without a
    flip."""
    if n < MIN_CASES:
        return None
    b, c, m = fixed + 0.5, broken + 0.5, n + 2
    value, centre = (fixed - broken) / n, (b - c) / m
    half = Z95 * math.sqrt(b + c - (b - c) ** 2 / m) / m
    return Estimate(value, max(-1.0, centre - half), min(1.0, centre + half), n)


def mcnemar(b: int, c: int) -> McNemar:
    """McNemar's (1947) test on b cases flipped one way and c the other: exact binomial, and mid-p, the better
    default (Fagerland, Lydersen and Laake 2013). Without flips both are 1."""
    if b < 0 or c < 0:
        raise ValueError(f"Flips are counts, not {b} and {c}.")
    tail = 2 * float(stats.binom.cdf(min(b, c), b + c, 0.5))
    return McNemar(exact=min(1.0, tail), mid_p=tail - float(stats.binom.pmf(min(b, c), b + c, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values, in the order given: compare each with alpha itself."""
    p = _numbers(p_values, "p values")
    if np.any((p < 0) | (p > 1)):
        raise ValueError("p values lie between 0 and 1.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [float(number) for number in adjusted]


def minimal_detectable_effect(
    n: int,
    difference_variance: float,
    *,
    within_a: float = 0.0,
    within_b: float = 0.0,
    samples: int = 1,
    cluster_size: float = 1.0,
    icc: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """Smallest true mean difference that `n` paired cases detect (Miller 2024, section 5), in the scores'
    unit.

    `difference_variance` is the variance over cases of the difference in expected score; `within_a` and
    `within_b` are the variances between repeated answers to one case, of which each model gives `samples`.
    (With one answer a case, pass the variance of the observed differences and leave these 0.) Clusters of
    `cluster_size` cases with intra-cluster correlation `icc` cost a factor 1 + (cluster_size - 1) icc in n.
    """
    variance = difference_variance + (within_a + within_b) / samples
    if n < MIN_CASES or variance <= 0:
        return None
    quantiles = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))
    return quantiles * math.sqrt(variance * (1 + (cluster_size - 1) * icc) / n)


def _sign_flip_p(sums: Floats, seed: int) -> float:
    """p of |sum| under random signs. Clusters that sum to zero change nothing and are left out."""
    sums = sums[np.abs(sums) > 1e-12 * np.abs(sums).max(initial=0.0)]
    groups, reached = len(sums), abs(float(sums.sum())) * (1 - 1e-9)  # equal sums differ by rounding
    if groups <= ENUMERATE_UP_TO:
        patterns = (np.arange(2**groups)[:, None] >> np.arange(groups)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ sums) >= reached))
    generator = np.random.default_rng(seed)
    step, extreme = max(1, SIGNS_AT_ONCE // groups), 0
    for start in range(0, PERMUTATIONS, step):
        size = (min(step, PERMUTATIONS - start), groups)
        signs = 2.0 * generator.integers(0, 2, size=size, dtype=np.int8) - 1
        extreme += int(np.count_nonzero(np.abs(signs @ sums) >= reached))
    return (1 + extreme) / (PERMUTATIONS + 1)


def _exponentiated(log_value: float, residuals: Floats, clusters: Clusters) -> Estimate | None:
    half = _half_width(residuals, clusters, scale=1.0)
    if half is None or abs(log_value) + half > 700:  # exp overflows: no upper end can be named
        return None
    return Estimate(
        math.exp(log_value), math.exp(log_value - half), math.exp(log_value + half), len(residuals)
    )


def _half_width(residuals: Floats, clusters: Clusters, *, scale: float) -> float | None:
    """Half a t interval of a statistic whose error is the sum of `residuals`; None where that would be ±0."""
    sums = _cluster_sums(residuals, clusters)
    groups = len(sums)
    if groups < 2:
        return None
    error = math.sqrt(groups / (groups - 1) * float(np.sum(sums**2)))
    return _t95(groups - 1) * error if error > 1e-12 * scale else None


def _cluster_sums(values: Floats, clusters: Clusters) -> Floats:
    if clusters is None:
        return values
    if len(clusters) != len(values):
        raise ValueError(f"{len(clusters)} cluster keys for {len(values)} cases; give one key a case.")
    codes = np.asarray(cluster_codes(clusters), dtype=np.intp)
    return np.bincount(codes, weights=values).astype(np.float64)


def _t95(freedom: int) -> float:
    return float(stats.t.ppf(0.975, freedom))


def _numbers(values: Sequence[float], what: str) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(numbers)):
        raise ValueError(f"The {what} contain NaN or infinity; leave those cases out and say so.")
    return numbers


def _documents(nll_sums: Sequence[float], token_counts: Sequence[float]) -> tuple[Floats, Floats]:
    nll, tokens = _numbers(nll_sums, "log-likelihoods"), _numbers(token_counts, "token counts")
    _same_length(nll, tokens)
    if np.any(tokens <= 0):
        raise ValueError("A document without tokens has no perplexity; leave it out.")
    if np.any(nll < -1e-6):
        raise ValueError("A negative log-likelihood is never below zero; turn the sign of log-probabilities.")
    return nll, tokens


def _same_length(a: Floats, b: Floats) -> None:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values against {len(b)}; pair them on the same cases first.")
