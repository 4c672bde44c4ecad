"""Runs side by side: their curves overlaid, what they were told differently, and what came of it."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from labeling.access import Access, guarded
from labeling.pages import page
from training.charts import comparison_charts
from training.models import TrainingRun
from training.telemetry import points_of
from training.telling import differing
from training.views.runs import run_line

MOST = 8
LETTERS = "ABCDEFGH"


@guarded("view_results")
def compare(request: HttpRequest, access: Access) -> HttpResponse:
    """?run=1&run=2…, up to eight runs of this project, by step or with ?by=share by share of the run."""
    keys = list(
        dict.fromkeys(int(key) for key in request.GET.getlist("run") if key.isdecimal() and len(key) < 19)
    )
    rows = TrainingRun.objects.filter(project=access.project, pk__in=keys[:100])
    rows = rows.select_related("dataset_version__project", "base", "start", "created_by", "checkpoint")
    by_key = {run.pk: run for run in rows}
    found = [by_key[key] for key in keys if key in by_key][:MOST]
    by_share = request.GET.get("by") == "share"
    context: dict[str, Any] = {
        "runs": [
            {**run_line(run), "letter": letter, "checkpoint": getattr(run, "checkpoint", None)}
            for letter, run in zip(LETTERS, found, strict=False)
        ],
        "left_out": max(0, len(keys) - len(found)),
        "most": MOST,
        "by_share": by_share,
        "section": "runs",
    }
    if len(found) > 1:
        points = [points_of(run) for run in found]
        named = list(zip(LETTERS, points, strict=False))
        context |= {
            "charts": comparison_charts(named, by_share=by_share),
            "differences": differing(found),
        }
        for line, each in zip(context["runs"], points, strict=True):
            line["held_out"] = _held_out(each)
    return page(request, "training/compare_runs.html", context)


def _held_out(points: Any) -> float | None:
    """The last loss on held-out rows; None where none was measured."""
    series = points.get("eval", "loss")
    return None if series is None else list(series)[-1].mean
