"""Series of what a run measured, as many points as a page can draw, however long the run is."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 200  # points of a series on a page
MEMORY = 10  # points over which the smoothed line remembers


@dataclass(slots=True)
class Group:
    """Neighbouring points as one: how many, their sum, least and greatest, and the last step."""

    n: int
    total: float
    low: float
    high: float
    step: int

    @property
    def mean(self) -> float:
        return self.total / self.n

    def take(self, other: "Group") -> None:
        """Become the group of both."""
        self.n += other.n
        self.total += other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.step = max(self.step, other.step)


@dataclass(slots=True)
class Series:
    """Points by step in groups of equally many steps, which double whenever there are more than MOST groups.

    Nothing that stands out is lost: each group keeps its least and its greatest value.
    """

    width: int = 1  # steps of a group
    n: int = 0
    groups: dict[int, Group] = field(default_factory=dict)

    def add(self, step: int, value: float) -> None:
        self.n += 1
        self._put(Group(1, value, value, value, step))
        while len(self.groups) > MOST:
            self.width *= 2
            before, self.groups = list(self.groups.values()), {}
            for group in before:
                self._put(group)

    def _put(self, group: Group) -> None:
        """Points of a group have the same last step, divided by its width, as their group."""
        index = group.step // self.width
        if (there := self.groups.get(index)) is None:
            self.groups[index] = group
        else:
            there.take(group)

    @property
    def is_thinned(self) -> bool:
        return self.n > len(self.groups)

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups.values())

    def ends(self, share: float = 0.1) -> tuple[float, float]:
        """The mean of the first and of the last groups, a tenth of them each."""
        groups = list(self.groups.values())
        part = max(1, round(len(groups) * share))
        first, last = groups[:part], groups[-part:]
        return tuple(sum(g.total for g in side) / sum(g.n for g in side) for side in (first, last))  # type: ignore[return-value]


@dataclass(slots=True)
class Points:
    """The series of a run by (type of event, name), and how far its events were read."""

    seq: int = -1
    reached: dict[str, int] = field(default_factory=dict)  # type of event → its last step
    series: dict[tuple[str, str], Series] = field(default_factory=dict)

    def add(self, type: str, step: int, values: Mapping[str, Any]) -> None:
        """Take in the numbers of one event."""
        self.reached[type] = max(step, self.reached.get(type, step))
        for name, value in values.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                self.series.setdefault((type, name), Series()).add(step, float(value))

    def sort(self) -> None:
        """Put the groups of every series in the order of steps, after adding in another order."""
        for series in self.series.values():
            series.groups = dict(sorted(series.groups.items()))

    def get(self, type: str, *names: str) -> Series | None:
        """The first of these series that there is."""
        return next((self.series[type, name] for name in names if (type, name) in self.series), None)


def smoothed(values: list[float]) -> list[float]:
    """Exponential means that remember MEMORY points: each is 2 / (MEMORY + 1) of its point and the rest of the last."""
    weight, means = 2 / (MEMORY + 1), list[float]()
    for value in values:
        means.append(value if not means else means[-1] + weight * (value - means[-1]))
    return means
