"""The body of a request → the captures in it."""

import json
from typing import Any

import orjson

from labeling.errors import Refused

MOST_CAPTURES = 1_000


def read_body(raw: bytes) -> Any:
    """The JSON of a request. Texts that no database stores are let through, for the capture that holds them to be
    refused alone. Raises Refused."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        words = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(
            f"The body is not JSON ({words[:200]}); send one capture, or {{“captures”: […]}}."
        ) from error


def captures_in(body: Any) -> tuple[list[Any], bool]:
    """The captures of a body, and whether it is a batch. Raises Refused where it holds too many, or none."""
    if not isinstance(body, dict):
        raise Refused(f"The body is a {type(body).__name__}; send one capture, or {{“captures”: […]}}.")
    if "captures" not in body:
        return [body], False
    found = body["captures"]
    if not isinstance(found, list) or not found:
        raise Refused("captures must be a list with at least one capture.")
    if len(found) > MOST_CAPTURES:
        raise Refused(f"{len(found):,} captures were sent; up to {MOST_CAPTURES:,} can be sent at once.")
    return found, True
