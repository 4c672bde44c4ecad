"""The table of an error analysis as JSON and as CSV."""

import csv
import io
from typing import Any

from evaluation.charts_files import safe
from evaluation.errors.saturation import saturation
from evaluation.errors.table import CategoryRow, Table
from labeling.estimates import Estimate

COLUMNS = (
    *("category", "name", "stage", "read", "of_read", "share", "share_low", "share_high"),
    *("ceiling", "ceiling_low", "ceiling_high", "sole_cause", "sole_cause_low", "sole_cause_high"),
    *("examples", "effort_days", "ceiling_per_day", "owner", "sent", "status", "note"),
)


def as_dict(table: Table) -> dict[str, Any]:
    """Everything of the table. Shares and ceilings are from 0 to 1, in the unit of the metric."""
    analysis = table.analysis
    read = saturation(table.reads, analysis.failing)
    return {
        "analysis": analysis.pk,
        "evaluation": analysis.run_id,
        "target": analysis.target.name,
        "metric": analysis.metric,
        "seed": analysis.seed,
        "evaluated": analysis.evaluated,
        "failing": analysis.failing,
        "read": len(table.reads),
        "without_category": table.untagged,
        "reachable": _number(table.reachable),
        "saturation": {"words": read.words, "enough": read.is_enough, "since": read.since},
        "categories": [_row(row) for row in table.rows],
        "stages": [
            {
                "stage": row.stage,
                "read": row.read,
                "share": row.share.as_dict(),
                "ceiling": _number(row.ceiling),
            }
            for row in table.stages
        ],
        "interventions": list(analysis.interventions.values_list("pk", flat=True)),
    }


def _row(row: CategoryRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "name": row.category.name,
        "stage": row.category.stage,
        "mislabelled": row.is_gold,
        "read": row.read,
        "share": row.share.as_dict(),
        "ceiling": _number(row.ceiling),
        "sole_cause": _number(row.sole),
        "examples": [read.uid for read in row.examples],
        "effort": row.plan.effort,
        "ceiling_per_day": _number(row.per_effort),
        "owner": str(row.plan.owner) if row.plan.owner else None,
        "sent": row.sent,
        "status": row.plan.status,
        "note": row.plan.note,
    }


def as_csv(table: Table) -> str:
    """One line a category. A text that a spreadsheet would read as a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in table.rows:
        writer.writerow([
            row.key, safe(row.category.name), row.category.stage, row.read, len(table.reads),
            *_three(row.share), *_three(row.ceiling), *_three(row.sole),
            " ".join(read.uid for read in row.examples), row.plan.effort,
            row.per_effort.value if row.per_effort else None,
            safe(str(row.plan.owner or "")), row.sent, row.plan.status, safe(row.plan.note),
        ])  # fmt: skip
    return out.getvalue()


def _number(estimate: Estimate | None) -> dict[str, float] | None:
    return estimate.as_dict() if estimate else None


def _three(estimate: Estimate | None) -> tuple[float | None, ...]:
    return (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
