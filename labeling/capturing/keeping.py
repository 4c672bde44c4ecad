"""How long captures are kept: a project says so in days, and a worker deletes older ones for good, in short steps.

What was made of a capture stays: an item, its judgments, the tallies by day. Days are deleted whole, and none in which,
or after which, a capture still waits for a worker to put it into the queue: the caps of rules count what a day has. A
key that is sent again after its capture is gone makes a new one.
"""

from datetime import datetime, timedelta

from django.utils import timezone

from labeling.days import midnight
from labeling.models import Capture, CaptureState, Project

STEP, MOST_STEPS = 1_000, 50
"""Captures that are deleted in one statement, so that writers wait a moment only; and how many steps a sweep takes."""


def sweep() -> None:
    """Delete what is too old in every project that says what that is. Called each 15 seconds."""
    for project in Project.objects.exclude(capture_days=None).order_by("pk"):
        delete_old(project=project)


def delete_old(*, project: Project, now: datetime | None = None) -> int:
    """Delete captures of the days that ended `capture_days` ago, the oldest first, up to STEP × MOST_STEPS. Returns how
    many; two workers at once delete each of them once."""
    if project.capture_days is None:
        return 0
    moment = (now or timezone.now()) - timedelta(days=project.capture_days)
    waiting = Capture.objects.filter(project=project, state=CaptureState.TAKEN).order_by("pk").first()
    end = midnight(timezone.localdate(min(moment, waiting.received_at) if waiting else moment))
    rows = Capture.objects.filter(project=project, received_at__lt=end).exclude(state=CaptureState.TAKEN)
    gone = 0
    for _ in range(MOST_STEPS):
        keys = list(rows.order_by("received_at").values_list("pk", flat=True)[:STEP])
        gone += rows.filter(pk__in=keys).delete()[0]  # a rule may have taken one of them meanwhile
        if len(keys) < STEP:
            break
    return gone
