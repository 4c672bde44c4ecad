"""Vega-Lite specs of this app's pages; pure functions of the data."""

from typing import Any

from labeling.charts import SCHEMA
from labeling.estimates import Estimate


def accuracy_chart(rows: list[tuple[str, Estimate | None]], *, title: str) -> dict[str, Any] | None:
    """Preference accuracy of each checkpoint: intervals first, then points, and the line at which a coin would be."""
    known = [(name, estimate) for name, estimate in rows if estimate is not None]
    if not known:
        return None
    values = [
        {"checkpoint": name, "accuracy": e.value, "low": e.low, "high": e.high, "n": e.n} for name, e in known
    ]
    y = {"field": "checkpoint", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 140}}
    x = {"type": "quantitative", "axis": {"format": ".0%"}, "scale": {"zero": False, "padding": 12}}
    spec = {
        "$schema": SCHEMA,
        "title": f"{title}, n {known[0][1].n:,}",
        "width": "container",
        "height": 48 * len(known),
        "data": {"name": "rows", "values": values},
        "layer": [
            {
                "mark": {"type": "rule", "strokeDash": [4, 4], "opacity": 0.7},
                "encoding": {"x": {"datum": 0.5, "type": "quantitative"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.45},
                "encoding": {
                    "y": y,
                    "x": {"field": "low", "title": "preference accuracy (dashed: a coin)", **x},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "tooltip": True, "opacity": 1},
                "encoding": {"y": y, "x": {"field": "accuracy", **x}},
            },
        ],
    }
    table = [[name, f"{e.value:.1%}", f"{e.low:.1%}", f"{e.high:.1%}", e.n] for name, e in known]
    return {"spec": spec, "table": {"columns": ["Checkpoint", "Accuracy", "Low", "High", "n"], "rows": table}}
