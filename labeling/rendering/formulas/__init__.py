"""TeX to MathML Core, which browsers draw without a script or a font of ours.

Ours, since a hostile formula must cost no more than its length. Of the two kept libraries, math-core 0.9.0 ends the
process on deep braces and doubles its work with every open parenthesis; latex2mathml 3.81.1 copies HTML, styles and
javascript: addresses through, prints the & of `aligned`, and writes bold letters in a way that Chromium ignores.
What is not understood is refused as a whole, so that a page shows the source instead of a wrong formula.
"""

from labeling.rendering.formulas.commands import COMMANDS
from labeling.rendering.formulas.grammar import Formula
from labeling.rendering.formulas.reading import Refused

MAX_TEX = 4_000
_BLOCK = ' display="block"'


def mathml(tex: str, *, display: bool) -> str | None:
    """One `<math>` element for `tex`, without style attributes; with `display`, as a line of its own.

    None where it cannot be drawn: not TeX, a command unknown here, more than MAX_TEX characters, or groups deeper than
    `reading.MAX_DEPTH`. Time and size of the result are linear in the length of `tex`.
    """
    if len(tex) > MAX_TEX:
        return None
    if r"\\" in tex and r"\begin" not in tex:
        rows = "aligned" if "&" in tex else "gathered"
        tex = rf"\begin{{{rows}}}{tex}\end{{{rows}}}"
    try:
        drawn = Formula(tex, commands=COMMANDS).whole()
    except Refused:
        return None
    return f'<math dir="ltr"{_BLOCK if display else ""}>{drawn}</math>'
