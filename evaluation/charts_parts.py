"""The layers that charts are put together from: intervals, points, words beside them, lines to see them against."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.sheets import Metric

LABEL = 165
BASELINE, SPOKEN, OTHER = "baseline", "spoken of", "other"
ONCE: dict[str, Any] = {"values": [{}]}  # for what stands for no row, and is drawn once
BETTER, WORSE, OPEN = "better", "worse", "open"
LOOKS = {
    BASELINE: ("diamond", "var(--baseline)"),
    SPOKEN: ("circle", "var(--accent)"),
    OTHER: ("circle", "var(--ink-2)"),
    BETTER: ("triangle-up", "var(--chosen)"),
    WORSE: ("triangle-down", "var(--rejected)"),
    OPEN: ("circle", "var(--ink-2)"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A value that all others are seen against, with the word that stands at it."""

    value: float
    words: str
    dash: list[int] = field(default_factory=lambda: [4, 3])


def number_format(metric: Metric) -> str:
    return ".0%" if metric.is_bounded else ",~f"


def axis_title(metric: Metric) -> str:
    unit = f" in {metric.unit}" if metric.unit else ""
    return f"{metric.name}{unit} ({'more' if metric.higher_is_better else 'less'} is better)"


def delta_axis_title(metric: Metric) -> str:
    better = f"{'right' if metric.higher_is_better else 'left'} is better"
    if metric.is_ratio:
        return f"{metric.name}, times the baseline’s ({better})"
    unit = "points" if metric.is_bounded else metric.unit or metric.name
    return f"difference in {unit} ({better})"


def name_axis(field_name: str) -> dict[str, Any]:
    axis = {"labelLimit": LABEL, "labelPadding": 8}
    return {"field": field_name, "type": "nominal", "sort": None, "title": None, "axis": axis}


def interval(y: dict[str, Any], x: dict[str, Any], width: float = 3) -> dict[str, Any]:
    mark = {
        "type": "rule",
        "strokeWidth": width,
        "opacity": 0.55 if width >= 3 else 0.9,
        "strokeCap": "round",
    }
    return {"mark": mark, "encoding": {"y": y, "x": x, "x2": {"field": "high"}}}


def shapes(roles: Sequence[str]) -> dict[str, Any]:
    """The shape and the colour of each role: never the colour alone."""
    found: dict[str, Any] = {}
    for channel, place in (("shape", 0), ("color", 1)):
        scale = {"domain": list(roles), "range": [LOOKS[role][place] for role in roles]}
        found[channel] = {"field": "role", "type": "nominal", "legend": None, "scale": scale}
    return found


def points(
    y: dict[str, Any], x: dict[str, Any], roles: Sequence[str], name: str, *, hollow: bool = False
) -> dict[str, Any]:
    """Points with their looks; where `hollow`, those that are open are outlines."""
    tooltip = [
        {"field": name},
        *({"field": each, "format": ".4~g"} for each in ("value", "low", "high")),
        {"field": "n"},
    ]
    fill: dict[str, Any] = {}
    if hollow:
        fill = {"fillOpacity": {"condition": {"test": f"datum.role == '{OPEN}'", "value": 0}, "value": 1}}
    return {
        "mark": {"type": "point", "filled": True, "size": 85, "opacity": 1, "strokeWidth": 1.5, "strokeOpacity": 1},
        "encoding": {
            "y": y, "x": x, **shapes(roles), **fill,
            "stroke": shapes(roles)["color"], "tooltip": tooltip, "href": {"field": "url", "type": "nominal"},
        },
    }  # fmt: skip


def hrefs(values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"href": {"field": "url", "type": "nominal"}} if any("url" in value for value in values) else {}


def said(y: dict[str, Any], x: dict[str, Any]) -> dict[str, Any]:
    """The number itself, to the right of its interval."""
    mark = {"type": "text", "align": "left", "dx": 7, "fontSize": 12, "color": "var(--ink-2)"}
    return {"mark": mark, "encoding": {"y": y, "x": x, "text": {"field": "label", "type": "nominal"}}}


def upright(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Lines from top to bottom with their words above the drawing, one row each, on the side that has room for them."""
    layers: list[dict[str, Any]] = []
    for row, line in enumerate(lines):
        at = {"x": {"datum": line.value, "type": "quantitative"}}
        rule = {"type": "rule", "strokeDash": line.dash, "opacity": 0.9, "color": "var(--line-strong)"}
        layers.append({"data": ONCE, "mark": rule, "encoding": at})
        if line.words:
            right = f"scale('x', {line.value}) > width / 2"
            text = {
                "type": "text",
                "y": -3 - 13 * row,
                "baseline": "bottom",
                "fontSize": 11,
                "color": "var(--ink-2)",
                "align": {"expr": f"{right} ? 'right' : 'left'"},
                "dx": {"expr": f"{right} ? -3 : 3"},
            }
            layers.append({"data": ONCE, "mark": text, "encoding": {**at, "text": {"value": line.words}}})
    return layers
