"""Looks at data that still grow, without raising the error rate: alpha spending for a two-sided test.

After Lan and DeMets (1983, Biometrika 70): a function says how much of alpha may be spent by the time a fraction
t of all information is in, and the critical value of each look is what spends exactly that, given the looks taken
before. Neither the number nor the times of the looks need be fixed in advance; times must not depend on what was
seen. Statistics are taken in their canonical joint distribution (Jennison and Turnbull 2000, Group Sequential
Methods, chapter 3): B(t) = Z sqrt(t) is Brownian motion with a drift of E[Z] at t = 1. Its density is carried from
look to look by Gauss-Legendre quadrature over what goes on (their chapter 19, with other nodes); critical values
are right to 1e-5 (tests/evaluation/test_statistics_sequential.py holds them against Lan and DeMets' own program).

The test is symmetric: each side spends half of alpha by the one-sided function, as in the LD98 program (Reboussin,
DeMets, Kim and Lan 2000, Controlled Clinical Trials 21).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from scipy import optimize, stats

from evaluation.statistics.checking import Floats, share_between

Spending = Literal["obrien_fleming", "pocock"]

CEILING = 8.0  # a critical value above which no look stops: it would spend less than 1e-15
NODES, MOST_NODES = 48, 2_000


class _Density(NamedTuple):
    """Where B may be at a look without having stopped, with quadrature weights times density at each place."""

    at: Floats
    mass: Floats


@dataclass(frozen=True, slots=True)
class Course:
    """The chance to stop at each look, on the upper and on the lower side."""

    upper: tuple[float, ...]
    lower: tuple[float, ...]

    @property
    def stopped(self) -> tuple[float, ...]:
        """The chance to have stopped by each look, on either side."""
        return tuple(float(total) for total in np.cumsum(np.add(self.upper, self.lower)))


def spent(fraction: float, *, alpha: float = 0.05, spending: Spending = "obrien_fleming") -> float:
    """How much of a two-sided alpha may be spent by an information fraction of 0 to 1.

    O'Brien-Fleming-type: 4 - 4 Phi(z(1 - alpha / 4) / sqrt(t)), nearly nothing early. Pocock-type:
    alpha ln(1 + (e - 1) t), about evenly.
    """
    share_between(alpha, "alpha")
    if not 0 <= fraction <= 1:
        raise ValueError(f"An information fraction lies between 0 and 1, not at {fraction:g}.")
    if spending == "pocock":
        return alpha * math.log(1 + (math.e - 1) * fraction)
    if spending != "obrien_fleming":
        raise ValueError(f"Spending is obrien_fleming or pocock, not {spending!r}.")
    if fraction == 0:
        return 0.0
    return min(alpha, float(4 * stats.norm.sf(stats.norm.isf(alpha / 4) / math.sqrt(fraction))))


def boundaries(
    fractions: Sequence[float], *, alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> tuple[float, ...]:
    """The critical value of |Z| at each look, the looks being taken at these information fractions.

    Each depends on its own fraction and those before it only, so a look that was taken keeps its value however the
    study goes on. CEILING where a look may spend nothing.
    """
    times = _checked(fractions)
    found: list[float] = []
    density, before = _start(), 0.0
    for last, now in zip((0.0, *times), times, strict=False):
        target = spent(now, alpha=alpha, spending=spending)
        found.append(_critical(density, now, now - last, target - before))
        density = _onward(density, found[-1] * math.sqrt(now), now - last, 0.0)
        before = target
    return tuple(found)


def course(fractions: Sequence[float], bounds: Sequence[float], *, drift: float = 0.0) -> Course:
    """The chances to stop, where E[Z] is `drift` at full information (0: there is nothing to be found)."""
    times = _checked(fractions)
    if len(bounds) != len(times):
        raise ValueError(f"{len(bounds)} critical values for {len(times)} looks; give one a look.")
    upper, lower = [], []
    density = _start()
    for last, now, bound in zip((0.0, *times), times, bounds, strict=False):
        step, edge = now - last, bound * math.sqrt(now)
        upper.append(_beyond(density, edge, step, drift))
        lower.append(_beyond(density, edge, step, drift, side=-1))
        density = _onward(density, edge, step, drift)
    return Course(tuple(upper), tuple(lower))


def drift_needed(fractions: Sequence[float], bounds: Sequence[float], *, power: float = 0.8) -> float:
    """The drift at which the test finds what is there, on the right side, with this chance."""
    share_between(power, "Power")

    def missing(drift: float) -> float:
        return sum(course(fractions, bounds, drift=drift).upper) - power

    return float(optimize.brentq(missing, 0.0, 20.0, xtol=1e-9))


def conditional_power(z: float, fraction: float, *, final: float, drift: float) -> float:
    """The chance that |Z| ends beyond `final` at full information, Z being `z` at this fraction and E[Z] being
    `drift` at the end: B(1) given B(t) is normal around B(t) + drift (1 - t) with variance 1 - t."""
    if not 0 < fraction < 1:
        raise ValueError(f"A look before the end lies between 0 and 1, not at {fraction:g}.")
    left = 1 - fraction
    expected = z * math.sqrt(fraction) + drift * left
    above = stats.norm.sf((final - expected) / math.sqrt(left))
    below = stats.norm.cdf((-final - expected) / math.sqrt(left))
    return float(above + below)


def _checked(fractions: Sequence[float]) -> tuple[float, ...]:
    times = tuple(float(fraction) for fraction in fractions)
    rises = all(a < b for a, b in zip((0.0, *times), times, strict=False))
    if not times or not rises or times[-1] > 1 + 1e-12:
        given = ", ".join(f"{time:g}" for time in times) or "none"
        raise ValueError(f"Information fractions rise from above 0 to 1 at most; given: {given}.")
    return tuple(min(time, 1.0) for time in times)


def _start() -> _Density:
    """All of it at 0, before anything is known."""
    return _Density(np.zeros(1), np.ones(1))


def _beyond(density: _Density, edge: float, step: float, drift: float, *, side: int = 1) -> float:
    """The chance to go on to this look and then to be beyond the edge, on one side."""
    distance = (edge - side * (density.at + drift * step)) / math.sqrt(step)
    return float(density.mass @ stats.norm.sf(distance))


def _critical(density: _Density, now: float, step: float, target: float) -> float:
    """The critical value that spends `target` at this look."""

    def excess(bound: float) -> float:
        return 2 * _beyond(density, bound * math.sqrt(now), step, 0.0) - target

    if excess(CEILING) >= 0:
        return CEILING
    return float(optimize.brentq(excess, 0.0, CEILING, xtol=1e-10))


@cache
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss and Legendre's rule: an eigenvalue problem, solved once for each count."""
    return np.polynomial.legendre.leggauss(count)


def _onward(density: _Density, edge: float, step: float, drift: float) -> _Density:
    """The density at this look of those that go on: between the edges."""
    wanted = NODES + 12 * edge / math.sqrt(step)
    count = min(MOST_NODES, NODES * math.ceil(wanted / NODES))
    nodes, weights = _nodes(count)
    at = edge * nodes
    moved = (at[:, None] - density.at[None, :] - drift * step) / math.sqrt(step)
    carried = np.exp(-(moved**2) / 2) @ density.mass / math.sqrt(2 * math.pi * step)
    return _Density(at, edge * weights * carried)
