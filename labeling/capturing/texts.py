"""The parts of a capture as they are sent, each checked: messages, answers, short texts."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import orjson

from labeling.errors import RowRefused
from labeling.importing.fields import messages
from labeling.intake import Message
from labeling.models import Project
from labeling.values import LONGEST_TEXT

MOST_ANSWERS, MOST_MESSAGES, LONGEST_MODEL, LONGEST_TAG = 50, 500, 120, 60
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it, and no backslash that is followed by u0000


def messages_of(given: Mapping[str, Any]) -> list[Message]:
    if "prompt" not in given:
        raise RowRefused("prompt is missing; give what was asked, as a text or a list of messages")
    found = messages(given["prompt"], "prompt")
    if len(found) > MOST_MESSAGES:
        raise RowRefused(f"prompt has {len(found)} messages; up to {MOST_MESSAGES} are taken")
    if found[-1]["role"] == "assistant":
        raise RowRefused(
            "prompt ends with the assistant; end it with what was asked, and put the rest into answer"
        )
    for turn in found:
        text_of(turn["content"], "a message of the prompt", LONGEST_TEXT)
    return found


def answers_of(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each answer with the model that gave it."""
    if ("answer" in given) == ("answers" in given):
        raise RowRefused("give either answer, or answers where there are several")
    parts = [given["answer"]] if "answer" in given else given["answers"]
    if not isinstance(parts, list) or not parts or len(parts) > MOST_ANSWERS:
        raise RowRefused(f"answers must be a list of 1 to {MOST_ANSWERS} texts")
    model = short(given, "model", LONGEST_MODEL)
    found = []
    for part in parts:
        own = part if isinstance(part, Mapping) else {"text": part}
        text = text_of(own.get("text"), "an answer", LONGEST_TEXT)
        found.append((text, short(own, "model", LONGEST_MODEL) or model))
    return found


def text_of(value: Any, name: str, longest: int) -> str:
    if not isinstance(value, str):
        raise RowRefused(
            f"{name} is {'missing' if value is None else f'a {type(value).__name__}'}; give a text"
        )
    if len(value) > longest:
        raise RowRefused(f"{name} has {len(value):,} characters; up to {longest:,} are taken")
    return value


def short(given: Mapping[str, Any], name: str, longest: int) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowRefused(f"{name} is a {type(value).__name__}; give a text")
    return text_of(str(value).strip(), name, longest)


def label_of(text: str) -> str:
    """A slice or tag as it is stored and looked for."""
    return " ".join(text.replace("|", " ").split()).lower()[:LONGEST_TAG]


def keyed(project: Project, text: str, use: bytes = b"") -> str:
    """A hash that tells nothing to whoever does not know the project's key; "" of nothing."""
    if not text:
        return ""
    given = text.encode("utf-8", "surrogatepass")
    return hmac.digest(project.order_key.encode() + use, given, hashlib.sha256).hex()[:32]


def storable(value: Any) -> str:
    """The value as JSON. Raises RowRefused where a text in it is one that databases refuse."""
    try:
        found = orjson.dumps(value)
    except (TypeError, RecursionError) as error:
        raise RowRefused(
            "a text holds half of a surrogate pair, which is not valid Unicode; send it whole"
        ) from error
    if b"\\u0000" in found and NUL.search(found):
        raise RowRefused("a text holds a NUL character (\\u0000), which databases refuse; remove it")
    return found.decode()
