"""Files of cases: kept, read by a worker in chunks, every refused row with its line and reason."""

from itertools import islice
from pathlib import Path
from typing import IO

from django.db import transaction

from evaluation.models import CaseImport, Suite
from evaluation.suites.reading import Draft, read_cases
from evaluation.suites.writing import put_cases
from labeling.errors import ImportRefused, Refused, RowRefused
from labeling.importing.readers import Meter, read_rows
from labeling.importing.uploads import forget, keep
from labeling.lifecycle import Status
from labeling.models import User
from labeling.upkeep import refresh_statistics

CHUNK = 1000
KEPT_ERRORS = 500
Outcome = tuple[int, Draft | RowRefused]


class Interrupted(Exception):
    """The claim was lost while a chunk was stored; it is not kept."""


def start_import(*, suite: Suite, file: IO[bytes], filename: str, person: User | None) -> CaseImport:
    """Keep the file and queue its import. Raises Refused where the disk says no."""
    name, target = keep(file, filename)
    with transaction.atomic():
        batch = CaseImport.objects.create(
            project=suite.project, suite=suite, filename=name, path=str(target), created_by=person
        )
        batch.enqueue()
    return batch


def run_import(batch: CaseImport) -> None:
    """Claim the import and store its rows. Safe to repeat: what a killed worker stored is not stored again."""
    if batch.claim():
        batch.carry(lambda: _import(batch))


def import_cases(*, suite: Suite, path: Path, person: User | None) -> CaseImport:
    """Import a file on the server to its end. Raises Refused where it could not be read."""
    if not path.is_file():
        raise Refused(f"{path} is no file; give the path of one that exists.")
    with path.open("rb") as file:
        batch = start_import(suite=suite, file=file, filename=path.name, person=person)
    run_import(batch)
    batch.refresh_from_db()
    if batch.status != Status.SUCCEEDED:
        raise Refused(batch.error or f"The import is {batch.get_status_display().lower()} by now.")
    return batch


def _import(batch: CaseImport) -> None:
    meter = Meter()
    found = read_rows(Path(batch.path), name=batch.filename, meter=meter)
    rows = read_cases(found, source=batch.filename[:200])
    try:
        for _ in islice(rows, batch.rows):  # stored before this process took over
            pass
        while chunk := list(islice(rows, CHUNK)):
            _store(batch, chunk, meter.share)
            if batch.cancel_requested():
                batch.finish(Status.CANCELLED)
                return
    except ImportRefused as refusal:
        batch.finish(Status.FAILED, refusal.sentence)
        return
    except Interrupted:
        return
    refresh_statistics()
    batch.finish(Status.SUCCEEDED, progress=1.0)
    forget(Path(batch.path))


def _store(batch: CaseImport, chunk: list[Outcome], share: float | None) -> None:
    """Store a chunk together with how far the import is, or neither."""
    drafts = [row for _, row in chunk if isinstance(row, Draft)]
    errors = [(line, row) for line, row in chunk if isinstance(row, RowRefused)]
    room = max(0, KEPT_ERRORS - len(batch.row_errors))
    with transaction.atomic():
        done = put_cases(suite=batch.suite, drafts=drafts, person=batch.created_by)
        batch.rows += len(chunk)
        batch.new += done.new
        batch.updated += done.updated
        batch.unchanged += done.unchanged
        batch.sealed += done.sealed
        batch.refused += len(errors)
        batch.row_errors += [
            {"line": line, "reason": _storable(error.sentence)} for line, error in errors[:room]
        ]
        names = ("rows", "new", "updated", "unchanged", "sealed", "refused", "row_errors")
        if not batch.heartbeat(share, **{name: getattr(batch, name) for name in names}):
            raise Interrupted


def _storable(sentence: str) -> str:
    """A reason may quote what no database takes: NUL and halves of surrogate pairs."""
    return sentence.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()
