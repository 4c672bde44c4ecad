"""Vega-Lite specs of this app's pages; pure functions of the data."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from labeling.estimates import Estimate

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def judgments_chart(
    days: list[tuple[date, int]], *, title: str = "", today: date | None = None
) -> dict[str, Any] | None:
    """Judgments a day as bars, that of today lighter because it is not over; None while there is none."""
    if not days:
        return None
    spec = {
        "$schema": SCHEMA,
        "title": title or f"Judgments a day, {sum(count for _, count in days):,} in all",
        "width": "container",
        "height": 155,
        "data": {
            "name": "rows",
            "values": [
                {"day": day.isoformat(), "judgments": count, "what": "so far" if day == today else "full day"}
                for day, count in days
            ],
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
                "title": None,
                "axis": {"tickMinStep": 1},
            },
            "fillOpacity": {
                "condition": {"test": "datum.what == 'so far'", "value": 0.45},
                "value": 1,
            },
        },
    }
    rows = [[day.isoformat(), f"{count:,}" + (" so far" if day == today else "")] for day, count in days]
    return {"spec": spec, "table": {"columns": ["Day", "Judgments"], "rows": rows}}


def interval_chart(
    rows: Sequence[tuple[str, Estimate | None]],
    *,
    title: str,
    baseline: float | None = None,
    words: str = "",
    share: bool = True,
) -> dict[str, Any] | None:
    """An estimate for each name: intervals first, then points, and a dashed line that `words` explain at `baseline`.

    Shares are drawn as per cent. Names without an estimate are left out; None where none is left.
    """
    known = [(name, estimate) for name, estimate in rows if estimate is not None]
    if not known:
        return None
    scale = {"domain": [0, 1]} if share else {"zero": True, "nice": True}
    x = {"type": "quantitative", "axis": {"format": ".0%" if share else ".1f"}, "scale": scale}
    y = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 140}}
    under = f"dashed: {words}" if words else None
    layers = [
        _rule(y, {"field": "low", "title": under, **x}, strokeWidth=3, opacity=0.45),
        {
            "mark": {"type": "point", "filled": True, "size": 80, "tooltip": True, "opacity": 1},
            "encoding": {"y": y, "x": {"field": "value", **x}},
        },
    ]
    if baseline is not None:
        dashed = {"type": "rule", "strokeDash": [4, 4], "opacity": 0.8}
        layers.insert(0, {"mark": dashed, "encoding": {"x": {"datum": baseline, "type": "quantitative"}}})
    spec = {
        "$schema": SCHEMA,
        "title": title,
        "width": "container",
        "height": 28 * len(known),
        "data": {
            "name": "rows",
            "values": [
                {"name": name, "value": e.value, "low": e.low, "high": e.high, "n": e.n} for name, e in known
            ],
        },
        "layer": layers,
    }
    form = "{:.1%}" if share else "{:.2f}"
    table = [[name, *(form.format(v) for v in (e.value, e.low, e.high)), f"{e.n:,}"] for name, e in known]
    return {
        "spec": spec,
        "n_words": _n_words([e.n for _, e in known]),
        "table": {"columns": ["Name", "Value", "Low", "High", "n"], "rows": table},
    }


def _rule(y: dict[str, Any], x: dict[str, Any], **mark: Any) -> dict[str, Any]:
    return {"mark": {"type": "rule", **mark}, "encoding": {"y": y, "x": x, "x2": {"field": "high"}}}


def _n_words(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"n {low:,}" if low == high else f"n {low:,} to {high:,}"
