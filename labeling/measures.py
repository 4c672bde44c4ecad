"""What is known of a project's quality: plain data, written to a file and shown on pages."""

from dataclasses import dataclass, field

from labeling.estimates import Estimate
from labeling.wording import took_words


@dataclass(slots=True)
class Statistic:
    """One number about the whole project. `scale` says how to read it: "beyond chance" (0 is what chance would give)
    or "share" (of all)."""

    key: str
    words: str
    scale: str
    estimate: Estimate | None


@dataclass(slots=True)
class PairLine:
    """Two people: how often they say the same, and how often beyond chance; None where too little is shared."""

    a: str
    b: str
    values: dict[str, Estimate | None]


@dataclass(slots=True)
class PersonLine:
    """How one person judges.

    Shares: of decided answers those that went to the response shown first (`left_share`) or to the longer one; of the
    others' answers to the same items those that say the same (`agrees`); of repeated items those answered alike again
    (`consistent`); of known answers those that were right (`known`). `reliability` is how often the person is right
    where nobody knows the truth, told from everybody's answers. `passes` is the project's rule for known answers.
    """

    person_id: int
    name: str
    judgments: int
    ties: int = 0
    skipped: int = 0
    mean_ms: float | None = None
    left_share: Estimate | None = None
    longer_share: Estimate | None = None
    agrees: Estimate | None = None
    reliability: Estimate | None = None
    consistent: Estimate | None = None
    repeats: int = 0
    known: Estimate | None = None
    known_answered: int = 0
    passes: bool | None = None

    @property
    def took(self) -> str:
        """The mean active time of an answer in words; empty where it is not known."""
        return took_words(None if self.mean_ms is None else round(self.mean_ms))


@dataclass(slots=True)
class Measure:
    """All that is known of a project's quality in one state of its data.

    `shared` items were judged by two people or more; on `differing` ones they do not all say the same. `compared` is
    how many people are in `pairs`; `ceiling` the most that anything can agree with one answer, told from repeats.
    """

    task: str
    judgments: int
    items: int
    shared: int
    differing: int
    compared: int
    statistics: list[Statistic] = field(default_factory=list)
    pairs: list[PairLine] = field(default_factory=list)
    people: list[PersonLine] = field(default_factory=list)
    ceiling: Estimate | None = None

    def estimate(self, key: str) -> Estimate | None:
        """The statistic of this name; None where it is not known or does not apply."""
        return next((each.estimate for each in self.statistics if each.key == key), None)
