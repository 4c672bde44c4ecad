"""The pieces of shown text that each token of the parser draws, and the blocks that would hide some of it."""

import re
from collections.abc import Iterator, Sequence

from markdown_it.token import Token

from labeling.rendering.placing import Piece, Placing, Unplaced, content_places

# What stands before the words of a line and may go unsaid: bullets and numbers of lists, signs of quotations.
_BEFORE = re.compile(r"^(?:[\s>]*(?:[-+*]|\d{1,9}[.)])(?=\s|$))+", re.MULTILINE)
_WORD = re.compile(r"[^\W_]")


def place(tokens: Sequence[Token], src: str, placing: Placing) -> list[Token]:
    """The tokens, each with the pieces that it draws (`meta["pieces"]`); a block at the top that would hide a word
    is replaced by its lines as they are written. Raises Unplaced where a piece is not where it should be."""
    lines = _Lines(src, placing)
    out: list[Token] = []
    done = 0  # the line up to which everything is shown
    for block in _blocks(tokens):
        first, last = block[0].map or (done, done)
        shown = [piece for token in block for piece in _place_token(token, lines)]
        out.extend(lines.written_if_words(done, first))
        if lines.hides_words(first, last, shown):
            out.extend(lines.written(first, last))
        else:
            out.extend(block)
        done = last
    out.extend(lines.written_if_words(done, lines.count))
    return out


def _blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The blocks at the top, each with all that is in it."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


class _Lines:
    """The lines of the source, and how they stand in the raw text."""

    def __init__(self, src: str, placing: Placing) -> None:
        self.src, self.placing = src, placing
        self.starts = [0, *(found.end() for found in re.finditer("\n", src)), len(src) + 1]
        self.count = len(self.starts) - 1

    def range(self, first: int, last: int) -> tuple[int, int]:
        """The places of these lines, without the end of the last one."""
        return self.starts[first], max(self.starts[first], min(self.starts[last] - 1, len(self.src)))

    def hides_words(self, first: int, last: int, shown: Sequence[Piece]) -> bool:
        """Whether a word of these lines is in none of the pieces. Raises Unplaced where they do not follow another."""
        start = self.placing.where[self.starts[first]]
        end = self.placing.where[min(self.starts[last], len(self.src))]
        gaps = []
        for piece in shown:
            if piece.start < 0:
                continue
            if piece.start < start or piece.end > end:
                raise Unplaced
            gaps.append(self.placing.raw[start : piece.start])
            start = piece.end
        gaps.append(self.placing.raw[start:end])
        return any(_WORD.search(_BEFORE.sub("", gap)) for gap in gaps)

    def written(self, first: int, last: int) -> list[Token]:
        """These lines as they are written."""
        start, end = self.range(first, last)
        token = Token("as_written", "", 0)
        token.meta["pieces"] = self.placing.pieces(self.src[start:end], range(start, end))
        return [token]

    def written_if_words(self, first: int, last: int) -> list[Token]:
        start, end = self.range(first, last) if first < last else (0, 0)
        return self.written(first, last) if self.src[start:end].strip() else []


def _place_token(token: Token, lines: _Lines) -> list[Piece]:
    """The pieces of a token of the block parser, in their order; they are noted at the tokens that draw them."""
    if token.type == "inline":
        places = content_places(token.content, token.meta["cut"])
        return _place_words(token.children or [], token.content, places, lines.placing)
    if token.type in ("fence", "code_block"):
        return _place_code(token, lines)
    if token.type == "math_block":
        return _place_formula(token, lines)
    return []


def _place_words(children: list[Token], content: str, places: Sequence[int], placing: Placing) -> list[Piece]:
    found: list[Piece] = []
    open_links: list[Token] = []
    drawn: list[Piece] | None = None  # the pieces of the text right before
    for child in children:
        if child.type == "link_open":
            open_links.append(child)
        of_link = open_links.pop() if child.type == "link_close" else None
        pieces = _pieces(child, of_link, content, places, placing)
        child.meta["pieces"] = pieces
        found.extend(pieces)
        if child.type == "text" or child.info == "escape":
            if drawn is not None and pieces:
                child.meta["pieces"] = _joined(drawn, pieces)
            drawn = child.meta["pieces"] or drawn
        else:
            drawn = None
    return found


def _joined(drawn: list[Piece], pieces: list[Piece]) -> list[Piece]:
    """Lengthen the last piece of the text before by the first of these, where they touch; what is left of these."""
    before, first = drawn[-1], pieces[0]
    if before.start < 0 or before.end != first.start:
        return pieces
    drawn[-1] = Piece(before.words + first.words, before.start, first.end)
    return pieces[1:]


def _pieces(
    token: Token, of_link: Token | None, content: str, places: Sequence[int], placing: Placing
) -> list[Piece]:
    at, to = token.meta.get("at", 0), token.meta.get("to", 0)
    if token.type == "text":
        to = at + len(token.content)
    elif token.type == "text_special":
        if token.info == "entity":
            return [placing.whole(token.content, places[at], places[to - 1] + 1)]
        at = to - len(token.content)
    elif token.type == "code_inline":
        at, to = at + len(token.markup), to - len(token.markup)
        if len(token.content) < to - at:
            at, to = at + 1, to - 1
        return placing.pieces(token.content, places[at:to])
    elif token.type == "math_inline":
        token.meta["whole"] = placing.whole("", places[at], places[to - 1] + 1)
    elif of_link is not None and token.info != "auto":
        at, to = at + 1, of_link.meta["to"]
    elif token.type != "image":
        return []
    return placing.pieces(content[at:to], places[at:to])


def _place_code(token: Token, lines: _Lines) -> list[Piece]:
    words, places = token.meta["cut"]
    if token.content not in (words, words + "\n"):
        raise Unplaced
    token.meta["pieces"] = lines.placing.pieces(token.content, [*places, -1][: len(token.content)])
    token.meta["info"] = []
    if token.info:
        assert token.map is not None
        _, end = lines.range(token.map[0], token.map[0] + 1)
        token.meta["info"] = lines.placing.pieces(token.info, range(end - len(token.info), end))
    return [*token.meta["info"], *token.meta["pieces"]]


def _place_formula(token: Token, lines: _Lines) -> list[Piece]:
    starts, rows = token.meta["starts"], token.markup.split("\n")
    places: list[int] = []
    for start, row in zip(starts, rows, strict=True):
        if not lines.src.startswith(row, start):
            raise Unplaced
        places.extend([*range(start, start + len(row)), -1])
    token.meta["whole"] = lines.placing.whole("", starts[0], starts[-1] + len(rows[-1]))
    token.meta["pieces"] = lines.placing.pieces(token.markup, places[:-1])
    return [token.meta["whole"]]
