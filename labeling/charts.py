"""Vega-Lite specs of this app's pages; pure functions of the data."""

from datetime import date
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def judgments_chart(days: list[tuple[date, int]]) -> dict[str, Any] | None:
    """Judgments a day as bars; None while there is none."""
    if not days:
        return None
    total = sum(count for _, count in days)
    spec = {
        "$schema": SCHEMA,
        "title": f"Judgments a day, {total:,} in all",
        "width": "container",
        "height": 160,
        "data": {
            "name": "rows",
            "values": [{"day": day.isoformat(), "judgments": count} for day, count in days],
        },
        "mark": {"type": "bar", "tooltip": True, "width": {"band": 0.7}},
        "encoding": {
            "x": {
                "field": "day",
                "type": "ordinal",
                "timeUnit": "yearmonthdate",
                "title": None,
                "axis": {"format": "%e %b", "labelAngle": 0, "labelOverlap": True},
            },
            "y": {
                "field": "judgments",
                "type": "quantitative",
                "title": "judgments",
                "axis": {"tickMinStep": 1},
            },
        },
    }
    rows = [[day.isoformat(), f"{count:,}"] for day, count in days]
    return {"spec": spec, "table": {"columns": ["Day", "Judgments"], "rows": rows}}
