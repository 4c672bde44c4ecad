"""How the work of a project goes: what is done and left, how fast, until when, and who is stuck. Read from counters and
indexes, so that the page is as quick with half a million judgments as with ten."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import fmean, median, stdev
from typing import Any

from django.db.models import Count, Exists, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from labeling.access import BY_ROLE
from labeling.days import midnight
from labeling.estimates import Estimate
from labeling.gold import known_results
from labeling.imported import PREFIX
from labeling.models import Assignment, Item, Judgment, Membership, Project, Role, Seat, User

SHOWN_DAYS, PACE_DAYS, FEWEST_DAYS = 28, 14, 3
RECENT, FEWEST_RECENT, MOST_HELD = 200, 20, 500
LONG, LONGER_THAN = 5, timedelta(minutes=10)
# 97.5 % quantiles of Student's t for 2 to 13 degrees of freedom.
STUDENT = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160)


@dataclass(frozen=True, slots=True)
class Amount:
    """Items, those without a judgment still wanted, judgments by people here, and those still wanted."""

    items: int
    items_done: int
    judgments: int
    left: int
    held: int

    @property
    def share(self) -> float:
        return self.items_done / self.items if self.items else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Judgments of each day, oldest first, today last; and of a usual day, from the last full days since the first
    with one (two weeks at most). None before there are three."""

    days: list[tuple[date, int]]
    per_day: Estimate | None

    @property
    def today(self) -> int:
        return self.days[-1][1]


@dataclass(frozen=True, slots=True)
class Finish:
    """When nothing will be left at the pace so far; `latest` is None where the pace varies too much to say."""

    expected: date
    earliest: date
    latest: date | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A person who has held an item far longer than people usually do."""

    person_id: int
    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person's numbers. `per_hour` is of active time; `known` the share of known answers they got right."""

    person_id: int
    name: str
    role_label: str
    judged: int
    today: int
    skipped: int
    returned: int
    per_hour: float | None
    last_at: datetime | None
    known: Estimate | None
    fails: bool


@dataclass(frozen=True, slots=True)
class Work:
    amount: Amount
    pace: Pace
    finish: Finish | None
    hours_left: float | None
    usual: timedelta | None
    holding: list[Holding]
    people: list[PersonLine]
    annotators: int


def work_of(project: Project) -> Work:
    """All that the work page of a project shows, but for agreement."""
    amount, pace, lines = _amount(project), pace_of(project), _people(project)
    usual = _usual(project)
    active, judged = _active(project)
    return Work(
        amount=amount,
        pace=pace,
        finish=finish_of(left=amount.left, per_day=pace.per_day, today=timezone.localdate()),
        hours_left=amount.left * active / judged / 3_600_000 if judged and active else None,
        usual=usual,
        holding=_holding(project, usual),
        people=lines,
        annotators=_annotators(project),
    )


def pace_of(project: Project) -> Pace:
    """What was judged on each of the last four weeks' days, and on a usual day."""
    days = _per_day(project, timezone.localdate())
    full = [count for _, count in days[-1 - PACE_DAYS : -1]]
    begun = next((place for place, count in enumerate(full) if count), len(full))
    return Pace(days=days, per_day=usual_day(full[begun:]))


def usual_day(counts: list[int]) -> Estimate | None:
    """The mean of daily counts with its 95 % interval (Student's t); None for fewer than three days."""
    if len(counts) < FEWEST_DAYS:
        return None
    mean = fmean(counts)
    half = STUDENT[min(len(counts) - FEWEST_DAYS, len(STUDENT) - 1)] * stdev(counts) / math.sqrt(len(counts))
    return Estimate(mean, max(0.0, mean - half), mean + half, len(counts))


def finish_of(*, left: int, per_day: Estimate | None, today: date) -> Finish | None:
    """The day on which `left` judgments will be made; None where nothing is left, or the pace is not known or nil."""
    if not left or per_day is None or per_day.value <= 0:
        return None

    def after(pace: float) -> date | None:
        days = math.ceil(left / pace) if pace > 0 else math.inf
        return today + timedelta(days=int(days)) if days < 36_500 else None

    expected, earliest = after(per_day.value), after(per_day.high)
    if expected is None or earliest is None:
        return None
    return Finish(expected=expected, earliest=earliest, latest=after(per_day.low))


def _amount(project: Project) -> Amount:
    slots = Assignment.objects.filter(project=project)
    leased = slots.filter(person__isnull=False, submitted_at=None, skipped_at=None)
    free, held = slots.filter(person=None), list(leased.values_list("item_id", flat=True))
    items = Item.objects.filter(project=project).count()
    waiting = free.values("item").distinct().count()
    waiting += len(set(held)) - free.filter(item__in=held).values("item").distinct().count()
    given = Seat.objects.filter(project=project).aggregate(n=Coalesce(Sum("judged"), 0))["n"]
    return Amount(items, items - waiting, given, free.count() + len(held), len(held))


def _per_day(project: Project, today: date) -> list[tuple[date, int]]:
    """Counts of index entries between midnights: in one query, without a look at a row."""
    days = [today - timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]
    starts = [midnight(day) for day in (*days, today + timedelta(days=1))]
    imported = list(_imported(project))
    counts: dict[str, Any] = {}
    for number in range(SHOWN_DAYS):
        since, until = starts[number], starts[number + 1]
        made = Judgment.objects.filter(project=project, created_at__gte=since, created_at__lt=until)
        counts[f"day{number}"] = _count(made)
        if imported:
            theirs = Assignment.objects.filter(person__in=imported, project=project)
            theirs = theirs.filter(submitted_at__gte=since, submitted_at__lt=until)
            counts[f"day{number}"] -= _count(theirs)
    row: dict[str, Any] = {**Project.objects.filter(pk=project.pk).values("pk").annotate(**counts).get()}
    return [(day, max(0, row[f"day{number}"])) for number, day in enumerate(days)]


def _count(rows: Any) -> Any:
    grouped = rows.order_by().values("project").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(grouped), 0)


def _imported(project: Project) -> Iterable[int]:
    """People whose judgments came with a file: they say nothing of the pace here."""
    theirs = Judgment.objects.filter(project=project, person=OuterRef("pk"))
    return User.objects.filter(Exists(theirs), username__startswith=PREFIX).values_list("pk", flat=True)


def _active(project: Project) -> tuple[int, int]:
    """Active time in ms, and the judgments that took it."""
    rows = Seat.objects.filter(project=project, active_ms__gt=0)
    found = rows.aggregate(ms=Coalesce(Sum("active_ms"), 0), n=Coalesce(Sum("judged"), 0))
    return int(found["ms"]), int(found["n"])


def _usual(project: Project) -> timedelta | None:
    """How long people usually hold an item, told from the latest answers; None while there are few."""
    rows = Judgment.objects.filter(project=project).order_by("-created_at")[:RECENT]
    times = rows.values_list("created_at", "revision", "assignment__leased_at")
    spans = [(made - leased).total_seconds() for made, revision, leased in times if leased and revision == 1]
    return timedelta(seconds=median(spans)) if len(spans) >= FEWEST_RECENT else None


def _holding(project: Project, usual: timedelta | None) -> list[Holding]:
    """Who has held an item for more than five times the usual time, ten minutes at least; the longest first."""
    now = timezone.now()
    usual = timedelta(seconds=project.lease_seconds) / LONG if usual is None else usual
    rows = Assignment.objects.filter(
        project=project, person__isnull=False, submitted_at=None, skipped_at=None
    )
    held = rows.filter(expires_at__gt=now, leased_at__lt=now - max(LONG * usual, LONGER_THAN))
    columns = held.order_by("leased_at").values_list("person_id", "person__username", "leased_at")
    first: dict[int, Holding] = {}
    for person, name, since in columns[:MOST_HELD]:
        if since is not None and person is not None:
            first.setdefault(person, Holding(person, str(name), since))
    return list(first.values())


def _annotators(project: Project) -> int:
    may = [role for role, can in BY_ROLE.items() if can.annotate]
    return Membership.objects.filter(project=project, role__in=may, user__is_active=True).count()


def _people(project: Project) -> list[PersonLine]:
    """Everybody who judged or may, those who judged most first."""
    today = timezone.localdate()
    known = {result.person_id: result for result in known_results(project)}
    members = Membership.objects.filter(project=project).values_list("user_id", "role", "user__username")
    roles = {person: (Role(role), name) for person, role, name in members}
    seats = {seat.person_id: seat for seat in Seat.objects.filter(project=project).select_related("person")}
    lines = []
    for person in {**seats, **roles}:
        seat = seats.get(person) or Seat(project=project, person_id=person)
        role, name = roles.get(person, (None, "")) if person in roles else (None, seat.person.username)
        if not seat.judged and (role is None or not BY_ROLE[role].annotate):
            continue
        result = known.get(person)
        lines.append(
            PersonLine(
                person_id=person,
                name=name,
                role_label=role.label if role else "No longer here",
                judged=seat.judged,
                today=seat.judged_today if seat.day == today else 0,
                skipped=seat.skipped,
                returned=seat.returned if role else 0,
                per_hour=seat.judged / seat.active_ms * 3_600_000 if seat.active_ms >= 60_000 else None,
                last_at=seat.last_at,
                known=result.share if result else None,
                fails=bool(result and result.passes is False),
            )
        )
    return sorted(lines, key=lambda line: (-line.judged, line.name))
