"""Targets of one run or of several over the cases they share: paired where they were measured alike, else why not.

The numbers of finished runs never change, so they are computed once and kept in Django's cache.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.core.cache import cache

from evaluation.measured import Side, find_sides, shared_metrics, why_not
from evaluation.models import EvalRun
from evaluation.reading import MARGIN, STANDING_WORDS, gain_of, standing_of
from evaluation.sheets import Cell, Line, Metric, Sheet, metrics_of, read_sheet
from labeling.errors import Refused
from labeling.estimates import Estimate

if TYPE_CHECKING:
    from evaluation.numbers import Paired

__all__ = [
    "MIN_SLICE",
    "Comparison",
    "Side",
    "SliceDelta",
    "Unpaired",
    "compare",
    "compare_all",
    "compare_or_say",
    "find_sides",
    "paired_cells",
    "shared_metrics",
    "why_not",
]

MIN_SLICE = 5
NONE_SHARED = "These have no metric in common; score one of them again with the other's scorers."
KEPT_S = 7 * 24 * 3600
FORM = 2  # of what is cached: raise it with every change to evaluation.numbers


@dataclass(frozen=True, slots=True)
class SliceDelta:
    """A slice's difference. `p_value` is Benjamini and Hochberg's over the slices; `marked` where it is below 5 %."""

    tag: str
    estimate: Estimate | None
    n: int
    p_value: float | None

    @property
    def marked(self) -> bool:
        return self.p_value is not None and self.p_value < 0.05


@dataclass(frozen=True)
class Comparison:
    """`second` against `first` in one metric: above 0 is more of the metric, for perplexity above 1.

    `p` is two-sided: McNemar's mid-p for 0/1 values of independent cases, else of the sign-flip permutation test; with
    several sides it is Holm's over them. `table` counts cases that both pass and that both fail, for 0/1 values.
    """

    first: Side
    second: Side
    metric: Metric
    estimates: tuple[Estimate | None, Estimate | None]
    difference: Estimate | None
    p: float | None
    fixed: int
    broken: int
    n: int
    clusters: int
    unpaired: int
    spread: float | None
    table: tuple[int, int] | None = None
    constant: float | None = None
    slices: list[SliceDelta] = field(default_factory=list)

    @property
    def churn(self) -> float | None:
        """The share of cases that changed, whichever way."""
        return (self.fixed + self.broken) / self.n if self.n else None

    @property
    def same(self) -> int:
        """Cases on which the two do not differ."""
        return self.n - self.fixed - self.broken

    @property
    def gain(self) -> Estimate | None:
        """The difference turned so that above 0 is better."""
        return gain_of(self.metric, self.difference)

    @property
    def standing(self) -> str:
        """better, not_worse, worse or inconclusive, by the interval and p."""
        return standing_of(self.gain, self.p, MARGIN if self.metric.is_bounded else 0.0)

    @property
    def standing_words(self) -> str:
        return STANDING_WORDS[self.standing] if self.difference else "not enough data"

    def as_dict(self) -> dict[str, Any]:
        return {
            "first": self.first.name,
            "second": self.second.name,
            "sides": [self.first.key, self.second.key],
            "metric": self.metric.name,
            "values": [found.as_dict() if found else None for found in self.estimates],
            "n": self.n,
            "clusters": self.clusters,
            "unpaired": self.unpaired,
            "difference": self.difference.as_dict() if self.difference else None,
            "p": self.p,
            "standing": self.standing,
            "fixed": self.fixed,
            "broken": self.broken,
            "same": self.same,
            "churn": self.churn,
            "slices": [
                {
                    "slice": each.tag,
                    "n": each.n,
                    "difference": each.estimate.as_dict() if each.estimate else None,
                    "p": each.p_value,
                }
                for each in self.slices
            ],
        }


@dataclass(frozen=True, slots=True)
class Unpaired:
    """Two sides that cannot be compared in a metric, and why."""

    first: Side
    second: Side
    metric: str
    why: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "first": self.first.name,
            "second": self.second.name,
            "sides": [self.first.key, self.second.key],
            "metric": self.metric,
            "why": self.why,
        }


def compare(first: Side, second: Side, metric_name: str, *, slices: bool = True) -> Comparison:
    """The paired comparison of two sides. Raises Refused where they cannot be paired."""
    if reason := why_not(first, second, metric_name):
        raise Refused(reason)
    names = [metric_name]
    return compare_all([first, second], names, slices_of=names if slices else ())[metric_name][0]


def compare_all(
    sides: Sequence[Side], names: Sequence[str], *, slices_of: Collection[str] = ()
) -> dict[str, list[Comparison]]:
    """Every other side against the first in these metrics, with the slices of some; Holm's p over the sides.

    Sides that cannot be paired with the first in a metric are left out of it: `why_not` says why.
    """
    first, found = sides[0], {}
    metrics = {metric.name: metric for metric in metrics_of(first.run)}
    sheets: dict[int, Sheet] = {}
    for name in names:
        others = [side for side in sides[1:] if not why_not(first, side, name)]
        found[name] = _corrected(
            [
                _compared(first, side, metrics[name], sheets, sides, names, name in slices_of)
                for side in others
            ]
        )
    return found


def compare_or_say(
    sides: Sequence[Side], names: Sequence[str], *, slices_of: Collection[str] = ()
) -> dict[str, list[Comparison | Unpaired]]:
    """Every other side against the first, in order, in these metrics: compared, or why not. Raises Refused where
    nothing can be compared."""
    first = sides[0]
    if not names:
        raise Refused(NONE_SHARED)
    found: dict[str, list[Comparison | Unpaired]] = {}
    for name, compared in compare_all(sides, names, slices_of=slices_of).items():
        by_key = {each.second.key: each for each in compared}
        found[name] = [
            by_key.get(side.key) or Unpaired(first, side, name, why_not(first, side, name))
            for side in sides[1:]
        ]
    each = [pair for pairs in found.values() for pair in pairs]
    if all(isinstance(pair, Unpaired) for pair in each):
        raise Refused(" ".join(dict.fromkeys(pair.why for pair in each if isinstance(pair, Unpaired))))
    return found


def _compared(
    first: Side,
    second: Side,
    metric: Metric,
    sheets: dict[int, Sheet],
    sides: Sequence[Side],
    names: Sequence[str],
    slices: bool,
) -> Comparison:
    key = (
        f"evaluation:paired:{FORM}:{first.run.folder}:{first.key}:{second.run.folder}:{second.key}:{slices}:"
    )
    key += metric.name.encode().hex()
    numbers: Paired | None = cache.get(key)
    if numbers is None:
        from evaluation.numbers import paired

        for side in (first, second):
            if side.run.pk not in sheets:
                sheets[side.run.pk] = _sheet(side.run, sides, names)
        numbers = paired(metric, *_cells(first, second, metric, sheets), slices=slices)
        cache.set(key, numbers, KEPT_S)
    delta = numbers.delta
    return Comparison(
        first=first,
        second=second,
        metric=metric,
        estimates=numbers.own,
        difference=delta.estimate,
        p=delta.p_value if delta.mid_p is None else delta.mid_p,
        fixed=delta.fixed,
        broken=delta.broken,
        n=delta.n,
        clusters=delta.clusters,
        unpaired=numbers.unpaired,
        spread=delta.spread,
        table=numbers.table,
        constant=numbers.constant,
        slices=numbers.slices,
    )


def _sheet(run: EvalRun, sides: Sequence[Side], names: Sequence[str]) -> Sheet:
    metrics = [metric for metric in metrics_of(run) if metric.name in names]
    return read_sheet(
        run, metrics=metrics, targets={side.target.index for side in sides if side.run.pk == run.pk}
    )


def _corrected(found: list[Comparison]) -> list[Comparison]:
    """Holm's p over several sides: of many candidates one looks better by chance more easily than of one."""
    tested = [each.p for each in found if each.p is not None]
    if len(found) < 2 or not tested:
        return found
    from evaluation.statistics import holm

    corrected = iter(holm(tested))
    return [each if each.p is None else replace(each, p=next(corrected)) for each in found]


def paired_cells(
    first: Side, second: Side, metric: Metric
) -> tuple[list[Line], dict[int, Cell], dict[int, Cell]]:
    """The cases in order, and each side's cells that have a value, by the first side's numbers of the cases."""
    sides = [first, second]
    sheets = {side.run.pk: _sheet(side.run, sides, [metric.name]) for side in sides}
    return _cells(first, second, metric, sheets)


def _cells(
    first: Side, second: Side, metric: Metric, sheets: dict[int, Sheet]
) -> tuple[list[Line], dict[int, Cell], dict[int, Cell]]:
    """Equal versions have cases of the same numbers or, where a suite was copied, of the same uid."""
    one, two = sheets[first.run.pk], sheets[second.run.pk]
    a, b = one.scored(first.target.index, metric.name), two.scored(second.target.index, metric.name)
    if one is two:
        return one.lines, a, b
    places = {line.uid: line.id for line in one.lines}
    uids = {line.id: line.uid for line in two.lines}
    return one.lines, a, {places[uids[case]]: cell for case, cell in b.items() if uids[case] in places}
