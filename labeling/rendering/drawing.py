"""Spans drawn in a text that says where its pieces stand, and read back from it."""

import re
from collections.abc import Iterator, Sequence
from html import escape, unescape
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe

from labeling.rendering import render_to_mark

_PIECE = re.compile(r'<(span|div) data-at="(\d+)"(?: data-to="(\d+)">|>([^<]*)</span>)')


class Mark(NamedTuple):
    """A span [start, end) of the raw text, the number by which it is named, and of which sort it is."""

    start: int
    end: int
    number: int
    sort: str


def draw(text: str, marks: Sequence[Mark]) -> SafeString:
    """`text` rendered, with each mark as `<mark data-span="NUMBER" data-sort="SORT">` around what it shows.

    The last part of each has `data-number`, which is shown after it. A whole, such as a formula, carries these
    attributes itself as soon as a mark touches it. Of two marks that overlap the later one begins where the first ends.
    """
    shown = render_to_mark(text)
    pieces = list(_parts(shown, [mark for mark in sorted(marks) if mark.start < mark.end]))
    last = {mark.number: at for at, parts in pieces for _, mark in parts if mark}
    left = iter(pieces)

    def drawn(piece: re.Match[str]) -> str:
        at, parts = next(left)
        return _drawn(piece, parts, {number for number, place in last.items() if place == at})

    return mark_safe(_PIECE.sub(drawn, shown))  # noqa: S308 - what is added to sanitised text is numbers and escaped


def _parts(shown: str, marks: Sequence[Mark]) -> Iterator[tuple[int, list[tuple[str, Mark | None]]]]:
    """For each piece: where it stands, and its words, cut where a mark begins or ends."""
    first = 0
    for piece in _PIECE.finditer(shown):
        start, whole_to, words = int(piece[2]), piece[3], unescape(piece[4] or "")
        end = int(whole_to) if whole_to else start + len(words)
        while first < len(marks) and marks[first].end <= start:
            first += 1
        touching = [mark for mark in marks[first:] if mark.start < end and mark.end > start]
        if whole_to:
            yield start, [("", touching[0] if touching else None)]
        else:
            yield start, list(_cut(words, start, touching))


def _cut(words: str, start: int, marks: Sequence[Mark]) -> Iterator[tuple[str, Mark | None]]:
    done = 0
    for mark in marks:
        begin, end = max(mark.start - start, done), min(mark.end - start, len(words))
        if done < begin:
            yield words[done:begin], None
        if begin < end:
            yield words[begin:end], mark
        done = max(done, end)
    if done < len(words):
        yield words[done:], None


def _drawn(piece: re.Match[str], parts: list[tuple[str, Mark | None]], ends: set[int]) -> str:
    if piece[3]:
        mark = parts[0][1]
        return piece[0] if mark is None else f"{piece[0][:-1]}{_attributes(mark, mark.number in ends)}>"
    final = {mark.number: n for n, (_, mark) in enumerate(parts) if mark}
    out = [
        f"<mark{_attributes(mark, mark.number in ends and final[mark.number] == n)}>{escape(words)}</mark>"
        if mark
        else escape(words)
        for n, (words, mark) in enumerate(parts)
    ]
    return f'<span data-at="{piece[2]}">{"".join(out)}</span>'


def _attributes(mark: Mark, is_last: bool) -> str:
    number = f' data-number="{mark.number}"' if is_last else ""
    return f' data-span="{mark.number}" data-sort="{escape(mark.sort)}"{number}'
