"""Vega-Lite specs of what changed in a checkpoint's weights; pure functions of the data."""

import math
from collections.abc import Sequence
from typing import Any

from labeling.charts import SCHEMA

Row = dict[str, Any]
HIGH_USE, LOW_USE = 0.85, 0.3
NOT_KNOWN = "not known"


def change_chart(modules: Sequence[Row], *, name: str) -> dict[str, Any] | None:
    """Relative change by layer as bars, with each of its matrices as a point; None where no layer is known."""
    known = [row for row in modules if row["layer"] is not None and row["relative"] is not None]
    if not known:
        return None
    layers = sorted({row["layer"] for row in known})
    bars = [{"layer": layer, "part": "whole layer", "change": _whole(known, layer)} for layer in layers]
    points = [{"layer": row["layer"], "part": row["part"], "change": row["relative"]} for row in known]
    spec = _layered(
        bars + points,
        y={"field": "change", "type": "quantitative", "title": "size of change / size of weights"},
        layers=[
            {
                "transform": [{"filter": "datum.part == 'whole layer'"}],
                "mark": {"type": "bar", "opacity": 0.35, "tooltip": True, "width": {"band": 0.6}},
            },
            {
                "transform": [{"filter": "datum.part != 'whole layer'"}],
                "mark": {"type": "point", "size": 36, "tooltip": True},
            },
        ],
        title=f"How much each layer of {name} changed: bars whole layers, points their matrices",
    )
    return {"spec": spec, "n_words": _count(len(known), len(layers)), "table": _table(modules)}


def rank_chart(modules: Sequence[Row], *, name: str) -> dict[str, Any] | None:
    """How much of an adapter's rank its change needs, a point for each matrix; None without adapter."""
    known = [row for row in modules if row["use"] is not None and row["layer"] is not None]
    if not known:
        return None
    spec = _layered(
        [{"layer": row["layer"], "part": row["part"], "use": row["use"]} for row in known],
        y={
            "field": "use",
            "type": "quantitative",
            "title": "share of the rank that is used",
            "scale": {"domain": [0, 1]},
            "axis": {"format": ".0%"},
        },
        layers=[{"mark": {"type": "point", "size": 36, "tooltip": True}}],
        title=f"How much of its rank {name} uses: dashed lines at 30 % and 85 %",
    )
    spec["layer"] += [
        {
            "data": {"values": [{}]},
            "mark": {"type": "rule", "strokeDash": [4, 3]},
            "encoding": {"y": {"datum": limit}},
        }
        for limit in (LOW_USE, HIGH_USE)
    ]
    return {
        "spec": spec,
        "n_words": _count(len(known), len({row["layer"] for row in known})),
        "table": _table(known),
    }


def change_sentence(deltas: dict[str, Any]) -> str:
    """What the measurement means, in words."""
    rows = deltas["modules"]
    if deltas["relative"] is None:
        return "How large the weights were before is not known, so the change has no scale."
    if not deltas["norm"]:
        return "Nothing changed: these weights are those they stand on."
    largest = max((row for row in rows if row["relative"] is not None), key=lambda row: row["relative"])
    said = (
        f"The change is {_percent(deltas['relative'])} of the size of the weights it touches; most of all "
        f"{largest['module']} moved, by {_percent(largest['relative'])}."
    )
    use = deltas["use"]
    if use is None:
        return said
    ranks = sorted({row["rank"] for row in rows if row["rank"]})
    rank = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    said += f" On average {_percent(use)} of the rank {rank} holds 90 % of the change"
    if use >= HIGH_USE:
        return f"{said}: it is nearly full. A higher rank may learn more."
    if use < LOW_USE:
        return f"{said}: a lower rank would do, and be smaller and faster."
    return f"{said}: the rank suits what was learned."


def _layered(rows: list[Row], *, y: Row, layers: list[Row], title: str) -> Row:
    encoding = {
        "x": {
            "field": "layer",
            "type": "ordinal",
            "title": "layer",
            "axis": {"labelAngle": 0, "labelOverlap": True},
        },
        "y": y,
        "tooltip": [{"field": "layer"}, {"field": "part"}, {"field": y["field"], "format": ".3f"}],
    }
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": "container",
        "height": 220,
        "data": {"name": "rows", "values": rows},
        "layer": [{**layer, "encoding": encoding} for layer in layers],
    }


def _whole(rows: Sequence[Row], layer: int) -> float:
    own = [row for row in rows if row["layer"] == layer]
    size = math.sqrt(sum(row["weight"] ** 2 for row in own))
    return math.sqrt(sum(row["norm"] ** 2 for row in own)) / size


def _count(matrices: int, layers: int) -> str:
    return f"{matrices:,} tensors of {layers:,} layer{'s' if layers > 1 else ''}"


def _table(rows: Sequence[Row]) -> Row:
    columns = ["Module", "Change", "Of the weights", "Effective rank", "Stable rank", "90 % in", "Of rank"]
    return {
        "columns": columns,
        "rows": [
            [
                row["module"],
                f"{row['norm']:.4g}",
                NOT_KNOWN if row["relative"] is None else _percent(row["relative"]),
                *(
                    NOT_KNOWN if row[key] is None else f"{row[key]:.1f}"
                    for key in ("effective_rank", "stable_rank")
                ),
                *(NOT_KNOWN if row[key] is None else f"{row[key]:,}" for key in ("k90", "rank")),
            ]
            for row in rows
        ],
    }


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
