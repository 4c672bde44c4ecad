"""Our own Markdown (headings, paragraphs, tables) as a PDF on A4. Imported by the views that give one, when they do."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import reportlab
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

FONT, BOLD, WIDE = "Vera", "VeraBd", "STSong-Light"
BODY = ParagraphStyle("body", fontName=FONT, fontSize=8.5, leading=12)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7, leading=9.5)
HEADS = {
    1: ParagraphStyle("h1", parent=BODY, fontName=BOLD, fontSize=15, leading=20, spaceAfter=6),
    2: ParagraphStyle(
        "h2", parent=BODY, fontName=BOLD, fontSize=11, leading=15, spaceBefore=10, spaceAfter=4
    ),
}
PLAIN = str.maketrans({"−": "-", "→": "->", "\u00a0": " ", "\u202f": " "})
WIDE_RUNS = re.compile(r"[\u2e80-\u9fff\uf900-\uffef]+|[^\u2e80-\u9fff\uf900-\uffef]+")
WIDE_RUNS_ONLY = re.compile(r"[\u2e80-\u9fff\uf900-\uffef]")
ESCAPED = re.compile(r"\\([\\`*\]<|])")


def from_markdown(text: str, *, title: str, footer: str) -> bytes:
    """The pages of a record. What no font of ours can draw becomes a question mark."""
    _register()
    out = BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, title=title, leftMargin=18 * mm, rightMargin=18 * mm, topMargin=16 * mm, bottomMargin=18 * mm
    )  # fmt: skip

    def foot(canvas: Any, _: Any) -> None:
        canvas.setFont(FONT, 6.5)
        canvas.drawString(18 * mm, 10 * mm, footer)
        canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, str(canvas.getPageNumber()))

    page.build(_flowing(text, page.width), onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def _register() -> None:
    if FONT not in pdfmetrics.getRegisteredFontNames():
        fonts = Path(reportlab.__file__).parent / "fonts"
        for name in (FONT, BOLD):
            pdfmetrics.registerFont(TTFont(name, str(fonts / f"{name}.ttf")))
        pdfmetrics.registerFont(UnicodeCIDFont(WIDE))


def _flowing(text: str, width: float) -> list[Any]:
    parts: list[Any] = []
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if not lines:
            continue
        level = len(lines[0]) - len(lines[0].lstrip("#"))
        if level:
            parts.append(Paragraph(_marked(lines[0][level:].strip()), HEADS[min(level, 2)]))
        elif lines[0].startswith("|"):
            parts += [_table(lines, width), Spacer(1, 4)]
        else:
            parts += [Paragraph(_marked(" ".join(lines)), BODY), Spacer(1, 6)]
    return parts


def _table(lines: list[str], width: float) -> Table:
    rows = [[cell.strip() for cell in line.strip()[2:-2].split(" | ")] for line in lines]
    head, body = rows[0], rows[2:]
    shown = [head, *body] if any(head) else body
    columns = max(len(row) for row in shown)
    cells = [[Paragraph(_marked(cell), SMALL) for cell in row + [""] * (columns - len(row))] for row in shown]
    longest = [
        max(min(60, max(len(row[i]) if i < len(row) else 0 for row in shown)), 8) for i in range(columns)
    ]
    table = Table(
        cells, colWidths=[width * share / sum(longest) for share in longest], repeatRows=1 if any(head) else 0
    )
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.lightgrey),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return table


def _marked(text: str) -> str:
    """Text for a paragraph, with the runs that our Latin font cannot draw in the wide one."""
    known = pdfmetrics.getFont(FONT).face.charToGlyph
    parts: list[str] = []
    for run in WIDE_RUNS.findall(ESCAPED.sub(r"\1", text).translate(PLAIN)):
        if WIDE_RUNS_ONLY.match(run):
            parts.append(f'<font name="{WIDE}">{escape(run)}</font>')
        else:
            parts.append(escape("".join(char if ord(char) in known else "?" for char in run)))
    return "".join(parts)
