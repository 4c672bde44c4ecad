"""The captures of a project as its pages show them: a list that costs the same however many there are, and counts by
day that were kept with each request."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from labeling.blind import hidden_items
from labeling.models import Capture, CaptureState, CaptureTally, Project, User, Voice

PER_PAGE, DAYS = 50, 14
COLUMNS = (
    *(
        "pk",
        "uid",
        "preview",
        "voice",
        "model",
        "slice",
        "n_answers",
        "n_contexts",
        "scrubbed",
        "captured_at",
    ),
    *("received_at", "state", "note", "item_id", "licence"),
)


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


@dataclass(frozen=True, slots=True)
class Line:
    """A capture of the list. What tells of the answer is left out (`hidden`) while its reader may be given the item."""

    capture: Capture
    hidden: bool

    @property
    def voice_words(self) -> str:
        return "" if self.hidden else Voice(self.capture.voice).label

    @property
    def state_words(self) -> str:
        return CaptureState(self.capture.state).label


@dataclass(frozen=True, slots=True)
class Page:
    lines: list[Line]
    before: int | None
    after: int | None


@dataclass(slots=True)
class Day:
    """What came on one day, by outcome."""

    day: date
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def cells(self) -> list[int]:
        return [self.counts.get(outcome, 0) for outcome in CaptureTally.Outcome.values]


def captures_of(*, project: Project, wanted: Wanted, reader: User | None) -> Page:
    """A page of captures, newest first, that begins below the capture `after` or ends above the capture `before`."""
    back = wanted.before is not None
    start = wanted.before if back else wanted.after
    rows = _rows(project, wanted)
    if start is not None:
        rows = rows.filter(pk__gt=start) if back else rows.filter(pk__lt=start)
    found = list(rows.order_by("pk" if back else "-pk").only(*COLUMNS)[: PER_PAGE + 1])
    shown, more = found[:PER_PAGE], len(found) > PER_PAGE
    onward = shown[-1].pk if more else None
    backward = shown[0].pk if shown and start is not None else None
    if back:
        shown.reverse()
        onward, backward = backward, onward
    return Page(_lines(project, shown, reader), backward, onward)


def _rows(project: Project, wanted: Wanted) -> QuerySet[Capture]:
    rows = Capture.objects.filter(project=project)
    if wanted.q:
        rows = rows.filter(preview__icontains=wanted.q)
    for name in ("voice", "state"):
        if value := getattr(wanted, name):
            rows = rows.filter(**{name: value})
    if wanted.slice:
        rows = rows.filter(labels__contains=f"|{wanted.slice}|")
    if wanted.day is not None:
        start, end = (_midnight(wanted.day + timedelta(days=days)) for days in (0, 1))
        rows = rows.filter(received_at__gte=start, received_at__lt=end)
    return rows


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _lines(project: Project, shown: list[Capture], reader: User | None) -> list[Line]:
    hidden = hidden_of(project, shown, reader)
    return [Line(capture, capture.item_id in hidden) for capture in shown]


def hidden_of(project: Project, captures: Collection[Capture], reader: User | None) -> set[int | None]:
    """The items of these captures that their reader may still be given to judge, blind."""
    items = [capture.item_id for capture in captures if capture.item_id is not None]
    found: set[Any] = set(hidden_items(project=project, person=reader, items=items))
    return found


def days_of(project: Project) -> list[Day]:
    """The last days on which something came, newest first."""
    since = timezone.localdate() - timedelta(days=DAYS - 1)
    rows = CaptureTally.objects.filter(project=project, day__gte=since).order_by("-day")
    found: dict[date, Day] = {}
    for day, outcome, n in rows.values_list("day", "outcome", "n"):
        found.setdefault(day, Day(day)).counts[outcome] = n
    return list(found.values())
