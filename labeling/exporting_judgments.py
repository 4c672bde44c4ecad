"""The judgments of a project → files: JSON Lines that an import reads back, or a CSV for spreadsheets.

Only what counts is exported: the current judgment of each person and item, as `current_judgments` has them.
"""

import csv
import hashlib
import io
import itertools
import operator
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from django.db.models import Max, TextField
from django.db.models.functions import Cast
from django.http import Http404, StreamingHttpResponse

from labeling.access import Access
from labeling.blind import hidden_items
from labeling.curation.votes import current_judgments
from labeling.errors import Refused
from labeling.imported import PREFIX
from labeling.models import Chunk, Item, Project, Response, User

FORMATS = ("jsonl", "csv")
CHUNK, ROWS = 500, 2000
COLUMNS = ("item_id", "person__username", "kind", "label", "strength", "active_ms", "created_at")
ITEM_COLUMNS = ("id", "content_hash", "source_ref", "licence", "synthetic")
LEFT = ("item", "source_ref", "licence", "prompt")
RIGHT = (
    *("person", "kind", "label", "strength", "ratings", "edited", "text", "rationale"),
    *("created_at", "display_order", "active_ms", "rag"),
)
LINE = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
FORMULA = ("=", "+", "-", "@", "\t", "\r")

Verdict = dict[str, Any]


@dataclass(slots=True)
class Judged:
    """An item with its responses and what people said of it."""

    content_hash: str
    source_ref: str
    licence: str
    synthetic: bool
    messages: list[dict[str, str]]
    extra: dict[str, Any]
    responses: list[dict[str, str]] = field(default_factory=list)
    contexts: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def stream_judgments(
    *, project: Project, format: str = "jsonl", person: User | None = None
) -> Iterator[bytes]:
    """The judged items of a project, oldest first, as bytes of a file. Raises Refused for an unknown format.

    Items that `person` may still be given to judge are left out: they are judged blind.

    `jsonl` has one item a line with its verdicts: label, ratings and edited are in terms of the stored responses.
    A review of a RAG answer comes whole in `rag`, its contexts with the item.
    `csv` has one judgment a line; label counts the responses from 0, the columns from response_1. Memory does not grow
    with the project, and each chunk of items costs two queries, or three where items have contexts.
    """
    if format not in FORMATS:
        raise Refused(f"The format given is {format!r}; choose one of {', '.join(FORMATS)}.")
    chunks = _chunks(project, person)
    return _csv(project, chunks) if format == "csv" else map(_lines, chunks)


def judgments_file(access: Access, format: str) -> StreamingHttpResponse:
    """The download of whoever came in. Raises Http404 for an unknown format."""
    if format not in FORMATS:
        raise Http404(f"Judgments come as {' or '.join(FORMATS)}.")
    parts = stream_judgments(project=access.project, format=format, person=access.person)
    kind = "text/csv; charset=utf-8" if format == "csv" else "application/jsonl"
    name = f"{access.project.slug}-judgments.{format}"
    return StreamingHttpResponse(
        parts, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def export_judgments(*, project: Project, out: Path, format: str = "jsonl") -> tuple[str, int]:
    """Write the file, whole or not at all; its SHA-256 in hex and its size in bytes. Raises Refused."""
    parts = stream_judgments(project=project, format=format)
    building = out.with_name(f"{out.name}.building")
    digest, size = hashlib.sha256(), 0
    try:
        with building.open("wb") as file:
            for part in parts:
                digest.update(part)
                size += file.write(part)
            file.flush()
            os.fsync(file.fileno())
        building.replace(out)
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror}; choose another path.") from error
    finally:
        building.unlink(missing_ok=True)
    return digest.hexdigest(), size


def _chunks(project: Project, person: User | None) -> Iterator[list[Judged]]:
    rows = current_judgments(project).order_by("item_id", "id")
    columns = rows.values_list(*COLUMNS, _raw("answer"), _raw("display_order"))
    groups = itertools.groupby(columns.iterator(chunk_size=ROWS), key=operator.itemgetter(0))
    loaded = ((item, list(group)) for item, group in groups)
    chunked = Chunk.objects.filter(item__project=project).exists()
    while chunk := dict(itertools.islice(loaded, CHUNK)):
        hidden = hidden_items(project=project, person=person, items=chunk)
        items = _items({item: said for item, said in chunk.items() if item not in hidden})
        if chunked:
            _add_contexts(items)
        yield list(items.values())


def _raw(name: str) -> Cast:
    """A JSON column as its text: decoding it here takes a fifth of the time that the field's own way takes."""
    return Cast(name, TextField())


def _items(judgments: dict[int, list[tuple[Any, ...]]]) -> dict[int, Judged]:
    rows = Item.objects.filter(pk__in=list(judgments)).order_by()
    items = {}
    for row in rows.values_list(*ITEM_COLUMNS, _raw("messages"), _raw("extra")):
        pk, content_hash, source_ref, licence, synthetic, messages, extra = row
        texts = orjson.loads(messages), orjson.loads(extra)
        items[pk] = Judged(content_hash, source_ref, licence, synthetic, *texts)
    responses = Response.objects.filter(item__in=list(judgments)).order_by("item_id", "position")
    for item, text, origin in responses.values_list("item_id", "text", "origin"):
        items[item].responses.append({"text": text, "origin": origin} if origin else {"text": text})
    for item, said in judgments.items():
        items[item].verdicts = _named([_verdict(row) for row in said])
    return {item: items[item] for item in judgments}


def _add_contexts(items: dict[int, Judged]) -> None:
    rows = Chunk.objects.filter(item__in=list(items)).order_by("item_id", "position")
    for item, *given in rows.values_list("item_id", "text", "title", "ref", "score"):
        named = zip(("text", "title", "ref", "score"), given, strict=True)
        items[item].contexts.append({name: value for name, value in named if value not in ("", None)})


def _verdict(row: tuple[Any, ...]) -> Verdict:
    """One judgment in terms of the stored responses; what was not asked is left out."""
    _, person, kind, label, strength, active_ms, created_at, raw_answer, raw_order = row
    answer, order = orjson.loads(raw_answer), orjson.loads(raw_order)
    verdict: Verdict = {"person": person, "kind": kind, "created_at": created_at.isoformat()}
    if kind == "edit":
        verdict["edited"] = int(label)
    elif label:
        verdict["label"] = label
    if strength is not None:
        verdict["strength"] = strength
    if active_ms is not None:
        verdict["active_ms"] = active_ms
    if order:
        verdict["display_order"] = order
    if "ratings" in answer:
        verdict["ratings"] = _stored_order(answer["ratings"], order)
    verdict |= {name: answer[name] for name in ("text", "rationale") if answer.get(name)}
    if kind == "rag":
        verdict["rag"] = answer
    return verdict


def _stored_order(ratings: dict[str, list[Any]], order: list[int]) -> dict[str, list[Any]]:
    """Ratings by stored position: an answer has them as the responses were shown."""
    if not order:
        return ratings
    places = sorted(range(len(order)), key=order.__getitem__)
    return {attribute: [values[place] for place in places] for attribute, values in ratings.items()}


def _named(verdicts: list[Verdict]) -> list[Verdict]:
    """Annotators of imported files under the names that their file had, where that leaves nobody mistaken."""
    taken = {verdict["person"] for verdict in verdicts}
    for verdict in verdicts:
        name = verdict["person"].removeprefix(PREFIX)
        if name not in taken:
            verdict["person"] = name
    return verdicts


def _lines(items: list[Judged]) -> bytes:
    return b"".join(orjson.dumps(_row(item), option=LINE) for item in items)


def _row(item: Judged) -> dict[str, Any]:
    """An item as the import reads it."""
    row: dict[str, Any] = {
        "messages": item.messages,
        "responses": item.responses,
        "source_ref": item.source_ref,
        "licence": item.licence,
        "verdicts": item.verdicts,
    }
    if item.contexts:
        row["contexts"] = item.contexts
    if item.synthetic:
        row["synthetic"] = True
    if item.extra:
        row["extra"] = item.extra
    return row


def _csv(project: Project, chunks: Iterator[list[Judged]]) -> Iterator[bytes]:
    most = Item.objects.filter(project=project).aggregate(most=Max("n_responses"))["most"] or 0
    numbers = range(1, most + 1)
    header = [*LEFT, *(f"response_{n}" for n in numbers), *(f"model_{n}" for n in numbers), *RIGHT]
    yield _cells([header])
    for chunk in chunks:
        shared = ((_left(item, most), item.verdicts) for item in chunk)
        yield _cells([[*left, *_right(verdict)] for left, verdicts in shared for verdict in verdicts])


def _cells(rows: list[list[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _left(item: Judged, most: int) -> list[str]:
    """What all judgments of an item share."""
    missing = [""] * (most - len(item.responses))
    texts = [response["text"] for response in item.responses]
    origins = [response.get("origin", "") for response in item.responses]
    names = [item.content_hash, item.source_ref, item.licence, _prompt(item.messages)]
    return [_safe(cell) for cell in (*names, *texts, *missing, *origins, *missing)]


def _right(verdict: Verdict) -> list[Any]:
    return [_cell(verdict[name]) if name in verdict else "" for name in RIGHT]


def _prompt(messages: list[dict[str, str]]) -> str:
    if len(messages) == 1 and messages[0]["role"] == "user":
        return messages[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return _safe(value)
    return orjson.dumps(value).decode() if isinstance(value, (list, dict)) else value


def _safe(cell: str) -> str:
    """A text that a spreadsheet would take for a formula gets an apostrophe, as spreadsheets themselves write it."""
    if cell.startswith(FORMULA) and cell[:2] not in ("-", "- ", "--"):
        return f"'{cell}"
    return cell
