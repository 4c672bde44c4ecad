"""Answers to a task, checked, and how the screen's words map to the stored responses."""

import hashlib
import hmac
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labeling.errors import Refused

Verdict = Literal["first", "second", "tie", "both_bad"]
TIE, BOTH_BAD = "tie", "both_bad"
LABEL_WORDS = {"0": "response A", "1": "response B", TIE: "tie", BOTH_BAD: "both bad"}


class PairwiseAnswer(BaseModel):
    """Which of the two responses, as they stand on the screen, is better."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict = Field(description="first, second, tie or both_bad, in the order shown")

    def label(self, display_order: list[int]) -> str:
        """The verdict in terms of stored positions: "0", "1", "tie" or "both_bad"."""
        if self.verdict in (TIE, BOTH_BAD):
            return self.verdict
        return str(display_order[0 if self.verdict == "first" else 1])


def read_answer(values: dict[str, Any]) -> PairwiseAnswer:
    """Check an answer from a form or an API call. Raises Refused with a sentence."""
    try:
        return PairwiseAnswer.model_validate(values)
    except ValidationError as error:
        given = values.get("verdict") or "nothing"
        raise Refused(
            f"The verdict given is {given!r}; choose first, second, tie or both_bad, then submit again."
        ) from error


def display_order(*, key: str, item_hash: str, person: str, responses: int) -> list[int]:
    """The order in which this person sees this item's responses.

    A keyed hash orders the positions, so the order is random to people, the same on every reload, and the same
    again when the data is rebuilt from the same key.
    """

    def rank(position: int) -> bytes:
        message = f"{item_hash}:{person}:{position}".encode()
        return hmac.new(key.encode(), message, hashlib.sha256).digest()

    return sorted(range(responses), key=rank)
