"""Prefloop's own rows: a prompt or messages, responses, and what people said of them. Exports are read back by this."""

from datetime import datetime
from typing import Any

from labeling.errors import RowRefused
from labeling.importing.fields import Row, field, licence, messages, optional
from labeling.importing.reviews import contexts_of
from labeling.intake import ItemDraft, ResponseDraft, VerdictDraft

VERDICT_TEXTS = ("person", "kind", "label", "text", "rationale")


def item(row: Row) -> ItemDraft:
    name = "messages" if "messages" in row else "prompt"
    prompt = messages(row["messages"] if name == "messages" else field(row, "prompt"), name)
    responses = field(row, "responses")
    if not isinstance(responses, list):
        raise RowRefused(
            f"responses is a {type(responses).__name__}; give a list of texts or of objects with text"
        )
    verdicts = row.get("verdicts") or []
    if not isinstance(verdicts, list):
        raise RowRefused(
            f"verdicts is a {type(verdicts).__name__}; give a list of objects with person and kind"
        )
    return ItemDraft(
        messages=prompt,
        responses=[_response(response, index) for index, response in enumerate(responses, start=1)],
        source_ref=optional(row, "source", "source_ref"),
        licence=licence(row),
        synthetic=row.get("synthetic") is True,
        contexts=contexts_of(row),
        extra=row["extra"] if isinstance(row.get("extra"), dict) else {},
        verdicts=[
            _verdict(verdict, len(responses), f"verdict {index}")
            for index, verdict in enumerate(verdicts, start=1)
        ],
    )


def _response(value: Any, index: int) -> ResponseDraft:
    if isinstance(value, str):
        return ResponseDraft(value)
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return ResponseDraft(value["text"], origin=optional(value, "origin"))
    raise RowRefused(f"response {index} is neither a text nor an object with a text")


def _verdict(value: Any, responses: int, name: str) -> VerdictDraft:
    if not isinstance(value, dict):
        raise RowRefused(f"{name} is a {type(value).__name__}; give an object with person and kind")
    return VerdictDraft(
        **{text: _text(value, text, name) for text in VERDICT_TEXTS},
        strength=_number(value, "strength", name),
        edited=_number(value, "edited", name),
        ratings=_ratings(value.get("ratings") or {}, name),
        display_order=_order(value.get("display_order"), responses, name),
        active_ms=_number(value, "active_ms", name),
        created_at=_time(value.get("created_at"), name),
        rag=_review(value, name),
    )


def _review(value: Row, name: str) -> dict[str, Any] | None:
    given = value.get("rag")
    if given is None and value.get("kind") != "rag":
        return None
    if not isinstance(given, dict):
        raise RowRefused(f"rag of {name} is a {type(given).__name__}; give an object with verdict")
    return given


def _order(value: Any, responses: int, name: str) -> list[int] | None:
    """How the responses were shown: nothing, or each position once."""
    if not value:
        return None
    if not isinstance(value, list) or not all(map(_whole, value)) or sorted(value) != [*range(responses)]:
        raise RowRefused(
            f"display_order of {name} is {str(value)[:60]}; name each of the positions 0 to {responses - 1} once"
        )
    return value


def _time(value: Any, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        found: datetime | None = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        found = None
    if found is None or found.tzinfo is None:
        raise RowRefused(
            f"created_at of {name} is {str(value)[:60]!r}; give a time with its zone, as in 2026-01-31T12:00:00+00:00"
        )
    return found


def _text(value: Row, key: str, name: str) -> str:
    given = value.get(key) or ""
    if not isinstance(given, str):
        raise RowRefused(f"{key} of {name} is a {type(given).__name__}; it must be a text")
    return given


def _number(value: Row, key: str, name: str) -> int | None:
    given = value.get(key)
    if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
        raise RowRefused(f"{key} of {name} is {given!r}; it must be a whole number or null")
    return given


def _ratings(value: Any, name: str) -> dict[str, list[int | None]]:
    rows = value.values() if isinstance(value, dict) else [None]
    if not all(isinstance(row, list) and all(_whole(number) for number in row) for row in rows):
        raise RowRefused(
            f"ratings of {name} must hold a list of whole numbers, one per response, by attribute"
        )
    return dict(value)


def _whole(number: Any) -> bool:
    return number is None or (isinstance(number, int) and not isinstance(number, bool))
