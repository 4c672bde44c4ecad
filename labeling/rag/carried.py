"""Categories that a draft or an earlier answer carries, when somebody goes on with it after the categories changed."""

from collections.abc import Iterator, Mapping
from typing import Any

from labeling.models import Project
from labeling.rag.answers import LONGEST_NOTE
from labeling.rag.taxonomy import current

Given = dict[str, Any]


def objects(value: Any) -> list[Given]:
    """The objects of a list, whatever else was sent in it or in its place."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def keys_in(answer: Given | None) -> set[str]:
    """The keys of all categories that an answer carries, finished or not."""
    parts = [part for name in ("spans", "failures") for part in objects((answer or {}).get(name))]
    return {key for part in parts if isinstance(key := part.get("category"), str) and key}


def as_called_now(project: Project, answer: Given | None) -> Given | None:
    """The answer with each merged category under the name of the one that stayed. A category that was retired or split
    stays as it is: whoever goes on with the answer decides."""
    if answer is None or not keys_in(answer):
        return answer
    now = {old: new[0] for old, new in current(project).items() if len(new) == 1}
    parts = {name: list(_renamed(answer[name], now)) for name in ("spans", "failures") if name in answer}
    if "failures" in parts:
        parts["failures"] = _joined(parts["failures"])
    return answer | parts


def _renamed(parts: Any, now: Mapping[str, str]) -> Iterator[Given]:
    for part in objects(parts):
        key = part.get("category")
        yield part | {"category": now.get(key, key)} if isinstance(key, str) else part


def _joined(failures: list[Given]) -> list[Given]:
    """Each category once: of two that became one, the graver severity and both notes."""
    found: dict[Any, Given] = {}
    for failure in failures:
        key = str(failure.get("category"))
        other = found.get(key, {})
        found[key] = other | failure
        if other:
            grades = [grade for one in (other, failure) if isinstance(grade := one.get("severity"), int)]
            notes = [note for one in (other, failure) if (note := str(one.get("note") or ""))]
            found[key] |= {"severity": max(grades, default=None), "note": "\n".join(notes)[:LONGEST_NOTE]}
    return list(found.values())
