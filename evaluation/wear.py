"""How worn a suite is by being looked at, what it can detect, and how many cases a question takes.

Pages ask this, so it stands on the standard library alone: scipy stays out of the web process. The formulas are those
of evaluation.statistics.power, and the tests hold the two together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from django.db.models import F
from django.db.models.fields.json import KeyTextTransform

from evaluation.models import RunTarget, Score, Split, Suite
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
    """The smallest difference of the primary metric that is found with 80 % power, from 0 to 1; None where no
    difference would be. `error` is the standard error of a paired difference.

    `cases` are open cases, `units` the prompts or clusters that they come from. The spread is that of `runs`
    comparisons of this suite, or assumed where there was none.
    """

    difference: float | None
    error: float | None
    cases: int
    units: int
    spread: float
    runs: int

    @property
    def assumed(self) -> bool:
        return self.runs == 0

    @property
    def points(self) -> float | None:
        return None if self.difference is None else 100 * self.difference


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
    """What each of these suites can detect on its open cases, by its key: one query."""
    spreads: dict[int, list[tuple[float, int]]] = {}
    rows = Score.objects.filter(
        run__suite__in=suites,
        run__status=Status.SUCCEEDED,
        versus__isnull=False,
        slice="",
        spread__gt=0,
        n__gt=0,
        metric=KeyTextTransform("primary", "run__spec"),
    ).order_by(F("pk").desc())
    for suite, spread, n in rows.values_list("run__suite", "spread", "n"):
        found = spreads.setdefault(suite, [])
        if len(found) < LATEST:
            found.append((float(spread or 0), n))
    return {
        suite.pk: detectable(shapes.get(suite.pk, Shape()), spreads.get(suite.pk, [])) for suite in suites
    }


def detectable(shape: Shape, spreads: Sequence[tuple[float, int]] = ()) -> Detectable:
    """What a suite of this shape can detect, by the spreads (variance of paired differences, and its cases) that its
    own runs showed. Without any, a fifth of its prompts is taken to flip: cases of one prompt then count as one."""
    if spreads:
        spread = sum(value * n for value, n in spreads) / sum(n for _, n in spreads)
        size, difference = shape.open, smallest_of_spread(shape.open, spread)
    else:
        spread, size = ASSUMED, shape.units
        difference = smallest_of_flips(shape.units, ASSUMED)
    error = math.sqrt(spread / size) if size >= FEWEST else None
    return Detectable(difference, error, shape.open, shape.units, spread, len(spreads))


def smallest_of_spread(cases: int, spread: float, power: float = POWER) -> float | None:
    """The smallest mean difference that so many cases detect (Miller 2024, section 5); None for too few of them, and
    where it would be above 1."""
    if cases < FEWEST or spread <= 0:
        return None
    found = sum(_quantiles(power)) * math.sqrt(spread / cases)
    return found if found <= 1 else None


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
