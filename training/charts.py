"""Vega-Lite specs of this app's pages; pure functions of the data."""

from typing import Any

from labeling.charts import SCHEMA

Point = tuple[int, dict[str, float]]


def loss_chart(
    points: list[Point], *, name: str, method: str, total_steps: int | None
) -> dict[str, Any] | None:
    """Training loss by step with its table; None before the first two points."""
    rows = [{"step": step, "loss": values["loss"]} for step, values in points if "loss" in values]
    if len(rows) < 2:
        return None
    unit = "loss (nats a token)" if method == "sft" else f"{method.upper()} loss"
    scale = {"domain": [0, total_steps]} if total_steps else {}
    spec = {
        "$schema": SCHEMA,
        "title": f"Training loss of {name} by step, {len(rows)} points",
        "width": "container",
        "height": 240,
        "data": {"name": "rows", "values": rows},
        "layer": [
            {"mark": {"type": "line"}},
            {"mark": {"type": "point", "filled": True, "size": 18, "tooltip": True}},
        ],
        "encoding": {
            "x": {"field": "step", "type": "quantitative", "title": "step", "scale": scale},
            "y": {
                "field": "loss",
                "type": "quantitative",
                "title": unit,
                "scale": {"zero": False},
            },
        },
    }
    table = [[row["step"], f"{row['loss']:.4f}"] for row in rows]
    return {
        "spec": spec,
        "table": {"columns": ["Step", unit.capitalize() if method == "sft" else unit], "rows": table},
    }


def choice_map(points: list[dict[str, Any]], *, chosen: int, rows: int) -> dict[str, Any] | None:
    """Rows as points of a plane, near where their texts are alike; the chosen ones filled. None with fewer than two."""
    if len(points) < 2:
        return None
    axis = {"type": "quantitative", "axis": None, "scale": {"zero": False}}
    layers = [
        {
            "transform": [{"filter": f"{'' if taken else '!'}datum.chosen"}],
            "mark": {
                "type": "point",
                "filled": taken,
                "size": 26 if taken else 18,
                "opacity": 1 if taken else 0.4,
            },
        }
        for taken in (False, True)
    ]
    spec = {
        "$schema": SCHEMA,
        "title": "Rows by how alike they are; the chosen ones are filled",
        "width": "container",
        "height": 320,
        "data": {"name": "rows", "values": points},
        "layer": layers,
        "encoding": {
            "x": {"field": "x", **axis},
            "y": {"field": "y", **axis},
            "tooltip": [{"field": "row", "title": "row"}, {"field": "chosen", "title": "chosen"}],
        },
    }
    table = [
        [p["row"], f"{p['x']:.3f}", f"{p['y']:.3f}", "yes" if p["chosen"] else "no"] for p in points[:200]
    ]
    shown = (
        f"{len(points):,} of {rows:,} rows, {sum(p['chosen'] for p in points):,} of {chosen:,} chosen ones"
    )
    columns = ["Row", "First component", "Second component", "Chosen"]
    return {"spec": spec, "n_words": shown, "table": {"columns": columns, "rows": table}}


def distance_chart(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """How far each chosen row is from those chosen before it: where the line is flat, more rows add little."""
    if len(rows) < 2:
        return None
    spec = {
        "$schema": SCHEMA,
        "title": "Distance of each chosen row to those chosen before it",
        "width": "container",
        "height": 320,
        "data": {"name": "rows", "values": rows},
        "mark": {"type": "line", "tooltip": True},
        "encoding": {
            "x": {"field": "pick", "type": "quantitative", "title": "chosen as number"},
            "y": {"field": "distance", "type": "quantitative", "title": "distance (1 - cosine)"},
        },
    }
    table = [[row["pick"], f"{row['distance']:.4f}"] for row in rows[:: max(1, len(rows) // 100)]]
    return {"spec": spec, "table": {"columns": ["Chosen as number", "Distance"], "rows": table}}
