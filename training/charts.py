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
