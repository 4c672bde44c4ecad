"""What a list of suites says of each: its version, its size, what it can detect, and how worn it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.models import Suite, SuiteVersion
from evaluation.suites.listing import Shape, shapes_of, slices_by_suite
from evaluation.wear import Detectable, Wear, detectable_of, wear_of


@dataclass(frozen=True, slots=True)
class Line:
    """One suite of the list."""

    suite: Suite
    version: SuiteVersion | None
    shape: Shape
    slices: list[tuple[str, int]]
    detects: Detectable
    wear: Wear

    @property
    def wear_high(self) -> float | None:
        """The luck, in points, from which a suite counts as worn: half of what it can detect."""
        return None if self.detects.points is None else self.detects.points / 2

    @property
    def worn(self) -> bool:
        return bool(self.wear.points and self.wear_high and self.wear.points > self.wear_high)


def lines_of(suites: Sequence[Suite]) -> list[Line]:
    """A line for each suite, in their order, at a cost in queries that does not depend on how many there are."""
    shapes, slices = shapes_of(suites), slices_by_suite(suites)
    detects = detectable_of(suites, shapes)
    wear = wear_of(suites, {key: found.error for key, found in detects.items()})
    newest: dict[int, SuiteVersion] = {}
    for version in SuiteVersion.objects.filter(suite__in=suites).order_by("number"):
        newest[version.suite_id] = version
    return [
        Line(
            suite,
            newest.get(suite.pk),
            shapes.get(suite.pk, Shape()),
            slices[suite.pk],
            detects[suite.pk],
            wear[suite.pk],
        )
        for suite in suites
    ]
