"""How worn a suite is by being looked at, what it can detect, and how many cases a question takes.

Pages ask this, so it stands on the standard library alone: scipy stays out of the web process. The formulas are those
of evaluation.statistics.power, and the tests hold the two together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from django.db.models import F
from django.db.models.fields.json import KeyTextTransform

from evaluation.models import RunTarget, Score, Split, Suite
from evaluation.plans import COMPOSITE
from evaluation.scorers import find_scorer
from evaluation.sheets import Metric, primary_metric
from evaluation.suites.listing import Shape
from evaluation.suites.sealing import SEEN
from labeling.lifecycle import Status

ALPHA, POWER = 0.05, 0.8
ASSUMED = 0.2  # share of cases that flip between two candidates, while no run has shown it
FEWEST = 5
LATEST = 20
STEPS, FAR = 800, 10.0
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Detectable:
    """The smallest difference of the primary metric that is found with 80 % power; None where no difference would be.
    It is from 0 to 1, of a metric without bounds in its own unit, of perplexity the logarithm of a ratio.

    `cases` are open cases, `units` the prompts or clusters that they come from. The spread is that of `runs`
    comparisons of this suite. Where there was none it is assumed, but 0 for a metric without bounds. `error` is the
    standard error of a paired difference from 0 to 1.
    """

    difference: float | None
    error: float | None
    cases: int
    units: int
    spread: float
    runs: int
    metric: Metric | None = None

    @property
    def assumed(self) -> bool:
        return self.runs == 0

    @property
    def is_bounded(self) -> bool:
        return self.metric is None or self.metric.is_bounded

    @property
    def is_ratio(self) -> bool:
        return self.metric is not None and self.metric.is_ratio

    @property
    def is_known(self) -> bool:
        """Whether the spread is known, or can be assumed."""
        return self.spread > 0

    @property
    def points(self) -> float | None:
        return 100 * self.difference if self.difference is not None and self.is_bounded else None

    @property
    def words(self) -> str:
        """The difference as its metric is read: ±5.0 points, 1.08 times, ±0.88 in length; empty where there is none."""
        if self.difference is None:
            return ""
        if self.metric is None or self.is_bounded:
            return f"±{100 * self.difference:.1f} points"
        if self.is_ratio:
            more = math.expm1(min(self.difference, 700))
            return f"{1 + more:,.{_decimals(more)}f} times"
        unit = self.metric.unit or f"in {self.metric.name}"
        return f"±{self.difference:,.{_decimals(self.difference)}f} {unit}"

    def needed(self, said: float, *, power: float = POWER, flips: float | None = None) -> int | None:
        """How many cases find a difference said as people read it: points, times, or the metric's own unit. With a
        share of flips, or without a run, it is by flips; else by the spread."""
        if flips or (self.is_bounded and self.assumed):
            return cases_needed(said / 100, power=power, discordant=flips or ASSUMED)
        difference = said / 100 if self.is_bounded else math.log(said) if self.is_ratio else said
        return cases_needed(difference, power=power, spread=self.spread)


@dataclass(frozen=True, slots=True)
class Wear:
    """How many candidates were scored on one split of a suite, and by how much the best of them looks better by chance
    alone, from 0 to 1; None while there is nothing to reckon with."""

    looks: int
    luck: float | None

    @property
    def points(self) -> float | None:
        return None if self.luck is None else 100 * self.luck

    @property
    def words(self) -> str:
        if not self.looks:
            return "No candidate was scored on it yet."
        who = "One candidate was" if self.looks == 1 else f"{self.looks:,} candidates were"
        if self.luck is None:
            return f"{who} scored on it."
        if self.looks == 1:
            return "One candidate was scored on it: nothing was chosen by it yet."
        return (
            f"{who} scored on it. If all were equally good, the best of them would still look "
            f"{100 * self.luck:.1f} points better than it is."
        )


def wear_of(
    suites: Sequence[Suite], error: dict[int, float | None], split: str = Split.DEV
) -> dict[int, Wear]:
    """The wear of each of these suites, by its key, over all its versions: one query. A baseline that is not what is in
    production was looked at as well. `error` is the standard error of a paired difference on each."""
    rows = RunTarget.objects.filter(
        SEEN, run__suite__in=suites, run__split=split, run__status=Status.SUCCEEDED
    ).order_by()
    seen: dict[int, set[object]] = {suite.pk: set() for suite in suites}
    for suite, checkpoint, identity in rows.values_list("run__suite", "checkpoint", "identity").distinct():
        seen[suite].add(checkpoint or identity)
    return {key: Wear(len(names), luck(len(names), error.get(key))) for key, names in seen.items()}


def luck(candidates: int, error: float | None) -> float | None:
    """How far the best of so many equal candidates is expected to score above what it is worth.

    `error` is of a paired difference; that of one candidate alone, without what all share, is smaller by the root of 2.
    """
    if error is None:
        return None
    return best_of(max(candidates, 1)) * error / math.sqrt(2)


def best_of(count: int) -> float:
    """The expected largest of so many standard normal numbers: the integral of x k f(x) F(x)^(k - 1), by Simpson."""
    if count <= 1:
        return 0.0
    width = 2 * FAR / STEPS
    total = 0.0
    for step in range(STEPS + 1):
        x = -FAR + step * width
        share = NORMAL.cdf(x)
        height = x * count * NORMAL.pdf(x) * share ** (count - 1)
        total += height * (1 if step in (0, STEPS) else 4 if step % 2 else 2)
    return total * width / 3


def detectable_of(suites: Sequence[Suite], shapes: dict[int, Shape]) -> dict[int, Detectable]:
    """What each of these suites can detect on its open cases in its primary metric, by its key: one query. Comparisons
    in another metric, or with other settings of it, say nothing of it; a suite without scorers has the metric of the
    newest one."""
    found: dict[int, list[tuple[float, int]]] = {suite.pk: [] for suite in suites}
    scoring = {suite.pk: suite.scoring for suite in suites}
    wanted = {suite.pk: _measures(suite.scoring) for suite in suites}
    rows = Score.objects.filter(
        run__suite__in=suites,
        run__status=Status.SUCCEEDED,
        versus__isnull=False,
        slice="",
        spread__gt=0,
        n__gt=0,
        metric=KeyTextTransform("primary", "run__spec"),
    ).order_by(F("pk").desc())
    for suite, metrics, spread, n in rows.values_list("run__suite", "run__spec__metrics", "spread", "n"):
        if not scoring[suite]:
            scoring[suite], wanted[suite] = metrics, _measures(metrics)
        if len(found[suite]) < LATEST and _measures(metrics) == wanted[suite]:
            found[suite].append((float(spread or 0), n))
    return {
        key: detectable(shapes.get(key, Shape()), spreads, primary_metric(scoring[key]))
        for key, spreads in found.items()
    }


def _measures(scoring: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the primary metric is made of, alike for a suite, which keeps what differs from the defaults, and for a run,
    which freezes all. A judge's own rubric and labels are told by its number."""
    primary, found = primary_metric(scoring), []
    name = primary.name if primary else ""
    for spec in scoring:
        if spec["name"] == name or (name == COMPOSITE and spec.get("weight", 0.0) > 0):
            params = find_scorer(spec["scorer"]).Params.model_construct(**spec.get("params", {}))
            hidden = {"rubric", "labels"} if spec.get("judge") is not None else None
            told = params.model_dump(mode="json", exclude=hidden, warnings=False)
            found.append({**told, **{name: spec.get(name) for name in ("scorer", "judge", "reward")}})
    return found


def detectable(
    shape: Shape, spreads: Sequence[tuple[float, int]] = (), metric: Metric | None = None
) -> Detectable:
    """What a suite of this shape can detect, by the spreads (variance of paired differences, and its cases) that its
    own runs showed. Without any, a fifth of its prompts is taken to flip: cases of one prompt then count as one. Of a
    metric without bounds nothing can be taken."""
    bounded = metric is None or metric.is_bounded
    spread, size, difference = 0.0, shape.open, None
    if spreads:
        spread = sum(value * n for value, n in spreads) / sum(n for _, n in spreads)
        difference = smallest_of_spread(size, spread)
        difference = None if bounded and (difference or 0) > 1 else difference
    elif bounded:
        spread, size, difference = ASSUMED, shape.units, smallest_of_flips(shape.units, ASSUMED)
    error = math.sqrt(spread / size) if bounded and size >= FEWEST else None
    return Detectable(difference, error, shape.open, shape.units, spread, len(spreads), metric)


def smallest_of_spread(cases: int, spread: float, power: float = POWER) -> float | None:
    """The smallest mean difference that so many cases detect (Miller 2024, section 5); None for too few of them."""
    if cases < FEWEST or spread <= 0:
        return None
    return sum(_quantiles(power)) * math.sqrt(spread / cases)


def smallest_of_flips(cases: int, discordant: float, power: float = POWER) -> float | None:
    """The smallest difference of pass rates that so many cases detect (Connor 1987) where this share of them flips;
    None where even flips all one way would not be detected."""
    low, high = 0.0, discordant
    if cases < FEWEST or _flips(high, discordant, power) > cases:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _flips(middle, discordant, power) <= cases else (middle, high)
    return high


def cases_needed(
    difference: float, *, power: float = POWER, spread: float | None = None, discordant: float = ASSUMED
) -> int | None:
    """How many cases a difference takes to be found with this power, from the variance of paired differences, or from
    the share of cases that flip. None where fewer cases flip than the difference asks for, or it is 0."""
    size = abs(difference)
    if size == 0 or not 0 < power < 1:
        return None
    if spread is not None:
        return _whole(sum(_quantiles(power)) ** 2 * spread / size**2) if spread > 0 else None
    return _whole(_flips(size, discordant, power)) if size <= discordant <= 1 else None


def _flips(difference: float, discordant: float, power: float) -> float:
    first, second = _quantiles(power)
    root = first * math.sqrt(discordant) + second * math.sqrt(discordant - difference**2)
    return float(root**2 / difference**2) if difference else math.inf


def _quantiles(power: float) -> tuple[float, float]:
    return NORMAL.inv_cdf(1 - ALPHA / 2), NORMAL.inv_cdf(power)


def _whole(cases: float) -> int:
    return math.ceil(cases * (1 - 1e-12))


def _decimals(size: float) -> int:
    """So many that two digits of a number above 0 are seen."""
    return max(0, 1 - math.floor(math.log10(size)))
