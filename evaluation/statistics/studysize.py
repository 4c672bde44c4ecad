"""How many prompts a study of people's preferences needs, with several looks at it, and what it can find."""

import math
from dataclasses import dataclass

from scipy import optimize, stats

from evaluation.statistics.checking import share_between
from evaluation.statistics.repeated import FEWEST_PROMPTS
from evaluation.statistics.sequential import Spending, boundaries, course, drift_needed

PULL = 4  # prompts that make up for those added to either side, and for Student's quantiles (benchmarks/coverage.py)


@dataclass(frozen=True, slots=True)
class StudySize:
    """Prompts with looks at these fractions of them, and `fixed` prompts of a study with one look at its end.

    `bounds` are the critical values of |Z|; `stops` is the chance to have stopped by each look if the win rate is what
    was planned for, `by_chance` if it is one half; `expected` prompts are used on average if it is what was planned
    for.
    """

    prompts: int
    fixed: int
    fractions: tuple[float, ...]
    bounds: tuple[float, ...]
    stops: tuple[float, ...]
    by_chance: tuple[float, ...]
    expected: float


def outcome_variance(win_rate: float, ties: float) -> float:
    """Variance of one judgment worth 1, 0.5 or 0, where a share `ties` are ties. ValueError where so many ties leave
    no such win rate."""
    share_between(win_rate, "The win rate to find")
    if not 0 <= ties < 1 or ties / 2 > min(win_rate, 1 - win_rate):
        raise ValueError(
            f"With {ties:.0%} ties a win rate lies between {ties / 2:.0%} and {1 - ties / 2:.0%}, not at "
            f"{win_rate:.0%}; plan for fewer ties or another win rate."
        )
    return win_rate * (1 - win_rate) - ties / 4


def prompt_variance(
    win_rate: float,
    ties: float,
    *,
    annotators: int = 1,
    correlation: float = 0.3,
    cluster_size: float = 1.0,
    icc: float = 0.0,
) -> float:
    """Variance of a prompt's mean over its annotators, whose judgments correlate, times the design effect of clusters
    of prompts: 1 + (cluster_size - 1) icc."""
    if annotators < 1 or cluster_size < 1:
        raise ValueError(
            f"{annotators} annotators and clusters of {cluster_size:g} cannot be; give 1 or more."
        )
    if not 0 <= correlation <= 1 or not 0 <= icc <= 1:
        raise ValueError(f"Correlations lie between 0 and 1, not at {correlation:g} and {icc:g}.")
    shared = (1 + (annotators - 1) * correlation) / annotators
    return outcome_variance(win_rate, ties) * shared * (1 + (cluster_size - 1) * icc)


def study_size(
    win_rate: float,
    variance: float,
    *,
    looks: int = 3,
    spending: Spending = "obrien_fleming",
    alpha: float = 0.05,
    power: float = 0.8,
) -> StudySize:
    """Prompts that tell a true win rate from one half with this power, at equally spaced looks.

    `variance` is of one prompt's mean (`prompt_variance`). ValueError where the win rate is one half.
    """
    distance = abs(win_rate - 0.5)
    if distance < 1e-9:
        raise ValueError("A win rate of 50 % is no difference; plan for the smallest one that matters.")
    fractions = tuple((number + 1) / looks for number in range(looks))
    bounds = boundaries(fractions, alpha=alpha, spending=spending)
    drift = drift_needed(fractions, bounds, power=power)
    straight = float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power))
    prompts, fixed = (PULL + math.ceil(found**2 * variance / distance**2) for found in (drift, straight))
    planned, nothing = course(fractions, bounds, drift=drift), course(fractions, bounds)
    return StudySize(
        prompts=prompts,
        fixed=fixed,
        fractions=fractions,
        bounds=bounds,
        stops=planned.stopped,
        by_chance=nothing.stopped,
        expected=prompts * (1 - sum(planned.stopped[:-1]) / looks),
    )


def detectable_win_rate(
    prompts: int,
    ties: float,
    *,
    annotators: int = 1,
    correlation: float = 0.3,
    cluster_size: float = 1.0,
    icc: float = 0.0,
    looks: int = 3,
    spending: Spending = "obrien_fleming",
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """The smallest win rate above one half that so many prompts find with this power; None where none is found, and for
    fewer than FEWEST_PROMPTS, of which no look is taken."""
    fractions = tuple((number + 1) / looks for number in range(looks))
    bounds = boundaries(fractions, alpha=alpha, spending=spending)
    drift = drift_needed(fractions, bounds, power=power)

    def missing(win_rate: float) -> float:
        variance = prompt_variance(
            win_rate, ties, annotators=annotators, correlation=correlation, cluster_size=cluster_size, icc=icc
        )
        return drift * math.sqrt(max(variance, 0.0) / (prompts - PULL)) - (win_rate - 0.5)

    highest = min(1 - ties / 2, 1 - 1e-9)
    if prompts < FEWEST_PROMPTS or missing(highest - 1e-9) > 0:
        return None
    return float(optimize.brentq(missing, 0.5 + 1e-9, highest - 1e-9, xtol=1e-9))
