"""What a person is told of their own quality: their own numbers, and how they stand among others without names.

All but plain counts is taken from answers before the last midnight, so that nobody can tell from a number that moves
which item had a known answer, or what somebody else said of the one they just judged.
"""

from dataclasses import dataclass
from datetime import datetime
from statistics import median

from django.core.cache import cache
from django.utils import timezone

from labeling import quality
from labeling.days import midnight
from labeling.gold import known_results
from labeling.judged import COMPARING, read_judged
from labeling.measures import PersonLine
from labeling.models import Judgment, Project, Purpose, Seat, Task, User
from labeling.repeats import repeated_by_person

NEWEST = 2_000
FEWEST_OTHERS = 3
DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Own:
    """A person's own line, and the medians of the others by the name of the column; none with fewer than
    FEWEST_OTHERS people who have a number there. `until` is the midnight before which answers count."""

    line: PersonLine
    others: dict[str, float]
    until: datetime


def own_quality(*, project: Project, person: User, until: datetime | None = None) -> Own:
    """Their own numbers, from their newest NEWEST items before `until`; where none is given, the last midnight, and
    then they are worked out once a day."""
    day = until or last_midnight()
    line = _line(project, person, day) if until else _line_of_the_day(project, person, day)
    seat = Seat.objects.filter(project=project, person=person).first()
    if seat is not None:
        line.judgments, line.skipped = seat.judged, seat.skipped
        line.mean_ms = seat.active_ms / seat.judged if seat.judged and seat.active_ms else None
    return Own(line, _others(project, person), day)


def _line_of_the_day(project: Project, person: User, day: datetime) -> PersonLine:
    key = f"own-quality:{project.pk}:{person.pk}:{day.isoformat()}"
    found: PersonLine | None = cache.get(key)
    if found is None:
        found = _line(project, person, day)
        cache.set(key, found, DAY)
    return found


def _line(project: Project, person: User, until: datetime) -> PersonLine:
    line = PersonLine(person.pk, person.username, 0)
    if project.task in (*COMPARING, Task.RAG):
        _lean(project, person, line, until)
        _check(project, person, line, until)
    return line


def last_midnight() -> datetime:
    """The midnight that began this day, where the server is."""
    return midnight(timezone.localdate())


def _lean(project: Project, person: User, line: PersonLine, until: datetime) -> None:
    import numpy as np

    from labeling.leanings import leanings, share

    mine = Judgment.objects.filter(project=project, person=person, purpose=Purpose.WORK, created_at__lt=until)
    items = set(mine.order_by("-pk").values_list("item_id", flat=True)[:NEWEST])
    judged = read_judged(project, items=items, until=until)
    if not len(judged):
        return
    lean, own = leanings(project, judged), np.array(judged.person) == person.pk
    clusters = np.array([judged.prompts[item] for item in judged.item], dtype=np.intp)[own]
    line.left_share = share(lean.left[own], clusters)
    line.longer_share = share(lean.longer[own], clusters)
    line.agrees = share(lean.agrees[own], clusters)


def _check(project: Project, person: User, line: PersonLine, until: datetime) -> None:
    from labeling.measuring import alike_share

    repeated = repeated_by_person(project, person=person, until=until).get(person.pk, [])
    line.consistent, line.repeats = alike_share(repeated), len(repeated)
    for result in known_results(project, person=person, until=until):
        line.known, line.known_answered, line.passes = result.share, result.answered, result.passes


def _others(project: Project, person: User) -> dict[str, float]:
    found = quality.latest(project).measure
    others = [line for line in found.people if line.person_id != person.pk] if found else []
    medians = {}
    for column in ("left_share", "longer_share", "agrees", "consistent", "known"):
        values = [estimate.value for line in others if (estimate := getattr(line, column)) is not None]
        if len(values) >= FEWEST_OTHERS:
            medians[column] = median(values)
    times = [line.mean_ms for line in others if line.mean_ms is not None]
    if len(times) >= FEWEST_OTHERS:
        medians["mean_ms"] = median(times)
    return medians
