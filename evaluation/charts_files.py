"""A chart as a file: SVG and PNG as the page draws it in the light, and its numbers as CSV."""

import csv
import io
import re
from functools import cache
from threading import Lock
from typing import Any

from django.conf import settings

from evaluation.charts import Chart

FORMATS = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv; charset=utf-8"}
WIDTH, SCALE = 680, 2.0
TOKEN = re.compile(r"--([\w-]+):\s*light-dark\((#\w+),")
NAMED = re.compile(r"var\(--([\w-]+)\)")
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
drawing = Lock()  # the library draws one at a time


def as_file(chart: Chart, format: str) -> bytes:
    """The chart in one of FORMATS."""
    if format == "csv":
        return as_csv(chart)
    import vl_convert  # large: only here and where it is taken apart for the pages

    with drawing:
        if format == "png":
            return bytes(vl_convert.vegalite_to_png(still(chart), vl_version="6.4", scale=SCALE))
        return str(vl_convert.vegalite_to_svg(still(chart), vl_version="6.4")).encode()


def as_csv(chart: Chart) -> bytes:
    """The numbers that are drawn, one row a mark."""
    out = io.StringIO()
    values = chart.values
    names = list(dict.fromkeys(name for row in values for name in row))
    writer = csv.DictWriter(out, fieldnames=names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: safe(value) for name, value in row.items()} for row in values)
    return out.getvalue().encode()


def safe(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def still(chart: Chart) -> dict[str, Any]:
    """The spec with its title, a width of its own, the colours of the light page, and no links."""
    spec = coloured(chart.spec)
    words = [f"{chart.title}", chart.n_words]
    for layer in spec.get("layer", [spec]):
        layer["encoding"].pop("href", None)
    return {
        **spec,
        "width": WIDTH,
        "title": {"text": words[0], "subtitle": words[1], "anchor": "start", "frame": "group"},
        "padding": 16,
        "background": colours()["paper"],
        "config": coloured(theme()),
    }


def theme() -> dict[str, Any]:
    """The look of static/js/chart.js."""
    axis = {"tickColor": "var(--line)", "domainColor": "var(--line-strong)", "gridColor": "var(--line)"}
    text = {
        "labelColor": "var(--ink-2)",
        "titleColor": "var(--ink-2)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
    }
    return {
        "font": FONT,
        "view": {"stroke": None},
        "title": {"color": "var(--ink)", "subtitleColor": "var(--ink-2)", "fontSize": 14, "offset": 14},
        "axis": {**text, **axis, "labelLimit": 220},
        "axisY": {"domain": False, "ticks": False},
        "axisX": {"grid": False},
        "text": {"color": "var(--ink)", "fontSize": 12},
        "mark": {"color": "var(--accent)"},
        "rule": {"color": "var(--baseline)"},
    }  # fmt: skip


def coloured(part: Any) -> Any:
    """The same with names of colours replaced by what they are on a light page."""
    if isinstance(part, dict):
        return {name: coloured(value) for name, value in part.items()}
    if isinstance(part, list):
        return [coloured(value) for value in part]
    if isinstance(part, str) and (found := NAMED.fullmatch(part)):
        return colours()[found[1]]
    return part


@cache
def colours() -> dict[str, str]:
    """The light colour of each name in static/css/tokens.css."""
    text = (settings.ROOT / "static" / "css" / "tokens.css").read_text(encoding="utf-8")
    return dict(TOKEN.findall(text))
