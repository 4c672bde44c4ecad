"""Which of a row's named values is the prompt and which are the responses, told from the names.

Spreadsheets, Argilla and Label Studio let everybody choose names; these are the ones that their own templates use.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from labeling.errors import RowRefused
from labeling.importing.fields import LENGTHS, Row, licence, messages, optional
from labeling.intake import ItemDraft, Message, ResponseDraft

DIALOGUES = ("messages", "conversations", "conversation", "chat", "history", "dialogue", "dialog")
PROMPTS = ("prompt", "instruction", "question", "query", "user", "task", "input", "document", "text")
CONTEXTS = ("input", "context", "document", "passage")
SYSTEMS = ("system", "system_prompt")
STEMS = ("response", "answer", "completion", "output", "generation", "reply", "candidate", "summary", "text")
LISTS = ("responses", "answers", "completions", "outputs", "generations", "replies", "candidates", "items")
BODIES = ("text", "body", "content", "html", "value", "title")
NUMBERED = re.compile(r"(.*?)[-_ .]?(\d{1,2}|(?<=[-_ .])[a-z]|(?<=[a-z])[A-Z])")
NOT_RESPONSES = {
    *("model", "origin", "score", "rating", "label", "id", "rank", "annotator", "source"),
    *("turn", "prompt", "question", "instruction"),
}


@dataclass(slots=True)
class Layout:
    """A row sorted out: the prompt, the responses with their names, and all fields that were used for them."""

    prompt: list[Message]
    names: list[str] = field(default_factory=list)
    responses: list[ResponseDraft] = field(default_factory=list)
    used: set[str] = field(default_factory=set)


def table(row: Row) -> ItemDraft:
    """A row of a spreadsheet: prompt, response_1, response_2 and so on, with model_1, model_2 as origins."""
    layout = sort_out(row)
    return ItemDraft(
        messages=layout.prompt,
        responses=layout.responses,
        source_ref=optional(row, "source", "source_ref"),
        licence=licence(row, row.get("metadata")),
    )


def fits(row: Row, *, least: int = 2) -> bool:
    """Whether the names of a row tell a prompt and at least so many responses."""
    listed = _first(row, LISTS, list)
    count = len(row[listed]) if listed else len(_response_names(row))
    return _prompt_name(row) is not None and count >= least


def sort_out(row: Row) -> Layout:
    """Raises RowRefused with the names seen where none of them is a prompt."""
    name = _prompt_name(row)
    if name is None:
        seen = ", ".join(sorted(map(str, row)))[:200] or "none"
        raise RowRefused(
            f"none of the fields ({seen}) is a prompt; name it {', '.join(PROMPTS[:4])} or messages"
        )
    listed = _first(row, LISTS, list)
    if listed is not None:
        names, responses = _listed(row[listed], listed)
    else:
        names = [key for key in _response_names(row) if key != name]
        responses = [ResponseDraft(_text(row[key], key), origin=_origin(row, key)) for key in names]
    used = {name, *([listed] if listed else names)}
    context = [key for word in CONTEXTS if (key := _first(row, (word,), str)) is not None and key not in used]
    return Layout(_prompt(row, name, context), names, responses, used.union(context))


def same_name(name: Any) -> str:
    """A name with case and separators evened out: "Response-1" and "response 1" are one name."""
    return re.sub(r"[\W_]+", "", str(name)).casefold()


def _first(row: Row, names: tuple[str, ...], kind: type) -> str | None:
    """The row's own key for the first of these names that has a value of this kind, upper or lower case."""
    keys = {key.casefold().replace(" ", "_"): key for key in row if isinstance(row[key], kind) and row[key]}
    return next((keys[name] for name in names if name in keys), None)


def _prompt_name(row: Row) -> str | None:
    return _first(row, DIALOGUES, list) or _first(row, PROMPTS, str)


def _response_names(row: Row) -> list[str]:
    """The names of one numbered family of texts; where there is none, a single name such as `response`."""
    families: dict[str, list[tuple[int, str, str]]] = {}
    for key in row:
        found = NUMBERED.fullmatch(key) if isinstance(row[key], str) and row[key] else None
        if found and found[1] and same_name(found[1]) not in NOT_RESPONSES:
            mark = found[2].casefold()
            families.setdefault(same_name(found[1]), []).append((len(mark), mark, key))
    known = [family for stem, family in families.items() if stem.endswith(STEMS)]
    several = [family for family in families.values() if len(family) > 1]
    for group in (*known, *several):
        return [key for *_, key in sorted(group)]
    taken = _prompt_name(row)
    single = _first({key: value for key, value in row.items() if key != taken}, STEMS, str)
    return [] if single is None else [single]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise RowRefused(f"{name} is a {type(value).__name__}; it must be a text")
    return value


def _origin(row: Row, name: str) -> str:
    """What `model_1` or `response_1_model` says of `response_1`."""
    found = NUMBERED.fullmatch(name)
    wanted = (
        {same_name(f"{word}{found[2]}") for word in ("model", "origin")} if found else {"model", "origin"}
    )
    wanted |= {same_name(f"{name}{word}") for word in ("model", "origin")}
    values = [row[key] for key in row if same_name(key) in wanted and isinstance(row[key], str)]
    return values[0][: LENGTHS["origin"]] if values else ""


def _listed(values: list[Any], name: str) -> tuple[list[str], list[ResponseDraft]]:
    """Responses in a list: texts, or objects with a text and an id by which a ranking names them."""
    names, responses = [], []
    for index, value in enumerate(values, start=1):
        given = value if isinstance(value, dict) else {"text": value}
        body = next((given[key] for key in BODIES if isinstance(given.get(key), str)), None)
        if body is None:
            raise RowRefused(f"{name} {index} is neither a text nor an object with a text")
        names.append(str(given.get("id", index)))
        responses.append(ResponseDraft(body, origin=_named(given)))
    return names, responses


def _named(given: Row) -> str:
    origin = optional(given, "origin") or optional(given, "model")
    has_body = any(isinstance(given.get(key), str) for key in BODIES if key != "title")
    return origin or (optional(given, "title") if has_body else "")


def _prompt(row: Row, name: str, context: list[str]) -> list[Message]:
    system = _first(row, SYSTEMS, str)
    found = messages(row[name], name)
    if isinstance(row[name], str):
        beyond = [row[key] for key in context if row[key] not in row[name]]
        found[0]["content"] = "\n\n".join([row[name], *beyond])
    return [{"role": "system", "content": row[system]}, *found] if system is not None else found
