"""How a conversation is asked: the same for both sides, frozen with each turn."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from evaluation.engines.protocol import Sampling
from labeling.errors import Refused
from training.specs import SpecRefused, Strict, parse

LONGEST_SYSTEM = 50_000
LAST_SEED = 2**31 - 1


class ChatSettings(Strict):
    """What may be changed between two turns."""

    temperature: float = Field(default=0.7, ge=0, le=2, description="0 takes the likeliest token each time.")
    top_p: float = Field(default=1.0, gt=0, le=1, description="Sample from this share of the probability.")
    max_tokens: int = Field(default=512, ge=1, le=8192, description="Tokens of an answer at most.")
    seed: int = Field(default=0, ge=0, le=LAST_SEED, description="Where the random numbers begin.")
    system: str = Field(default="", max_length=LONGEST_SYSTEM, description="The system message, or none.")

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            max_tokens=self.max_tokens, temperature=self.temperature, top_p=self.top_p, seed=self.seed
        )


def settings_from(before: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> ChatSettings:
    """The settings with what is given changed. Raises Refused with what was given and what is allowed."""
    try:
        return parse(ChatSettings, {**before, **(changes or {})})
    except SpecRefused as refusal:
        words = str(refusal)
        raise Refused(f"{words[:1].upper()}{words[1:]}.") from refusal
