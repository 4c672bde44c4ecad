"""What to fix next: the most expensive kinds of errors of a target, for the page of its evaluation."""

from dataclasses import dataclass

from evaluation.errors.table import CategoryRow, read_table
from evaluation.models import Analysis, EvalRun

SHOWN = 3


@dataclass(frozen=True, slots=True)
class FixNext:
    """The analysis, how many failures it rests on, and the kinds that are open with the highest ceilings."""

    analysis: Analysis
    read: int
    rows: list[CategoryRow]


def fix_next(run: EvalRun, index: int, metric: str) -> FixNext | None:
    """What an analysis of this target says; None where nobody began one."""
    rows = Analysis.objects.filter(run=run, target__index=index, metric=metric).select_related("target")
    analysis = rows.first()
    if analysis is None:
        return None
    analysis.run, analysis.project = run, run.project
    table = read_table(analysis)
    return FixNext(analysis, len(table.reads), table.next[:SHOWN])
