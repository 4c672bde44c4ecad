"""Markdown as people and models write it: CommonMark, tables, strikethrough and TeX, with every line break kept.

Raw HTML is text. What would load something, or lead anywhere but to http, https and mailto, is shown as written.
"""

import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.parser_block import ParserBlock
from markdown_it.parser_inline import ParserInline
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from labeling.rendering.code import Clock, highlighted
from labeling.rendering.delimiters import block_math, inline_math
from labeling.rendering.formulas import mathml
from labeling.rendering.limits import MAX_NESTING, MAX_TOKENS, MAX_WORK, TooMuch, work

MARKDOWN_CLASSES = frozenset(
    {
        "prose-table",
        "prose-image",
        "prose-address",
        "prose-info",
        "prose-written",
        "tex-block",
        "tex-source",
        "to-left",
        "to-right",
        "to-center",
    }
)

WIDE_FORMULA = 30

_SCROLLED = ' role="group" tabindex="0"'
_TAGS = re.compile(r"<[^>]*>")
_ADDRESS = re.compile(r"(?:https?://|mailto:)\S", re.IGNORECASE)


class Inline(ParserInline):
    """Counts what it looks at: brackets that never close are looked at from every bracket before them."""

    def skipToken(self, state: StateInline) -> None:  # noqa: N802
        work(state.env, 1)
        super().skipToken(state)


class Blocks(ParserBlock):
    """Counts containers too, which may be empty and many."""

    def tokenize(self, state: StateBlock, startLine: int, endLine: int) -> None:  # noqa: N803
        work(state.env, 2)
        if state.level > MAX_NESTING:
            raise TooMuch
        super().tokenize(state, startLine, endLine)


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802
        return bool(_ADDRESS.match(url))


def to_html(text: str) -> str:
    """HTML for `text`, to be sanitised. TooMuch for hostile nesting or work beyond MAX_WORK and MAX_TOKENS."""
    return str(_parser.render(text, {"work": MAX_WORK, "clock": Clock()}))


def _count_inline(state: StateInline, silent: bool) -> bool:
    work(state.env, 1)
    return False


def _count_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    work(state.env, 2)
    return False


def _count_tokens(state: StateCore) -> None:
    if len(state.tokens) > MAX_TOKENS:
        raise TooMuch


def _shape(state: StateCore) -> None:
    """Directions of blocks, headings below those of any page, cells that a screen reader can announce."""
    levels: list[int] = []
    for place, token in enumerate(state.tokens):
        _check_depth(token)
        # A direction within a block would hide its text from the block's own: the stylesheet sees to those.
        if token.level == 0 and token.nesting == 1:
            token.attrSet("dir", "auto")
        if token.type == "heading_open":
            _retag(
                state.tokens, place, _heading(int(token.tag[1]), levels) if _content(state, place) else "p"
            )
        elif token.type in ("th_open", "td_open"):
            if token.type == "th_open":
                token.attrSet("scope", "col")
                _retag(state.tokens, place, "th" if _content(state, place) else "td")
            if align := str(token.attrs.pop("style", "")).removeprefix("text-align:"):
                token.attrSet("class", f"to-{align}")


def _check_depth(token: Token) -> None:
    depth = 0
    for child in token.children or ():
        depth += child.nesting
        if depth > MAX_NESTING:
            raise TooMuch


def _heading(level: int, levels: list[int]) -> str:
    """The tag for a heading: from h3 on, and never a step of two, whatever the author counted from."""
    while levels and levels[-1] >= level:
        levels.pop()
    levels.append(level)
    return f"h{min(len(levels) + 2, 6)}"


def _content(state: StateCore, place: int) -> str:
    return state.tokens[place + 1].content.strip()


def _retag(tokens: list[Token], place: int, tag: str) -> None:
    tokens[place].tag = tokens[place + 2].tag = tag


def _on_its_own(tag: str, formula: str) -> str:
    """A formula as a line, which the keyboard can scroll where it may be wider than a telephone."""
    widest = max(len(_TAGS.sub("", row)) for row in formula.split("</mtr>"))
    scrolled = f' aria-label="Formula"{_SCROLLED}' if widest > WIDE_FORMULA else ""
    return f'<{tag} class="tex-block"{scrolled}>{formula}</{tag}>'


class Renderer(RendererHTML):
    """What differs from plain HTML; each public method is named for the token that it draws."""

    def _words(self, token: Token, words: str) -> str:
        """Words of a token as HTML."""
        return escape(words)

    def _coloured(self, token: Token, html: str) -> str:
        """The code of a token, of which `html` has the colours."""
        return html

    def _formula(self, tag: str, token: Token, drawn: str) -> str:
        return drawn

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        language = tokens[idx].info.split(maxsplit=1)
        html = highlighted(tokens[idx].content, language[0] if language else "", env["clock"])
        return f'<pre dir="ltr"><code>{self._coloured(tokens[idx], html)}</code></pre>\n'

    code_block = fence

    def code_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<code dir="ltr">{self._words(tokens[idx], tokens[idx].content)}</code>'

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Never fetched: whoever serves it would learn who judges, and when."""
        address = escape(str(tokens[idx].attrs["src"]))
        words = escape(tokens[idx].content) or "without description"
        return f'<span class="prose-image">Image: {words} <span class="prose-address">{address}</span></span>'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        direction = ' dir="auto"' if tokens[idx].level == 0 else ""
        return f'<div class="prose-table" aria-label="Table"{_SCROLLED}{direction}><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def math_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token, display = tokens[idx], bool(tokens[idx].meta["display"])
        drawn = mathml(token.content, display=display)
        if drawn is None:
            return f'<code class="tex-source" dir="ltr">{self._words(token, token.markup)}</code>'
        return self._formula("span", token, _on_its_own("span", drawn) if display else drawn)

    def math_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        drawn = mathml(token.content, display=True)
        if drawn is None:
            return (
                f'<pre dir="ltr"><code class="tex-source">{self._words(token, token.markup)}</code></pre>\n'
            )
        return self._formula("div", token, _on_its_own("div", drawn)) + "\n"


def made(
    renderer: type[RendererHTML], *, inline: ParserInline | None = None, blocks: ParserBlock | None = None
) -> MarkdownIt:
    """A parser of our Markdown that draws with `renderer`."""
    parser = _Markdown(renderer_cls=renderer)
    parser.inline, parser.block = inline or Inline(), blocks or Blocks()
    parser.configure("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING + 10})
    parser.enable(["table", "strikethrough"])
    parser.inline.ruler.before("text", "count", _count_inline)
    parser.inline.ruler.before("escape", "math_inline", inline_math)
    parser.block.ruler.before("table", "count", _count_block)
    parser.block.ruler.before(
        "fence", "math_block", block_math, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.core.ruler.after("block", "count", _count_tokens)
    parser.core.ruler.after("inline", "shape", _shape)
    return parser


_parser = made(Renderer)
