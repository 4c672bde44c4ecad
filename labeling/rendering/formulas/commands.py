"""What each command of TeX draws: a function takes the command's arguments from the formula and returns an element."""

import re
import unicodedata

from labeling.rendering.formulas import drawing, names
from labeling.rendering.formulas.drawing import one
from labeling.rendering.formulas.grammar import Commands, Drawn, Formula
from labeling.rendering.formulas.reading import Refused

_ESCAPED = re.compile(r"\\([_%&$#{} ])")


def fraction(formula: Formula, name: str) -> Drawn:
    return drawing.fraction(formula.argument(), formula.argument(), display=names.FRACTIONS[name]), False


def binomial(formula: Formula, name: str) -> Drawn:
    top, bottom = formula.argument(), formula.argument()
    return drawing.fraction(top, bottom, display=names.BINOMIALS[name], fences="()"), False


def root(formula: Formula, name: str) -> Drawn:
    degree = formula.within(formula.brackets())
    base = formula.argument()
    return f"<mroot>{base}<mrow>{degree}</mrow></mroot>" if degree else f"<msqrt>{base}</msqrt>", False


def accent(formula: Formula, name: str) -> Drawn:
    stretchy = "true" if name in names.STRETCHED else "false"
    mark = f'<mo stretchy="{stretchy}">{names.ACCENTS[name]}</mo>'
    where, kind = ("munder", "accentunder") if name.startswith("under") else ("mover", "accent")
    return f'<{where} {kind}="true">{formula.argument()}{mark}</{where}>', name.endswith("brace")


def lined(formula: Formula, name: str) -> Drawn:
    """A border, since few fonts have a line that stretches."""
    return f'<mrow class="{names.LINES[name]}">{formula.argument()}</mrow>', False


def stacked(formula: Formula, name: str) -> Drawn:
    script, base = formula.argument(), formula.argument()
    below = name == "underset"
    return drawing.scripts(base, script if below else "", "" if below else script, limits=True), True


def arrow(formula: Formula, name: str) -> Drawn:
    below = formula.within(formula.brackets())
    above, pad = formula.argument(), drawing.space(0.4)
    below = one([pad, below, pad]) if below else ""
    arrow = f'<mo stretchy="true">{names.ARROWS[name]}</mo>'
    return drawing.scripts(arrow, below, one([pad, above, pad]), limits=True), False


def delimiter(formula: Formula) -> str:
    mark = formula.take()
    char = names.SYMBOLS.get(mark[1:], "") if mark.startswith("\\") else {"<": "⟨", ">": "⟩"}.get(mark, mark)
    if len(char) != 1 or char.isalnum():
        raise Refused
    return char


def fenced(formula: Formula, name: str) -> Drawn:
    opening = delimiter(formula)
    inner = formula.row(r"\right")
    formula.take()
    closing = delimiter(formula)
    return one([drawing.fence(opening, "prefix"), *inner, drawing.fence(closing, "postfix")]), False


def middle(formula: Formula, name: str) -> Drawn:
    return drawing.fence(delimiter(formula), "infix"), False


def big(formula: Formula, name: str) -> Drawn:
    size, char = f"{names.BIG[name]}em", delimiter(formula)
    form = {"l": "prefix", "r": "postfix"}.get(name[-1], "infix")
    spaces = "" if name.endswith(("l", "r", "m")) else ' lspace="0" rspace="0"'
    return drawing.fence(char, form).replace(">", f' minsize="{size}" maxsize="{size}"{spaces}>', 1), False


def in_font(formula: Formula, name: str) -> Drawn:
    font, formula.font = formula.font, name
    drawn = formula.argument()
    formula.font = font
    return drawn, False


def text(formula: Formula, name: str) -> Drawn:
    """Words, with formulas between dollars."""
    drawn = []
    for place, part in enumerate(re.split(r"(?<!\\)\$", formula.raw())):
        if place % 2:
            drawn.append(one([formula.within(part)]))
        elif "\\" in (words := _ESCAPED.sub(r"\1", part.replace("~", "\u00a0"))):
            raise Refused
        else:
            drawn.append(drawing.text(words, names.TEXTS[name]))
    return one(drawn), False


def operator(formula: Formula, name: str) -> Drawn:
    words = re.sub(r"\\[,;: ]|~", "\u2009", formula.raw()).strip()
    if not re.fullmatch(r"[\w\u2009 .-]+", words):
        raise Refused
    limits = name.endswith("*")
    return drawing.function(words, before=formula.before, after=formula.peek(), limits=limits), limits


def function(formula: Formula, name: str) -> Drawn:
    limits = name in names.LIMIT_WORDS
    words = names.LIMIT_WORDS.get(name, name).replace(" ", "\u2009")
    return drawing.function(words, before=formula.before, after=formula.peek(), limits=limits), limits


def space(formula: Formula, name: str) -> Drawn:
    return drawing.space(names.SPACES[name] / 18), False


def wide_space(formula: Formula, name: str) -> Drawn:
    drawn = drawing.space_of(formula.raw())
    if drawn is None:
        raise Refused
    return drawn, False


def nothing(formula: Formula, name: str) -> Drawn:
    return "", False


def without_argument(formula: Formula, name: str) -> Drawn:
    formula.raw()
    return "", False


def same(formula: Formula, name: str) -> Drawn:
    return formula.argument(), name == "mathop"


def coloured(formula: Formula, name: str) -> Drawn:
    """Without its colour, which the page's contrast could not vouch for."""
    formula.raw()
    return formula.argument(), False


def tag(formula: Formula, name: str) -> Drawn:
    words = formula.raw()
    return drawing.space(2) + drawing.text(words if name.endswith("*") else f"({words})"), False


def framed(formula: Formula, name: str) -> Drawn:
    kind = "tex-box" if name == "boxed" else "tex-cancel"
    return f'<mrow class="{kind}">{formula.argument()}</mrow>', False


def phantom(formula: Formula, name: str) -> Drawn:
    hidden = f"<mphantom>{formula.argument()}</mphantom>"
    return f'<mpadded width="0">{hidden}</mpadded>' if name == "vphantom" else hidden, False


def modulo(formula: Formula, name: str) -> Drawn:
    if name == "bmod":
        return '<mo lspace="0.222em" rspace="0.222em">mod</mo>', False
    opening, closing = (drawing.operator(char, "") for char in "()") if name == "pmod" else ("", "")
    word = drawing.space(0.5) + opening + "<mi>mod</mi>" + drawing.space(0.333)
    return one([word, formula.argument(), closing]), False


def negated(formula: Formula, name: str) -> Drawn:
    mark = formula.take()
    char = names.SYMBOLS.get(mark[1:], "") if mark.startswith("\\") else mark
    if len(char) != 1 or not char.isprintable() or char in "{}&#$":
        raise Refused
    return drawing.operator(unicodedata.normalize("NFC", char + "\u0338"), formula.before), False


def substack(formula: Formula, name: str) -> Drawn:
    formula.expect("{")
    rows = [[one(formula.row(r"\\", "}"))]]
    while formula.take() != "}":
        rows.append([one(formula.row(r"\\", "}"))])
    return drawing.table(rows, [""], display=False, lines=frozenset()), False


def environment(formula: Formula, name: str) -> Drawn:
    kind = formula.raw()
    base = kind.removesuffix("*")
    spec = formula.raw() if base in names.WITH_COLUMNS else ""
    formula.brackets()
    drawn_rows, lines = rows_of(formula, kind)
    if base in names.ALIGNED:
        columns = ["tex-right tex-flush-right", "tex-left tex-flush-left"]
        return drawing.table(drawn_rows, columns, display=True, lines=lines), False
    if base in names.CENTRED:
        return drawing.table(drawn_rows, [""], display=True, lines=lines), False
    if base not in names.FENCES:
        raise Refused
    fences = names.FENCES[base]
    columns = drawing.columns_of(spec) if spec else ["tex-left" if "cases" in base else ""]
    drawn = drawing.table(drawn_rows, columns, display=base == "dcases", lines=lines)
    return one([drawing.fence(fences[0], "prefix"), drawn, drawing.fence(fences[1], "postfix")]), False


def rows_of(formula: Formula, kind: str) -> tuple[list[list[str]], frozenset[int]]:
    """The cells of an environment up to its end, and before which rows a line is drawn."""
    rows: list[list[str]] = [[]]
    lines = set()
    while True:
        while formula.peek() == r"\hline":
            formula.take()
            lines.add(len(rows) - 1)
        rows[-1].append("".join(formula.row("&", r"\\", r"\cr", r"\end")))
        end = formula.take()
        if end == r"\end":
            break
        if end != "&":
            formula.brackets()
            rows.append([])
    if formula.raw() != kind:
        raise Refused
    if rows[-1] == [""] and len(rows) > 1:
        rows.pop()
    return rows, frozenset(lines)


COMMANDS: Commands = {
    **dict.fromkeys(names.FRACTIONS, fraction),
    **dict.fromkeys(names.BINOMIALS, binomial),
    **dict.fromkeys(names.ACCENTS, accent),
    **dict.fromkeys(names.LINES, lined),
    **dict.fromkeys(("overset", "underset", "stackrel"), stacked),
    **dict.fromkeys(names.ARROWS, arrow),
    **dict.fromkeys(names.BIG, big),
    **dict.fromkeys(names.FONTS, in_font),
    **dict.fromkeys(names.TEXTS, text),
    **dict.fromkeys(("operatorname", "operatorname*"), operator),
    **dict.fromkeys([*names.FUNCTIONS, *names.LIMIT_WORDS], function),
    **dict.fromkeys(names.SPACES, space),
    **dict.fromkeys(("hspace", "hspace*"), wide_space),
    **dict.fromkeys(names.NOTHING, nothing),
    **dict.fromkeys(("label", "color"), without_argument),
    **dict.fromkeys(names.SAME, same),
    **dict.fromkeys(("textcolor", "colorbox"), coloured),
    **dict.fromkeys(("tag", "tag*"), tag),
    **dict.fromkeys(("boxed", "cancel", "bcancel", "xcancel"), framed),
    **dict.fromkeys(("phantom", "hphantom", "vphantom"), phantom),
    **dict.fromkeys(("bmod", "pmod", "mod"), modulo),
    "sqrt": root,
    "left": fenced,
    "middle": middle,
    "not": negated,
    "substack": substack,
    "begin": environment,
}
