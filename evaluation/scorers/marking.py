"""Marks that can be trusted: what is missing is said, nothing raises, every number is finite and on its scale."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from evaluation.scorers.base import (
    Ask,
    Facts,
    Given,
    Mark,
    Marker,
    Need,
    NoValue,
    Params,
    Scale,
    Scorer,
    failed,
    unscorable,
)
from labeling.errors import Refused
from training.specs import SpecRefused, parse

LONGEST_REASON = 300  # characters, what a row keeps
LONGEST_DETAIL = 200_000  # characters of JSON
SLACK = 1e-9  # how far rounding may carry a share past 0 or 1
NO_ANSWER = "no answer"
OF_A_CASE = {
    Need.REFERENCE: "this case has no reference",
    Need.REJECTED: "this case has no rejected answer",
    Need.CONTEXTS: "this case has no contexts",
    Need.CHECKS: "this case has no checks",
}


def read_params(scorer: Scorer, values: Mapping[str, Any]) -> Params:
    """Settings from a form, an API call or a stored plan. Raises Refused with a sentence about the first wrong one."""
    try:
        params = parse(scorer.Params, values)
    except SpecRefused as error:
        raise Refused(f"“{scorer.label}” cannot be set like that: {str(error).rstrip('.')}.") from error
    scorer.check(params)
    return params


def asked(scorer: Scorer, case: Facts, given: Given, params: Any) -> list[Ask]:
    """The questions of a scorer about this answer; none where it cannot be marked anyway. Never raises."""
    if lacking(scorer, case, given, params) is not None:
        return []
    try:
        return scorer.asks(case, given, params)
    except Exception:  # whatever is wrong, `mark` meets it again and says so
        return []


@contextmanager
def marking(scorer: Scorer, params: Any) -> Iterator[Marker]:
    """What marks many answers, one after the other and without raising. Raises Refused at once where it cannot work."""
    with scorer.session(params) as mark:
        yield lambda case, given: _guarded(scorer, mark, case, given, params)


def marked(scorer: Scorer, case: Facts, given: Given, params: Any) -> Mark:
    """The mark of one answer; for many, hold `marking` open."""
    with marking(scorer, params) as mark:
        return mark(case, given)


def lacking(scorer: Scorer, case: Facts, given: Given, params: Any) -> Mark | None:
    """Why there can be no value, before anything is computed; None where nothing is missing."""
    needed = scorer.needed(params)
    has = {
        Need.REFERENCE: case.reference is not None,
        Need.REJECTED: case.rejected is not None,
        Need.CONTEXTS: bool(case.contexts),
        Need.CHECKS: bool(case.checks),
    }
    for need, words in OF_A_CASE.items():
        if need in needed and not has[need]:
            return unscorable(words)
    if Need.ANSWER in needed and given.text is None:
        return failed(NO_ANSWER)
    if Need.BASELINE in needed and given.is_baseline:
        return unscorable("the baseline is not compared with itself")
    if Need.BASELINE in needed and given.baseline is None:
        return unscorable("the baseline gave no answer to this case")
    return None


def _guarded(scorer: Scorer, mark: Marker, case: Facts, given: Given, params: Any) -> Mark:
    if (missing := lacking(scorer, case, given, params)) is not None:
        return missing
    try:
        return _sound(mark(case, given), scorer.scale)
    except NoValue as none:
        return _sound(none.mark, scorer.scale)
    except Exception as error:  # one case never breaks a run
        return _sound(failed(f"{scorer.key} failed: {type(error).__name__}: {error}"), scorer.scale)


def _sound(mark: Mark, scale: Scale) -> Mark:
    """The mark as it can be stored: finite numbers on their scale, plain JSON, texts that every database takes."""
    reason = _storable(mark.reason)[:LONGEST_REASON]
    try:
        words = json.dumps(mark.detail, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return failed("its detail holds what is no plain JSON, or a number that is not finite")
    if len(words) > LONGEST_DETAIL:
        return failed(f"its detail has {len(words):,} characters; {LONGEST_DETAIL:,} are kept")
    detail = _storable_all(mark.detail)
    if mark.state != "scored":
        return Mark(state=mark.state, reason=reason or mark.state, detail=detail)
    if fault := _fault(mark, scale):
        return failed(fault, detail)
    value = float(mark.value)  # type: ignore[arg-type]
    if scale in (Scale.BINARY, Scale.SHARE):
        value = min(max(value, 0.0), 1.0)
    return Mark(value, None if mark.size is None else float(mark.size), "scored", reason, detail)


def _fault(mark: Mark, scale: Scale) -> str:
    """What is wrong with a value on its scale; empty where nothing is."""
    value = mark.value
    if value is None or not math.isfinite(value):
        return f"the value is {value}, which is no number"
    if scale == Scale.BINARY and value not in (0, 1):
        return f"the value is {value}; it can only be 0 or 1"
    if scale == Scale.SHARE and not -SLACK <= value <= 1 + SLACK:
        return f"the value is {value}; it can only be between 0 and 1"
    if scale in (Scale.RATE, Scale.PERPLEXITY) and not (mark.size and 0 < mark.size < math.inf):
        return f"the value is a rate over {mark.size}, which is no size"
    return ""


def _storable(text: str) -> str:
    """Without what PostgreSQL refuses: null characters and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _storable_all(value: Any) -> Any:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, Mapping):
        return {_storable(str(key)): _storable_all(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_storable_all(one) for one in value]
    return value
