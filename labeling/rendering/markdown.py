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
from labeling.rendering.formulas import MAX_TEX, mathml

MAX_WORK = 100_000
MAX_TOKENS = 150_000
MAX_NESTING = 40
MARKDOWN_CLASSES = frozenset(
    {
        "prose-table",
        "prose-image",
        "prose-address",
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
_MATH_LINES = 100
_CLOSERS = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}
_OPENS_BLOCK = re.compile(r"\$\$|\\\[|\\begin\{((?:align|equation|gather|multline)\*?)\}")
_DOLLARS = re.compile(r"\$((?:[^$\\]|\\.)+)\$(?![0-9A-Z_])", re.DOTALL)
_AMOUNT = re.compile(r"[\d.,]+\s+[A-Za-z]{2,}")
# \[1\] and \[a link\](x) are brackets that someone escaped.
_IN_BRACKETS = re.compile(r"\s.*\s|.*[\\^_=+<>{}].*", re.DOTALL)


class TooMuch(Exception):
    """A text that would take longer than its length deserves, or nests deeper than anyone reads."""


class _Inline(ParserInline):
    """Counts what it looks at: brackets that never close are looked at from every bracket before them."""

    def skipToken(self, state: StateInline) -> None:  # noqa: N802
        _work(state.env, 1)
        super().skipToken(state)


class _Blocks(ParserBlock):
    """Counts containers too, which may be empty and many."""

    def tokenize(self, state: StateBlock, startLine: int, endLine: int) -> None:  # noqa: N803
        _work(state.env, 2)
        if state.level > MAX_NESTING:
            raise TooMuch
        super().tokenize(state, startLine, endLine)


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802
        return bool(_ADDRESS.match(url))


def to_html(text: str) -> str:
    """HTML for `text`, to be sanitised. TooMuch for hostile nesting or work beyond MAX_WORK and MAX_TOKENS."""
    return str(_parser.render(text, {"work": MAX_WORK, "clock": Clock()}))


def _work(env: EnvType, units: int) -> None:
    env["work"] -= units
    if env["work"] < 0:
        raise TooMuch


def _count_inline(state: StateInline, silent: bool) -> bool:
    _work(state.env, 1)
    return False


def _count_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    _work(state.env, 2)
    return False


def _count_tokens(state: StateCore) -> None:
    if len(state.tokens) > MAX_TOKENS:
        raise TooMuch


def _inline_math(state: StateInline, silent: bool) -> bool:
    """$..$, $$..$$, \\(..\\) and \\[..\\] within a paragraph; an amount of money is none."""
    opener = state.src[state.pos : state.pos + 2]
    found = _delimited(state, opener) if opener in _CLOSERS else _dollars(state)
    if found is None:
        return False
    tex, end = found
    if not silent:
        token = state.push("math_inline", "", 0)
        token.content, token.markup = tex, state.src[state.pos : end]
        token.meta = {"display": opener in ("$$", r"\[")}
    state.pos = end
    return True


def _delimited(state: StateInline, opener: str) -> tuple[str, int] | None:
    start = state.pos + 2
    end = state.src.find(_CLOSERS[opener], start, start + MAX_TEX + 2)
    tex = state.src[start:end]
    if end < 0 or not tex.strip():
        return None
    if opener == r"\[" and (not _IN_BRACKETS.fullmatch(tex) or state.src[end + 2 : end + 3] == "("):
        return None
    return tex, end + 2


def _dollars(state: StateInline) -> tuple[str, int] | None:
    found = _DOLLARS.match(state.src, state.pos, state.pos + MAX_TEX + 2)
    if found is None:
        return None
    tex = found[1]
    touches_space = tex[0].isspace() or tex[-1].isspace()
    return None if touches_space or _AMOUNT.match(tex) else (tex, found.end())


def _block_math(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Lines from $$, \\[ or \\begin{align} to its end, which may be the same line; no blank line in between."""
    if state.is_code_block(start):
        return False
    opener = _OPENS_BLOCK.match(_line(state, start))
    if opener is None:
        return False
    closer = rf"\end{{{opener[1]}}}" if opener[1] else _CLOSERS[opener[0]]
    found = _block_lines(state, start, min(end, start + _MATH_LINES), opener[0], closer)
    if found is None:
        return False
    source, last = found
    tex = source if opener[1] else source[2:].replace(closer, "", 1)
    if opener[0] == r"\[" and not _IN_BRACKETS.fullmatch(tex):
        return False
    if not silent:
        token = state.push("math_block", "", 0)
        token.content, token.markup, token.map = tex, source, [start, last + 1]
        state.line = last + 1
    return True


def _block_lines(state: StateBlock, start: int, end: int, opener: str, closer: str) -> tuple[str, int] | None:
    lines: list[str] = []
    for number in range(start, end):
        _work(state.env, 1)
        line = _line(state, number).rstrip()
        if not line or state.sCount[number] < state.blkIndent:
            return None
        lines.append(line)
        at = line.find(closer, len(opener) if number == start else 0)
        if at >= 0:
            return ("\n".join(lines), number) if line[at + len(closer) :] in ("", ".", ",", ";") else None
    return None


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]


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


def _code(code: str, language: str, env: EnvType) -> str:
    return f'<pre dir="ltr"><code>{highlighted(code, language, env["clock"])}</code></pre>\n'


def _on_its_own(tag: str, formula: str) -> str:
    """A formula as a line, which the keyboard can scroll where it may be wider than a telephone."""
    widest = max(len(_TAGS.sub("", row)) for row in formula.split("</mtr>"))
    scrolled = f' aria-label="Formula"{_SCROLLED}' if widest > WIDE_FORMULA else ""
    return f'<{tag} class="tex-block"{scrolled}>{formula}</{tag}>'


class _Renderer(RendererHTML):
    """What differs from plain HTML; each method is named for the token that it draws."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        language = tokens[idx].info.split(maxsplit=1)
        return _code(tokens[idx].content, language[0] if language else "", env)

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _code(tokens[idx].content, "", env)

    def code_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<code dir="ltr">{escape(tokens[idx].content)}</code>'

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
        display = bool(tokens[idx].meta["display"])
        drawn = mathml(tokens[idx].content, display=display)
        if drawn is None:
            return f'<code class="tex-source" dir="ltr">{escape(tokens[idx].markup)}</code>'
        return _on_its_own("span", drawn) if display else drawn

    def math_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        drawn = mathml(tokens[idx].content, display=True)
        if drawn is None:
            return f'<pre dir="ltr"><code class="tex-source">{escape(tokens[idx].markup)}</code></pre>\n'
        return _on_its_own("div", drawn) + "\n"


def _made() -> MarkdownIt:
    parser = _Markdown(renderer_cls=_Renderer)
    parser.inline, parser.block = _Inline(), _Blocks()
    parser.configure("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING + 10})
    parser.enable(["table", "strikethrough"])
    parser.inline.ruler.before("text", "count", _count_inline)
    parser.inline.ruler.before("escape", "math_inline", _inline_math)
    parser.block.ruler.before("table", "count", _count_block)
    parser.block.ruler.before(
        "fence", "math_block", _block_math, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.core.ruler.after("block", "count", _count_tokens)
    parser.core.ruler.after("inline", "shape", _shape)
    return parser


_parser = _made()
