"""What is known of how far a judge agrees with people: plain data, stored with its card and shown on pages."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

from pydantic import TypeAdapter

from evaluation.models import AgreementCard
from labeling.estimates import Estimate
from labeling.lifecycle import Status

PAIRS = AgreementCard.About.PAIRS.value
NOUNS = {
    PAIRS: "pairs",
    "context_relevance": "contexts",
    "groundedness": "sentences",
    "answer_relevance": "answers",
}
DIFFERENCES = "differences.jsonl"
Counts = dict[str, int]


@dataclass(slots=True)
class Card:
    """A judge's version held against people: by its rubric, where people had to choose one of two answers, shown in a
    random order; or about a measure of answers from given texts, where people reviewed contexts, sentences or answers.

    `drawn` pairs were put to the judge; `n` of them have its judgment, for `errors` there is none and `reasons` says
    why. `confusion` counts by what people said ("first", "second") and the judge ("first", "second", "tie").
    `sensitivity` is how often the judge says first where people did, `specificity` second where people did. `flips` is
    the share of pairs on which another order made another winner (pairwise), `first_place` how often that was the
    answer shown first. `longer_judge` and `longer_people` are shares of decided pairs that went to the longer answer.
    `mass` is how much of the judge's probability lies on its labels. `people` is Krippendorff's alpha among people, the
    most that a judge can reach. `warnings` are those of its engine. `seen` pairs were left out because the judge had
    learned from their prompts.

    About a measure (`about`; `scorer` is the version of its questions) parts of `answers` answers stand in the place of
    pairs, and "yes" and "no" in that of "first" and "second"; "skip" is what the judge takes for no claim although
    people marked it. Left out are `split` parts on which people are evenly split, and `skipped` ones that the judge
    takes for no claim and nobody marked; `seen` counts answers.
    """

    drawn: int
    n: int
    errors: int
    clusters: int
    identity: str
    rubric: int
    dataset: str
    at: str
    splits: Counts
    confusion: dict[str, Counts]
    reasons: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    alpha: Estimate | None = None
    kappa: Estimate | None = None
    raw: Estimate | None = None
    sensitivity: Estimate | None = None
    specificity: Estimate | None = None
    flips: Estimate | None = None
    first_place: Estimate | None = None
    longer_judge: Estimate | None = None
    longer_people: Estimate | None = None
    mass: float | None = None
    people: Estimate | None = None
    cost: float | None = None
    differing: int = 0
    warnings: list[str] = field(default_factory=list)
    about: str = PAIRS
    scorer: int = 0
    answers: int = 0
    split: int = 0
    skipped: int = 0

    @property
    def noun(self) -> str:
        """What is counted."""
        return NOUNS[self.about]

    @property
    def ties(self) -> int:
        return sum(said.get("tie", 0) for said in self.confusion.values())

    @property
    def answered(self) -> float:
        """The share of drawn pairs that have a judgment."""
        return self.n / self.drawn if self.drawn else 0.0


@cache
def _adapter() -> TypeAdapter[Card]:
    return TypeAdapter(Card)


def as_result(card: Card) -> dict[str, Any]:
    """A card as plain JSON."""
    found: dict[str, Any] = _adapter().dump_python(card, mode="json")
    return found


def read_card(row: AgreementCard) -> Card | None:
    """What a finished check found; None before that."""
    return _adapter().validate_python(row.result) if row.result else None


def newest_cards(versions: Sequence[int]) -> dict[int, dict[str, AgreementCard]]:
    """The newest finished check of each of these versions about each thing that it was checked on."""
    found: dict[int, dict[str, AgreementCard]] = defaultdict(dict)
    rows = AgreementCard.objects.filter(version__in=versions, status=Status.SUCCEEDED)
    for row in rows.order_by("pk"):
        found[row.version_id][row.about] = row
    return found


def differences(row: AgreementCard, *, start: int = 0, count: int | None = None) -> list[dict[str, Any]]:
    """Pairs on which judge and people differ, the surest first; none where the file is gone."""
    try:
        with (row.path / DIFFERENCES).open(encoding="utf-8") as file:
            lines: Iterator[str] = islice(file, start, None if count is None else start + count)
            return [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []
