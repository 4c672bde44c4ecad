"""Results as files: every mark of a run as CSV, and its first screen as Markdown or PDF."""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

from evaluation.charts import Chart
from evaluation.charts_files import safe
from evaluation.models import CaseResult, CaseScore, EvalRun
from evaluation.scorers.base import Scale
from evaluation.sheets import Metric, metrics_of
from evaluation.verdicts import Screen
from evaluation.verdicts_cases import Example, last_words
from evaluation.winrates import JudgedRate

CHUNK = 500
COLUMNS = ("case__uid", "case__tags", "target__name", "sample", "error")
TEXTS = ("case__prompt", "case__reference", "output__text")


def result_rows(run: EvalRun, *, texts: bool = False) -> Iterator[bytes]:
    """One line for each answer, in the order of the cases: what it is of, and each metric's value and state.

    A rate is given as its value over its size. Memory does not grow with the run.
    """
    metrics = [metric for metric in metrics_of(run) if metric.name in {spec["name"] for spec in run.metrics}]
    named = [name for metric in metrics for name in (metric.name, f"{metric.name} state")]
    yield _lines(
        [
            [
                "case",
                "slices",
                "target",
                "sample",
                "error",
                *named,
                *(["prompt", "reference", "answer"] if texts else []),
            ]
        ]
    )
    rows = CaseResult.objects.filter(run=run).order_by("case__position", "case", "target__index", "sample")
    found = rows.values_list("pk", *COLUMNS, *(TEXTS if texts else ())).iterator(chunk_size=CHUNK)
    while some := list(islice(found, CHUNK)):
        marks = _marks([row[0] for row in some], {metric.name: metric for metric in metrics})
        yield _lines([_cells(row, marks.get(row[0], {}), metrics) for row in some])


def _marks(results: list[int], metrics: dict[str, Metric]) -> dict[int, dict[str, tuple[Any, str]]]:
    found: dict[int, dict[str, tuple[Any, str]]] = {}
    rows = CaseScore.objects.filter(result__in=results, metric__in=metrics).order_by()
    for result, metric, state, value, size in rows.values_list(
        "result_id", "metric", "state", "value", "size"
    ):
        is_rate = metrics[metric].scale in (Scale.RATE, Scale.PERPLEXITY)
        shown = value / size if is_rate and size and value is not None else value
        found.setdefault(result, {})[metric] = (shown, state)
    return found


def _cells(row: tuple[Any, ...], marks: dict[str, tuple[Any, str]], metrics: list[Metric]) -> list[Any]:
    _, uid, tags, target, sample, error, *texts = row
    cells = [uid, " ".join(map(str, tags)), target, sample, error]
    for metric in metrics:
        value, state = marks.get(metric.name, (None, "missing"))
        cells += ["" if value is None else value, state]
    if texts:
        cells += [last_words(texts[0]), texts[1] or "", texts[2] or ""]
    return cells


def _lines(rows: list[list[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([safe(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def markdown_of(screen: Screen) -> str:
    """The first screen as Markdown that stands by itself: every number with its interval and its n."""
    run, line = screen.run, screen.line
    charts = {name: _chart(chart) for name, chart in screen.charts.items()}
    parts = [
        f"# {screen.headline.word}: {run.name}",
        screen.headline.sentence,
        *screen.remarks,
        charts.get("primary", ""),
    ]
    if line is not None and screen.rails:
        rows = [
            [
                rail.name,
                rail.before,
                f"{rail.after} {rail.interval}".strip(),
                rail.change,
                rail.word,
                _count(rail.n),
            ]
            for rail in screen.rails
        ]
        head = ["", screen.baseline.name, line.name, "Difference", "Which means", "n"]
        parts += ["## Everything else", _table(head, rows)]
    parts += [_win_rate(rate) for rate in screen.win_rates]
    parts += [charts.get(name, "") for name in ("slices", "causes", "curve")]
    for title, examples in (("Got worse", screen.worse), ("Got better", screen.better)):
        if examples and line is not None:
            parts += [
                f"## {title}",
                _table(["Question", screen.baseline.name, line.name], [_example(each) for each in examples]),
            ]
    parts += ["## What this rests on", _table(["", ""], [[fact.label, fact.words] for fact in screen.trust])]
    return "\n\n".join(part for part in parts if part) + "\n"


def pdf_of(screen: Screen) -> bytes:
    """The same on A4. ReportLab is loaded for this only."""
    from evaluation.pdf import from_markdown

    version = screen.run.version
    return from_markdown(
        markdown_of(screen),
        title=screen.run.name,
        footer=f"Evaluation {screen.run.pk} on {version}, hash {version.content_hash}",
    )


def _chart(chart: Chart) -> str:
    table = _table(list(chart.columns), [list(row.cells) for row in chart.rows])
    return f"## {chart.title} ({chart.n_words})\n\n{table}"


def _win_rate(rate: JudgedRate) -> str:
    rows = [
        ["As judged", f"{rate.raw}" if rate.raw else "not enough answers"],
        ["At equal length", f"{rate.controlled}" if rate.controlled else rate.reason],
        ["The longer one wins", f"{rate.longer:,} of {rate.decided:,} that were decided"],
        ["Turned with the order", f"{rate.flipped:,} of {rate.n:,}"],
    ]
    return f"## {rate.metric} at equal length\n\n{_table(['', rate.target], rows)}"


def _example(example: Example) -> list[str]:
    answers = (f"{value}: {text}" for value, text in zip(example.values, example.answers, strict=True))
    return [example.prompt, *answers]


def _count(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )
