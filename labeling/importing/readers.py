"""Files → rows, streamed. Every row comes with its number; a row that cannot be read comes with its reason."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import ijson

from labeling.errors import ImportRefused, RowRefused

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DAMAGED = (OSError, EOFError, zlib.error)
MAX_ROW_BYTES = 1_000_000
ALLOWED = "JSON Lines (.jsonl), a JSON array (.json), or either of them compressed with gzip (.gz)"
SIGNATURES = {
    b"PK\x03\x04": "a ZIP or Office file",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
}

Row = tuple[int, Any | RowRefused]


def read_rows(path: Path, *, name: str = "") -> Iterator[Row]:
    """Yield (line or row number from 1, value or RowRefused). `name` is what the person calls the file.

    Raises ImportRefused, before the first row, where the file as a whole is of no use.
    """
    name = name or path.name
    with _open(path, name) as stream:
        first = _first_byte(stream, name)
        yield from _array(stream) if first == b"[" else _lines(stream)


def _open(path: Path, name: str) -> IO[bytes]:
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise ImportRefused(
            f"{name} cannot be read on the server ({error.strerror}); send it again."
        ) from error
    if not head:
        raise ImportRefused(f"{name} is empty; give a file with at least one row.")
    for signature, words in SIGNATURES.items():
        if head.startswith(signature):
            raise ImportRefused(f"{name} is {words}; Prefloop reads {ALLOWED}.")
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


def _first_byte(stream: IO[bytes], name: str) -> bytes:
    """The first byte that is not white space, with the stream put back to the start, after a byte order mark."""
    try:
        head = stream.read(4096)
        if b"\0" in head:
            raise ImportRefused(f"{name} is not a text file; Prefloop reads {ALLOWED}.")
        start = len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0
        while head and not head.strip(b"\xef\xbb\xbf \t\r\n"):
            head = stream.read(4096)
        stream.seek(start)
    except DAMAGED as error:
        raise ImportRefused(f"{name} cannot be unpacked: {error}; compress it again with gzip.") from error
    first = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not first:
        raise ImportRefused(f"{name} holds only white space; give a file with at least one row.")
    if first not in (b"[", b"{"):
        raise ImportRefused(f"{name} begins with {first!r}, which is not JSON; Prefloop reads {ALLOWED}.")
    return first


def _lines(stream: IO[bytes]) -> Iterator[Row]:
    number = 0
    try:
        while raw := stream.readline(MAX_ROW_BYTES + 1):
            number += 1
            if len(raw) > MAX_ROW_BYTES and not raw.endswith(b"\n"):
                _skip_rest(stream)
                yield (
                    number,
                    RowRefused(
                        f"the line is longer than {MAX_ROW_BYTES:,} bytes; shorten the texts or split the row"
                    ),
                )
            elif raw.strip(b"\xef\xbb\xbf \t\r\n"):
                yield number, _parse(raw)
    except DAMAGED as error:
        yield (
            number + 1,
            RowRefused(f"the compressed file is cut off here ({error}); what came before was read"),
        )


def _skip_rest(stream: IO[bytes]) -> None:
    while (more := stream.readline(MAX_ROW_BYTES)) and not more.endswith(b"\n"):
        pass


def _parse(raw: bytes) -> Any | RowRefused:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return RowRefused(f"byte {error.start + 1} of the line is not valid UTF-8; save the file as UTF-8")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return RowRefused(f"the line is not JSON: {error}")


def _array(stream: IO[bytes]) -> Iterator[Row]:
    number = 0
    rows = ijson.items(stream, "item", use_float=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (ijson.JSONError, ValueError, *DAMAGED) as error:
            yield (
                number + 1,
                RowRefused(f"the file stops being JSON at this row: {error}; the rows before it were read"),
            )
            return
        number += 1
        yield number, _checked(row)


def _checked(row: Any) -> Any | RowRefused:
    try:
        size = len(json.dumps(row, ensure_ascii=False))
    except RecursionError:
        return RowRefused("the row is nested too deeply; give a flat object")
    if size > MAX_ROW_BYTES:
        return RowRefused(f"the row is longer than {MAX_ROW_BYTES:,} characters; shorten the texts")
    return row
