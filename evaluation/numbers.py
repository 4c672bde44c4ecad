"""From rows of numbers to numbers with their doubt: one target's score, and the paired difference of two.

Imports SciPy: for jobs and for pages that compare on demand.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from evaluation import statistics
from evaluation.comparison import MIN_SLICE, SliceDelta
from evaluation.scorers.base import Scale
from evaluation.sheets import Cell, Line, Metric, shared_cases
from evaluation.statistics import PairedComparison
from labeling.estimates import Estimate

MOST_SLICES = 40


@dataclass(frozen=True, slots=True)
class Delta:
    """`second` against `first` on the cases both have: a difference, or for perplexity a ratio.

    `fixed` and `broken` count cases that got better and worse. `spread` is the variance of a case's difference as it
    counts for the error of the mean, clusters included: spread / n is the squared standard error.
    """

    estimate: Estimate | None
    p_value: float | None
    mid_p: float | None
    fixed: int
    broken: int
    n: int
    clusters: int
    spread: float | None

    @property
    def churn(self) -> float | None:
        """The share of cases that changed, whichever way."""
        return (self.fixed + self.broken) / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Paired:
    """All numbers of one comparison, without a row of the database: as it is cached.

    `table` counts cases that both pass and that both fail, for 0/1 values; `constant` is the value that both have on
    every case, None where there are several.
    """

    own: tuple[Estimate | None, Estimate | None]
    delta: Delta
    unpaired: int
    table: tuple[int, int] | None
    constant: float | None
    slices: list[SliceDelta] = field(default_factory=list)


def paired(
    metric: Metric, lines: Sequence[Line], first: dict[int, Cell], second: dict[int, Cell], *, slices: bool
) -> Paired:
    """What a comparison of two targets says in one metric."""
    both = shared_cases(lines, first, second)
    found = [(first[line.id].mean, second[line.id].mean) for line in both]
    union = sum(1 for line in lines if line.id in first or line.id in second)
    values = {value for pair in found for value in pair}
    return Paired(
        own=(own_score(metric, lines, first), own_score(metric, lines, second)),
        delta=delta(metric, lines, first, second),
        unpaired=union - len(both),
        table=(found.count((1.0, 1.0)), found.count((0.0, 0.0))) if metric.scale == Scale.BINARY else None,
        constant=values.pop() if len(values) == 1 else None,
        slices=slice_deltas(metric, lines, first, second) if slices else [],
    )


def own_score(metric: Metric, lines: Sequence[Line], cells: dict[int, Cell]) -> Estimate | None:
    """One target's number on the cases that have a value."""
    used = shared_cases(lines, cells)
    clusters = [line.unit for line in used]
    if metric.scale in (Scale.RATE, Scale.PERPLEXITY):
        found = statistics.perplexity_estimate(
            [cells[line.id].value for line in used], [cells[line.id].size for line in used], clusters
        )
        return found if metric.scale == Scale.PERPLEXITY else logged(found)
    values, weights = [cells[line.id].mean for line in used], weights_of(used)
    ends = (0, 1) if metric.is_bounded else None
    if weights is not None:
        return statistics.weighted_mean_estimate(values, weights, clusters, ends=ends)
    return statistics.score_estimate(values, clusters, ends=ends)


def delta(
    metric: Metric,
    lines: Sequence[Line],
    first: dict[int, Cell],
    second: dict[int, Cell],
    *,
    quick: bool = False,
) -> Delta:
    """The paired comparison of two targets in one metric. Quickly, p is that of the gates' score and t tests, doubled,
    and there is no spread: for many slices at once."""
    used = shared_cases(lines, second) if metric.versus_half else shared_cases(lines, first, second)
    clusters = [line.unit for line in used]
    if metric.scale in (Scale.RATE, Scale.PERPLEXITY):
        return _of_rates(metric, used, clusters, first, second, quick)
    a, b = pairs(metric, used, first, second)
    found = statistics.paired_difference(a, b, clusters, weights=weights_of(used), permute=not quick)
    if quick:
        found = replace(found, p_value=_quick_p(a, b, clusters, weights_of(used)), mid_p=None)
    return _delta(
        metric, found.difference, found, [y - x for x, y in zip(a, b, strict=True)], clusters, quick
    )


def _quick_p(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[str], weights: Sequence[float] | None
) -> float | None:
    found = statistics.superiority(a, b, clusters, weights=weights)
    return None if found is None else min(1.0, 2 * min(found.p_value, 1 - found.p_value))


def pairs(
    metric: Metric, used: Sequence[Line], first: dict[int, Cell], second: dict[int, Cell]
) -> tuple[list[float], list[float]]:
    """Both targets' values on the same cases; a metric against the baseline is compared with even."""
    b = [second[line.id].mean for line in used]
    return ([0.5] * len(b) if metric.versus_half else [first[line.id].mean for line in used]), b


def _of_rates(
    metric: Metric,
    used: Sequence[Line],
    clusters: list[str],
    first: dict[int, Cell],
    second: dict[int, Cell],
    quick: bool,
) -> Delta:
    a, b = ([cells[line.id] for line in used] for cells in (first, second))
    ratio = statistics.paired_perplexity_ratio(
        [cell.value for cell in a],
        [cell.value for cell in b],
        [cell.size for cell in a],
        [cell.size for cell in b],
        clusters,
    )
    per_case = [y.value / y.size - x.value / x.size for x, y in zip(a, b, strict=True)]
    nothing = [0.0] * len(per_case)
    found = statistics.paired_difference(nothing, per_case, clusters, permute=not quick)
    if quick:
        found = replace(found, p_value=_quick_p(nothing, per_case, clusters, None))
    return _delta(metric, ratio if metric.is_ratio else logged(ratio), found, per_case, clusters, quick)


def _delta(
    metric: Metric,
    estimate: Estimate | None,
    paired: PairedComparison,
    per_case: Sequence[float],
    clusters: Sequence[str],
    quick: bool,
) -> Delta:
    up, down = paired.fixed, paired.broken
    spread = None
    if paired.difference is not None and len(per_case) > 1 and not quick:
        mean = statistics.mean_estimate(per_case, clusters)
        if mean is not None:
            half = (mean.high - mean.low) / 2
            spread = (half / quantile(len(set(clusters)))) ** 2 * len(per_case)
    return Delta(
        estimate=estimate,
        p_value=paired.p_value,
        mid_p=paired.mid_p,
        fixed=up if metric.higher_is_better else down,
        broken=down if metric.higher_is_better else up,
        n=len(per_case),
        clusters=len(set(clusters)),
        spread=spread,
    )


def quantile(groups: int) -> float:
    """The 97.5 % quantile of Student's t with one degree of freedom fewer than there are clusters."""
    from scipy.stats import t

    return float(t.ppf(0.975, max(1, groups - 1)))


def logged(found: Estimate | None) -> Estimate | None:
    """A rate from the exponential of it, with its interval."""
    if found is None:
        return None
    return Estimate(math.log(found.value), math.log(found.low), math.log(found.high), found.n)


def weights_of(used: Sequence[Line]) -> list[float] | None:
    """The weights of the cases; None where they are all alike."""
    weights = [line.weight for line in used]
    return weights if len(set(weights)) > 1 else None


def slice_deltas(
    metric: Metric, lines: Sequence[Line], first: dict[int, Cell], second: dict[int, Cell]
) -> list[SliceDelta]:
    """The difference on each slice, the largest slices first, p values corrected over them."""
    tagged: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        for tag in set(line.tags):
            tagged[tag].append(line)
    largest = sorted(tagged.items(), key=lambda pair: -len(pair[1]))[:MOST_SLICES]
    found = [
        (tag, delta(metric, own, first, second, quick=True)) for tag, own in largest if len(own) >= MIN_SLICE
    ]
    tested = [each.p_value for _, each in found if each.p_value is not None]
    corrected = iter(statistics.benjamini_hochberg(tested))
    return [
        SliceDelta(tag, each.estimate, each.n, next(corrected) if each.p_value is not None else None)
        for tag, each in found
    ]
