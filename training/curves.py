"""Lines by step, as Vega-Lite specs: pure functions of the series of one run or of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labeling.charts import SCHEMA
from training.series import MEMORY, Series, smoothed

TABLE_ROWS = 100
SMOOTHED_FROM = 20  # points; with fewer, each stands for itself
FILLED = [("smooth", "datum.y"), ("low", "datum.y"), ("high", "datum.y"), ("n", "1")]  # what a row leaves out
DOTS_UP_TO = 60  # points that are also drawn as dots
DASHES = [[1, 0], [7, 3], [2, 3], [10, 3, 2, 3], [5, 2], [1, 4], [12, 4], [4, 2, 1, 2]]
COLORS = [
    f"var(--{name})" for name in ("accent", "rejected", "running", "warn", "chosen", "tie", "danger", "ink-2")
]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart of a run: which series it shows, where there is one of them."""

    key: str
    title: str
    unit: str
    lines: tuple[
        tuple[str, str, tuple[str, ...]], ...
    ]  # label, type of event, names that the series may have
    smooth: bool = True
    share: bool = False
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """One series in a chart, by step or by share of the run."""

    label: str
    series: Series
    smooth: bool
    span: float = 1.0  # what a step is divided by


def line_chart(
    figure: Figure, lines: Sequence[Line], *, labels: list[str], unit: str, axis: str, most: float | None
) -> dict[str, Any]:
    """Lines by step: what was measured faint with its band, smoothed over it; each line has its dash and its name."""
    places = range(len(lines)) if len(labels) > 1 else [None]
    rows = [
        row
        for line, place in zip(lines, places, strict=True)
        for row in _rows(line, figure.scale, place=place)
    ]
    spec = {
        "$schema": SCHEMA,
        "title": f"{figure.title}, by {axis}",
        "width": "container",
        "height": 240 if figure.key.startswith("loss") else 160,
        "data": {"name": "rows", "values": rows},
        "encoding": {
            "x": {
                "field": "x",
                "type": "quantitative",
                "title": axis,
                "scale": {"domain": [0, most], "nice": False} if most else {"zero": False},
                "axis": {"format": "%" if axis != "step" else ",d"},
            },
            "color": _by_name(labels, COLORS),
        },
        "transform": [
            {"calculate": f"isValid(datum.{name}) ? datum.{name} : {other}", "as": name}
            for name, other in FILLED
        ],
        "layer": _layers(unit, labels, share=figure.share),
    }
    return {
        "spec": spec,
        "id": figure.key,
        "n_words": _words(lines, axis),
        "table": _table(lines, figure.scale, axis),
    }


def _by_name(labels: list[str], values: list[Any]) -> dict[str, Any]:
    scale = {"domain": labels, "range": [values[n % len(values)] for n in range(len(labels))]}
    return {"field": "s", "type": "nominal", "legend": None, "scale": scale}


def _layers(unit: str, labels: list[str], *, share: bool) -> list[dict[str, Any]]:
    """Always the same layers, so that new points move a drawing and do not begin it anew."""
    y: dict[str, Any] = {"type": "quantitative", "title": unit}
    y |= {"scale": {"domain": [0, 1]}, "axis": {"format": "%"}} if share else {"scale": {"zero": False}}
    dash = {"strokeDash": _by_name(labels, DASHES)}
    tooltip = [
        {"field": "s", "title": "series"},
        {"field": "x", "title": "at"},
        {"field": "y", "title": unit, "format": ".4~g"},
        {"field": "n", "title": "points"},
    ]
    zoom = {
        "select": {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.ctrlKey]"},
        "bind": "scales",
    }
    return [
        {
            "params": [{"name": "zoom", **zoom}],
            "mark": {"type": "area", "opacity": 0.14, "clip": True},
            "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.5, "clip": True},
            "encoding": {"y": {"field": "y", **y}},
        },
        {
            "mark": {"type": "line", "strokeWidth": 2, "clip": True},
            "encoding": {"y": {"field": "smooth", **y}, **dash},
        },
        {
            "transform": [{"filter": "datum.dot"}],
            "mark": {"type": "point", "filled": True, "size": 18, "clip": True},
            "encoding": {"y": {"field": "y", **y}, "tooltip": tooltip},
        },
        {
            "transform": [{"filter": "isValid(datum.name)"}],
            "mark": {"type": "text", "align": "right", "dx": -4, "dy": -9},
            "encoding": {"y": {"field": "smooth", **y}, "text": {"field": "name"}},
        },
    ]


def _rows(line: Line, scale: float, *, place: int | None) -> list[dict[str, Any]]:
    groups = list(line.series)
    means = [group.mean for group in groups]
    smooth = smoothed(means) if line.smooth and len(means) >= SMOOTHED_FROM else means
    dots = len(groups) <= DOTS_UP_TO
    rows: list[dict[str, Any]] = []
    for group, mean in zip(groups, smooth, strict=True):
        at = _short(group.step / line.span) if line.span != 1.0 else group.step
        row: dict[str, Any] = {"s": line.label, "x": at, "y": _short(group.mean * scale)}
        if mean != group.mean:
            row["smooth"] = _short(mean * scale)
        if group.n > 1:
            row |= {"low": _short(group.low * scale), "high": _short(group.high * scale), "n": group.n}
        if dots:
            row["dot"] = 1
        rows.append(row)
    if rows and place is not None:  # names stand at different places, or lines that end together hide them
        rows[round((len(rows) - 1) * (1 - 0.1 * place))]["name"] = line.label
    return rows


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _words(lines: Sequence[Line], axis: str) -> str:
    """How many points, and what was done to them before they were drawn."""
    counts = [f"{line.series.n:,} {line.label} points".replace("  ", " ") for line in lines]
    said = [", ".join(counts)]
    if thinned := [line.series.width for line in lines if line.series.is_thinned]:
        said.append(f"drawn in groups of {max(thinned):,} steps: mean, and a band from least to greatest")
    if any(line.smooth and len(line.series.groups) >= SMOOTHED_FROM for line in lines):
        said.append(f"thick line: exponential mean over {MEMORY} {'groups' if thinned else 'points'}")
    return "; ".join(said)


def _table(lines: Sequence[Line], scale: float, axis: str) -> dict[str, Any]:
    """The means by step, at most TABLE_ROWS of them and the last one always."""
    cells: dict[float, dict[int, str]] = {}
    for column, line in enumerate(lines):
        for group in line.series:
            cells.setdefault(group.step / line.span, {})[column] = f"{group.mean * scale:.5g}"
    steps = sorted(cells)
    every = -(-len(steps) // TABLE_ROWS) or 1
    kept = [step for n, step in enumerate(reversed(steps)) if n % every == 0][::-1]
    form = "{:,.0f}" if axis == "step" else "{:.1%}"
    rows = [[form.format(step), *(cells[step].get(n, "") for n in range(len(lines)))] for step in kept]
    return {
        "columns": [axis.capitalize(), *(line.label.capitalize() or "Value" for line in lines)],
        "rows": rows,
    }
