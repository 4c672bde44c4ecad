"""What the mappers of all formats read in the same way: texts, messages, roles, licences."""

import json
from collections.abc import Mapping
from typing import Any

from labeling.errors import RowRefused
from labeling.intake import ItemDraft, Message, ResponseDraft

ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatbot", "model", "ai", "function_call"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "ipython"), "tool"),
}
LENGTHS = {"source": 200, "source_ref": 200, "origin": 120, "model": 120, "model_id": 120, "model_name": 120}
LICENCE = ("licence", "license")

Row = dict[str, Any]


def field(row: Row, name: str) -> Any:
    """The value of a field. Raises RowRefused where it is missing or null."""
    if row.get(name) is None:
        raise RowRefused(f"{name} is missing")
    return row[name]


def text(row: Row, name: str) -> str:
    """A text field. A bare true or false is read as the word: spreadsheets turn the answer "True" into one."""
    value = field(row, name)
    if isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RowRefused(f"{name} is a {type(value).__name__}; it must be a text")
    return value


def optional(row: Row, *names: str) -> str:
    """The first of these fields that is a text, cut to the length of its column; empty where there is none."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value:
            return value[: LENGTHS.get(name, 100)]
    return ""


def licence(row: Row, *places: Any) -> str:
    """The licence that a row names, in its own fields or in one of these objects (a JSON text is read too)."""
    for place in (row, *map(_object, places)):
        if found := optional(place, *LICENCE):
            return found
    return ""


def _object(value: Any) -> Row:
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def reference(tool: str, identity: Any) -> str:
    """`tool:id` as the source of an item; empty where the tool gave no id."""
    if isinstance(identity, (str, int)) and str(identity):
        return f"{tool}:{identity}"[: LENGTHS["source"]]
    return ""


def messages(value: Any, name: str) -> list[Message]:
    """A prompt: a text, which becomes one message of the user, or a list of messages."""
    if isinstance(value, str):
        if not value.strip():
            raise RowRefused(f"{name} is empty; an item needs a prompt")
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise RowRefused(f"{name} must be a text or a list of messages with role and content")
    return [message(part, f"message {index} of {name}") for index, part in enumerate(value, start=1)]


def message(value: Any, name: str) -> Message:
    """One message: {role, content}, or {from, value} as ShareGPT writes it."""
    given = value if isinstance(value, Mapping) else {}
    role, content = given.get("role", given.get("from")), given.get("content", given.get("value"))
    content = _parts(content) if isinstance(content, list) else content
    if not isinstance(content, str):
        raise RowRefused(f"{name} has no text content")
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise RowRefused(f"{name} has the role {role!r}; use {', '.join(sorted(ROLES))}")
    return {"role": ROLES[role.lower()], "content": content}


def _parts(content: list[Any]) -> str | None:
    """Content in parts, joined. None where a part is a picture or another thing that is no text."""
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    found = [part for part in texts if isinstance(part, str)]
    return "\n".join(found) if found and len(found) == len(texts) else None


def completion(value: Any, name: str) -> str:
    """An answer: a text, one assistant message, or a list with one."""
    if isinstance(value, str):
        return value
    found = messages([value] if isinstance(value, Mapping) else value, name)
    if len(found) != 1 or found[0]["role"] != "assistant":
        raise RowRefused(f"{name} must be a text or a list with one assistant message")
    return found[0]["content"]


def answered(dialogue: list[Message], name: str) -> tuple[list[Message], str]:
    """A dialogue that ends with the assistant → its prompt and the last answer."""
    if len(dialogue) < 2 or dialogue[-1]["role"] != "assistant":
        raise RowRefused(f"{name} must hold a prompt and end with the assistant's answer")
    return dialogue[:-1], dialogue[-1]["content"]


def parted(chosen: list[Message], rejected: list[Message]) -> tuple[list[Message], list[str]]:
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


def preference(row: Row, prompt: list[Message], texts: list[str]) -> ItemDraft:
    """A pair whose first text the file prefers: kept with the item, but never shown to an annotator."""
    if texts[0] == texts[1]:
        raise RowRefused("chosen and rejected are the same text; there is nothing to compare")
    return ItemDraft(
        messages=prompt,
        responses=[ResponseDraft(answer) for answer in texts],
        source_ref=optional(row, "source", "source_ref"),
        licence=licence(row, row.get("metadata")),
        extra={"imported_preference": 0},
    )
