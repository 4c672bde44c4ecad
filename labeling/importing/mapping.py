"""Rows of the formats that people have → item drafts. A row that does not fit is refused with the reason."""

import math
import re
from collections.abc import Callable
from typing import Any

from labeling.errors import RowRefused
from labeling.intake import ItemDraft, Message, ResponseDraft

ROLES = {"system", "user", "assistant", "tool"}
LENGTHS = {"source": 200, "origin": 120}
HH_TURN = re.compile(r"\n\nHuman:|\n\nAssistant:")
FORMATS = {
    "auto": "Recognise by the fields of each row",
    "items": "Prefloop items (prompt or messages, responses)",
    "trl": "TRL preference rows (prompt, chosen, rejected)",
    "hh": "HH transcripts (chosen and rejected dialogues)",
    "pandalm": "PandaLM pairs (instruction, input, response1, response2)",
}


def to_draft(row: Any, *, format: str = "auto") -> ItemDraft:
    """Turn one parsed row into a draft. Raises RowRefused with what is missing and what is allowed."""
    if not isinstance(row, dict):
        raise RowRefused(f"the row is a {type(row).__name__}; each row must be a JSON object")
    draft = MAPPERS[recognise(row) if format == "auto" else format](row)
    _check(draft)
    return draft


def recognise(row: dict[str, Any]) -> str:
    """The format of a row, told from its fields."""
    if "responses" in row:
        return "items"
    if "response1" in row and "response2" in row:
        return "pandalm"
    if isinstance(row.get("chosen"), str) and "prompt" not in row and HH_TURN.match(row["chosen"]):
        return "hh"
    if "chosen" in row or "rejected" in row:
        return "trl"
    fields = ", ".join(sorted(map(str, row)))[:200] or "none"
    raise RowRefused(
        f"the fields ({fields}) fit no known format; give prompt with responses, "
        "prompt with chosen and rejected, or instruction with response1 and response2"
    )


def _items(row: dict[str, Any]) -> ItemDraft:
    if "messages" in row:
        messages = _messages(row["messages"], "messages")
    else:
        messages = _messages(_field(row, "prompt"), "prompt")
    responses = _field(row, "responses")
    if not isinstance(responses, list):
        raise RowRefused(
            f"responses is a {type(responses).__name__}; give a list of texts or of objects with text"
        )
    return ItemDraft(
        messages=messages,
        responses=[_response(response, index) for index, response in enumerate(responses, start=1)],
        source_ref=_optional(row, "source"),
        licence=_optional(row, "licence") or _optional(row, "license"),
        synthetic=row.get("synthetic") is True,
        extra=row["extra"] if isinstance(row.get("extra"), dict) else {},
    )


def _response(value: Any, index: int) -> ResponseDraft:
    if isinstance(value, str):
        return ResponseDraft(value)
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return ResponseDraft(value["text"], origin=_optional(value, "origin"))
    raise RowRefused(f"response {index} is neither a text nor an object with a text")


def _trl(row: dict[str, Any]) -> ItemDraft:
    chosen, rejected = _field(row, "chosen"), _field(row, "rejected")
    if "prompt" in row:
        messages = _messages(row["prompt"], "prompt")
        texts = [_completion(chosen, "chosen"), _completion(rejected, "rejected")]
    elif isinstance(chosen, list) and isinstance(rejected, list):
        messages, texts = _split(_messages(chosen, "chosen"), _messages(rejected, "rejected"))
    else:
        raise RowRefused(
            "prompt is missing; give it, or chosen and rejected as lists of messages that share it"
        )
    return _preference(messages, texts)


def _hh(row: dict[str, Any]) -> ItemDraft:
    messages, texts = _split(
        _transcript(_field(row, "chosen"), "chosen"), _transcript(_field(row, "rejected"), "rejected")
    )
    return _preference(messages, texts)


def _pandalm(row: dict[str, Any]) -> ItemDraft:
    instruction, context = _text(row, "instruction"), _text({"input": "", **row}, "input")
    origins = [*_optional(row, "cmp_key").split("_"), "", ""][:2]
    return ItemDraft(
        messages=[{"role": "user", "content": f"{instruction}\n\n{context}".strip()}],
        responses=[
            ResponseDraft(_text(row, "response1"), origin=origins[0]),
            ResponseDraft(_text(row, "response2"), origin=origins[1]),
        ],
        source_ref=f"pandalm:{row['idx']}" if "idx" in row else "",
    )


MAPPERS: dict[str, Callable[[dict[str, Any]], ItemDraft]] = {
    "items": _items,
    "trl": _trl,
    "hh": _hh,
    "pandalm": _pandalm,
}


def _preference(messages: list[Message], texts: list[str]) -> ItemDraft:
    """The file's own preference is kept with the item but never shown to an annotator."""
    return ItemDraft(
        messages=messages, responses=[ResponseDraft(text) for text in texts], extra={"imported_preference": 0}
    )


def _field(row: dict[str, Any], name: str) -> Any:
    if row.get(name) is None:
        raise RowRefused(f"{name} is missing")
    return row[name]


def _text(row: dict[str, Any], name: str) -> str:
    """A text field. A bare true or false is read as the word: spreadsheets turn the answer "True" into one."""
    value = _field(row, name)
    if isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RowRefused(f"{name} is a {type(value).__name__}; it must be a text")
    return value


def _optional(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value[: LENGTHS.get(name, 100)] if isinstance(value, str) else ""


def _messages(value: Any, name: str) -> list[Message]:
    if isinstance(value, str):
        if not value.strip():
            raise RowRefused(f"{name} is empty; an item needs a prompt")
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise RowRefused(f"{name} must be a text or a list of messages with role and content")
    return [_message(message, f"message {index} of {name}") for index, message in enumerate(value, start=1)]


def _message(value: Any, name: str) -> Message:
    if not isinstance(value, dict) or not isinstance(value.get("content"), str):
        raise RowRefused(f"{name} has no text content")
    if value.get("role") not in ROLES:
        raise RowRefused(f"{name} has the role {value.get('role')!r}; use {', '.join(sorted(ROLES))}")
    return {"role": value["role"], "content": value["content"]}


def _completion(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    messages = _messages(value, name)
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        raise RowRefused(f"{name} must be a text or a list with one assistant message")
    return messages[0]["content"]


def _transcript(value: Any, name: str) -> list[Message]:
    if not isinstance(value, str) or not HH_TURN.match(value):
        raise RowRefused(f'{name} must begin with "\\n\\nHuman:" or "\\n\\nAssistant:"')
    turns = HH_TURN.findall(value)
    texts = HH_TURN.split(value)[1:]
    roles = {"\n\nHuman:": "user", "\n\nAssistant:": "assistant"}
    return [{"role": roles[turn], "content": text.strip()} for turn, text in zip(turns, texts, strict=True)]


def _split(chosen: list[Message], rejected: list[Message]) -> tuple[list[Message], list[str]]:
    """Two dialogues that differ in the last answer only → the prompt they share, and the two answers."""
    if chosen[:-1] != rejected[:-1]:
        raise RowRefused(
            "chosen and rejected differ before the last answer; they are not answers to one prompt"
        )
    if not chosen[:-1]:
        raise RowRefused("chosen and rejected hold an answer but no prompt")
    if {chosen[-1]["role"], rejected[-1]["role"]} != {"assistant"}:
        raise RowRefused("chosen and rejected must end with the assistant's answer")
    return chosen[:-1], [chosen[-1]["content"], rejected[-1]["content"]]


def _check(draft: ItemDraft) -> None:
    if len(draft.responses) != 2:
        raise RowRefused(f"there are {len(draft.responses)} responses; a pairwise item has exactly 2")
    if draft.responses[0] == draft.responses[1] and not draft.responses[0].origin:
        raise RowRefused("the two responses are the same text; there is nothing to compare")
    texts = [message["content"] for message in draft.messages]
    texts += [part for r in draft.responses for part in (r.text, r.origin)]
    for text in (*texts, draft.source_ref, draft.licence, *_texts(draft.extra)):
        if "\0" in text:
            raise RowRefused("a text holds a NUL character (\\u0000), which databases refuse; remove it")
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            raise RowRefused(
                "a text holds half of a surrogate pair, which is not valid Unicode; save it again"
            )


def _texts(extra: dict[str, Any]) -> list[str]:
    """All texts in what comes with a row. Raises RowRefused where it cannot be stored as JSON."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise RowRefused(f"extra holds {value}, which is not a number in JSON; use null")
        elif isinstance(value, (dict, list)):
            for part in (*value, *value.values()) if isinstance(value, dict) else value:
                walk(part)

    try:
        walk(extra)
    except RecursionError:
        raise RowRefused("extra is nested too deeply; give a flat object") from None
    return found
