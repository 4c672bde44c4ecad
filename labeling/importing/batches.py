"""One file into one project: started from a page, the API or a command, run once by whoever claims it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path
from typing import IO, Any

from django.db import transaction

from labeling.errors import ImportRefused, Refused, RowRefused
from labeling.importing import ragtruth
from labeling.importing.mapping import FORMATS, to_drafts
from labeling.importing.oasst import joined
from labeling.importing.readers import Meter, Row, read_rows
from labeling.importing.uploads import forget, keep
from labeling.intake import ItemDraft, add_items
from labeling.lifecycle import Status
from labeling.models import ImportBatch, Project, RowError, User
from labeling.upkeep import keep_indexes_in_memory, refresh_statistics

CHUNK = 2000
KEPT_ERRORS = 500
LONGEST_PATH = 500
SOURCE_LENGTH = 200

Outcome = tuple[int, ItemDraft | RowRefused]


def start_import(
    *,
    project: Project,
    file: IO[bytes],
    filename: str,
    person: User | None,
    format: str = "auto",
    licence: str = "",
    scrub: bool = False,
) -> ImportBatch:
    """Keep the file and queue its import. Raises Refused where the disk or the format says no.

    `scrub` replaces e-mail addresses, phone and card numbers in all texts before they are stored.
    """
    _refuse_unknown(format)
    name, target = keep(file, filename)
    return _queued(
        project=project,
        filename=name,
        path=str(target),
        format=format,
        licence=licence[:100],
        scrub=scrub,
        created_by=person,
    )


def start_folder_import(
    *,
    project: Project,
    folder: Path,
    person: User | None,
    format: str = "auto",
    licence: str = "",
    scrub: bool = False,
) -> ImportBatch:
    """Queue the import of a folder on the server, such as one that `datasets` saved. It is read where it lies."""
    _refuse_unknown(format)
    path = folder.resolve()
    if len(str(path)) > LONGEST_PATH:
        raise Refused(f"The path of {folder.name} has more than {LONGEST_PATH} letters; move the folder up.")
    return _queued(
        project=project,
        filename=path.name[:255],
        path=str(path),
        format=format,
        licence=licence[:100],
        scrub=scrub,
        created_by=person,
    )


def _refuse_unknown(format: str) -> None:
    if format not in FORMATS:
        raise Refused(f"The format given is {format!r}; choose one of {', '.join(FORMATS)}.")


def _queued(**values: Any) -> ImportBatch:
    with transaction.atomic():
        batch = ImportBatch.objects.create(**values)
        batch.enqueue()
    return batch


def run_import(batch: ImportBatch) -> bool:
    """Claim the batch and store its rows. False when another worker has it. Safe to repeat after a kill."""
    if not batch.claim():
        return False
    batch.carry(lambda: _import(batch))
    return True


def _import(batch: ImportBatch) -> None:
    keep_indexes_in_memory(64)
    batch.row_errors.all().delete()
    batch.new, batch.refused = batch.items.count(), 0  # an earlier try may have stored some
    accepted, meter = 0, Meter()
    try:
        for chunk in _chunks(batch, meter):
            accepted += sum(isinstance(row, ItemDraft) for _, row in chunk)
            _store(batch, chunk, accepted)
            if not batch.heartbeat(meter.share, **_counts(batch)):
                return
            if batch.cancel_requested():
                batch.finish(Status.CANCELLED, **_counts(batch))
                return
    except ImportRefused as refusal:
        batch.finish(Status.FAILED, refusal.sentence, **_counts(batch))
        return
    refresh_statistics()
    batch.finish(Status.SUCCEEDED, progress=1.0, **_counts(batch))
    forget(Path(batch.path))


def _chunks(batch: ImportBatch, meter: Meter) -> Iterator[list[Outcome]]:
    rows = _together(_drafts(batch, meter))
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _drafts(batch: ImportBatch, meter: Meter) -> Iterator[Outcome]:
    for number, row in _rows(batch, meter):
        if isinstance(row, RowRefused):
            yield number, row
            continue
        try:
            drafts = to_drafts(row, format=batch.format, task=batch.project.task, scrub=batch.scrub)
        except RowRefused as refusal:
            yield number, refusal
        else:
            for draft in drafts:
                yield number, _with_source(draft, batch, number)


def _rows(batch: ImportBatch, meter: Meter) -> Iterator[Row]:
    rows = read_rows(Path(batch.path), name=batch.filename, meter=meter)
    if batch.format in ("auto", "ragtruth"):
        rows = ragtruth.joined(rows)
    return joined(rows) if batch.format in ("auto", "oasst") else rows


def _with_source(draft: ItemDraft, batch: ImportBatch, number: int) -> ItemDraft:
    """The draft with the file's name and row as its source, and the file's licence, where it names none itself."""
    line = f":{number}"
    source = draft.source_ref or batch.filename[: SOURCE_LENGTH - len(line)] + line
    return replace(draft, source_ref=source, licence=draft.licence or batch.licence)


def _together(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    """The same drafts, with the judgments of rows that repeat the item before them added to it.

    Exports with one row a judgment have such rows, a person's newest first. A row that adds nobody is a duplicate.
    """
    held: tuple[int, ItemDraft] | None = None
    duplicates = 0
    for number, draft in outcomes:
        if held is not None and isinstance(draft, ItemDraft) and _repeats(held[1], draft):
            together = _added(held[1], draft)
            duplicates += together is held[1]
            held = held[0], together
            continue
        if held is not None:
            yield from repeat(held, 1 + duplicates)
            held, duplicates = None, 0
        if isinstance(draft, ItemDraft) and draft.verdicts:
            held = number, draft
        else:
            yield number, draft
    if held is not None:
        yield from repeat(held, 1 + duplicates)


def _repeats(first: ItemDraft, second: ItemDraft) -> bool:
    same = first.responses == second.responses and first.contexts == second.contexts
    return bool(second.verdicts) and same and first.messages == second.messages


def _added(first: ItemDraft, second: ItemDraft) -> ItemDraft:
    """The first draft with the verdicts of the people who had not judged it yet; itself where there are none."""
    people = {verdict.person for verdict in first.verdicts}
    new = [verdict for verdict in second.verdicts if verdict.person not in people]
    return replace(first, verdicts=[*first.verdicts, *new]) if new else first


def _store(batch: ImportBatch, chunk: list[Outcome], accepted: int) -> None:
    """Store a chunk. `accepted` rows of the file could be read so far: those that are not new are duplicates."""
    drafts = [row for _, row in chunk if isinstance(row, ItemDraft)]
    errors = [(number, row) for number, row in chunk if isinstance(row, RowRefused)]
    intake = add_items(project=batch.project, drafts=drafts, source_kind="import", batch=batch)
    room = max(0, KEPT_ERRORS - batch.refused)
    RowError.objects.bulk_create(
        RowError(batch=batch, line=number, reason=_storable(refusal.sentence))
        for number, refusal in errors[:room]
    )
    batch.new += intake.new
    batch.duplicate = max(0, accepted - batch.new)
    batch.refused += len(errors)


def _storable(sentence: str) -> str:
    """A reason may quote what no database takes: NUL and halves of surrogate pairs."""
    return sentence.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()


def _counts(batch: ImportBatch) -> dict[str, Any]:
    return {"new": batch.new, "duplicate": batch.duplicate, "refused": batch.refused}
