"""Scorers that look at the answer's text, alone or beside the reference: equal, contains, fits, how long, cut off."""

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from evaluation.scorers.base import Facts, Given, Mark, Need, NoValue, Params, Scale, Scorer, unscorable
from evaluation.scorers.matching import compiled, count_words, holds, matches, normalised
from labeling.errors import Refused


class Exact(Scorer):
    """1 where answer and reference are equal, white space around them aside."""

    key = "exact"
    label = "Equal to the reference"
    about = "The answer is the reference, letter by letter; white space around both is ignored."
    scale = Scale.BINARY
    needs = frozenset({Need.ANSWER, Need.REFERENCE})

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        return Mark(float((given.text or "").strip() == (case.reference or "").strip()))


class NormalisedParams(Params):
    ignore_punctuation: bool = Field(default=True, description="Leave punctuation outside numbers out.")
    ignore_articles: bool = Field(default=False, description="Leave the English words a, an and the out.")


class Normalised(Scorer):
    """1 where both are equal after Unicode NFKC, case folding, single spaces and what the settings leave out."""

    key = "normalised"
    label = "Equal but for case and punctuation"
    about = "The answer is the reference when case, white space, typography and punctuation are ignored."
    scale = Scale.BINARY
    needs = frozenset({Need.ANSWER, Need.REFERENCE})
    Params: ClassVar[type[Params]] = NormalisedParams

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        ignored = {"punctuation": params.ignore_punctuation, "articles": params.ignore_articles}
        wanted = normalised(case.reference or "", **ignored)
        if not wanted:
            return unscorable("nothing is left of the reference of this case")
        return Mark(float(normalised(given.text or "", **ignored) == wanted))


class ContainsParams(Params):
    texts: tuple[str, ...] = Field(
        default=(), max_length=100, description="What to look for; empty: each case's reference."
    )
    every: bool = Field(default=False, description="All of the texts must be there, not just one.")
    absent: bool = Field(
        default=False, description="The texts must not be there (with all: not all of them)."
    )
    ignore_case: bool = Field(default=True, description="Ignore case and typography.")

    @field_validator("texts")
    @classmethod
    def _something(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if any(not text.strip() for text in texts):
            raise ValueError("one of the texts to look for is empty; give it words or remove it")
        return texts


class Contains(Scorer):
    """1 where the answer contains one of the given texts, all of them, or none; without texts, the reference."""

    key = "contains"
    label = "Contains"
    about = "The answer contains given texts, or the reference; or it does not, where that is asked."
    scale = Scale.BINARY
    needs = frozenset({Need.ANSWER, Need.REFERENCE})
    Params: ClassVar[type[Params]] = ContainsParams

    def needed(self, params: Any) -> frozenset[Need]:
        return self.needs - {Need.REFERENCE} if params.texts else self.needs

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        parts = params.texts or ((case.reference or "").strip(),)
        if not all(parts):
            return unscorable("the reference of this case is empty")
        found = holds(given.text or "", parts, every=params.every, ignore_case=params.ignore_case)
        return Mark(float(found != params.absent))


class RegexParams(Params):
    pattern: str = Field(min_length=1, description="A regular expression of Python's regex package.")
    whole: bool = Field(default=False, description="It must fit the whole answer, not a part of it.")
    absent: bool = Field(default=False, description="It must not be found.")
    ignore_case: bool = Field(default=False, description="Ignore case.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return checked_pattern(pattern)


def checked_pattern(pattern: str) -> str:
    """The pattern, if it compiles; ValueError with a sentence otherwise."""
    try:
        compiled(pattern)
    except Refused as error:
        raise ValueError(error.sentence) from error
    return pattern


class Regex(Scorer):
    """1 where the pattern is found; an error where the search takes more than a second."""

    key = "regex"
    label = "Fits a pattern"
    about = "A regular expression is found in the answer, fits all of it, or is not found, as you say."
    scale = Scale.BINARY
    Params: ClassVar[type[Params]] = RegexParams

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        text = (given.text or "").strip() if params.whole else given.text or ""
        found = matches(params.pattern, text, ignore_case=params.ignore_case, whole=params.whole)
        return Mark(float(found != params.absent))


Unit = Literal["words", "characters", "tokens"]


def measured(given: Given, unit: Unit) -> int:
    """How long an answer is. NoValue where its tokens were not counted."""
    if unit == "tokens":
        if given.tokens is None:
            raise NoValue(unscorable("the engine did not count the tokens of this answer"))
        return given.tokens
    return count_words(given.text or "") if unit == "words" else len(given.text or "")


class LengthParams(Params):
    unit: Unit = Field(default="words", description="What is counted.")


class Length(Scorer):
    """How long the answer is, in words, characters or the target's tokens; a fact rather than a merit."""

    key = "length"
    label = "Length"
    about = (
        "How many words, characters or tokens the answer has. Watch it beside win rates; give it no weight."
    )
    scale = Scale.NUMBER
    higher_is_better = False
    Params: ClassVar[type[Params]] = LengthParams

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        return Mark(float(measured(given, params.unit)))


class LengthLimitParams(LengthParams):
    most: int = Field(default=100, ge=0, le=1_000_000, description="The most that are allowed.")
    least: int = Field(default=0, ge=0, le=1_000_000, description="The least that are asked for.")


class LengthLimit(Scorer):
    """1 where the answer's length lies within the limits, both included."""

    key = "length_limit"
    label = "Within a length"
    about = "The answer has no more, and no fewer, words, characters or tokens than asked for."
    scale = Scale.BINARY
    Params: ClassVar[type[Params]] = LengthLimitParams

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        length = measured(given, params.unit)
        return Mark(float(params.least <= length <= params.most), detail={"length": length})


class Truncated(Scorer):
    """1 where the answer ended because it reached the limit of tokens; lower is better."""

    key = "truncated"
    label = "Cut off"
    about = "The answer ended at the limit of tokens, not by itself."
    scale = Scale.BINARY
    higher_is_better = False

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        if not given.finish:
            return unscorable("the engine did not say why this answer ended")
        return Mark(float(given.finish == "length"))
