"""The charts of an error analysis: kinds by how much they cost, and how the known kinds grew."""

from collections.abc import Sequence
from typing import Any

from evaluation.charts import ROW, Chart, Row, Vega, layered
from evaluation.charts_parts import interval, name_axis, said
from evaluation.errors.saturation import STOP, Saturation
from evaluation.errors.table import CategoryRow, Table
from labeling.estimates import Estimate

DRAWN = 14


def pareto_chart(table: Table) -> Chart | None:
    """Kinds of errors, the most expensive first: how much the metric can rise if each vanished, a tick at what it is
    sure to rise (failures with no other kind), and in the table what the first kinds explain together."""
    rows = sorted(
        (row for row in table.rows if row.ceiling), key=lambda row: -row.ceiling.value if row.ceiling else 0
    )
    if not rows:
        return None
    metric = table.found.metric.name
    values = [_value(row) for row in rows[:DRAWN]]
    y = name_axis("category")
    x = {"type": "quantitative", "axis": {"format": "~g"}, "scale": {"domainMin": 0, "nice": True}}
    bar = {"type": "bar", "height": {"band": 0.55}, "color": "var(--accent)", "opacity": 0.3, "tooltip": True}
    tick = {"type": "tick", "thickness": 2, "size": 15, "color": "var(--ink)"}
    title = f"points of {metric} at most; tick: sole cause"
    layers = [
        {"mark": bar, "encoding": {"y": y, "x": {"field": "value", "title": title, **x}}},
        interval(y, {"field": "low", **x}, width=1.5),
        {"mark": tick, "encoding": {"y": y, "x": {"field": "sole", **x}}},
        said(y, {"field": "high", **x}),
    ]
    head = f"What {table.analysis.target.name} would gain in {metric} if a kind of error vanished"
    return Chart(
        name="pareto",
        title=head,
        n_words=f"{len(table.reads):,} of {table.analysis.failing:,} failures read",
        spec=layered(head, values, layers, height=ROW * len(values)),
        columns=(
            "Category",
            "Read",
            "Ceiling, points",
            "Low",
            "High",
            "Sole cause, points",
            "Together with those above",
        ),
        rows=tuple(Row(cells) for cells in _cells(rows, table)),
    )


def _value(row: CategoryRow) -> Vega:
    assert row.ceiling is not None
    low, value, high = (100 * number for number in (row.ceiling.low, row.ceiling.value, row.ceiling.high))
    return {
        "category": row.name,
        "value": value,
        "low": low,
        "high": high,
        "sole": 100 * row.sole.value if row.sole else None,
        "read": row.read,
        "label": f"{row.read:,} read",
    }


def _cells(rows: Sequence[CategoryRow], table: Table) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    explained: set[int] = set()
    for row in rows:
        explained |= {read.id for read in table.reads if row.key in read.categories}
        together = f"{100 * len(explained) / len(table.reads):.0f} % of failures"
        sole = f"{100 * row.sole.value:.1f}" if row.sole else "not enough data"
        found.append((row.name, f"{row.read:,}", *_points(row.ceiling), sole, together))
    return found


def _points(estimate: Estimate | None) -> tuple[str, str, str]:
    if estimate is None:
        return "not enough data", "", ""
    return f"{100 * estimate.value:.1f}", f"{100 * estimate.low:.1f}", f"{100 * estimate.high:.1f}"


def saturation_chart(found: Saturation) -> Chart | None:
    """How many kinds were known after each failure; None with fewer than two."""
    if found.read < 2:
        return None
    steps = [
        (read, known)
        for place, (read, known) in enumerate(found.points)
        if place == found.read - 1 or not place or known != found.points[place - 1][1]
    ]
    values: list[Vega] = [{"read": read, "known": known} for read, known in steps]
    x = {
        "field": "read",
        "type": "quantitative",
        "title": "failures read",
        "axis": {"format": ",d", "tickMinStep": 1},
        "scale": {"domainMin": 0},
    }
    y = {
        "field": "known",
        "type": "quantitative",
        "title": "categories known",
        "axis": {"format": ",d", "tickMinStep": 1, "tickCount": 5},
        "scale": {"domainMin": 0},
    }
    layers: list[Any] = [
        {
            "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "color": "var(--accent)"},
            "encoding": {"x": x, "y": y},
        }
    ]
    head = "Categories known after so many failures"
    return Chart(
        name="saturation",
        title=head,
        n_words=f"n {found.read:,}, the rule asks for {STOP} without a new one",
        spec=layered(head, values, layers, height=130),
        columns=("Failures read", "Categories known"),
        rows=tuple(Row((f"{read:,}", f"{known:,}")) for read, known in steps),
    )
