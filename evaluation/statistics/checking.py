"""What every statistic asks of its input, and the sentence that says what to do about bad input."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_CASES = 5


def numbers(values: Sequence[float], what: str) -> Floats:
    """The values as an array; ValueError for NaN and infinity."""
    found = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(found)):
        raise ValueError(f"The {what} contain NaN or infinity; leave those cases out and say so.")
    return found


def shares(values: Sequence[float], what: str = "Outcomes") -> Floats:
    """The values as an array; ValueError unless each lies within 0 to 1."""
    found = numbers(values, what.lower())
    if np.any((found < 0) | (found > 1)):
        raise ValueError(f"{what} lie between 0 and 1, not {found.min():g} to {found.max():g}.")
    return found


def weights_of(weights: Sequence[float] | None, n: int) -> Floats:
    """One weight a case, or ones; ValueError for a negative weight, another number of them, or only zeros."""
    if weights is None:
        return np.ones(n)
    found = numbers(weights, "weights")
    if len(found) != n:
        raise ValueError(f"{len(found)} weights for {n} cases; give one weight a case.")
    if np.any(found < 0) or (n and not np.any(found > 0)):
        raise ValueError("Weights are zero or more, and one at least is above zero.")
    return found


def same_length(a: Floats, b: Floats) -> None:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values against {len(b)}; pair them on the same cases first.")


def share_between(value: float, what: str) -> None:
    """ValueError unless the value lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{what} lies between 0 and 1, not at {value:g}.")


def is_binary(*columns: Floats) -> bool:
    return all(bool(np.all((column == 0) | (column == 1))) for column in columns)
