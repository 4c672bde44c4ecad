"""The list of a project's items: searched, filtered, a page at a time, whatever their number.

A page begins after an item's number, so that no page costs more than the first. Nothing reads a text but the preview.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, F, Max, Min, OuterRef, QuerySet

from labeling.models import Assignment, Gold, Item, Judgment, Project, Purpose

PER_PAGE = 50
STATES = {"open": "Still open", "done": "Done", "known": "With a known answer"}
COLUMNS = ("pk", "preview", "source_kind", "licence", "overlap", "created_at")


@dataclass(frozen=True, slots=True)
class ItemLine:
    """An item of the list, how many people have judged it, and whether it has a known answer."""

    item: Item
    judgments: int
    known: bool


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some lines, and the item before which and after which the neighbouring pages begin; None where there is none."""

    lines: list[ItemLine]
    before: int | None
    after: int | None


def items_of(
    *,
    project: Project,
    q: str = "",
    state: str = "",
    newest: bool = False,
    after: int | None = None,
    before: int | None = None,
) -> ItemPage:
    """The page of items that begins after the item `after`, or ends before the item `before`."""
    back = before is not None
    start = before if back else after
    up = newest == back
    keys = (_open_keys if state == "open" else _keys)(project, q, state, start, up)
    shown, more = keys[:PER_PAGE], len(keys) > PER_PAGE
    onward = shown[-1] if more else None
    backward = shown[0] if shown and start is not None else None
    if back:
        shown.reverse()
        onward, backward = backward, onward
    return ItemPage(_lines(shown), backward, onward)


def _keys(project: Project, q: str, state: str, start: int | None, up: bool) -> list[int]:
    rows = walk(project) if q or state == "done" else Item.objects.filter(project=project)
    if q:
        rows = rows.filter(preview__icontains=q)
    if state == "done":
        rows = rows.filter(
            ~Exists(_held(project, item=OuterRef("pk"))), ~Exists(_free(project, item=OuterRef("pk")))
        )
    if state == "known":
        rows = rows.filter(pk__in=Gold.objects.filter(project=project).values("item"))
    if start is not None:
        rows = rows.filter(pk__gt=start) if up else rows.filter(pk__lt=start)
    return list(rows.order_by("pk" if up else "-pk").values_list("pk", flat=True)[: PER_PAGE + 1])


def _open_keys(project: Project, q: str, state: str, start: int | None, up: bool) -> list[int]:
    """Items with slots that are free or held, found by these: few are left of a large project at its end."""
    more: dict[str, Any] = {"item__preview__icontains": q} if q else {}
    if start is not None:
        more["item_id__gt" if up else "item_id__lt"] = start
    found: set[int] = set()
    for slots in (_free(project, **more), _held(project, **more)):
        keys = slots.order_by("item_id" if up else "-item_id").values_list("item_id", flat=True)
        found |= set(keys.distinct()[: PER_PAGE + 1])
    return sorted(found, reverse=not up)[: PER_PAGE + 1]


def _free(project: Project, **more: Any) -> QuerySet[Assignment]:
    return Assignment.objects.filter(project=project, person=None, **more)


def _held(project: Project, **more: Any) -> QuerySet[Assignment]:
    held = Assignment.objects.filter(project=project, person__isnull=False, purpose=Purpose.WORK, **more)
    return held.filter(submitted_at=None, skipped_at=None)


def walk(project: Project) -> QuerySet[Item]:
    """The project's items in a form that databases read in the order of their numbers until a page is full.

    Asked for plainly, SQLite goes by the index of hashes, looks up every item in random order, and sorts.
    """
    ends = Item.objects.filter(project=project).aggregate(first=Min("pk"), last=Max("pk"))
    rows = Item.objects.alias(owner=F("project_id") + 0).filter(owner=project.pk)
    return rows.filter(pk__gte=ends["first"] or 0, pk__lte=ends["last"] or 0)


def _lines(keys: list[int]) -> list[ItemLine]:
    items = Item.objects.filter(pk__in=keys).only(*COLUMNS).in_bulk()
    judged = Judgment.objects.filter(item__in=keys, revision=1, purpose=Purpose.WORK).order_by()
    counts = dict(judged.values("item_id").annotate(n=Count("pk")).values_list("item_id", "n"))
    known = set(Gold.objects.filter(item__in=keys).values_list("item_id", flat=True))
    return [ItemLine(items[key], counts.get(key, 0), key in known) for key in keys]
