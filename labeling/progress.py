"""How far each person is: counters that move with each answer, so that no page has to count judgments."""

from dataclasses import dataclass

from django.db.models import F
from django.utils import timezone

from labeling.models import Project, Seat, User
from labeling.queue import MOST_COUNTED, left_for, seat_of

ENOUGH_MS = 60_000


@dataclass(frozen=True, slots=True)
class Progress:
    """What a person is told about their own work. `per_hour` is of active time today; None before a minute of it."""

    done: int
    today: int
    left: int
    more_left: bool
    active_today_ms: int
    per_hour: float | None
    cap: int | None

    @property
    def total(self) -> int:
        return self.done + self.left


def own_progress(*, project: Project, person: User) -> Progress:
    """This person's own numbers, in a time that does not grow with the project."""
    seat = seat_of(project=project, person=person)
    today = seat.day == timezone.localdate()
    active = seat.active_today_ms if today else 0
    count = seat.judged_today if today else 0
    left = left_for(project=project, person=person)
    return Progress(
        done=seat.judged,
        today=count,
        left=left,
        more_left=left >= MOST_COUNTED,
        active_today_ms=active,
        per_hour=count / active * 3_600_000 if active >= ENOUGH_MS else None,
        cap=project.daily_cap,
    )


def skipped(*, project: Project, person: User) -> None:
    """Count an item that this person put aside."""
    Seat.objects.filter(project=project, person=person).update(
        skipped=F("skipped") + 1, last_at=timezone.now()
    )


def sent_back(*, project: Project, person: User) -> None:
    """A reviewer returned one of this person's answers: it comes first when they go on."""
    Seat.objects.filter(project=project, person=person).update(returned=F("returned") + 1)


def mended(*, project: Project, person: User) -> None:
    """This person answered again what a reviewer had returned, or the reviewer took that back."""
    seats = Seat.objects.filter(project=project, person=person, returned__gt=0)
    seats.update(returned=F("returned") - 1)
