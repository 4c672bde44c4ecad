"""Several answers a prompt: how much of a score's doubt more prompts would take away, and how much more answers.

Answers to one prompt are averaged first and prompts are the units (Miller 2024, arXiv 2411.00640, section 3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.statistics.checking import MIN_CASES, numbers
from evaluation.statistics.clustered import Clusters
from evaluation.statistics.intervals import mean_estimate
from labeling.estimates import Estimate


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """The variance of scores in two parts, in the square of their unit.

    `between` is the variance over prompts of the expected score, `within` the mean variance of answers to one
    prompt, `prompts` and `samples` the numbers seen (samples a prompt: the harmonic mean). `estimate` is the
    mean over prompts.
    """

    estimate: Estimate | None
    between: float
    within: float
    prompts: int
    samples: float

    def standard_error(self, *, prompts: int, samples: float) -> float:
        """What the error of the mean would be with so many prompts and so many answers to each."""
        return math.sqrt((self.between + self.within / samples) / prompts)

    @property
    def prompt_share(self) -> float:
        """Share (0 to 1) of the error's square that only more prompts can lower."""
        return self.between / total if (total := self.between + self.within / self.samples) > 0 else 0.0


def variance_parts(samples: Sequence[Sequence[float]], clusters: Clusters = None) -> VarianceParts | None:
    """Split the variance of `samples`, one row of scores a prompt; rows may differ in length.

    Var(mean) = between / n + within / (n K). `between` is the variance of the prompts' means less the share
    that `within` has in it, and 0 where that is negative (analysis of variance, method of moments). `clusters`
    holds one key a prompt and is for the interval of the mean. None with fewer than MIN_CASES prompts, or
    where no prompt has two answers. ValueError for a prompt without an answer.
    """
    rows = [numbers(row, "scores") for row in samples]
    if any(len(row) == 0 for row in rows):
        raise ValueError("A prompt without an answer has no score; leave it out.")
    repeated = [row for row in rows if len(row) > 1]
    if len(rows) < MIN_CASES or not repeated:
        return None
    means = np.array([row.mean() for row in rows])
    freedom = sum(len(row) - 1 for row in repeated)
    within = float(sum(np.sum((row - row.mean()) ** 2) for row in repeated)) / freedom
    harmonic = len(rows) / sum(1 / len(row) for row in rows)
    between = max(0.0, float(means.var(ddof=1)) - within / harmonic)
    return VarianceParts(mean_estimate(means.tolist(), clusters), between, within, len(rows), harmonic)
