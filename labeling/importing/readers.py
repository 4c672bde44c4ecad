"""Files → rows, streamed. Every row comes with its number; a row that cannot be read comes with its reason."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from labeling.errors import ImportRefused
from labeling.importing import columnar, folders, inspector, jsonrows, tables
from labeling.importing.jsonrows import BLANK, DAMAGED, MARK, MAX_ROW_BYTES, Row

__all__ = ["ALLOWED", "MAX_ROW_BYTES", "Row", "read_rows"]

ALLOWED = (
    "JSON Lines (.jsonl), a JSON array (.json), CSV or TSV with a line of column names (.csv, .tsv), each also "
    "compressed with gzip (.gz), Parquet (.parquet), Arrow (.arrow), and folders that `datasets` saved, "
    "packed as .zip or .tar.gz"
)
SIGNATURES = {b"\x89PNG": "a PNG picture", b"%PDF": "a PDF", b"\xff\xd8\xff": "a JPEG picture"}
JSON_NAMES = (".json", ".jsonl", ".ndjson")
TAR = slice(257, 262)


@dataclass(slots=True)
class Meter:
    """How far into a file its reading has come."""

    file: IO[bytes] | None = None
    size: int = 0

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where it cannot be told: before the first row, after the last, and for folders and columnar
        files."""
        if self.file is None or self.file.closed:
            return None
        return min(1.0, self.file.tell() / self.size)


def read_rows(path: Path, *, name: str = "", meter: Meter | None = None) -> Iterator[Row]:
    """Yield (line or row number from 1, value or RowRefused). `name` is what the person calls the file or folder;
    `meter` is told how far the reading has come.

    Raises ImportRefused where the file as a whole, or one file of a folder, is of no use.
    """
    name = name or path.name
    if path.is_dir():
        yield from folders.folder_rows(path, name, _file_rows)
        return
    head = _head(path, name)
    if head.startswith(b"PK\x03\x04") or head[TAR] == b"ustar" or _is_packed_tar(path, head):
        with folders.unpacked(path, name) as folder:
            yield from folders.folder_rows(folder, name, _file_rows)
        return
    yield from _file_rows(path, name, meter)


def _head(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ImportRefused(
            f"{name} cannot be read on the server ({error.strerror}); send it again."
        ) from error
    if not head:
        raise ImportRefused(f"{name} is empty; give a file with at least one row.")
    return head


def _is_packed_tar(path: Path, head: bytes) -> bool:
    if not head.startswith(b"\x1f\x8b"):
        return False
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(512)[TAR] == b"ustar"
    except DAMAGED:
        return False


def _file_rows(path: Path, name: str, meter: Meter | None = None) -> Iterator[Row]:
    """The rows of one file that is no archive."""
    head = _head(path, name)
    for signature, words in SIGNATURES.items():
        if head.startswith(signature):
            raise ImportRefused(f"{name} is {words}; Prefloop reads {ALLOWED}.")
    if head.startswith(b"PAR1"):
        yield from columnar.parquet(path, name)
    elif head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        yield from columnar.arrow(path, name)
    else:
        with path.open("rb") as file:
            if meter is not None:
                meter.file, meter.size = file, path.stat().st_size
            packed = head.startswith(b"\x1f\x8b")
            with cast(IO[bytes], gzip.open(file, "rb")) if packed else file as stream:
                yield from _text_rows(stream, name)


def _text_rows(stream: IO[bytes], name: str) -> Iterator[Row]:
    first = _first_byte(stream, name)
    if first == b"[":
        yield from jsonrows.array(stream)
    elif first == b"{":
        yield from inspector.rows(stream, name) if _is_report(stream) else jsonrows.lines(stream)
    elif name.lower().removesuffix(".gz").endswith(JSON_NAMES):
        raise ImportRefused(f"{name} begins with {first!r}, which is not JSON; Prefloop reads {ALLOWED}.")
    else:
        yield from tables.rows(stream, name)


def _is_report(stream: IO[bytes]) -> bool:
    place = stream.tell()
    try:
        return inspector.is_report(stream.read(inspector.HEAD))
    except DAMAGED:
        return False
    finally:
        stream.seek(place)


def _first_byte(stream: IO[bytes], name: str) -> bytes:
    """The first byte that is not white space, with the stream put back to the start, after a byte order mark."""
    try:
        head = stream.read(4096)
        if b"\0" in head:
            raise ImportRefused(f"{name} is not a text file; Prefloop reads {ALLOWED}.")
        start = len(MARK) if head.startswith(MARK) else 0
        while head and not head.strip(BLANK):
            head = stream.read(4096)
        stream.seek(start)
    except DAMAGED as error:
        raise ImportRefused(f"{name} cannot be unpacked: {error}; compress it again with gzip.") from error
    first = head.lstrip(BLANK)[:1]
    if not first:
        raise ImportRefused(f"{name} holds only white space; give a file with at least one row.")
    return first
