"""Errors of sums whose parts hang together within clusters.

Clustered errors follow Miller 2024 (arXiv 2411.00640): sqrt(G / (G - 1)) times the sandwich, with t on G - 1
degrees of freedom. `clusters` holds one key a case; None stands alone.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evaluation.statistics.checking import Floats
from labeling.estimates import cluster_codes

Clusters = Sequence[Hashable] | None
Codes = NDArray[np.intp]


def codes_of(clusters: Clusters, n: int) -> Codes:
    """The number of each case's cluster, from 0; ValueError unless there is one key a case."""
    if clusters is None:
        return np.arange(n)
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} cluster keys for {n} cases; give one key a case.")
    return np.asarray(cluster_codes(clusters), dtype=np.intp)


def cluster_sums(values: Floats, clusters: Clusters) -> Floats:
    """The sum of the values of each cluster."""
    return values if clusters is None else sums_of(values, codes_of(clusters, len(values)))


def sums_of(values: Floats, codes: Codes) -> Floats:
    """The sum of the values of each code, 0 for one that is not used."""
    return np.bincount(codes, weights=values).astype(np.float64)


def standard_error(sums: Floats) -> float:
    """Error of a statistic whose deviation is the total of `sums`, one residual a cluster, two or more."""
    groups = len(sums)
    return math.sqrt(groups / (groups - 1) * float(np.sum(sums**2)))


def half_width(residuals: Floats, clusters: Clusters, *, scale: float) -> float | None:
    """Half a t interval of a statistic whose deviation is the total of `residuals`; None where that would be
    ±0 (below 1e-12 of `scale`) and with fewer than two clusters."""
    sums = cluster_sums(residuals, clusters)
    if len(sums) < 2:
        return None
    error = standard_error(sums)
    return t95(len(sums) - 1) * error if error > 1e-12 * scale else None


def t95(freedom: float) -> float:
    return float(stats.t.ppf(0.975, freedom))
