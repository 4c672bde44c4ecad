"""A review as the form of its page sends it: marks of chunks as `relevance.N`, spans and failures as JSON lists.

Failures may come as plain fields too, without scripts: `failure.KEY` is 1 to 3 for its severity, 0 where that is not
said; `failure.KEY.note` says why. `chunks` is how many chunks there are, marked or not.
"""

import json
from collections.abc import Mapping
from typing import Any

from labeling.errors import Refused
from labeling.rag.answers import MOST_CHUNKS

PLAIN = ("verdict", "answers_question", "corrected", "rationale")
LISTS = ("spans", "failures")


def review_values(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a review. Raises Refused where a list is no JSON list."""
    values = _plain(data)
    for name in LISTS:
        text = str(data.get(name) or "").strip()
        if text:
            values[name] = _listed(name, text)
    values.setdefault("failures", _failures(data))
    return values


def review_so_far(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an unfinished review; a list that cannot be read is left out."""
    values = _plain(data)
    for name in LISTS:
        try:
            if text := str(data.get(name) or ""):
                values[name] = _listed(name, text)
        except Refused:
            continue
    values.setdefault("failures", _failures(data))
    return values


def _failures(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, value in data.items():
        head, _, key = name.partition(".")
        if head != "failure" or not key or "." in key or value in ("", None):
            continue
        severity = int(value) if value in ("1", "2", "3") else None
        found.append({"category": key, "severity": severity, "note": str(data.get(f"{name}.note") or "")})
    return found


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {name: str(data[name]).replace("\r\n", "\n") for name in PLAIN if data.get(name)}
    marks = {}
    for name, value in data.items():
        head, _, number = name.partition(".")
        if head == "relevance" and number.isdecimal() and len(number) < 5 and value not in ("", None):
            marks[int(number)] = value
    if marks:
        if max(marks) >= MOST_CHUNKS:
            raise Refused(f"Chunk {max(marks)} was marked, and an item has {MOST_CHUNKS} at most, from 0.")
        count = str(data.get("chunks") or "")
        length = max(
            max(marks) + 1, min(int(count), MOST_CHUNKS) if count.isdecimal() and len(count) < 5 else 0
        )
        values["relevance"] = [marks.get(position) for position in range(length)]
    return values


def _listed(name: str, text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise Refused(f"The {name} given are {text[:60]!r}; send a JSON list, then submit again.")
    return found
