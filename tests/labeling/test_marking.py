"""Offsets of spans are of the raw text and survive rendering, whatever the Markdown."""

import json
import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from labeling.rendering import MAX_CHARS, render, render_to_mark, render_written
from labeling.rendering.drawing import Mark, draw
from labeling.rendering.sanitising import ATTRIBUTES, CHOICES, PLACES, TAGS
from tests.labeling.test_rendering import MARKUP
from tests.labeling.wild_markdown import random_text
from tests.world import SHARED_DATA

CASES = 1_200
GIVEN = [names for table in (ATTRIBUTES, CHOICES, PLACES) for names in table.values()]
ALLOWED = {*TAGS, "class", "target", "rel", *(name for names in GIVEN for name in names)}


class Read(HTMLParser):
    """What a browser reads: each piece as [start, end, words, number of the mark that it is in]."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: list[tuple[int, int, str, int | None]] = []
        self.outside, self.tags = "", set[str]()
        self.whole_depth, self.depth = 0, 0
        self.at: int | None = None
        self.mark: int | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags |= {tag, *said}
        if tag in ("br", "hr"):
            return
        self.depth += 1
        mark = int(said["data-span"] or "") if "data-span" in said else None
        if "data-to" in said:
            self.pieces.append((int(said["data-at"] or ""), int(said["data-to"] or ""), "", mark))
            self.whole_depth = self.depth
        elif "data-at" in said:
            self.at = int(said["data-at"] or "")
        elif tag == "mark":
            self.mark = mark

    def handle_endtag(self, tag: str) -> None:
        if self.depth == self.whole_depth:
            self.whole_depth = 0
        self.depth -= 1
        if tag == "mark":
            self.mark = None
        elif tag == "span" and not self.whole_depth:
            self.at = None

    def handle_data(self, data: str) -> None:
        if self.whole_depth:
            return
        if self.at is None:
            self.outside += data
            return
        self.pieces.append((self.at, self.at + len(data), data, self.mark))
        self.at += len(data)


def real_answers() -> Iterator[str]:
    told = json.loads(next((SHARED_DATA / "mtrag-human-eval").glob("*.json")).read_text())
    yield from (row["model_response"] for row in told["evaluations"])
    for line in next((SHARED_DATA / "ragtruth").glob("*.jsonl")).read_text().splitlines():
        yield json.loads(line)["response"]


def check(text: str, chance: random.Random) -> None:
    """Every piece reads as the raw text does, in its order; no word is lost; a span drawn is the span read back."""
    html = render_to_mark(text)
    assert "prose-plain" not in html
    read = Read(html)
    done = 0
    for start, end, words, _ in read.pieces:
        assert done <= start <= end <= len(text)
        assert words in ("", text[start:end])
        done = end
    assert read.tags <= ALLOWED
    assert not read.outside.strip()
    hidden = list(text)
    for start, end, _, _ in read.pieces:
        hidden[start:end] = " " * (end - start)
    left = re.sub(
        r"^(?:[\s>]*(?:[-+*]|\d{1,9}[.)])(?=\s|$))+", "", "".join(hidden).replace("\r", "\n"), flags=re.M
    )
    assert not re.search(r"[^\W_]", left)
    for number in range(1 if text else 0):
        start, end = sorted(chance.sample(range(len(text) + 1), 2))
        drawn = Read(draw(text, [Mark(start, end, number, "error")]))
        inside = [piece for piece in drawn.pieces if piece[3] == number]
        wanted = [piece for piece in read.pieces if piece[0] < end and piece[1] > start]
        assert bool(inside) == bool(wanted)
        if wanted:
            first, last = wanted[0], wanted[-1]
            assert inside[0][0] == (max(start, first[0]) if first[2] else first[0])
            assert inside[-1][1] == (min(end, last[1]) if last[2] else last[1])
        assert [p[:3] for p in merged(drawn.pieces)] == [p[:3] for p in merged(read.pieces)]


def merged(pieces: list[tuple[int, int, str, int | None]]) -> list[tuple[int, int, str]]:
    """Pieces that touch, as one; a whole stays by itself."""
    out: list[tuple[int, int, str]] = []
    for start, end, words, _ in pieces:
        if words and out and out[-1][2] and out[-1][1] == start:
            out[-1] = (out[-1][0], end, out[-1][2] + words)
        else:
            out.append((start, end, words))
    return out


def test_offsets_of_random_markdown_survive_rendering() -> None:
    chance = random.Random(8)
    for _ in range(CASES):
        check(random_text(chance), chance)


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"real data sets are not at {SHARED_DATA}")
def test_offsets_of_real_answers_survive_rendering() -> None:
    chance = random.Random(9)
    answers = list(real_answers())
    assert len(answers) > 400
    for text in answers:
        check(text, chance)


def shown(text: str) -> list[tuple[int, int, str]]:
    return merged(Read(render_to_mark(text)).pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a **b**\r\nc", [(0, 2, "a "), (4, 5, "b"), (9, 10, "c")]),
        ("😀 &amp; \\*x", [(0, 2, "😀 "), (2, 7, ""), (7, 8, " "), (9, 11, "*x")]),
        ("$x^2$ costs $5", [(0, 5, ""), (5, 14, " costs $5")]),
        ("[w](http://a.example 'why')", [(1, 2, "w"), (3, 27, "(http://a.example 'why')")]),
        ("![alt](http://a.example/i.png)", [(0, 30, "![alt](http://a.example/i.png)")]),
        ("[n]: http://a.example", [(0, 21, "[n]: http://a.example")]),
        ("| a |\n|---|\n| 1 | lost |", [(0, 24, "| a |\n|---|\n| 1 | lost |")]),
        ("```python\nx < 1\n```", [(3, 9, "python"), (10, 16, "x < 1\n")]),
        ("| a\\|b |\n|-|", [(2, 3, "a"), (4, 6, "|b")]),
        ("> - deep\n>   more", [(4, 8, "deep"), (13, 17, "more")]),
    ],
)
def test_what_a_reader_sees_stands_where_it_is_in_the_raw_text(
    text: str, pieces: list[tuple[int, int, str]]
) -> None:
    assert shown(text) == pieces


@pytest.mark.parametrize("markup", [markup for markup in MARKUP if "&" not in markup])
def test_html_in_an_answer_is_text_that_can_be_marked(markup: str) -> None:
    read = Read(render_to_mark(markup))
    assert read.tags <= ALLOWED
    words = "".join(words for _, _, words, _ in read.pieces)
    assert re.findall(r"\w+", words) == re.findall(r"\w+", markup.replace("\0", "\ufffd"))


def test_what_is_too_long_or_written_out_has_its_offsets_too() -> None:
    long = ("😀 word " * 500 + "\r\n") * (MAX_CHARS // 3_000)
    assert len(long) > MAX_CHARS
    for html in (render_to_mark(long), f"<div>{render_written(long)}</div>"):
        pieces = Read(html).pieces
        assert all(long[start:end] == words for start, end, words, _ in pieces)
        assert "".join(words for _, _, words, _ in pieces) == long.replace("\r\n", "")


def test_a_drawn_span_has_its_number_at_its_end_and_its_words_stay_as_they_are() -> None:
    text = "One **two** $x$ three"
    html = draw(text, [Mark(6, 21, 4, "error"), Mark(0, 3, 1, "supported")])
    assert '<mark data-span="1" data-sort="supported" data-number="1">One</mark>' in html
    assert '<mark data-span="4" data-sort="error">two</mark>' in html
    assert 'data-to="15" data-span="4" data-sort="error">' in html
    assert html.endswith(
        '<mark data-span="4" data-sort="error" data-number="4"> three</mark></span></p>\n</div>'
    )
    assert re.sub(r"<[^>]*>", "", html) == re.sub(r"<[^>]*>", "", render(text))
