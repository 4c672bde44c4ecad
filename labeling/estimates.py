"""A number that knows its doubt, and the two small tools every interval shares.

Too little data is `None` wherever an `Estimate` is expected: never a value with an interval of ±0.
Standard library only, so that any module may import it.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` with its 95 % interval from `low` to `high` (same unit as the value), from `n` observations.

    `n` counts what the sentence on the page counts (units, cases, documents), not clusters.
    Raises ValueError unless low <= value <= high, all three are finite and n >= 1.
    """

    value: float
    low: float
    high: float
    n: int

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):  # numpy scalars become floats, so the row is plain JSON
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "n", int(self.n))
        if not all(math.isfinite(number) for number in (self.value, self.low, self.high)):
            raise ValueError(f"An estimate needs finite numbers, not {self._numbers()}.")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"An estimate lies inside its interval, but {self._numbers()} does not.")
        if self.n < 1:
            raise ValueError(f"An estimate needs at least one observation, not n = {self.n}.")

    def __str__(self) -> str:
        """'0.71 (0.64 to 0.78, n = 160)', with as many decimals as the width of the interval deserves."""
        half = (self.high - self.low) / 2
        places = min(max(-math.floor(math.log10(half)), 0), 9) if half > 0 else 2
        value, low, high = (f"{number:.{places}f}" for number in (self.value, self.low, self.high))
        return f"{value} ({low} to {high}, n = {self.n:,})"

    def as_dict(self) -> dict[str, float]:
        """Keys value, low, high, n: ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, float]) -> "Estimate":
        """The inverse of `as_dict`; KeyError for a missing key, ValueError for numbers that cannot be."""
        return cls(value=data["value"], low=data["low"], high=data["high"], n=int(data["n"]))

    def _numbers(self) -> str:
        return f"{self.value} ({self.low} to {self.high})"


def wilson_bounds(share: float, n: float, quantile: float = Z95) -> tuple[float, float]:
    """Wilson's (1927) score interval for a share in [0, 1] seen in `n` trials.

    `n` may be an effective sample size, hence a float; it must be above zero. The bounds stay in [0, 1],
    contain the share, and never meet, also at shares of 0 and 1.
    """
    spread = quantile * quantile / n
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread * spread / 4) / (1 + spread)
    return min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)


def cluster_codes(keys: Iterable[Hashable]) -> list[int]:
    """Number the clusters 0, 1, ... in order of appearance. A key of None is a cluster of its own."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(object() if key is None else key, len(numbers)) for key in keys]
