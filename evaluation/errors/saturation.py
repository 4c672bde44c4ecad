"""When enough failures were read: how many kinds were known after each, and when the last new one came."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.errors.table import Read

STOP = 20


@dataclass(frozen=True, slots=True)
class Saturation:
    """`points` are (failures read, kinds known), `since` how many failures of a known kind came after the last new one,
    `untagged` how many fit none: these tell nothing of whether the kinds are known."""

    points: list[tuple[int, int]]
    since: int
    failing: int
    untagged: int = 0

    @property
    def read(self) -> int:
        return len(self.points)

    @property
    def is_enough(self) -> bool:
        return bool(self.points) and (self.since >= STOP or self.read >= self.failing)

    @property
    def words(self) -> str:
        """The rule by which one stops reading, and where one stands."""
        if not self.points:
            return f"Read failures until {STOP} in a row bring no new category."
        kinds = self.points[-1][1]
        failures = f"{self.read:,} failure{'' if self.read == 1 else 's'}"
        known = f"{kinds:,} categor{'y' if kinds == 1 else 'ies'} in {failures}"
        if self.untagged:
            known += f", {self.untagged:,} of which fit{'s' if self.untagged == 1 else ''} none"
        if self.read >= self.failing:
            return f"{known}: every failing case was read."
        if not kinds:
            return f"{known}. Name what you meet, and read on until {STOP} in a row bring no new category."
        fit, fits = (" that fit one", "that fits one") if self.untagged else ("", "one")
        if self.since >= STOP:
            return (
                f"{known}; the last {self.since:,}{fit} brought no new one. The kinds are known; reading on makes "
                "their ceilings narrower."
            )
        last = f"the last {self.since:,}{fit} brought no new one"
        if not self.since:
            last = f"the last {fits} brought a new one"
        return f"{known}; {last}. Read on until {STOP} in a row bring none."


def saturation(reads: Sequence[Read], failing: int) -> Saturation:
    """How the known kinds grew with these reads, which are in the order of the analysis."""
    known: set[str] = set()
    points: list[tuple[int, int]] = []
    since = 0
    for read in reads:
        since = 0 if read.categories - known else since + bool(read.categories)
        known |= read.categories
        points.append((len(points) + 1, len(known)))
    return Saturation(points, since, failing, sum(not read.categories for read in reads))
