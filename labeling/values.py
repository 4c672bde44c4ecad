"""Answers to a task, checked, and how the screen's words map to the stored responses.

On the screen responses have numbers from 1, in the order in which this person sees them; stored responses have
positions from 0. An answer is kept as it was given; its label says the same in terms of positions.
"""

import hmac
import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from labeling.errors import Refused

Verdict = Literal["first", "second", "tie", "both_bad"]
TIE, BOTH_BAD = "tie", "both_bad"
LABEL_WORDS = {"0": "response A", "1": "response B", TIE: "tie", BOTH_BAD: "both bad"}
STRENGTHS = {1: "slightly", 2: "clearly", 3: "much"}
LONGEST_ORDER, LONGEST_TEXT, LONGEST_REASON = 200, 200_000, 10_000
ORDER = re.compile(r"\d+(?:[>=]\d+)*")


class Attribute(TypedDict):
    """One scale on which each response is rated: its key, what it is called, and its ends, both included."""

    key: str
    words: str
    low: int
    high: int


class Answer(BaseModel):
    """What every kind of answer may carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: ClassVar[str]

    rationale: str = Field(default="", max_length=LONGEST_REASON, description="the reason, in words")

    def label(self, order: Sequence[int]) -> str:
        """The answer in terms of stored positions."""
        raise NotImplementedError

    def check(self, *, responses: int, attributes: Sequence[Attribute]) -> None:
        """Raise Refused where the answer does not fit the item."""

    @property
    def graded(self) -> int | None:
        """How much better, 1 to 3; None where that was not asked or makes no sense."""
        return None


class PairwiseAnswer(Answer):
    """Which of the two responses, as they stand on the screen, is better, and by how much."""

    kind = "pairwise"

    verdict: Verdict = Field(description="first, second, tie or both_bad, in the order shown")
    strength: Annotated[int, Field(ge=1, le=3)] | None = Field(
        default=None, description="1 slightly, 2 clearly, 3 much better"
    )

    def label(self, order: Sequence[int]) -> str:
        """The verdict in terms of stored positions: "0", "1", "tie" or "both_bad"."""
        if self.verdict in (TIE, BOTH_BAD):
            return self.verdict
        return str(order[0 if self.verdict == "first" else 1])

    def check(self, *, responses: int, attributes: Sequence[Attribute]) -> None:
        if responses != 2:
            raise Refused(f"The item has {responses} responses; a comparison needs two.")

    @property
    def graded(self) -> int | None:
        return self.strength if self.verdict in ("first", "second") else None


class RankingAnswer(Answer):
    """All responses from best to worst: numbers of the screen, > for better, = for as good: "2>1=3"."""

    kind = "ranking"

    order: str = Field(
        max_length=LONGEST_ORDER, description='from best to worst, as in "2>1=3", or "all_bad"'
    )

    def label(self, order: Sequence[int]) -> str:
        if self.order == "all_bad":
            return BOTH_BAD
        groups = [sorted(order[number - 1] for number in group) for group in read_order(self.order)]
        return ">".join("=".join(map(str, group)) for group in groups)

    def check(self, *, responses: int, attributes: Sequence[Attribute]) -> None:
        if self.order == "all_bad":
            return
        numbers = sorted(number for group in read_order(self.order) for number in group)
        if numbers != list(range(1, responses + 1)):
            raise Refused(
                f"The order given is {self.order!r}; name each of the responses 1 to {responses} once, "
                'from best to worst, as in "2>1=3".'
            )


class RatingAnswer(Answer):
    """One value for each response, as they stand on the screen, on each attribute of the project."""

    kind = "rating"

    ratings: dict[str, list[int]] = Field(
        description="attribute → one value per response, in the order shown"
    )

    def label(self, order: Sequence[int]) -> str:
        return ""

    def check(self, *, responses: int, attributes: Sequence[Attribute]) -> None:
        wanted = {attribute["key"]: attribute for attribute in attributes}
        if set(self.ratings) != set(wanted):
            raise Refused(
                f"Ratings were given for {', '.join(sorted(self.ratings)) or 'nothing'}; "
                f"rate {', '.join(sorted(wanted))}."
            )
        for key, values in self.ratings.items():
            low, high, words = wanted[key]["low"], wanted[key]["high"], wanted[key]["words"]
            if len(values) != responses or not all(low <= value <= high for value in values):
                raise Refused(
                    f"{words} was rated {values}; give each of the {responses} responses a value "
                    f"from {low} to {high}."
                )


class DemonstrationAnswer(Answer):
    """The response that a person would have wanted."""

    kind = "demonstration"

    text: str = Field(max_length=LONGEST_TEXT, description="the response as it should be")

    def label(self, order: Sequence[int]) -> str:
        return ""

    def check(self, *, responses: int, attributes: Sequence[Attribute]) -> None:
        if not self.text.strip():
            raise Refused("The response is empty; write one, or skip the item.")


class EditAnswer(Answer):
    """A better version of one response. With the original it makes a preference pair."""

    kind = "edit"

    number: int = Field(ge=1, description="the response that was improved, as shown")
    text: str = Field(max_length=LONGEST_TEXT, description="the improved response")

    def label(self, order: Sequence[int]) -> str:
        return str(order[self.number - 1])

    def check(self, *, responses: int, attributes: Sequence[Attribute]) -> None:
        if not self.text.strip():
            raise Refused("The improved response is empty; write it, or skip the item.")
        if self.number > responses:
            raise Refused(f"Response {self.number} was improved, but the item has {responses}.")


def read_order(text: str) -> list[list[int]]:
    """Groups of numbers from best to worst: "2>1=3" is [[2], [1, 3]]. Raises Refused where it is not an order."""
    if not ORDER.fullmatch(text):
        raise Refused(f'The order given is {text[:60]!r}; write numbers from best to worst, as in "2>1=3".')
    return [[int(number) for number in group.split("=")] for group in text.split(">")]


def pairs_of(label: str) -> list[tuple[int, int, str]]:
    """What a label of positions says of each pair (a, b) with a < b: (a, b, "0" for a, "1" for b, or "tie").

    A ranking of n responses gives n (n - 1) / 2 pairs; a pairwise label gives one.
    """
    if label in ("0", "1", TIE, BOTH_BAD):
        return [(0, 1, label)]
    groups = read_order(label)
    level = {position: rank for rank, group in enumerate(groups) for position in group}
    found = []
    for a in sorted(level):
        for b in sorted(level):
            if a < b:
                found.append((a, b, TIE if level[a] == level[b] else "0" if level[a] < level[b] else "1"))
    return found


def display_order(*, key: str, item_hash: str, turn: int, responses: int) -> list[int]:
    """The positions as they are shown on this turn, first to last.

    A keyed hash shuffles them, so nobody can guess the order and it is the same on every reload. Turns 2k and 2k + 1
    are each other's reverse, and each further pair of turns is rotated by one more: over 2n turns each of n responses
    stands in each place equally often, and over any first t turns two responses swap sides as evenly as t allows.
    """

    def rank(position: int) -> bytes:
        return hmac.digest(key.encode(), f"{item_hash}:{position}".encode(), "sha256")

    base = sorted(range(responses), key=rank)
    if responses < 2:
        return base
    rotation, flipped = divmod(turn, 2)
    rotation %= responses
    turned = base[rotation:] + base[:rotation]
    return turned[::-1] if flipped else turned
