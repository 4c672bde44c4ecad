"""Where TeX begins and ends in Markdown, as rules of the parser."""

import re

from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from labeling.rendering.formulas import MAX_TEX
from labeling.rendering.limits import work

_MATH_LINES = 100
_CLOSERS = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}
_OPENS_BLOCK = re.compile(r"\$\$|\\\[|\\begin\{((?:align|equation|gather|multline)\*?)\}")
_DOLLARS = re.compile(r"\$((?:[^$\\]|\\.)+)\$(?![0-9A-Z_])", re.DOTALL)
_AMOUNT = re.compile(r"[\d.,]+\s+[A-Za-z]{2,}")
# \[1\] and \[a link\](x) are brackets that someone escaped.
_IN_BRACKETS = re.compile(r"\s.*\s|.*[\\^_=+<>{}].*", re.DOTALL)


def inline_math(state: StateInline, silent: bool) -> bool:
    """$..$, $$..$$, \\(..\\) and \\[..\\] within a paragraph; an amount of money is none."""
    opener = state.src[state.pos : state.pos + 2]
    found = _delimited(state, opener) if opener in _CLOSERS else _dollars(state)
    if found is None:
        return False
    tex, end = found
    if not silent:
        token = state.push("math_inline", "", 0)
        token.content, token.markup = tex, state.src[state.pos : end]
        token.meta["display"] = opener in ("$$", r"\[")
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


def block_math(state: StateBlock, start: int, end: int, silent: bool) -> bool:
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
        token.meta["starts"] = [
            state.bMarks[number] + state.tShift[number] for number in range(start, last + 1)
        ]
        state.line = last + 1
    return True


def _block_lines(state: StateBlock, start: int, end: int, opener: str, closer: str) -> tuple[str, int] | None:
    lines: list[str] = []
    for number in range(start, end):
        work(state.env, 1)
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
