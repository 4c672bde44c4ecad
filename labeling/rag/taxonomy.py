"""The error categories of a project: a starter set, changed with history, through which old answers stay readable.

Keys are never changed or used again: answers carry them. Renaming changes words; merging and splitting retire keys and
say what they are called now (`current`).
"""

import re
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from labeling.errors import Refused
from labeling.models import CategoryChange, ErrorCategory, Project, Scope, Stage, User
from labeling.rag.starters import STARTERS

MOST, LONGEST_KEY, LONGEST_NAME = 60, 40, 80
KEY = re.compile(r"[a-z0-9_]{1,40}")
Action = CategoryChange.Action
Snapshot = dict[str, Any]


def categories_of(project: Project) -> list[ErrorCategory]:
    """The living categories in their order. A project that never had one gets the starter set."""
    return [category for category in all_categories(project) if category.retired_at is None]


def all_categories(project: Project) -> list[ErrorCategory]:
    """The categories that answers may carry, retired ones too, in their order. Makes the starter set on first use."""
    found = list(ErrorCategory.objects.filter(project=project))
    if found:
        return found
    rows = [ErrorCategory(project=project, position=place, **fields) for place, fields in enumerate(STARTERS)]
    ErrorCategory.objects.bulk_create(rows, ignore_conflicts=True)
    return list(ErrorCategory.objects.filter(project=project))


def stages_by_key(project: Project) -> dict[str, str]:
    """Key → stage of every category, retired ones too."""
    return {category.key: category.stage for category in all_categories(project)}


def current(project: Project) -> dict[str, list[str]]:
    """What each key is called now: itself, the category into which it was merged, or those into which it was split.

    A category that was only retired stays itself: it is offered no more, but it was an error.
    """
    followers: dict[str, list[str]] = {}
    moved = CategoryChange.objects.filter(project=project, action__in=(Action.MERGE, Action.SPLIT))
    for before, after in moved.values_list("before", "after"):
        for gone in before:
            followers[gone["key"]] = [new["key"] for new in after]

    def resolved(key: str) -> list[str]:
        if key not in followers:
            return [key]
        return list(dict.fromkeys(last for follower in followers[key] for last in resolved(follower)))

    return {category.key: resolved(category.key) for category in all_categories(project)}


@transaction.atomic
def add_category(
    *,
    project: Project,
    person: User | None,
    name: str,
    scope: str,
    stage: str,
    key: str = "",
    words: str = "",
    reason: str = "",
) -> ErrorCategory:
    """A new category at the end. Without a key it gets one made of its name."""
    found = locked_categories(project)
    made = _make(project, found, key=key, name=name, words=words, scope=scope, stage=stage)
    _note(project, person, Action.ADD, reason, [], [snapshot(made)])
    return made


@transaction.atomic
def rename_category(
    *, project: Project, person: User | None, key: str, name: str, words: str | None = None, reason: str = ""
) -> ErrorCategory:
    """Other words for the same thing; its key and the answers stay as they are."""
    found = locked_categories(project)
    category = _living(found, key)
    given = _name(found, name, except_for=category)
    if given == category.name and words in (None, category.words):
        raise Refused(f"{category.name!r} is already called that; give another name or other words.")
    before = snapshot(category)
    category.name, category.words = given, category.words if words is None else words.strip()
    category.save(update_fields=["name", "words"])
    _note(project, person, Action.RENAME, reason, [before], [snapshot(category)])
    return category


@transaction.atomic
def merge_categories(
    *, project: Project, person: User | None, keys: Sequence[str], into: str, reason: str = ""
) -> ErrorCategory:
    """Retire these categories; what was said of them counts for `into` from now on."""
    gone = list(dict.fromkeys(keys))
    found = locked_categories(project)
    if not gone:
        raise Refused("No category was chosen to merge; choose at least one, and the one that stays.")
    if into in gone:
        raise Refused(f"{into!r} cannot be merged into itself; choose another one that stays.")
    target, merged = _living(found, into), [_living(found, key) for key in gone]
    for category in merged:
        if category.scope != target.scope:
            raise Refused(
                f"{category.name!r} is said of {category.get_scope_display().lower()}, and {target.name!r} of "
                f"{target.get_scope_display().lower()}; merge those of one kind."
            )
    _retire(merged)
    _note(project, person, Action.MERGE, reason, [*map(snapshot, merged)], [snapshot(target)])
    return target


@transaction.atomic
def split_category(
    *,
    project: Project,
    person: User | None,
    key: str,
    into: Sequence[dict[str, str]],
    reason: str = "",
) -> list[ErrorCategory]:
    """Retire a category in favour of two or more new ones, each {name, key?, words?, stage?}. What was said of it
    counts for all of them until somebody looks again."""
    found = locked_categories(project)
    old = _living(found, key)
    if len(into) < 2:
        raise Refused(
            f"{old.name!r} was split into {len(into)}; give two or more new categories, or rename it."
        )
    _retire([old])
    made = [
        _make(
            project,
            found,
            key=part.get("key", ""),
            name=part.get("name", ""),
            words=part.get("words", ""),
            scope=old.scope,
            stage=part.get("stage") or old.stage,
            position=old.position,
        )
        for part in into
    ]
    _note(project, person, Action.SPLIT, reason, [snapshot(old)], [*map(snapshot, made)])
    return made


@transaction.atomic
def retire_category(*, project: Project, person: User | None, key: str, reason: str = "") -> ErrorCategory:
    """Offer a category no more. Answers that carry it keep it."""
    category = _living(locked_categories(project), key)
    _retire([category])
    _note(project, person, Action.RETIRE, reason, [snapshot(category)], [])
    return category


def locked_categories(project: Project) -> dict[str, ErrorCategory]:
    """All categories by key, while nobody else changes them."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    return {category.key: category for category in all_categories(project)}


def _living(found: dict[str, ErrorCategory], key: str) -> ErrorCategory:
    category = found.get(key)
    if category is None:
        known = ", ".join(each.key for each in found.values() if each.retired_at is None)
        raise Refused(f"There is no category {key!r}; choose one of {known}.")
    if category.retired_at is not None:
        raise Refused(f"{category.name!r} is retired already; choose one that is still offered.")
    return category


def _make(
    project: Project,
    found: dict[str, ErrorCategory],
    *,
    key: str,
    name: str,
    words: str,
    scope: str,
    stage: str,
    position: int | None = None,
) -> ErrorCategory:
    """A new category, which is among those found from now on; at the end without a position."""
    if sum(each.retired_at is None for each in found.values()) >= MOST:
        raise Refused(
            f"The project has {MOST} categories, the most there can be; merge or retire some first."
        )
    given = _name(found, name)
    chosen = key.strip() or slugify(given).replace("-", "_")[:LONGEST_KEY].strip("_")
    if not KEY.fullmatch(chosen):
        raise Refused(
            f"The key given is {chosen!r}; use small letters, digits and underscores, {LONGEST_KEY} at most."
        )
    if chosen in found:
        state = "retired, and answers carry it" if found[chosen].retired_at else "taken"
        raise Refused(f"The key {chosen!r} is {state}; choose another.")
    if scope not in Scope.values:
        raise Refused(f"The scope given is {scope!r}; choose one of {', '.join(Scope.values)}.")
    if stage not in Stage.values:
        raise Refused(f"The stage given is {stage!r}; choose one of {', '.join(Stage.values)}.")
    if position is None:
        position = 1 + max((each.position for each in found.values()), default=-1)
    fields = {"name": given, "words": words.strip(), "scope": scope, "stage": stage, "position": position}
    found[chosen] = ErrorCategory.objects.create(project=project, key=chosen, **fields)
    return found[chosen]


def _name(found: dict[str, ErrorCategory], name: str, except_for: ErrorCategory | None = None) -> str:
    given = " ".join(name.split())
    if not given or len(given) > LONGEST_NAME:
        raise Refused(
            f"The name given has {len(given)} characters; give 1 to {LONGEST_NAME}, as people will read it."
        )
    for other in found.values():
        taken = other.retired_at is None and other != except_for
        if taken and other.name.casefold() == given.casefold():
            raise Refused(f"There is already a category {other.name!r}; choose another name.")
    return given


def _retire(categories: Sequence[ErrorCategory]) -> None:
    now = timezone.now()
    for category in categories:
        category.retired_at = now
        category.save(update_fields=["retired_at"])


def snapshot(category: ErrorCategory) -> Snapshot:
    return {name: getattr(category, name) for name in ("key", "name", "words", "scope", "stage")}


def _note(
    project: Project,
    person: User | None,
    action: str,
    reason: str,
    before: list[Snapshot],
    after: list[Snapshot],
) -> None:
    CategoryChange.objects.create(
        project=project, person=person, action=action, reason=reason.strip(), before=before, after=after
    )
