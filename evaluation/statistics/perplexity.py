"""Perplexity of one run and the ratio of two, with intervals on the log scale."""

import math
from collections.abc import Sequence

import numpy as np

from evaluation.statistics.checking import MIN_CASES, Floats, numbers, same_length
from evaluation.statistics.clustered import Clusters, half_width
from labeling.estimates import Estimate


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
    same_length(first, second)
    if len(first) < MIN_CASES:
        return None
    rate_a, rate_b = float(first.sum() / count_a.sum()), float(second.sum() / count_b.sum())
    residuals = (second - rate_b * count_b) / count_b.sum() - (first - rate_a * count_a) / count_a.sum()
    return _exponentiated(rate_b - rate_a, residuals, clusters)


def _exponentiated(log_value: float, residuals: Floats, clusters: Clusters) -> Estimate | None:
    half = half_width(residuals, clusters, scale=1.0)
    if half is None or abs(log_value) + half > 700:  # exp overflows: no upper end can be named
        return None
    return Estimate(
        math.exp(log_value), math.exp(log_value - half), math.exp(log_value + half), len(residuals)
    )


def _documents(nll_sums: Sequence[float], token_counts: Sequence[float]) -> tuple[Floats, Floats]:
    nll, tokens = numbers(nll_sums, "log-likelihoods"), numbers(token_counts, "token counts")
    same_length(nll, tokens)
    if np.any(tokens <= 0):
        raise ValueError("A document without tokens has no perplexity; leave it out.")
    if np.any(nll < -1e-6):
        raise ValueError("A negative log-likelihood is never below zero; turn the sign of log-probabilities.")
    return nll, tokens
