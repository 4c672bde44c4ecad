"""Whether an answer is JSON, and of the right form. A schema is data: it fetches nothing and its time is limited."""

import json
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, ClassVar

import regex
from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from pydantic import Field, field_validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from evaluation.scorers.base import Facts, Given, Mark, NoValue, Params, Scale, Scorer, failed
from evaluation.scorers.matching import compiled, matches
from labeling.errors import Refused

SCHEMA_SECONDS = 2.0
LARGEST_SCHEMA = 50_000  # characters of JSON
ELSEWHERE = ("$dynamicRef", "$recursiveRef", "patternProperties")
FENCE = regex.compile(r"```+|~~~+")
deadline: ContextVar[float] = ContextVar("deadline")


def read_json(text: str, *, fenced: bool = True) -> Any:
    """The JSON that a text is, or that its first fenced block is. ValueError with a sentence where it is none."""
    try:
        return _json(text)
    except ValueError as error:
        block = _first_block(text) if fenced else None
        if block is None:
            raise ValueError(f"the answer is no JSON: {error}") from None
    try:
        return _json(block)
    except ValueError as error:
        raise ValueError(f"the first block of the answer is no JSON: {error}") from None


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises Refused with a sentence where a JSON schema cannot be used."""
    try:
        size = len(json.dumps(schema))
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(f"The schema is no JSON: {error}.") from error
    if size > LARGEST_SCHEMA or not isinstance(schema, Mapping):
        raise Refused(f"A schema is a JSON object of up to {LARGEST_SCHEMA:,} characters; make it one.")
    for name, value in _entries(schema):
        if name in ELSEWHERE:
            raise Refused(f"The schema uses {name}, which is not supported; describe it without.")
        if name == "$ref" and isinstance(value, str) and not value.startswith("#"):
            raise Refused(
                f"The schema refers to {value[:80]!r}; refer only to parts of itself, which begin with #."
            )
        if name == "pattern" and isinstance(value, str):
            compiled(value)
    try:
        validators.validator_for(schema, Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        raise Refused(f"This is no JSON schema: {error.message[:200]}.") from error


def misfit(value: Any, schema: Mapping[str, Any]) -> str:
    """Where and how a value departs from a schema; empty where it fits. NoValue where that takes too long."""
    token = deadline.set(time.monotonic() + SCHEMA_SECONDS)
    try:
        kind = _guarded(validators.validator_for(schema, Draft202012Validator))
        error = next(kind(schema, registry=Registry()).iter_errors(value), None)
    except Unresolvable as unknown:
        raise NoValue(failed(f"the schema refers to a part that it does not have: {unknown}")) from None
    except RecursionError:
        raise NoValue(failed("the schema goes round in a circle")) from None
    finally:
        deadline.reset(token)
    return "" if error is None else f"{error.json_path}: {error.message[:200]}"


def _first_block(text: str) -> str | None:
    """What stands between the first fence of a text (``` or ~~~) and the one that closes it."""
    fence, block = "", list[str]()
    for line in text.splitlines():
        words = line.strip()
        if not fence:
            opening = FENCE.match(words)
            fence = opening.group() if opening else ""
        elif words.startswith(fence) and not words.strip(fence[0]):
            return "\n".join(block)
        else:
            block.append(line)
    return None


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _entries(one)


@lru_cache
def _guarded(kind: Any) -> Any:
    """A validator whose patterns and references watch the clock."""

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _watch()
        if validator.is_type(instance, "string") and not matches(wanted, instance):
            yield ValidationError(f"{instance[:80]!r} does not match {wanted!r}")

    def reference(validator: Any, ref: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _watch()
        yield from kind.VALIDATORS["$ref"](validator, ref, instance, schema)

    return validators.extend(kind, {"pattern": pattern, "$ref": reference})


def _watch() -> None:
    if time.monotonic() > deadline.get():
        raise NoValue(
            failed(f"the schema took more than {SCHEMA_SECONDS:g} s on this answer; make it simpler")
        )


class JsonParams(Params):
    json_schema: dict[str, Any] = Field(
        default_factory=dict, description="The JSON schema that the answer must fit; empty: any JSON."
    )
    fenced: bool = Field(
        default=True, description="Where the answer is no JSON, read its first fenced block."
    )

    @field_validator("json_schema")
    @classmethod
    def _usable(cls, schema: dict[str, Any]) -> dict[str, Any]:
        return usable_schema(schema)


def usable_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, if it can be used; ValueError with a sentence otherwise."""
    try:
        check_schema(schema)
    except Refused as error:
        raise ValueError(error.sentence) from error
    return schema


class Json(Scorer):
    """1 where the answer, or its first fenced block, is JSON (RFC 8259) and fits the schema (draft 2020-12, or the one
    that it names). A case whose checks hold a json_schema is held to that one."""

    key = "json"
    label = "JSON of the right form"
    about = "The answer, or its first fenced block, is JSON and fits a schema: yours, or the case's own."
    scale = Scale.BINARY
    Params: ClassVar[type[Params]] = JsonParams

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        own = [check.get("json_schema") for check in case.checks if check.get("type") == "json_schema"]
        schema = own[0] if own and own[0] is not None else params.json_schema
        if own:
            try:
                check_schema(schema)
            except Refused as error:
                return failed(f"the schema of this case cannot be used: {error}")
        try:
            fault = misfit(read_json(given.text or "", fenced=params.fenced), schema)
        except ValueError as error:
            fault = str(error)
        return Mark(float(not fault), detail={"fault": fault[:300]} if fault else None)
