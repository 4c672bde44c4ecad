"""Where each piece of shown text stands in the raw text: states of the parser that remember it as they cut and strip.

Places are indices of the parser's source, in which every line ends with \\n; `Placing` turns them into those of the raw
text. A place of -1 is that of a space which the parser made of a tab.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.common.utils import MD_TRIM_CHARS
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType

from labeling.rendering.markdown import Blocks, Inline

Nesting = Literal[-1, 0, 1]
Cut = tuple[str, Sequence[int]]
_VIRTUAL = 4


class Unplaced(Exception):
    """A text whose pieces could not be found again; it is shown as it is written."""


class _Lines(StateBlock):
    """Remembers of each token where its content was cut from the source: `meta["cut"]`."""

    cut: Cut | None = None
    waits: Token | None = None  # a token that is pushed before its lines are cut
    row: Token | None = None
    column = -1
    cells: list[Sequence[int]] | None = None

    def getLines(self, begin: int, end: int, indent: int, keepLastLF: bool) -> str:  # noqa: N802, N803
        words: list[str] = []
        places: list[int] = []
        for line in range(begin, end):
            keeps = keepLastLF or line + 1 < end
            words.append(super().getLines(line, line + 1, indent, keeps))
            places.extend(self._places(words[-1], min(self.eMarks[line] + keeps, len(self.src))))
        cut = ("".join(words), places)
        if self.waits is None:
            self.cut = cut
        else:
            self.waits.meta["cut"], self.waits = cut, None
        return cut[0]

    def _places(self, words: str, last: int) -> list[int]:
        for made in range(min(_VIRTUAL, len(words)) + 1):
            first = last - len(words) + made
            if words[made:] == self.src[first:last]:
                return [-1] * made + list(range(first, last))
        raise Unplaced

    def push(self, ttype: str, tag: str, nesting: Nesting) -> Token:
        before = self.tokens[-1] if self.tokens else None
        token = super().push(ttype, tag, nesting)
        if ttype in ("fence", "code_block"):
            self.waits = token
        elif ttype == "tr_open":
            self.row, self.column, self.cells = token, -1, None
        elif ttype in ("th_open", "td_open"):
            self.column += 1
        elif ttype == "inline" and before is not None:
            token.meta["cut"] = self._cut_after(before)
        return token

    def _cut_after(self, before: Token) -> Cut:
        if before.type in ("th_open", "td_open"):
            return self._cell()
        if self.cut is not None:
            cut, self.cut = self.cut, None
            return cut
        line = self.line - 1
        start = self.bMarks[line] + self.tShift[line] + len(before.markup)
        return self.src[start : self.eMarks[line]], range(start, self.eMarks[line])

    def _cell(self) -> Cut:
        if self.cells is None:
            assert self.row is not None
            assert self.row.map is not None
            line = self.row.map[0]
            self.cells = _cells(self.src, self.bMarks[line] + self.tShift[line], self.eMarks[line])
        places = self.cells[self.column] if self.column < len(self.cells) else ()
        return "".join(self.src[place] for place in places), places


def _cells(src: str, start: int, end: int) -> list[Sequence[int]]:
    """The places of the characters of each cell of a row of a table, split as the parser splits them."""
    end = start + len(src[start:end].rstrip(MD_TRIM_CHARS))
    cells: list[list[int]] = [[]]
    escaped = False
    for place in range(start, end):
        character = src[place]
        if character == "|" and not escaped:
            cells.append([])
        else:
            if character == "|":
                cells[-1].pop()  # the stroke that escaped it
            cells[-1].append(place)
        escaped = character == "\\"
    if not cells[0]:
        cells.pop(0)
    if cells and not cells[-1]:
        cells.pop()
    return list(cells)


class PlacingBlocks(Blocks):
    def parse(
        self,
        src: str,
        md: MarkdownIt,
        env: EnvType,
        outTokens: list[Token],  # noqa: N803
    ) -> list[Token] | None:
        if not src:
            return None
        state = _Lines(src, md, env, outTokens)
        self.tokenize(state, state.line, state.lineMax)
        return state.tokens


class _Words(StateInline):
    """Remembers of each token where it began and ended in the content: `meta["at"]` and `meta["to"]`."""

    begun = 0

    def pushPending(self) -> Token:  # noqa: N802
        token = super().pushPending()
        token.meta["at"] = self.begun
        return token

    def push(self, ttype: str, tag: str, nesting: Nesting) -> Token:
        token = super().push(ttype, tag, nesting)
        if nesting < 0:
            token.meta["at"] = self.pos  # the bracket that closes the words of a link
        return token


class PlacingInline(Inline):
    def tokenize(self, state: StateInline) -> None:
        assert isinstance(state, _Words)
        rules = self.ruler.getRules("")
        end, deepest = state.posMax, state.md.options["maxNesting"]
        while state.pos < end:
            at, count = state.pos, len(state.tokens)
            if not state.pending:
                state.begun = at
            if state.level < deepest and any(rule(state, False) for rule in rules):
                _note(state, count, at)
            else:
                state.append_pending(state.src[at])
                state.pos = at + 1
        if state.pending:
            state.pushPending()

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = _Words(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


def _note(state: _Words, count: int, at: int) -> None:
    """Note the places of the tokens that a rule has made of the source from `at` to where the state is now."""
    made = state.tokens[count:]
    is_address = any(token.markup == "autolink" for token in made)
    place = at + is_address
    for token in made:
        if token.type == "text":
            if "at" not in token.meta:
                if is_address:  # as it is written, not as the parser makes it readable
                    token.content = state.src[at + 1 : state.pos - 1]
                token.meta["at"] = place
                place += len(token.content)
        elif "to" not in token.meta:
            token.meta.setdefault("at", at)
            token.meta["to"] = state.pos


class Piece(NamedTuple):
    """Shown words with the code points of the raw text, [start, end), that they show; -1 for what shows none."""

    words: str
    start: int
    end: int


class Placing:
    """The raw text and how the places of the parser's source stand in it."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.where: Sequence[int] = range(len(raw) + 1)
        if "\r" in raw:
            kept = [n for n, character in enumerate(raw) if character != "\n" or raw[n - 1 : n] != "\r"]
            self.where = [*kept, len(raw)]

    def pieces(self, words: str, places: Sequence[int]) -> list[Piece]:
        """`words`, whose characters have these places, in pieces that stand together in the raw text."""
        found: list[Piece] = []
        first, start, last = 0, None, -1
        for n, (character, place) in enumerate(zip(words, places, strict=True)):
            at = self.where[place] if place >= 0 else -1
            if at >= 0 and self.raw[at] != character:  # a line's end, which is written in another way
                at = -1
            if start is None:
                first, start = n, at
            elif at != (last + 1 if last >= 0 else -1):
                found.append(Piece(words[first:n], start, last + 1 if start >= 0 else -1))
                first, start = n, at
            last = at
        if start is not None:
            found.append(Piece(words[first:], start, last + 1 if start >= 0 else -1))
        return found

    def whole(self, words: str, first: int, last: int) -> Piece:
        """Words that stand for all of the source from one place to another, and are not made of its characters."""
        return Piece(words, self.where[first], self.where[last])


def content_places(content: str, cut: Any) -> Sequence[int]:
    """The places of a token's content, which is what was cut, without the space around it."""
    words, places = cut
    lead = len(words) - len(words.lstrip(MD_TRIM_CHARS))
    if not words.startswith(content, lead):
        raise Unplaced
    found: Sequence[int] = places[lead : lead + len(content)]
    return found
