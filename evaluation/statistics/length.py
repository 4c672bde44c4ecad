"""Win rate as it would be at equal length, for judges who like long answers.

After Dubois et al. (2024, arXiv 2404.04475), without their instruction difficulty, which exists for their own
prompts only, and with an interval that knows the doubt of the coefficients.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from evaluation.statistics.checking import Floats, numbers, same_length, shares
from evaluation.statistics.clustered import Clusters, codes_of, t95
from evaluation.statistics.winrate import win_rate
from labeling.estimates import Estimate

MIN_PROMPTS = 100
ONE_SIDED = 0.95  # of prompts on which the same model is longer
MIN_SPREAD = 0.1  # of tanh(length difference / its standard deviation)
FLAG = 0.10
MAX_STEPS = 100


@dataclass(frozen=True, slots=True)
class LengthControlled:
    """`raw` win rate and `controlled`, the one at equal length; `reason` says why there is none.

    `slope` is how many log odds a judge gives to tanh of the length difference in standard deviations; above
    0, longer answers win. `flagged`: raw and controlled differ by more than FLAG.
    """

    raw: Estimate | None
    controlled: Estimate | None
    slope: Estimate | None
    reason: str
    flagged: bool


class _Fit(NamedTuple):
    coefficients: Floats
    errors: Floats
    freedom: int


def length_controlled_win_rate(
    outcomes: Sequence[float], length_differences: Sequence[float], clusters: Clusters = None
) -> LengthControlled:
    """Win rate at equal length: sigmoid(theta) of logit P = theta + phi tanh(d / sd(d)).

    `outcomes` (0 to 1) are a prompt's mean over both orders, or one a judgment with the prompts as `clusters`;
    `length_differences` are the candidate's length less the other's, in any unit of length. Quasi-binomial
    fit, clustered (alone: HC1) covariance, t interval on the logit. No controlled number with fewer than
    MIN_PROMPTS prompts, where one model is longer on more than ONE_SIDED of them, where the differences hardly
    vary, or where length alone foretells every outcome.
    """
    y, lengths = shares(outcomes), numbers(length_differences, "length differences")
    same_length(y, lengths)
    raw = win_rate(outcomes, clusters).rate
    codes = codes_of(clusters, len(y))
    reason = _too_little(lengths, len(np.unique(codes)))
    fit = None if reason else _fitted(y, np.tanh(lengths / lengths.std()), codes)
    if fit is None:
        return LengthControlled(raw, None, None, reason or "Length or outcome does not vary enough.", False)
    quantile = t95(fit.freedom)
    (theta, phi), (error, slope_error) = fit.coefficients, fit.errors
    value, low, high = (float(special.expit(theta + side * quantile * error)) for side in (0, -1, 1))
    controlled = Estimate(value, low, high, len(y))
    slope = Estimate(phi, phi - quantile * slope_error, phi + quantile * slope_error, len(y))
    flagged = abs(float(y.mean()) - controlled.value) > FLAG
    return LengthControlled(raw, controlled, slope, "", flagged)


def _too_little(lengths: Floats, prompts: int) -> str:
    if prompts < MIN_PROMPTS:
        return f"Length can be told apart from {MIN_PROMPTS} prompts on; there are {prompts}."
    spread = float(lengths.std())
    if spread <= 0 or float(np.tanh(lengths / spread).std()) < MIN_SPREAD:
        return "The answers differ too little in length."
    if max(np.mean(lengths > 0), np.mean(lengths < 0)) > ONE_SIDED:
        return f"One model's answer is longer on more than {ONE_SIDED:.0%} of the prompts."
    return ""


def _fitted(y: Floats, x: Floats, codes: np.ndarray[tuple[int], np.dtype[np.intp]]) -> _Fit | None:
    """Newton's method; None where it runs away, as with outcomes that length alone foretells."""
    design = np.stack([np.ones_like(x), x], axis=1)
    found = np.zeros(2)
    for _ in range(MAX_STEPS):
        p = special.expit(design @ found)
        information = (design * (p * (1 - p))[:, None]).T @ design
        if np.linalg.cond(information) > 1e10:
            return None
        step = np.linalg.solve(information, design.T @ (y - p))
        found = found + step
        if np.abs(found).max() > 20:
            return None
        if np.abs(step).max() < 1e-10:
            break
    residuals = design * (y - special.expit(design @ found))[:, None]
    sums = np.zeros((int(codes.max()) + 1, 2))
    np.add.at(sums, codes, residuals)
    groups, n = len(sums), len(y)
    bread = np.linalg.inv(information)
    covariance = bread @ sums.T @ sums @ bread * (groups / (groups - 1) * (n - 1) / (n - 2))
    errors = np.sqrt(np.diag(covariance))
    return _Fit(found, errors, groups - 1) if math.isfinite(errors.sum()) and errors.min() > 1e-12 else None
