"""Vega-Lite specs of this app's pages; pure functions of the data. Intervals are drawn before points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.charts_parts import (
    BASELINE,
    BETTER,
    OPEN,
    OTHER,
    SPOKEN,
    WORSE,
    Line,
    axis_title,
    delta_axis_title,
    hrefs,
    interval,
    name_axis,
    number_format,
    points,
    said,
    shapes,
    upright,
)
from evaluation.sheets import Metric
from labeling.charts import SCHEMA
from labeling.estimates import Estimate

Vega = dict[str, Any]
ROW = 26
HIDDEN = ("url", "role", "label", "line")  # what a drawing needs and a file of numbers does not


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a chart's table; `url` leads to the cases behind it."""

    cells: tuple[str, ...]
    url: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, what it shows and of how many, and the same numbers as a table."""

    name: str
    title: str
    n_words: str
    spec: dict[str, Any]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def table(self) -> dict[str, Any]:
        """The table as components/chart.html takes it."""
        return {"columns": self.columns, "rows": [row.cells for row in self.rows]}

    @property
    def values(self) -> list[dict[str, Any]]:
        """The numbers that are drawn, without what only the drawing needs."""
        rows: list[dict[str, Any]] = self.spec["data"]["values"]
        return [{name: row[name] for name in row if name not in HIDDEN} for row in rows]


@dataclass(frozen=True, slots=True)
class Mark:
    """One number of a chart. `at` is where it stands on a curve, or a count; `note` is a word more for its table;
    `expected` is what the number would be were nothing special about it."""

    name: str
    estimate: Estimate
    role: str = OTHER
    url: str = ""
    note: str = ""
    at: int = 0
    expected: float | None = None


def dots_chart(
    marks: Sequence[Mark], metric: Metric, *, title: str, lines: Sequence[Line] = (), name: str = "primary"
) -> Chart | None:
    """One number for each target, and lines at the baseline and at what people reach; None without a number."""
    if not marks:
        return None
    values = [_value(mark, "target") | {"label": number(metric, mark.estimate.value)} for mark in marks]
    y = name_axis("target")
    x = {
        "type": "quantitative",
        "axis": {"format": number_format(metric)},
        "scale": {"zero": False, "nice": True, "padding": 6},
    }
    layers = [
        *upright(lines),
        interval(y, {"field": "low", "title": axis_title(metric), **x}),
        points(y, {"field": "value", **x}, (BASELINE, SPOKEN, OTHER), "target"),
        said(y, {"field": "high", **x}),
    ]
    cells = [(m.name, *_three(metric, m.estimate), f"{m.estimate.n:,}", m.note) for m in marks]
    noted = any(mark.note for mark in marks)
    return Chart(
        name=name,
        title=title,
        n_words=n_words(marks),
        spec=layered(title, values, layers, height=ROW * len(marks)),
        columns=("Target", "Value", "Low", "High", "n") + (("Note",) if noted else ()),
        rows=_rows(cells if noted else [cell[:-1] for cell in cells], marks),
    )


def forest_chart(
    marks: Sequence[Mark], metric: Metric, *, title: str, most: int = 12, name: str = "slices"
) -> Chart | None:
    """Differences on slices around the line of no difference. A filled triangle is one that survives the correction
    for many slices; an open circle is not settled. The drawing has `most` slices, the table all."""
    if not marks:
        return None
    shown = marks[:most]
    by = 100 if metric.is_bounded else 1
    values = [_value(mark, "slice", by) | {"label": f"n {mark.estimate.n:,}"} for mark in shown]
    y = name_axis("slice")
    signed = "datum.value === 0 ? '0' : format(datum.value, '+')"
    axis = {"format": "~g"} if metric.is_ratio else {"labelExpr": signed}
    x = {"type": "quantitative", "scale": {"zero": False, "nice": True, "padding": 6}, "axis": axis}
    even = Line(1.0 if metric.is_ratio else 0.0, "", [])
    layers = [
        *upright([even]),
        interval(y, {"field": "low", "title": delta_axis_title(metric), **x}),
        points(y, {"field": "value", **x}, (BETTER, WORSE, OPEN), "slice", hollow=True),
        said(y, {"field": "high", **x}),
    ]
    cells = [(m.name, *_moved(metric, m.estimate), f"{m.estimate.n:,}", m.note) for m in marks]
    return Chart(
        name=name,
        title=title,
        n_words=n_words(marks),
        spec=layered(title, values, layers, height=max(ROW - 4, 20) * len(shown)),
        columns=("Slice", "Difference", "Low", "High", "n", "Corrected p"),
        rows=_rows(cells, marks),
    )


def causes_chart(marks: Sequence[Mark], *, title: str, of: str, most: int = 6) -> Chart | None:
    """What failing cases have in common, the commonest first: how many, with the interval of the share, and a tick at
    the share that all cases have of it: what reaches beyond its tick fails more often than the rest."""
    if not marks:
        return None
    shown = marks[:most]
    values = [
        _value(m, "cause") | {"cases": m.at, "label": f"{m.at:,}", "expected": m.expected} for m in shown
    ]
    y = name_axis("cause")
    x = {"type": "quantitative", "axis": {"format": ".0%"}, "scale": {"domainMin": 0, "nice": True}}
    bar = {
        "type": "bar",
        "height": {"band": 0.55},
        "color": "var(--rejected)",
        "opacity": 0.28,
        "tooltip": True,
    }
    tick = {"type": "tick", "thickness": 2, "size": 15, "color": "var(--ink)"}
    layers = [
        {"mark": bar, "encoding": {"y": y, "x": {"field": "value", "title": of, **x}, **hrefs(values)}},
        interval(y, {"field": "low", **x}, width=1.5),
        {"mark": tick, "encoding": {"y": y, "x": {"field": "expected", **x}}},
        said(y, {"field": "high", **x}),
    ]
    cells = [
        (m.name, f"{m.at:,}", *(f"{100 * v:.1f} %" for v in (*_numbers(m.estimate), m.expected or 0)))
        for m in marks
    ]
    return Chart(
        name="causes",
        title=title,
        n_words=f"n {marks[0].estimate.n:,}",
        spec=layered(title, values, layers, height=(ROW - 4) * len(shown)),
        columns=("What they share", "Cases", "Share", "Low", "High", "Of all cases"),
        rows=_rows(cells, marks),
    )


def curve_chart(marks: Sequence[Mark], metric: Metric, *, title: str) -> Chart | None:
    """The metric by how many judgments were behind each checkpoint: a band of intervals and a line through the newest
    one at each number, all others as points. None with fewer than two numbers."""
    if len({mark.at for mark in marks}) < 2:
        return None
    newest = {mark.at: mark for mark in marks}
    values = [
        _value(mark, "checkpoint")
        | {"judgments": mark.at, "line": newest[mark.at] is mark, "label": mark.name}
        for mark in marks
    ]
    x = {
        "field": "judgments",
        "type": "quantitative",
        "title": "judgments that it was trained on",
        "axis": {"format": ",d", "tickCount": 5, "tickMinStep": 1},
    }
    y = {
        "type": "quantitative",
        "scale": {"zero": False},
        "axis": {"format": number_format(metric), "tickCount": 4},
    }
    along = {"transform": [{"filter": "datum.line"}]}
    layers = [
        {**along, "mark": {"type": "area", "opacity": 0.14},
         "encoding": {"x": x, "y": {"field": "low", "title": None, **y}, "y2": {"field": "high"}}},
        {**along, "mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {"x": x, "y": {"field": "value", **y}}},
        {"mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.5},
         "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}}},
        {"mark": {"type": "point", "filled": True, "size": 55, "opacity": 1, "tooltip": True},
         "encoding": {"x": x, "y": {"field": "value", **y}, **shapes((BASELINE, SPOKEN, OTHER)), **hrefs(values)}},
    ]  # fmt: skip
    ordered = sorted(marks, key=lambda mark: mark.at)
    cells = [(m.name, f"{m.at:,}", *_three(metric, m.estimate), f"{m.estimate.n:,}") for m in ordered]
    return Chart(
        name="curve",
        title=title,
        n_words=f"{len(marks)} checkpoints, {n_words(marks)}",
        spec=layered(title, values, layers, height=130),
        columns=("Checkpoint", "Judgments", "Value", "Low", "High", "n"),
        rows=_rows(cells, ordered),
    )


def number(metric: Metric, value: float) -> str:
    """A value as its metric is read: 71.2 % or 12.31."""
    return f"{value * 100:.1f} %" if metric.is_bounded else f"{value:,.2f}"


def n_words(marks: Sequence[Mark]) -> str:
    counts = [mark.estimate.n for mark in marks]
    low, high = min(counts), max(counts)
    return f"n {low:,}" if low == high else f"n {low:,} to {high:,}"


def _value(mark: Mark, name: str, by: float = 1) -> dict[str, Any]:
    e = mark.estimate
    row = {
        name: mark.name,
        "value": e.value * by,
        "low": e.low * by,
        "high": e.high * by,
        "n": e.n,
        "role": mark.role,
    }
    return row | ({"url": mark.url} if mark.url else {})


def _numbers(e: Estimate) -> tuple[float, float, float]:
    return e.value, e.low, e.high


def _three(metric: Metric, e: Estimate) -> tuple[str, ...]:
    return tuple(number(metric, value) for value in _numbers(e))


def _moved(metric: Metric, e: Estimate) -> tuple[str, ...]:
    if metric.is_bounded:
        return tuple(f"{100 * value:+.1f}" for value in _numbers(e))
    return tuple(f"{value:.3f}" if metric.is_ratio else f"{value:+,.2f}" for value in _numbers(e))


def _rows(cells: Sequence[tuple[str, ...]], marks: Sequence[Mark]) -> tuple[Row, ...]:
    return tuple(Row(each, mark.url) for each, mark in zip(cells, marks, strict=True))


def layered(title: str, values: list[Vega], layers: list[Any], *, height: int) -> Vega:
    """A drawing of layers over inline rows, as wide as its place."""
    data = {"name": "rows", "values": values}
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": "container",
        "height": height,
        "data": data,
        "layer": layers,
    }
