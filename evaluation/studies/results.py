"""What a look found: plain data, stored with it, whatever becomes of the models and the judgments later."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from evaluation.models import StudyLook
from labeling.estimates import Estimate

FUTILE = 0.1


@dataclass(slots=True)
class SliceLine:
    """A win rate on the prompts with one tag: to look at, not to decide by."""

    name: str
    rate: Estimate | None
    prompts: int


@dataclass(slots=True)
class Versus:
    """Two models: the first by what people said of it against the second.

    Counts are judgments; `same` prompts had the same text and count as ties without being asked about. `rate` is wins
    and half of the ties, `preferred` the share that found the first as good or better, `tied` that of ties (both bad
    included), `bad` that of both bad: means over prompts. `z` was held to the look's boundary, and `beyond` says
    whether it passed; `spread` is the standard deviation of one prompt. `position` is how often the answer shown first
    was chosen. `agreement` is Krippendorff's alpha among people on these pairs. `chance` is that of a difference at the
    end, should the planned one be true; none at the last look. Less than FUTILE, and going on is futile. `joined` is
    the win rate on all planned prompts by people and judge together; none where people have judged all of them.
    """

    first: str
    second: str
    prompts: int
    judgments: int
    wins: int
    ties: int
    losses: int
    both_bad: int
    same: int
    rate: Estimate
    preferred: Estimate | None
    tied: Estimate | None
    bad: Estimate | None
    z: float
    spread: float
    beyond: bool
    position: Estimate | None
    agreement: Estimate | None
    judge_rate: Estimate | None
    slices: list[SliceLine]
    chance: float | None = None
    joined: Estimate | None = None


@dataclass(slots=True)
class RatingLine:
    """A model's Bradley-Terry rating and the ranks it may hold."""

    name: str
    rating: Estimate | None
    best: int
    worst: int

    @property
    def ranks(self) -> str:
        """2, or 1 to 3."""
        return f"{self.best}" if self.best == self.worst else f"{self.best} to {self.worst}"


@dataclass(slots=True)
class JudgeLine:
    """A judge on the same pairs as people: `raw` and `alpha` are of the judge and what most people said; `people` is
    alpha among people, the most that a judge can reach; `flips` the share of pairs that another order turned."""

    name: str
    n: int
    errors: int
    raw: Estimate | None
    alpha: Estimate | None
    flips: Estimate | None
    people: Estimate | None


@dataclass(slots=True)
class Result:
    """`level` is that of the intervals, which hold at every look; `lost` prompts ended without a judgment."""

    level: float
    prompts: int
    judgments: int
    people: int
    lost: int
    withdrawn: int
    pairs: list[Versus]
    agreement: Estimate | None
    position: Estimate | None
    judge: JudgeLine | None
    ratings: list[RatingLine] = field(default_factory=list)
    no_ratings: str = ""


@cache
def _adapter() -> TypeAdapter[Result]:
    return TypeAdapter(Result)


def as_json(result: Result) -> dict[str, Any]:
    """A result as plain JSON."""
    found: dict[str, Any] = _adapter().dump_python(result, mode="json")
    return found


def result_of(look: StudyLook) -> Result:
    """What a look found."""
    return _adapter().validate_python(look.result)
