"""Ceilings of an error analysis: how much a metric can rise if one kind of error vanished.

After Ng, Machine Learning Yearning (2018), chapters 13 to 19, with intervals. Of N evaluated cases E fail, and m of
these, drawn at random, were read; k of them are of a kind. With e = E / N and p = k / m the ceiling is q = e p, a share
of all cases, in the unit of the metric (0 to 1). Its variance has two parts, one for each drawing:

    V = q (1 - q) / N  +  e^2 p (1 - p) / m * (1 - m / E)

the cases from all that there could be, and the failures that were read from all that fail; where every failure was read
only the first is left. The bounds are Wilson's (1927) at the effective size q (1 - q) / V, with the same variance:
unlike q ± 1.96 sqrt(V) they stay above 0 and never meet, also for a kind of which none was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluation.statistics.checking import MIN_CASES, Floats, shares, weights_of
from evaluation.statistics.clustered import Clusters, Codes, codes_of, sums_of, t95
from labeling.estimates import Z95, Estimate, wilson_bounds


def ceiling_estimate(evaluated: int, errors: int, read: int, within: int) -> Estimate | None:
    """The ceiling of a kind of which `within` were found among `read` of `errors` failures of `evaluated` cases.

    For metrics of 0 and 1, with independent cases of one weight. n is the number of failures read; None with fewer than
    MIN_CASES of them. ValueError for counts that cannot be.
    """
    if not 0 <= within <= read <= errors <= evaluated:
        raise ValueError(
            f"{within} of {read} read of {errors} failures of {evaluated} cases cannot be; each lies within the next."
        )
    gains = np.zeros(read)
    gains[:within] = 1.0
    return Drawn(np.arange(read), errors, np.ones(evaluated)).ceiling(gains)


@dataclass(frozen=True)
class Drawn:
    """Failures that were read, as they were drawn: `places` are theirs among all evaluated cases, of which `errors`
    fail. `weights` and `clusters` are of all evaluated cases.

    Weighted cases count as they do in the metric's weighted mean. Cases of one cluster count together: V's first part
    is then the variance of cluster totals (Miller 2024, arXiv 2411.00640), never below that of independent cases; pairs
    of failures that were not both read are estimated from those that were, and the bounds use t on G - 1 degrees of
    freedom.
    """

    places: Codes
    errors: int
    weights: Floats
    clusters: Clusters = None

    def __post_init__(self) -> None:
        weights_of(self.weights.tolist(), len(self.weights))
        if not len(self.places) <= self.errors <= len(self.weights):
            raise ValueError(
                f"{len(self.places)} read of {self.errors} failures of {len(self.weights)} cases cannot be."
            )

    @cached_property
    def _codes(self) -> Codes:
        return codes_of(self.clusters, len(self.weights))

    def ceiling(self, gains: Sequence[float] | Floats) -> Estimate | None:
        """How much the metric can rise, in its unit, if each failure that was read rose by its gain (0 for those that
        are not of the kind; 1 for one that goes from 0 to 1). None with fewer than MIN_CASES failures read, and
        with one cluster."""
        found = shares(list(gains), "Gains")
        m, total = len(self.places), float(self.weights.sum())
        if len(found) != m:
            raise ValueError(f"{len(found)} gains for {m} failures; give one for each.")
        if m < MIN_CASES or self._codes.max() == 0:
            return None
        scale, z = self.errors / m, self.weights[self.places] * found
        q = scale * float(z.sum()) / total
        reading = (self.errors / total) ** 2 * float(z.var()) / m * (1 - m / self.errors)
        cases, groups = self._cases(z, q)
        q = min(q, 1.0)
        if 0.0 < q < 1.0:
            size = q * (1 - q) / max(cases / total**2 + reading, q * (1 - q) / len(self.weights))
        else:  # what q (1 - q) / V tends to
            alike = float(np.sum(self.weights**2)) / total**2
            size = min(1 / (alike + (1 - m / self.errors) * self.errors / total / m), float(groups))
        quantile = Z95 if groups == len(self.weights) else t95(groups - 1)
        return Estimate(q, *wilson_bounds(q, size, quantile), m)

    def _cases(self, z: Floats, q: float) -> tuple[float, int]:
        """The variance of the sum over all evaluated cases of weight times (gain - q), and how many clusters there
        are."""
        m, scale, squares = len(z), self.errors / len(z), float(np.sum(z**2))
        alone = scale * (squares - 2 * q * float(np.sum(z * self.weights[self.places])))
        alone += q**2 * float(np.sum(self.weights**2))
        whole = sums_of(self.weights, self._codes)
        groups = len(whole)
        if groups == len(self.weights):
            return alone, groups
        read = np.bincount(self._codes[self.places], weights=z, minlength=groups)
        both = self.errors * (self.errors - 1) / (m * (m - 1)) * (float(np.sum(read**2)) - squares)
        together = scale * (squares - 2 * q * float(np.sum(z * whole[self._codes[self.places]])))
        together += both + q**2 * float(np.sum(whole**2))
        return max(alone, groups / (groups - 1) * together), groups
