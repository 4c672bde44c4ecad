"""Text whose spans people mark: rendered as everywhere, and every shown piece says where it stands in the raw text.

A run, `<span data-at="7">`, shows the raw text from that code point on, character by character. A whole, which has a
`data-to` too, stands for the raw text between the two: a formula, an entity. What a reader would otherwise not see, an
address behind a link or the name of a code's language, is written out, so that all of an answer can be marked; a block
that would still hide a word is shown as it is written.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape, unescape

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from labeling.rendering.code import Clock
from labeling.rendering.limits import MAX_WORK
from labeling.rendering.markdown import Renderer, made
from labeling.rendering.pieces import place
from labeling.rendering.placing import Piece, Placing, PlacingBlocks, PlacingInline

_PARTS = re.compile(r"(<[^>]*>)|([^<]+)")


def to_marked_html(raw: str) -> str:
    """HTML for `raw`, to be sanitised. TooMuch as for `markdown.to_html`; Unplaced where a piece was lost."""
    env: EnvType = {"work": MAX_WORK, "clock": Clock(), "placing": Placing(raw)}
    return str(_parser.render(raw, env))


def written(raw: str) -> str:
    """`raw` as it is written, in runs. A line's end that is no plain \\n is shown as one and stands in no run."""
    placing = Placing(raw)
    source = re.sub(r"\r\n?", "\n", raw)
    return laid(placing.pieces(source, range(len(source))))


def laid(pieces: Sequence[Piece]) -> str:
    """Pieces as runs; what is in none of the raw text is written without a place."""
    return "".join(
        f'<span data-at="{piece.start}">{escape(piece.words)}</span>'
        if piece.start >= 0
        else escape(piece.words)
        for piece in pieces
    )


def _whole(tag: str, piece: Piece, shown: str) -> str:
    return f'<{tag} data-at="{piece.start}" data-to="{piece.end}">{shown}</{tag}>'


def _laid_within(html: str, pieces: Sequence[Piece]) -> str:
    """`html`, whose text is that of the pieces, with the pieces laid within its tags."""
    out: list[str] = []
    left = list(reversed(pieces))
    for tag, text in _PARTS.findall(html):
        out.append(tag or laid(list(_taken(left, len(unescape(text))))))
    return "".join(out)


def _taken(left: list[Piece], count: int) -> Iterator[Piece]:
    """The pieces of the next `count` characters, taken from the end of `left`."""
    while count > 0:
        words, start, end = left.pop()
        if len(words) > count:
            rest = start + count if start >= 0 else -1
            left.append(Piece(words[count:], rest, end))
            words, end = words[:count], rest
        count -= len(words)
        yield Piece(words, start, end)


class _Renderer(Renderer):
    """Draws the pieces that `pieces.place` has noted at each token."""

    def _words(self, token: Token, words: str) -> str:
        return laid(token.meta["pieces"])

    def _coloured(self, token: Token, html: str) -> str:
        return _laid_within(html, token.meta["pieces"])

    def _formula(self, tag: str, token: Token, drawn: str) -> str:
        return _whole(tag, token.meta["whole"], drawn)

    def text(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return laid(tokens[idx].meta["pieces"])

    def text_special(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        pieces = tokens[idx].meta["pieces"]
        return (
            _whole("span", pieces[0], escape(pieces[0].words))
            if tokens[idx].info == "entity"
            else laid(pieces)
        )

    def link_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        address = laid(tokens[idx].meta["pieces"])
        return f'</a><span class="prose-address">{address}</span>' if address else "</a>"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<span class="prose-image">{laid(tokens[idx].meta["pieces"])}</span>'

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        info = laid(tokens[idx].meta["info"])
        code = super().fence(tokens, idx, options, env)
        return f'<div class="prose-info">{info}</div>{code}' if info.strip() else code

    def as_written(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<div class="prose-written" dir="auto">{laid(tokens[idx].meta["pieces"])}</div>\n'


def _place(state: StateCore) -> None:
    state.tokens = place(state.tokens, state.src, state.env["placing"])


def _made() -> MarkdownIt:
    parser = made(_Renderer, inline=PlacingInline(), blocks=PlacingBlocks())
    parser.disable("reference")  # a definition is words of the answer, and is shown
    parser.inline.ruler2.disable("fragments_join")
    parser.core.ruler.disable("text_join")
    parser.core.ruler.after("shape", "place", _place)
    return parser


_parser = _made()
