"""Files → rows, streamed. Every row comes with its number; a row that cannot be read comes with its reason."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import ijson

from labeling.errors import ImportRefused, RowRefused

MAX_ROW_BYTES = 1_000_000
ALLOWED = "JSON Lines (.jsonl), a JSON array (.json), or either of them compressed with gzip (.gz)"
SIGNATURES = {
    b"PK\x03\x04": "a ZIP or Office file",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
}

Row = tuple[int, Any | RowRefused]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield (line or row number from 1, value or RowRefused).

    Raises ImportRefused, before the first row, where the file as a whole is of no use.
    """
    with _open(path) as stream:
        first = _first_byte(stream, path.name)
        yield from _array(stream) if first == b"[" else _lines(stream)


def _open(path: Path) -> IO[bytes]:
    head = path.open("rb").read(4) if path.exists() else b""
    if not head:
        raise ImportRefused(f"{path.name} is empty; give a file with at least one row.")
    for signature, words in SIGNATURES.items():
        if head.startswith(signature):
            raise ImportRefused(f"{path.name} is {words}; Prefloop reads {ALLOWED}.")
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


def _first_byte(stream: IO[bytes], name: str) -> bytes:
    """The first byte that is not white space, with the stream put back to the start."""
    try:
        head = stream.read(4096)
        if b"\0" in head:
            raise ImportRefused(f"{name} is not a text file; Prefloop reads {ALLOWED}.")
        while head and not head.strip(b"\xef\xbb\xbf \t\r\n"):
            head = stream.read(4096)
        stream.seek(0)
    except (OSError, EOFError) as error:
        raise ImportRefused(f"{name} cannot be unpacked: {error}; compress it again with gzip.") from error
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not start:
        raise ImportRefused(f"{name} holds only white space; give a file with at least one row.")
    if start not in (b"[", b"{"):
        raise ImportRefused(f"{name} begins with {start!r}, which is not JSON; Prefloop reads {ALLOWED}.")
    return start


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
    except (OSError, EOFError) as error:
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
    except (json.JSONDecodeError, RecursionError) as error:
        return RowRefused(f"the line is not JSON: {error}")


def _array(stream: IO[bytes]) -> Iterator[Row]:
    number = 0
    rows = ijson.items(stream, "item", use_float=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (ijson.JSONError, UnicodeDecodeError, OSError, EOFError) as error:
            yield (
                number + 1,
                RowRefused(f"the file stops being JSON at this row: {error}; the rows before it were read"),
            )
            return
        number += 1
        if len(json.dumps(row, ensure_ascii=False)) > MAX_ROW_BYTES:
            yield (
                number,
                RowRefused(f"the row is longer than {MAX_ROW_BYTES:,} characters; shorten the texts"),
            )
        else:
            yield number, row
