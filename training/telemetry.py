"""events.jsonl → rows, as the process writes it. Lines are numbered, so reading them again changes nothing."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from training.models import RunEvent, TrainingRun


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


def loss_points(run: TrainingRun) -> list[tuple[int, dict[str, float]]]:
    """(step, values) of the log events in the order of steps; of steps done twice after a resume, the later counts."""
    rows = RunEvent.objects.filter(run=run, type="log").order_by("seq").values_list("step", "values")
    return sorted(dict(rows.iterator()).items())
