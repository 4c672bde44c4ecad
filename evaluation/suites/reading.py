"""A row of a file or of the API → what a case holds. Which columns there are is written in COLUMNS."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.scorers import read_checks
from evaluation.suites.content import Content, checked, merged, tags_from, uid_of
from labeling.errors import Refused, RowRefused
from labeling.importing.fields import answered, completion, messages
from labeling.intake import Message

COLUMNS = {
    "prompt": "a text, or a list of messages with role and content",
    "messages": "a list of messages; where it ends with the assistant, that answer is the reference",
    "reference": "the answer that is right, or that people chose (also: chosen, completion)",
    "rejected": "an answer that is worse than the reference",
    "contexts": "the documents that the answer may rest on: a text, or a list of texts",
    "gold": "the documents that hold the answer, as they should have been found: a text, or a list of texts",
    "tags": "the slices that the case belongs to: a list, or words with commas between them",
    "weight": "how much the case counts; 1 where it is not given",
    "checks": "conditions of this case alone, as JSON",
    "cluster": "what makes cases depend on each other, such as a document; without it, the prompt",
    "sealed": "yes for a case that only one chosen candidate is scored on",
    "id": "your own id: the same id again changes the case and adds none",
}
REFERENCES = ("reference", "chosen", "completion")
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}
BODIES = ("text", "content", "page_content")


@dataclass(frozen=True, slots=True)
class Draft:
    """A case as it was given: its uid, the id that it was given (or none), and only the fields that are in the row."""

    uid: str
    named: str
    given: Mapping[str, Any]
    content: Content
    source: str = ""


def read_case(row: Any, *, source: str = "") -> Draft:
    """The case of a row. Raises RowRefused with what is wrong with it."""
    if not isinstance(row, Mapping):
        raise RowRefused(f"the row is a {type(row).__name__}; each row must be an object with a prompt")
    fields = {str(key).strip().casefold(): value for key, value in row.items() if value is not None}
    given: dict[str, Any] = _texts(fields)
    for name, read in READERS.items():
        if name in fields:
            given[name] = read(fields[name])
    content = checked(merged(Content(prompt=given["prompt"]), given))
    named = str(fields.get("id", "")).strip()
    return Draft(uid_of(named) if named else content.identity, named, given, content, source)


def read_cases(rows: Iterable[tuple[int, Any]], *, source: str) -> Iterator[tuple[int, Draft | RowRefused]]:
    """Every numbered row as a draft or its refusal; the second row of one case is refused."""
    seen: dict[str, int] = {}
    for number, row in rows:
        try:
            if isinstance(row, RowRefused):
                raise row
            draft = read_case(row, source=f"{source}:{number}")
            if first := seen.get(draft.uid):
                raise RowRefused(_twice(draft, first))
        except RowRefused as refusal:
            yield number, refusal
        else:
            seen[draft.uid] = number
            yield number, draft


def _twice(draft: Draft, first: int) -> str:
    if draft.named:
        return f"the id {draft.named[:40]!r} stands in row {first} already; give each case its own"
    return f"the same prompt and answers stand in row {first} already; the case is kept once"


def _texts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Prompt, reference and rejected, as far as they are given."""
    prompt, answer = _prompt(fields)
    given: dict[str, Any] = {"prompt": prompt}
    name = next((name for name in REFERENCES if name in fields), "")
    if name:
        given["reference"] = _text(fields[name], name)
    elif answer is not None:
        given["reference"] = answer
    if "rejected" in fields:
        given["rejected"] = _text(fields["rejected"], "rejected")
    return given


def _prompt(fields: Mapping[str, Any]) -> tuple[list[Message], str | None]:
    name = next((name for name in ("messages", "prompt") if fields.get(name) not in (None, "", [])), "")
    if not name:
        seen = ", ".join(sorted(fields))[:200] or "none"
        raise RowRefused(f"there is no prompt among the fields ({seen}); name it prompt or messages")
    found = messages(_object(fields[name], list) if name == "messages" else fields[name], name)
    if found[-1]["role"] == "assistant" and name == "messages":
        return answered(found, name)
    if found[-1]["role"] == "assistant":
        raise RowRefused(f"{name} ends with the assistant; end it with what is asked, or name it messages")
    return found, None


def _text(value: Any, name: str) -> str | None:
    """An answer; numbers as spreadsheets write them, and nothing for a blank one."""
    text = str(value) if isinstance(value, bool | int | float) else completion(value, name)
    return text if text.strip() else None


def _contexts(value: Any) -> list[str]:
    return _documents(value, "contexts", "context")


def _gold(value: Any) -> list[str]:
    return _documents(value, "gold", "gold context")


def _documents(value: Any, name: str, one: str) -> list[str]:
    parts = _object(value, list)
    if isinstance(parts, str):
        return [parts] if parts.strip() else []
    if not isinstance(parts, list):
        raise RowRefused(f"{name} must be a text or a list of texts")
    return [_document(part, f"{one} {number}") for number, part in enumerate(parts, start=1)]


def _document(part: Any, name: str) -> str:
    if isinstance(part, Mapping):
        part = next((part[name] for name in BODIES if isinstance(part.get(name), str)), None)
    if not isinstance(part, str):
        raise RowRefused(f"{name} has no text; give a text, or an object with text")
    return part


def _tags(value: Any) -> list[str]:
    parts = _object(value, list)
    if isinstance(parts, str):
        return tags_from(parts.split(","))
    if not isinstance(parts, list) or not all(isinstance(part, str | int) for part in parts):
        raise RowRefused("tags must be words with commas between them, or a list of texts")
    return tags_from([str(part) for part in parts])


def _checks(value: Any) -> list[dict[str, Any]]:
    parts = _object(value, (list, dict))
    found = [parts] if isinstance(parts, dict) else parts
    if not isinstance(found, list) or not all(isinstance(part, dict) for part in found):
        raise RowRefused("checks must be JSON: an object, or a list of objects")
    try:
        read_checks(found)
        return list(json.loads(json.dumps(found, allow_nan=False)))
    except Refused as refusal:
        words = refusal.sentence.rstrip(".")
        raise RowRefused(f"{words[:1].lower()}{words[1:]}") from refusal
    except (ValueError, TypeError, RecursionError) as error:
        raise RowRefused(f"checks cannot be stored as JSON ({error})") from error


def _weight(value: Any) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RowRefused(f"the weight is {value!r:.40}; give a number above 0")
    return number


def _cluster(value: Any) -> str:
    if not isinstance(value, str | int):
        raise RowRefused("cluster must be a text or a number")
    return " ".join(str(value).split())


def _sealed(value: Any) -> bool:
    found = TRUTHS.get(str(value).strip().casefold().removesuffix(".0"))
    if found is None:
        raise RowRefused(f"sealed is {value!r:.40}; write yes or no")
    return found


def _object(value: Any, kind: type | tuple[type, ...]) -> Any:
    """JSON in a text, where it is of this kind; else the value itself."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, kind) else value


READERS = {
    "contexts": _contexts,
    "gold": _gold,
    "tags": _tags,
    "checks": _checks,
    "weight": _weight,
    "cluster": _cluster,
    "sealed": _sealed,
}
