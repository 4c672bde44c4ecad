"""CSV, TSV and their relatives → rows, streamed. The first line names the columns; an empty cell is no value."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from labeling.errors import ImportRefused, RowRefused
from labeling.importing.jsonrows import DAMAGED, MAX_ROW_BYTES, Row, cut_off

DELIMITERS = ",;\t|"
SAMPLE = 65_536
ESCAPED = re.compile(r'[^\\]\\"[^,;\t|\r\n]')
NOT_UTF8 = re.compile(r"[\udc80-\udcff]")
OBJECTS = {"extra", "fields", "data"}
LISTS = {"responses", "verdicts", "annotations", "answers", "completions", "items"}
COMMON = {"prompt", "chosen", "rejected", "completion", "label", "instruction", "input", "text", "licence"}
DIALOGUES = {"prompt", "messages", "conversations", "chosen", "rejected", "completion"}


class TooLong(Exception):
    """A row went on beyond the limit."""


@dataclass(slots=True)
class Lines:
    """The lines of a file for the csv module, which asks for more of them while a quote is open."""

    stream: io.TextIOWrapper
    number: int = 0
    room: int = MAX_ROW_BYTES

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self.stream.readline(self.room + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > self.room:
            self._skip_rest(line)
            raise TooLong
        self.room -= len(line)
        return line

    def _skip_rest(self, line: str) -> None:
        while line and not line.endswith(("\n", "\r")):
            line = self.stream.readline(MAX_ROW_BYTES)

    def skip_row(self, quote: str) -> None:
        """Leave a row that was given up in the middle of a quoted cell: on to the line that closes it."""
        while line := self.stream.readline(MAX_ROW_BYTES):
            self.number += line.endswith(("\n", "\r"))
            if line.count(quote) % 2:
                self._skip_rest(line)
                return


def rows(stream: IO[bytes], name: str) -> Iterator[Row]:
    """One object a row, with the number of the line on which it begins.

    The delimiter and the way of quoting are told from the header. Raises ImportRefused where a column stands twice.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES + 1))
    start = stream.tell()
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        dialect = _dialect(_sample(text))
        text.seek(start)
        yield from _rows(Lines(text), dialect, name)
    finally:
        text.detach()  # whoever opened the stream closes it


def _rows(lines: Lines, dialect: dict[str, Any], name: str) -> Iterator[Row]:
    header: list[str] | None = None
    for number, cells in _cells(lines, dialect):
        if isinstance(cells, RowRefused):
            yield number, cells
        elif header is None:
            header = _header(cells, name)
        else:
            yield number, _row(header, cells)


def _sample(text: io.TextIOWrapper) -> str:
    """The first lines, as far as they can be read."""
    found = ""
    try:
        while len(found) < SAMPLE and (line := text.readline(SAMPLE)):
            found += line
    except DAMAGED:
        return found
    return found


def _dialect(sample: str) -> dict[str, Any]:
    """The options for csv.reader by which the first line has the most columns."""
    first = re.split(r"[\r\n]", sample.lstrip("\r\n"), maxsplit=1)[0]
    quote = "'" if len(first) > 1 and first[0] == first[-1] == "'" else '"'
    options: dict[str, Any] = {"strict": True, "quotechar": quote}
    if ESCAPED.search(sample) and '""' not in sample:
        options |= {"doublequote": False, "escapechar": "\\"}
    return options | {"delimiter": max(DELIMITERS, key=lambda mark: _columns(first, mark, quote))}


def _columns(line: str, delimiter: str, quote: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter, quotechar=quote), []))


def _cells(lines: Lines, dialect: dict[str, Any]) -> Iterator[tuple[int, list[str] | RowRefused]]:
    reader = csv.reader(lines, **dialect)
    while True:
        lines.room, begin = MAX_ROW_BYTES, lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except TooLong:
            if lines.number > begin:
                lines.skip_row(dialect["quotechar"])
            yield begin, RowRefused(f"the row is longer than {MAX_ROW_BYTES:,} characters; shorten the texts")
        except csv.Error as error:
            yield begin, RowRefused(f"the row is not well quoted ({error}); double the quotes inside a cell")
        except DAMAGED as error:
            yield begin, cut_off(error)
            return
        else:
            if any(cells):
                yield begin, cells


def _header(cells: list[str], name: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    names = [name.casefold() if name.casefold() in COMMON else name for name in names]
    twice = sorted({column for column in names if column and names.count(column) > 1})
    if twice:
        raise ImportRefused(
            f"{name} has the column {twice[0]} more than once; give each column its own name."
        )
    return names


def _row(header: list[str], cells: list[str]) -> dict[str, Any] | RowRefused:
    if len(cells) != len(header):
        return RowRefused(
            f"the row has {len(cells)} cells, but the first line names {len(header)} columns; "
            "quote cells that hold the delimiter or a line break"
        )
    if any(NOT_UTF8.search(cell) for cell in cells if not cell.isascii()):
        return RowRefused("the row is not valid UTF-8; save the file as UTF-8")
    return {
        column: _value(column, cell) for column, cell in zip(header, cells, strict=True) if column and cell
    }


def _value(column: str, cell: str) -> Any:
    """A cell as a text, but for the columns in which JSON is due, where it is JSON."""
    if cell[0] not in "[{" or column not in OBJECTS | LISTS | DIALOGUES:
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    if column in DIALOGUES:
        return value if _is_dialogue(value) else cell
    return value if isinstance(value, dict if column in OBJECTS else list) else cell


def _is_dialogue(value: Any) -> bool:
    """Whether JSON in a cell is a list of messages; a prompt about JSON is a text."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(part, dict) and ("role" in part or "from" in part) for part in value)
    )
