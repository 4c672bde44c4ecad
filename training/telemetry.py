"""events.jsonl → rows, as the process writes it. Lines are numbered, so reading them again changes nothing."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.cache import cache
from django.db.models import QuerySet

from training.models import RunEvent, TrainingRun
from training.series import Points

MEASURED = ("log", "eval")
REMEMBERED_S = 3600


class EventTail:
    """Follows the events file of one run."""

    def __init__(self, run: TrainingRun) -> None:
        self._run = run
        self._path: Path = run.path / "events.jsonl"
        self._offset = self._seq = 0

    def read(self) -> list[RunEvent]:
        """Store and return the events written since the last call. A line without its end waits for the next call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        events = []
        for line in complete.splitlines():
            event = self._event(line)
            self._seq += 1
            if event is not None:
                events.append(event)
        self._offset += len(complete)
        RunEvent.objects.bulk_create(events, ignore_conflicts=True)
        return events

    def _event(self, line: bytes) -> RunEvent | None:
        try:
            row: dict[str, Any] = json.loads(line.replace(rb"\u0000", rb"\ufffd"))  # PostgreSQL stores no NUL
            return RunEvent(
                run=self._run,
                seq=self._seq,
                type=str(row["type"])[:20],
                step=int(row["step"]),
                time=datetime.fromisoformat(row["time"]),
                values=row["values"],
            )
        except (ValueError, KeyError, TypeError):
            return None  # a line torn by a kill; the process repaired the file and went on


def points_of(run: TrainingRun) -> Points:
    """Everything that the run measured, thinned. What was read before is remembered, so a call reads what is new.

    After a resume, steps are done again: then all is read once more, and of a step done twice the later values count.
    """
    key = f"training.points.{run.pk}"
    points: Points | None = cache.get(key)
    if points is not None:
        new = list(_measured(run).filter(seq__gt=points.seq))
        if not new:
            return points
        if not _follow(points, new):
            points = None
    if points is None:
        points = _read_all(run)
    cache.set(key, points, REMEMBERED_S)
    return points


def _measured(run: TrainingRun) -> QuerySet[RunEvent, tuple[int, str, int, dict[str, Any]]]:
    rows = RunEvent.objects.filter(run=run, type__in=MEASURED).order_by("seq")
    return rows.values_list("seq", "type", "step", "values")


def _follow(points: Points, rows: Iterable[tuple[int, str, int, dict[str, Any]]]) -> bool:
    """Add events that follow those known. False at the first one whose step was done before."""
    for seq, type, step, values in rows:
        if step <= points.reached.get(type, -1):
            return False
        points.add(type, step, values)
        points.seq = seq
    return True


def _read_all(run: TrainingRun) -> Points:
    """From the last event back to the first, passing over steps that were done again after a resume."""
    points = Points()
    least: dict[str, tuple[int, set[str]]] = {}
    for seq, type, step, values in _measured(run).order_by("-seq").iterator():
        points.seq = max(points.seq, seq)
        first, names = least.get(type, (step + 1, set()))
        if step > first:
            continue
        done = names if step == first else set()
        points.add(type, step, {name: value for name, value in values.items() if name not in done})
        least[type] = (step, done | set(values))
    points.sort()
    return points
