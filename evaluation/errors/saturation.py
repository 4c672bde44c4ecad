"""When enough failures were read: how many kinds were known after each, and when the last new one came."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.errors.table import Read

STOP = 20


@dataclass(frozen=True, slots=True)
class Saturation:
    """`points` are (failures read, kinds known), `since` how many failures brought no new kind at the end."""

    points: list[tuple[int, int]]
    since: int
    failing: int

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
        known = f"{kinds:,} categor{'y' if kinds == 1 else 'ies'} in {self.read:,} failures"
        if self.read >= self.failing:
            return f"{known}: every failing case was read."
        if self.since >= STOP:
            return (
                f"{known}; the last {self.since:,} brought no new one. The kinds are known; reading on makes their "
                "ceilings narrower."
            )
        last = (
            f"the last {self.since:,} brought no new one" if self.since else "the last one brought a new one"
        )
        return f"{known}; {last}. Read on until {STOP} in a row bring none."


def saturation(reads: Sequence[Read], failing: int) -> Saturation:
    """How the known kinds grew with these reads, which are in the order of the analysis."""
    known: set[str] = set()
    points: list[tuple[int, int]] = []
    since = 0
    for read in reads:
        since = 0 if read.categories - known else since + 1
        known |= read.categories
        points.append((len(points) + 1, len(known)))
    return Saturation(points, since, failing)
