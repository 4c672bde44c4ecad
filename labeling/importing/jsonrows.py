"""JSON Lines and JSON arrays → rows, streamed."""

import json
import zlib
from collections.abc import Iterator
from typing import IO, Any

import ijson

from labeling.errors import RowRefused

MARK = b"\xef\xbb\xbf"
BLANK = MARK + b" \t\r\n"
DAMAGED = (OSError, EOFError, zlib.error)
MAX_ROW_BYTES = 1_000_000

Row = tuple[int, Any | RowRefused]


def cut_off(error: Exception) -> RowRefused:
    return RowRefused(f"the compressed file is cut off here ({error}); what came before was read")


def lines(stream: IO[bytes]) -> Iterator[Row]:
    """One value a line, with the number of the line; blank lines are skipped."""
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
            elif raw.strip(BLANK):
                yield number, _parse(raw)
    except DAMAGED as error:
        yield number + 1, cut_off(error)


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


def array(stream: IO[bytes]) -> Iterator[Row]:
    """The elements of an array, with their numbers."""
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
        yield number, sized(row)


def sized(row: Any) -> Any | RowRefused:
    """The row, or the refusal of one that is too long."""
    try:
        size = len(json.dumps(row, ensure_ascii=False, default=str))
    except RecursionError:
        return RowRefused("the row is nested too deeply; give a flat object")
    if size > MAX_ROW_BYTES:
        return RowRefused(f"the row is longer than {MAX_ROW_BYTES:,} characters; shorten the texts")
    return row
