"""The charts of an error analysis: kinds by how much they cost, and how the known kinds grew."""

from collections.abc import Iterator, Mapping, Sequence

from evaluation.charts import ROW, Chart, Row, Vega, layered
from evaluation.charts_parts import hrefs, interval, name_axis, said
from evaluation.errors.saturation import STOP, Saturation
from evaluation.errors.table import CategoryRow, Read, Table, dearest

DRAWN = 14
NOWHERE: Mapping[str, str] = {}
NUMBERS = ("value", "low", "high", "sole")


def pareto_chart(table: Table, urls: Mapping[str, str] = NOWHERE) -> Chart | None:
    """Kinds of errors of the model, the most expensive first: how much the metric can rise if each vanished, a tick at
    what it is sure to rise (failures with no other kind), and in the table what the first kinds explain together.
    `urls` has the address of each kind's failures, by its key."""
    rows = dearest(table.errors)
    if not rows:
        return None
    metric = table.found.metric.name
    values = [_value(row) | ({"url": urls[row.key]} if row.key in urls else {}) for row in rows]
    y = name_axis("category")
    x = {"type": "quantitative", "axis": {"format": "~g"}, "scale": {"domainMin": 0, "nice": True}}
    bar = {"type": "bar", "height": {"band": 0.55}, "color": "var(--accent)", "opacity": 0.3, "tooltip": True}
    tick = {"type": "tick", "thickness": 2, "size": 15, "color": "var(--ink)"}
    title = f"points of {metric} at most; tick: sole cause"
    layers = [
        {"mark": bar, "encoding": {"y": y, "x": {"field": "value", "title": title, **x}, **hrefs(values)}},
        interval(y, {"field": "low", **x}, width=1.5),
        {"mark": tick, "encoding": {"y": y, "x": {"field": "sole", **x}}},
        said(y, {"field": "high", **x}),
    ]
    head = f"What {table.analysis.target.name} would gain in {metric} if a kind of error vanished"
    return Chart(
        name="pareto",
        title=head,
        n_words=f"{len(table.reads):,} of {table.analysis.failing:,} failures read",
        spec=layered(head, values[:DRAWN], layers, height=ROW * len(values[:DRAWN])),
        columns=(
            *("Category", "Read", "Ceiling, points", "Low", "High"),
            *("Sole cause, points", "Together with those above"),
        ),
        rows=tuple(
            Row(
                (each["category"], f"{each['read']:,}", *(f"{each[name]:.1f}" for name in NUMBERS), together),
                each.get("url", ""),
            )
            for each, together in zip(values, _together(rows, table.reads), strict=True)
        ),
    )


def _value(row: CategoryRow) -> Vega:
    assert row.ceiling is not None
    assert row.sole is not None
    return {
        "category": row.category.name,
        "value": 100 * row.ceiling.value,
        "low": 100 * row.ceiling.low,
        "high": 100 * row.ceiling.high,
        "sole": 100 * row.sole.value,
        "read": row.read,
        "label": f"{row.read:,} read",
    }


def _together(rows: Sequence[CategoryRow], reads: Sequence[Read]) -> Iterator[str]:
    """What each kind explains together with those above it."""
    explained: set[int] = set()
    for row in rows:
        explained |= {read.id for read in reads if row.key in read.categories}
        yield f"{100 * len(explained) / len(reads):.0f} % of failures"


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
    whole = {"type": "quantitative", "scale": {"domainMin": 0}}
    axis = {"format": ",d", "tickMinStep": 1}
    x = {"field": "read", "title": "failures read", "axis": axis, **whole}
    ticks = min(5, max(1, steps[-1][1]))  # with more, halves would be rounded to the same whole numbers
    y = {"field": "known", "title": "categories known", "axis": {**axis, "tickCount": ticks}, **whole}
    line = {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "color": "var(--accent)"}
    head = "Categories known after so many failures"
    return Chart(
        name="saturation",
        title=head,
        n_words=f"n {found.read:,}, the rule asks for {STOP} without a new one",
        spec=layered(head, values, [{"mark": line, "encoding": {"x": x, "y": y}}], height=130),
        columns=("Failures read", "Categories known"),
        rows=tuple(Row((f"{read:,}", f"{known:,}")) for read, known in steps),
    )
