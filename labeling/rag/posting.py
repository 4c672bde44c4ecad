"""A review as the form of its page sends it: marks of chunks as `relevance.N`, spans as a JSON list.

What is wrong with the whole answer comes as plain fields: `failure.KEY` is 1 to 3 for its severity, 0 where that is not
said; `failure.KEY.note` says why. `chunks` is how many chunks there are, marked or not.
"""

import json
from collections.abc import Mapping
from typing import Any

from labeling.errors import Refused
from labeling.rag.answers import MOST_CHUNKS

PLAIN = ("verdict", "answers_question", "corrected", "missed", "missed_ref", "rationale")


def review_values(data: Mapping[str, Any], *, unfinished: bool = False) -> dict[str, Any]:
    """The fields of a review. Raises Refused where the spans are no JSON list; if `unfinished`, they are left out."""
    values: dict[str, Any] = {name: str(data[name]).replace("\r\n", "\n") for name in PLAIN if data.get(name)}
    values["failures"] = _failures(data)
    if marks := _marks(data):
        count = str(data.get("chunks") or "")
        length = min(int(count), MOST_CHUNKS) if count.isdecimal() and len(count) < 5 else 0
        values["relevance"] = [marks.get(position) for position in range(max(max(marks) + 1, length))]
    if text := str(data.get("spans") or "").strip():
        try:
            values["spans"] = _listed(text)
        except Refused:
            if not unfinished:
                raise
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


def _marks(data: Mapping[str, Any]) -> dict[int, Any]:
    """Position of a chunk → its mark."""
    marks = {}
    for name, value in data.items():
        head, _, number = name.partition(".")
        if head == "relevance" and number.isdecimal() and len(number) < 5 and value not in ("", None):
            marks[int(number)] = value
    if max(marks, default=0) >= MOST_CHUNKS:
        raise Refused(f"Chunk {max(marks)} was marked, and an item has {MOST_CHUNKS} at most, from 0.")
    return marks


def _listed(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise Refused(f"The spans given are {text[:60]!r}; send a JSON list, then submit again.")
    return found
