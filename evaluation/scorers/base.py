"""What every scorer is: it looks at one answer to one case, and gives a value or says why it cannot.

A scorer is a class without state. Its `key` and `version` stand in every run that used it: who changes what a scorer
computes raises its version, and runs of different versions are not compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from evaluation.engines.protocol import Answer, Kind, Messages


class Scale(StrEnum):
    """How values become one number: binary (0 or 1) and share (0 to 1) by their mean, number by its mean, rate by the
    sum of values over the sum of sizes, perplexity by the exponential of that."""

    BINARY = "binary"
    SHARE = "share"
    NUMBER = "number"
    RATE = "rate"
    PERPLEXITY = "perplexity"

    @property
    def is_bounded(self) -> bool:
        """Whether every value of it lies between 0 and 1."""
        return self in (Scale.BINARY, Scale.SHARE)


class Need(StrEnum):
    """What a case or a run must have for a scorer to work."""

    ANSWER = "answer"
    REFERENCE = "reference"
    REJECTED = "rejected"
    CONTEXTS = "contexts"
    CHECKS = "checks"
    JUDGE = "judge"
    REWARD = "reward"
    BASELINE = "baseline"


Source = Literal["target", "judge", "reward"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a scorer sees of a case. `contexts` are the texts that were given to the model, in order."""

    id: int
    messages: Messages
    reference: str | None = None
    rejected: str | None = None
    contexts: Sequence[str] = ()
    checks: Sequence[Mapping[str, Any]] = ()
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of a scorer to the target itself, to its judge or to its reward model. `id` is the scorer's own."""

    id: str
    of: Source
    kind: Kind
    messages: Messages
    completion: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """One answer to a case: its text (None: the target gave none), why it ended ("length" is truncated), the baseline's
    answer to the same case, whether this one is the baseline's own, and what the scorer's own questions brought, by
    their ids."""

    text: str | None
    finish: str = ""
    tokens: int | None = None
    baseline: str | None = None
    is_baseline: bool = False
    told: Mapping[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """A value, or the reason why there is none. `size` is the denominator of a rate."""

    value: float | None = None
    size: float | None = None
    state: Literal["scored", "unscorable", "error"] = "scored"
    reason: str = ""
    detail: Mapping[str, Any] | None = None


Marker: TypeAlias = Callable[[Facts, Given], Mark]


def unscorable(reason: str, detail: Mapping[str, Any] | None = None) -> Mark:
    """The scorer has no meaning for this case."""
    return Mark(state="unscorable", reason=reason, detail=detail)


def failed(reason: str, detail: Mapping[str, Any] | None = None) -> Mark:
    """There is a value, but it could not be found."""
    return Mark(state="error", reason=reason, detail=detail)


class NoValue(Exception):
    """Raised anywhere below `mark` where there can be no value; carries the mark that says why."""

    def __init__(self, mark: Mark) -> None:
        super().__init__(mark.reason)
        self.mark = mark


class Params(BaseModel):
    """Settings of a scorer. Every field has a description and bounds, and a default where there can be one."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Scorer:
    """Subclasses fill the class attributes and `mark`; those that ask something also `asks`.

    Whoever scores goes through evaluation.scorers (`asked`, `marking`, `marked`), which guards all of these.
    """

    key: ClassVar[str]
    version: ClassVar[int] = 1
    label: ClassVar[str]
    about: ClassVar[str]
    scale: ClassVar[Scale] = Scale.SHARE
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWER})
    judge_kind: ClassVar[str] = (
        ""  # of the judges whose rubric it asks; empty where questions to a judge are its own
    )
    Params: ClassVar[type[Params]] = Params

    def needed(self, params: Any) -> frozenset[Need]:
        """What is needed with these settings; `needs` for most scorers."""
        return self.needs

    def check(self, params: Any) -> None:
        """Raises Refused with a sentence where these settings cannot work on this installation."""

    def facts(self, params: Any) -> dict[str, str]:
        """What of its surroundings can change its values (versions, the hash of a file), to be kept once with a run."""
        return {}

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        """The questions whose answers `mark` will find in `given.told`; none for most scorers."""
        return []

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        """The value of this answer. Raises NoValue where there can be none for what a case or an answer holds."""
        raise NotImplementedError

    def session(self, params: Any) -> AbstractContextManager[Marker]:
        """Held open while many answers are marked, by one thread; gives what marks them. A scorer that needs a process
        keeps it here; most keep nothing."""
        return _plain(self, params)


@contextmanager
def _plain(scorer: Scorer, params: Any) -> Iterator[Marker]:
    yield lambda case, given: scorer.mark(case, given, params)


Registry = dict[str, Scorer]
