"""One file into one project: started from a page, the API or a command, run once by whoever claims it."""

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection, transaction

from labeling.errors import ImportRefused, Refused, RowRefused
from labeling.importing.mapping import FORMATS, to_draft
from labeling.importing.readers import read_rows
from labeling.intake import ItemDraft, add_items
from labeling.lifecycle import Status
from labeling.models import ImportBatch, Project, RowError, User

CHUNK = 2000
KEPT_ERRORS = 500


def refuse_large(size: int) -> None:
    """Refuse an upload, of a page or the API, of more bytes than the settings allow."""
    limit = settings.PREFLOOP_MAX_UPLOAD_MB
    if size > limit * 1_000_000:
        raise Refused(
            f"The file has {size / 1e6:,.0f} MB; up to {limit} MB can be uploaded here. "
            "Use `manage.py import_items` on the server for larger ones."
        )


def start_import(
    *,
    project: Project,
    file: IO[bytes],
    filename: str,
    person: User | None,
    format: str = "auto",
    licence: str = "",
) -> ImportBatch:
    """Keep the file and queue its import. Raises Refused where the disk or the format says no."""
    if format not in FORMATS:
        raise Refused(f"The format given is {format!r}; choose one of {', '.join(FORMATS)}.")
    target = Path(settings.PREFLOOP_VAR) / "uploads" / f"{uuid.uuid4().hex}-{Path(filename).name[:100]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            shutil.copyfileobj(file, out, 1 << 20)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise Refused(
            f"The file could not be stored ({error.strerror}); free some space on the server and send it again."
        ) from error
    with transaction.atomic():
        batch = ImportBatch.objects.create(
            project=project,
            filename=Path(filename).name[:255],
            path=str(target),
            format=format,
            licence=licence[:100],
            created_by=person,
        )
        batch.enqueue()
    return batch


def run_import(batch: ImportBatch) -> bool:
    """Claim the batch and store its rows. False when another worker has it. Safe to repeat after a kill."""
    if not batch.claim():
        return False
    batch.carry(lambda: _import(batch))
    return True


def _keep_indexes_in_memory() -> None:
    """Content hashes fall anywhere in their index. On SQLite keep all of it at hand, and write its pages back less
    often: those of several chunks then go to the file together."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA cache_size=-64000")
            cursor.execute("PRAGMA wal_autocheckpoint=8000")


def _import(batch: ImportBatch) -> None:
    _keep_indexes_in_memory()
    batch.row_errors.all().delete()
    batch.new, batch.refused = batch.items.count(), 0  # an earlier try may have stored some
    accepted = 0
    try:
        for chunk in _chunks(batch):
            accepted += sum(isinstance(row, ItemDraft) for _, row in chunk)
            if not _store(batch, chunk, accepted):
                return
            if batch.cancel_requested():
                batch.finish(Status.CANCELLED, **_counts(batch))
                return
    except ImportRefused as refusal:
        batch.finish(Status.FAILED, refusal.sentence, **_counts(batch))
        return
    batch.finish(Status.SUCCEEDED, progress=1.0, **_counts(batch))
    Path(batch.path).unlink(missing_ok=True)


def _chunks(batch: ImportBatch) -> Iterator[list[tuple[int, ItemDraft | RowRefused]]]:
    rows = _drafts(batch)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _drafts(batch: ImportBatch) -> Iterator[tuple[int, ItemDraft | RowRefused]]:
    for number, row in read_rows(Path(batch.path), name=batch.filename):
        if isinstance(row, RowRefused):
            yield number, row
            continue
        try:
            draft = to_draft(row, format=batch.format)
        except RowRefused as refusal:
            yield number, refusal
        else:
            yield number, draft


def _store(batch: ImportBatch, chunk: list[tuple[int, ItemDraft | RowRefused]], accepted: int) -> bool:
    """Store a chunk. `accepted` rows of the file could be read so far: those that are not new are duplicates."""
    drafts = [row for _, row in chunk if isinstance(row, ItemDraft)]
    errors = [(number, row) for number, row in chunk if isinstance(row, RowRefused)]
    intake = add_items(
        project=batch.project, drafts=_with_licence(drafts, batch.licence), source_kind="import", batch=batch
    )
    room = max(0, KEPT_ERRORS - batch.refused)
    RowError.objects.bulk_create(
        RowError(batch=batch, line=number, reason=_storable(refusal.sentence))
        for number, refusal in errors[:room]
    )
    batch.new += intake.new
    batch.duplicate = max(0, accepted - batch.new)
    batch.refused += len(errors)
    return batch.heartbeat() and bool(ImportBatch.objects.filter(pk=batch.pk).update(**_counts(batch)))


def _storable(sentence: str) -> str:
    """A reason may quote what no database takes: NUL and halves of surrogate pairs."""
    return sentence.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()


def _with_licence(drafts: list[ItemDraft], licence: str) -> list[ItemDraft]:
    """Rows that name no licence of their own get the file's."""
    return [replace(draft, licence=draft.licence or licence[:100]) for draft in drafts]


def _counts(batch: ImportBatch) -> dict[str, Any]:
    return {"new": batch.new, "duplicate": batch.duplicate, "refused": batch.refused}
