"""Elements of MathML Core as strings: letters, operators, fractions, tables."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from html import escape

from labeling.rendering.formulas import names

MAX_SPACE_EM = 4.0
EMPTY = "<mrow></mrow>"
_KINDS = (
    "left right flush-left flush-right line-above line-below line-left line-right bold italic mono box cancel"
)
CLASSES = frozenset(f"tex-{kind}" for kind in _KINDS.split(" "))
_LENGTH = re.compile(r"\s*(-?\d*\.?\d+)\s*(em|ex|mu|pt|mm|cm|in)\s*")
_SPACES = re.compile(r"\s+")
_EM = {"em": 1.0, "ex": 0.43, "mu": 1 / 18, "pt": 0.1, "mm": 0.285, "cm": 2.85, "in": 7.2}


def one(items: Sequence[str]) -> str:
    """Several elements as one, since a script or a fraction takes exactly one."""
    drawn = [item for item in items if item]
    return drawn[0] if len(drawn) == 1 else f"<mrow>{''.join(drawn)}</mrow>"


def space(em: float) -> str:
    """Nothing, that wide: never so wide that a formula could push a page apart."""
    return f'<mspace width="{min(max(em, 0.0), MAX_SPACE_EM):.3g}em"></mspace>'


def space_of(length: str) -> str | None:
    """The space of a TeX length such as 1cm; None where it is no length."""
    found = _LENGTH.fullmatch(length)
    return space(float(found[1]) * _EM[found[2]]) if found else None


def number(digits: str, font: str) -> str:
    return f"<mn>{''.join(_in_font(char, font) for char in digits)}</mn>"


def symbol(char: str, font: str, before: str) -> str:
    """A letter or an operator; `before` is the element to its left, which says whether a sign is a prefix."""
    if char.isalpha() or char in names.LETTERS:
        upright = font == "mathrm" or (font == "mathnormal" and "Α" <= char <= "Ω")
        variant = ' mathvariant="normal"' if upright and len(char) == 1 else ""
        return f"<mi{variant}>{escape(_in_font(char, font))}</mi>"
    if not unicodedata.category(char[0]).startswith(("S", "P")):
        return f"<mtext>{escape(char)}</mtext>"
    return operator({"-": "−", "*": "∗"}.get(char, char), before)


def operator(char: str, before: str) -> str:
    attributes = ""
    if char in names.SIGNS and not _is_operand(before):
        attributes = ' form="prefix"'
    elif char in names.BARE:
        attributes = ' stretchy="false" lspace="0" rspace="0"'
    elif char in names.OPENING + names.CLOSING + names.UPRIGHT_ARROWS:
        attributes = ' stretchy="false"'
    return f"<mo{attributes}>{escape(char)}</mo>"


def function(word: str, *, before: str, after: str, limits: bool = False) -> str:
    """A name such as sin or lim, spaced from an operand on either side but not from a parenthesis."""
    left = "0.167em" if _is_operand(before) else "0"
    right = "0" if after in ("(", "[", "{", r"\left", r"\{", "") else "0.167em"
    movable = ' movablelimits="true"' if limits else ""
    return f'<mo lspace="{left}" rspace="{right}"{movable}>{escape(word)}</mo>'


def fence(char: str, form: str) -> str:
    """A delimiter as high as what it encloses; a dot stands for none."""
    return "" if char == "." else f'<mo form="{form}" stretchy="true">{escape(char)}</mo>'


def fraction(top: str, bottom: str, *, display: str = "", fences: str = "") -> str:
    """With `fences` (two characters), one above the other without a line between them."""
    attributes = (f' displaystyle="{display}"' if display else "") + (' linethickness="0"' if fences else "")
    drawn = f"<mfrac{attributes}>{top}{bottom}</mfrac>"
    return (
        f"<mrow>{fence(fences[0], 'prefix')}{drawn}{fence(fences[1], 'postfix')}</mrow>" if fences else drawn
    )


def scripts(base: str, below: str, above: str, *, limits: bool) -> str:
    """`base` with what stands at its lower and upper right or, with `limits`, under and over it."""
    if not below and not above:
        return base
    under, over = ("under", "over") if limits else ("sub", "sup")
    name = "m" + (under if below else "") + (over if above else "")
    return f"<{name}>{base or EMPTY}{below}{above}</{name}>"


def text(words: str, kind: str = "") -> str:
    """Words as they stand, their spaces kept."""
    attribute = f' class="{kind}"' if kind else ""
    kept = escape(_SPACES.sub("\u00a0", words))
    return f"<mtext{attribute}>{kept}</mtext>" if words else ""


def table(
    rows: Sequence[Sequence[str]], columns: Sequence[str], *, display: bool, lines: frozenset[int]
) -> str:
    """`columns` are the classes of the cells, repeated as long as a row is; `lines` the rows with a line above them."""
    drawn = []
    for number, cells in enumerate(rows):
        line = "tex-line-above " if number in lines else ""
        line += "tex-line-below " if number == len(rows) - 1 and len(rows) in lines else ""
        kinds = [(line + columns[place % len(columns)]).strip() for place in range(len(cells))]
        drawn += ["<mtr>", *(_cell(cell, kind) for cell, kind in zip(cells, kinds, strict=True)), "</mtr>"]
    style = ' displaystyle="true"' if display else ""
    return f"<mtable{style}>{''.join(drawn)}</mtable>"


def columns_of(spec: str) -> list[str]:
    """The classes of an array's columns: l, c and r, with | for a line."""
    spec = re.sub(r"[^lcr|]", "", spec)
    columns: list[str] = []
    for place, char in enumerate(spec):
        if char != "|":
            kind = {"l": "tex-left", "r": "tex-right", "c": ""}[char]
            after = " tex-line-right" if spec[place + 1 : place + 2] == "|" else ""
            before = " tex-line-left" if place == 1 and spec[0] == "|" else ""
            columns.append((kind + before + after).strip())
    return columns or [""]


def _cell(content: str, kind: str) -> str:
    return f'<mtd class="{kind}">{content}</mtd>' if kind else f"<mtd>{content}</mtd>"


def _is_operand(element: str) -> bool:
    """Whether an operator to the right of this element has something to work on."""
    return bool(element) and (not element.startswith("<mo") or element[-6] in names.CLOSING + "|‖!")


@lru_cache(maxsize=4096)
def _in_font(char: str, font: str) -> str:
    """The letter or digit as Unicode has it in that font; itself where it has none."""
    stem = re.sub(r"\b(?:LATIN|GREEK|LETTER) ", "", unicodedata.name(char[0], ""))
    for kind in names.FONTS[font]:
        for name in (f"MATHEMATICAL {kind} {stem}", f"{kind} {stem}"):
            try:
                return unicodedata.lookup(name)
            except KeyError:
                continue
    return char
