"""Conditions of one case alone, such as {"type": "contains", "text": "Berlin"}: each is met by an answer or not."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from evaluation.scorers.base import Facts, Given, Mark, Need, NoValue, Params, Scorer, failed
from evaluation.scorers.formats import misfit, read_json, usable_schema
from evaluation.scorers.matching import count_words, holds, matches, normalised
from evaluation.scorers.numeric import Number, close, last_number
from evaluation.scorers.text import checked_pattern
from labeling.errors import Refused
from training.specs import SpecRefused, parse

MOST_CHECKS = 50


class Check(Params):
    """One condition. `name` is what pages call it; without one it is its type."""

    name: str = Field(default="", max_length=80)

    def met(self, text: str) -> bool:
        raise NotImplementedError


class ExactCheck(Check):
    """The answer is this text, white space around it aside."""

    text: str

    def met(self, text: str) -> bool:
        return text.strip() == self.text.strip()


class NormalisedCheck(Check):
    """The answer is this text, but for case, white space, typography and punctuation."""

    text: str = Field(min_length=1)

    def met(self, text: str) -> bool:
        return normalised(text) == normalised(self.text)


class ContainsCheck(Check):
    """The answer contains the text, or one of the texts (`every`: all of them)."""

    text: str = ""
    texts: tuple[str, ...] = Field(default=(), max_length=100)
    every: bool = False
    ignore_case: bool = True

    @model_validator(mode="after")
    def _something(self) -> "ContainsCheck":
        if not self.parts or not all(part.strip() for part in self.parts):
            raise ValueError("it does not say what to look for; give it a text, or texts that are not empty")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        return (*self.texts, self.text) if self.text else self.texts

    def met(self, text: str) -> bool:
        return holds(text, self.parts, every=self.every, ignore_case=self.ignore_case)


class NotContainsCheck(ContainsCheck):
    """The answer contains none of the texts (`every`: not all of them)."""

    def met(self, text: str) -> bool:
        return not super().met(text)


class RegexCheck(Check):
    """The pattern is found in the answer."""

    pattern: str = Field(min_length=1)
    ignore_case: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return checked_pattern(pattern)

    def met(self, text: str) -> bool:
        return matches(self.pattern, text, ignore_case=self.ignore_case)


class NotRegexCheck(RegexCheck):
    """The pattern is not found in the answer."""

    def met(self, text: str) -> bool:
        return not super().met(text)


class NumericCheck(Check):
    """The last number of the answer is this one, within the larger of both tolerances."""

    value: float
    absolute: float = Field(default=0.0, ge=0)
    relative: float = Field(default=1e-9, ge=0, le=1)

    def met(self, text: str) -> bool:
        found = last_number(text)
        wanted = Number(self.value)
        return found is not None and close(found, wanted, absolute=self.absolute, relative=self.relative)


class JsonCheck(Check):
    """The answer, or its first fenced block, is JSON."""

    def met(self, text: str) -> bool:
        return not _fault(text, {})


class SchemaCheck(Check):
    """The answer, or its first fenced block, is JSON that fits the schema."""

    json_schema: dict[str, Any]

    @field_validator("json_schema")
    @classmethod
    def _usable(cls, schema: dict[str, Any]) -> dict[str, Any]:
        return usable_schema(schema)

    def met(self, text: str) -> bool:
        return not _fault(text, self.json_schema)


class LimitCheck(Check):
    limit: int = Field(ge=0)


class MaxWords(LimitCheck):
    """The answer has no more words than this."""

    def met(self, text: str) -> bool:
        return count_words(text) <= self.limit


class MinWords(LimitCheck):
    """The answer has no fewer words than this."""

    def met(self, text: str) -> bool:
        return count_words(text) >= self.limit


class MaxCharacters(LimitCheck):
    """The answer has no more characters than this."""

    def met(self, text: str) -> bool:
        return len(text) <= self.limit


TYPES: dict[str, type[Check]] = {
    "exact": ExactCheck,
    "normalised": NormalisedCheck,
    "contains": ContainsCheck,
    "not_contains": NotContainsCheck,
    "regex": RegexCheck,
    "not_regex": NotRegexCheck,
    "numeric": NumericCheck,
    "json": JsonCheck,
    "json_schema": SchemaCheck,
    "max_words": MaxWords,
    "min_words": MinWords,
    "max_characters": MaxCharacters,
}


def read_checks(values: Sequence[Mapping[str, Any]]) -> list[Check]:
    """The checks of a case. Raises Refused with a sentence about the first that cannot be used."""
    if not isinstance(values, list | tuple):
        raise Refused(f"The checks are a {type(values).__name__}; give a list of objects with a type each.")
    if len(values) > MOST_CHECKS:
        raise Refused(f"The case has {len(values)} checks; {MOST_CHECKS} are allowed.")
    return [_read(number, value) for number, value in enumerate(values, start=1)]


def _read(number: int, value: Mapping[str, Any]) -> Check:
    if not isinstance(value, Mapping):
        raise Refused(f"Check {number} is a {type(value).__name__}; give an object with a type.")
    kind = TYPES.get(str(value.get("type")))
    if kind is None:
        raise Refused(f"Check {number} has the type {value.get('type')!r}; choose one of {', '.join(TYPES)}.")
    try:
        return parse(kind, {key: one for key, one in value.items() if key != "type"})
    except SpecRefused as error:
        words = str(error).rstrip(".")
        raise Refused(f"Check {number}, {value['type']}, cannot be used: {words}.") from error


def _fault(text: str, schema: Mapping[str, Any]) -> str:
    try:
        return misfit(read_json(text), schema)
    except ValueError as error:
        return str(error)


class ChecksParams(Params):
    every: bool = Field(default=False, description="Only an answer that meets all of them counts, as 1.")


class Checks(Scorer):
    """The share of a case's own checks that the answer meets; or 1 where it meets all. Detail: each check and its
    result, in the order of the case."""

    key = "checks"
    label = "The case's own checks"
    about = "The share of the conditions in each case that the answer meets."
    needs = frozenset({Need.ANSWER, Need.CHECKS})
    Params: ClassVar[type[Params]] = ChecksParams

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        try:
            checks = read_checks(case.checks)
        except Refused as error:
            return failed(error.sentence)
        rows = [
            {"type": str(value["type"]), "name": check.name, "met": _met(number, check, given.text or "")}
            for number, (value, check) in enumerate(zip(case.checks, checks, strict=True), start=1)
        ]
        met = sum(bool(row["met"]) for row in rows)
        share = float(met == len(rows)) if params.every else met / len(rows)
        return Mark(share, detail={"checks": rows})


def _met(number: int, check: Check, text: str) -> bool:
    try:
        return check.met(text)
    except NoValue as none:
        raise NoValue(failed(f"check {number}: {none.mark.reason}", none.mark.detail)) from none
