"""A change of the categories as a form or a call sends it: one action, its fields, and what to say when it is done."""

from collections.abc import Callable, Mapping
from typing import Any

from labeling.errors import Refused
from labeling.models import Project, User
from labeling.rag.taxonomy import (
    add_category,
    merge_categories,
    rename_category,
    retire_category,
    split_category,
)

Values = Mapping[str, Any]


def change_categories(*, project: Project, person: User | None, action: str, values: Values) -> str:
    """Do what the action says with these fields. Returns what was done in words. Raises Refused."""
    if action not in ACTIONS:
        raise Refused(f"The action given is {action[:40]!r}; choose one of {', '.join(ACTIONS)}.")
    return ACTIONS[action](project, person, values)


def _add(project: Project, person: User | None, values: Values) -> str:
    given = {name: _text(values, name) for name in ("name", "scope", "stage", "key", "words", "reason")}
    made = add_category(project=project, person=person, **given)
    return f"{made.name} can be chosen from now on."


def _rename(project: Project, person: User | None, values: Values) -> str:
    words = _text(values, "words") if "words" in values else None
    key, name, reason = (_text(values, field) for field in ("key", "name", "reason"))
    made = rename_category(project=project, person=person, key=key, name=name, words=words, reason=reason)
    return f"It is called {made.name} now, in old judgments too."


def _merge(project: Project, person: User | None, values: Values) -> str:
    keys = [str(key) for key in values.get("keys") or [_text(values, "key")] if key]
    into, reason = _text(values, "into"), _text(values, "reason")
    target = merge_categories(project=project, person=person, keys=keys, into=into, reason=reason)
    return f"What was said of {', '.join(keys)} counts as {target.name} from now on."


def _split(project: Project, person: User | None, values: Values) -> str:
    parts = [
        {name: _text(part, name) for name in ("name", "key", "words", "stage")}
        for part in values.get("parts") or []
    ]
    key, reason = _text(values, "key"), _text(values, "reason")
    made = split_category(project=project, person=person, key=key, into=parts, reason=reason)
    names = " and ".join(category.name for category in made)
    return f"{names} can be chosen from now on; old judgments count for each of them."


def _retire(project: Project, person: User | None, values: Values) -> str:
    gone = retire_category(
        project=project, person=person, key=_text(values, "key"), reason=_text(values, "reason")
    )
    return f"{gone.name} is offered no more; judgments that carry it keep it."


def _text(values: Values, name: str) -> str:
    return str(values.get(name) or "").replace("\0", "").strip()


ACTIONS: dict[str, Callable[[Project, User | None, Values], str]] = {
    "add": _add,
    "rename": _rename,
    "merge": _merge,
    "split": _split,
    "retire": _retire,
}
