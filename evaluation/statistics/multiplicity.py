"""Many p values at once: Holm where a slice may block, Benjamini and Hochberg where slices are explored."""

from collections.abc import Sequence

import numpy as np

from evaluation.statistics.checking import Floats, shares


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values, in the order given: compare each with alpha itself."""
    p = shares(p_values, "p values")
    order = np.argsort(p, kind="stable")
    return _in_place(np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))), order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's (1995) adjusted p values, in the order given.

    Of those at most alpha, a share of alpha at most is expected to be false.
    """
    p = shares(p_values, "p values")
    order = np.argsort(-p, kind="stable")
    ranks = np.arange(len(p), 0, -1)
    return _in_place(np.minimum(1, np.minimum.accumulate(p[order] * len(p) / ranks)), order)


def _in_place(adjusted: Floats, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> list[float]:
    placed = np.empty_like(adjusted)
    placed[order] = adjusted
    return [float(number) for number in placed]
