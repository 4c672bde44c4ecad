"""The number that an answer ends with, held against that of the reference."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import regex
from pydantic import Field

from evaluation.scorers.base import Facts, Given, Mark, Need, Params, Scale, Scorer, unscorable

GROUPS = r"\d{{1,3}}(?:[{group}'’_\u00a0\u2009\u202f]\d{{3}})+(?!\d)"
NUMBER = (
    r"(?<![A-Za-z_\d])(?<!\d{point})"  # not within a word, nor the rest of 1.2.3
    r"(?P<sign>(?<!\w)[-−–+](?:\s?[$€£¥])?)?"
    r"(?P<whole>" + GROUPS + r"|\d+)?(?:{point}(?P<part>\d+))?"
    r"(?<=\d)"
    r"(?:[eE](?P<e>[-−+]?\d+)|\s?(?:×|\\times|\*)\s?10\s?\^\s?\{{?(?P<power>[-−+]?\d+)\}}?)?"
    r"(?P<percent>\s?(?:\\?%|％|per\s?cent\b))?"
)
POINT = regex.compile(NUMBER.format(group=",", point=r"\."))
COMMA = regex.compile(NUMBER.format(group=r"\.", point=","))
DASHES = str.maketrans("−–", "--")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written; `percent` says whether a percent sign stood behind it (12.5 % has the value 12.5)."""

    value: float
    percent: bool = False


def last_number(text: str, *, decimal_comma: bool = False) -> Number | None:
    """The last number of a text; None without one.

    Reads signs (also − and –), thousands separators (comma, apostrophe, underscore, narrow and no-break spaces),
    exponents (3e5, 3 × 10^5) and percent signs. A dash between two numbers is no sign. Fractions are not read.
    With `decimal_comma`, comma and point change places.
    """
    found = None
    for match in (COMMA if decimal_comma else POINT).finditer(text.replace("{,}", ",")):
        number = _number(match)
        found = number if math.isfinite(number.value) else found
    return found


def close(one: Number, other: Number, *, absolute: float, relative: float) -> bool:
    """Whether |one - other| is at most the larger of `absolute` and `relative` times |other|.

    Where only one is written in percent, it also counts as its hundredth: 12.5 % is 12.5 and 0.125.
    """
    readings = {one.value, one.value / 100} if one.percent and not other.percent else {one.value}
    wanted = {other.value, other.value / 100} if other.percent and not one.percent else {other.value}
    pairs = ((reading, want) for reading in readings for want in wanted)
    return any(abs(reading - want) <= max(absolute, relative * abs(want)) for reading, want in pairs)


def _number(match: "regex.Match[str]") -> Number:
    whole = regex.sub(r"\D", "", match["whole"] or "0")
    power = (match["e"] or match["power"] or "0").translate(DASHES)
    sign = "-" if (match["sign"] or "").translate(DASHES).startswith("-") else ""
    return Number(float(f"{sign}{whole}.{match['part'] or 0}e{power}"), bool(match["percent"]))


class NumericParams(Params):
    absolute: float = Field(default=0.0, ge=0, description="How far the number may be off.")
    relative: float = Field(
        default=1e-9, ge=0, le=1, description="How far it may be off as a share of the reference's number."
    )
    decimal_comma: bool = Field(default=False, description="Read 1.234,5 as one thousand and so on.")


class Numeric(Scorer):
    """1 where the last number of the answer is that of the reference, within the larger of both tolerances."""

    key = "numeric"
    label = "Same number"
    about = "The last number of the answer is the last number of the reference, within a tolerance."
    scale = Scale.BINARY
    needs = frozenset({Need.ANSWER, Need.REFERENCE})
    Params: ClassVar[type[Params]] = NumericParams

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        wanted = last_number(case.reference or "", decimal_comma=params.decimal_comma)
        if wanted is None:
            return unscorable("the reference of this case holds no number")
        found = last_number(given.text or "", decimal_comma=params.decimal_comma)
        detail = {"wanted": wanted.value, "found": None if found is None else found.value}
        if found is None:
            return Mark(0.0, detail=detail)
        met = close(found, wanted, absolute=params.absolute, relative=params.relative)
        return Mark(float(met), detail=detail)
