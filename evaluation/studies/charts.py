"""The boundaries of a study and the looks that were taken, drawn and as a table."""

from collections.abc import Sequence
from typing import Any

from evaluation.charts import Chart, Mark, Row, dots_chart
from evaluation.charts_parts import ONCE, SPOKEN, Line
from evaluation.models import Study, StudyLook
from evaluation.scorers.base import Scale
from evaluation.sheets import Metric
from evaluation.studies.design import level_of, read_design
from evaluation.studies.results import Result
from labeling.charts import SCHEMA

HIGHEST = 6.0
WORD = {"type": "text", "fontSize": 12, "color": "var(--ink-2)"}
TICK = {"type": "tick", "orient": "horizontal", "thickness": 2, "size": 14, "color": "var(--baseline)"}
ZERO = {"type": "rule", "color": "var(--line-strong)"}
DOT = {"type": "point", "filled": True, "size": 90, "opacity": 1, "tooltip": True, "color": "var(--accent)"}
RATE = Metric("Win rate", "Win rate", Scale.SHARE, True)


def boundary_chart(study: Study, looks: Sequence[StudyLook]) -> Chart | None:
    """Z of each look against the boundary, which goes on to the looks that are still planned; None without any."""
    from evaluation.statistics.sequential import boundaries  # brings SciPy

    design, names = read_design(study.design), study.names
    times = [look.fraction for look in looks]
    if not study.closed_as:
        times += design.looks_after(times[-1] if times else 0.0)
    if not times:
        return None
    bounds = boundaries(times, alpha=level_of(design, len(names)), spending=design.spending)
    values: list[dict[str, Any]] = [
        {"what": "boundary", "share": time, "upper": min(bound, HIGHEST), "lower": -min(bound, HIGHEST)}
        for time, bound in zip(times, bounds, strict=True)
    ]
    values[-1] |= {"what": "last", "bound": f"±{bounds[-1]:.2f}"}
    values += [point for look in looks for point in _points(look, names)]
    top = max(abs(row.get("z", row.get("upper", 0.0))) for row in values) + 0.6
    title = "Evidence at each look, and the boundary it must pass to stop"
    return Chart(
        name="boundaries",
        title=title,
        n_words=f"{len(looks)} of {len(times)} looks taken",
        spec={
            "$schema": SCHEMA,
            "title": title,
            "width": "container",
            "height": 240,
            "data": {"name": "rows", "values": values},
            "layer": _layers(top, several=len(names) > 2),
        },
        columns=("Look", "Share of prompts", "Boundary", "Z"),
        rows=tuple(_rows(times, bounds, looks)),
    )


def rates_chart(result: Result, title: str) -> Chart | None:
    """The win rate of each pair of models; the line is where neither is preferred."""
    marks = [Mark(f"{one.first} against {one.second}", one.rate, SPOKEN) for one in result.pairs]
    return dots_chart(marks, RATE, title=title, lines=[Line(0.5, "neither")], name="rates")


def _layers(top: float, *, several: bool) -> list[dict[str, Any]]:
    axis = {"axis": {"format": ".0%", "values": [0, 0.25, 0.5, 0.75, 1]}, "scale": {"domain": [0, 1.15]}}
    x = {"field": "share", "type": "quantitative", "title": "share of the planned prompts", **axis}
    y = {"type": "quantitative", "title": "Z (above 0: first preferred)", "scale": {"domain": [-top, top]}}
    edge = {"color": "var(--baseline)", "strokeWidth": 2}
    layers: list[dict[str, Any]] = [
        {"data": ONCE, "mark": ZERO, "encoding": {"y": {"datum": 0, "type": "quantitative"}}}
    ]
    known = {"transform": [{"filter": "datum.what !== 'look'"}]}
    for side in ("upper", "lower"):
        at = {"x": x, "y": {"field": side, **y}}
        layers += [
            {**known, "mark": {"type": "line", "strokeDash": [5, 3], **edge}, "encoding": at},
            {**known, "mark": TICK, "encoding": at},
        ]
    last = {"transform": [{"filter": "datum.what === 'last'"}]}
    word = {**WORD, "align": "center", "dy": -10}
    above = {"x": x, "y": {"field": "upper", **y}, "text": {"field": "bound", "type": "nominal"}}
    shown = {"transform": [{"filter": "datum.what === 'look'"}]}
    at = {"x": x, "y": {"field": "z", **y}}
    legend = {"orient": "bottom", "title": None, "columns": 3, "labelLimit": 240} if several else None
    shape = {"field": "pair", "type": "nominal", "legend": legend}
    told = {**WORD, "align": "left", "dx": 8}
    return [
        *layers,
        {**last, "mark": word, "encoding": above},
        {**shown, "mark": DOT, "encoding": {**at, "shape": shape}},
        {**shown, "mark": told, "encoding": {**at, "text": {"field": "label", "type": "nominal"}}},
    ]


def _points(look: StudyLook, names: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for first, second, z in look.zs:
        name = f"{names[first]} against {names[second]}"
        shown = {"z": max(-HIGHEST, min(HIGHEST, z)), "pair": name, "label": f"{look.number}"}
        found.append({"what": "look", "share": look.fraction, **shown})
    return found


def _rows(times: Sequence[float], bounds: Sequence[float], looks: Sequence[StudyLook]) -> list[Row]:
    found = []
    for number, (time, bound) in enumerate(zip(times, bounds, strict=True)):
        look = looks[number] if number < len(looks) else None
        zs = ", ".join(f"{z:+.2f}" for *_, z in look.zs) if look else "–"
        name = f"{number + 1}" if look else f"{number + 1}, planned"
        words = f"±{bound:.3f}" if bound < HIGHEST + 2 else "none: too early to stop"
        found.append(Row((name, f"{100 * time:.0f} %", words, zs)))
    return found
