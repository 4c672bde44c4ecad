"""The captures of a project as its pages show them: a list, and counts by day that were kept with each request."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from labeling.blind import hidden_items
from labeling.capturing.texts import label_of
from labeling.days import midnight
from labeling.models import Capture, CaptureTally, Project, User

PER_PAGE, DAYS = 50, 14


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which captures; empty for all. `after` and `before` are numbers of captures, where a page begins."""

    q: str = ""
    voice: str = ""
    state: str = ""
    slice: str = ""
    day: date | None = None
    after: int | None = None
    before: int | None = None

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.voice or self.state or self.slice or self.day)


@dataclass(frozen=True, slots=True)
class Page:
    """Some captures, and the numbers where the neighbouring pages begin. What tells of the answer is left out of those
    whose item is `hidden`, which their reader may still be given."""

    captures: list[Capture]
    hidden: set[int]
    before: int | None
    after: int | None


def captures_of(*, project: Project, wanted: Wanted, reader: User | None) -> Page:
    """A page of captures, newest first, that begins below the capture `after` or ends above the capture `before`."""
    back = wanted.before is not None
    start = wanted.before if back else wanted.after
    rows = _rows(project, wanted)
    if start is not None:
        rows = rows.filter(pk__gt=start) if back else rows.filter(pk__lt=start)
    found = list(rows.order_by("pk" if back else "-pk").defer("body")[: PER_PAGE + 1])
    shown, more = found[:PER_PAGE], len(found) > PER_PAGE
    onward = shown[-1].pk if more else None
    backward = shown[0].pk if shown and start is not None else None
    if back:
        shown.reverse()
        onward, backward = backward, onward
    hidden = hidden_of(project, shown, reader)
    if wanted.voice:  # being found by it would tell
        shown = [capture for capture in shown if capture.item_id not in hidden]
    return Page(shown, hidden, backward, onward)


def _rows(project: Project, wanted: Wanted) -> QuerySet[Capture]:
    rows = Capture.objects.filter(project=project)
    if wanted.q:
        rows = rows.filter(preview__icontains=wanted.q)
    for name in ("voice", "state"):
        if value := getattr(wanted, name):
            rows = rows.filter(**{name: value})
    if wanted.slice:
        rows = rows.filter(labels__contains=f"|{label_of(wanted.slice)}|")
    if wanted.day is not None:
        start, end = (midnight(wanted.day + timedelta(days=days)) for days in (0, 1))
        rows = rows.filter(received_at__gte=start, received_at__lt=end)
    return rows


def hidden_of(project: Project, captures: Collection[Capture], reader: User | None) -> set[int]:
    """The items of these captures that their reader may still be given to judge, blind."""
    items = [capture.item_id for capture in captures if capture.item_id is not None]
    return hidden_items(project=project, person=reader, items=items)


def days_of(project: Project) -> list[tuple[date, list[int]]]:
    """The last days on which something came, newest first, with how many had each outcome."""
    since = timezone.localdate() - timedelta(days=DAYS - 1)
    rows = CaptureTally.objects.filter(project=project, day__gte=since).order_by("-day")
    found: dict[date, dict[str, int]] = defaultdict(dict)
    for day, outcome, n in rows.values_list("day", "outcome", "n"):
        found[day][outcome] = n
    outcomes = CaptureTally.Outcome.values
    return [(day, [counts.get(outcome, 0) for outcome in outcomes]) for day, counts in found.items()]
