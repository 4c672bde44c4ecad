"""The page of one evaluation: while it runs its progress, and then its verdict."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from evaluation.errors.table import find_table
from evaluation.models import EvalRun
from evaluation.verdicts import Screen, screen
from evaluation.verdicts_charts import Links
from evaluation.views.charts import asked_chart
from labeling.access import Access, guarded
from labeling.pages import page

STAGES = {
    "generating": "Answers are generated",
    "judging": "Judges read the answers",
    "marking": "Answers are scored",
}


@require_safe
@guarded("view_results")
def evaluation(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    run = found_run(access, evaluation_id)
    links = Links(access.project.slug, run.pk)
    texts = "chart" not in request.GET
    shown = screen(run, request.GET, links=links, texts=texts) if run.is_over else None
    if file := asked_chart(request, shown.charts.values() if shown else (), f"evaluation-{run.pk}"):
        return file
    context = {
        "evaluation": run,
        "screen": shown,
        **(_errors(run, shown) if shown else {}),
        "stage": STAGES.get(run.stage, ""),
        "live": not run.is_over,
        "section": "evaluations",
    }
    return page(request, "evaluation/evaluation.html", context, fragment="live")


def _errors(run: EvalRun, shown: Screen) -> dict[str, Any]:
    """What to fix next of the target that is spoken of, where its failures can be read."""
    line, metric = shown.asked.line, shown.asked.metric
    if line is None or shown.sealed or not metric.is_bounded:
        return {}
    index = line.target.index
    return {"fixable": True, "fix": find_table(run, index, metric.name), "side": f"{run.pk}.{index}"}


def found_run(access: Access, evaluation_id: int) -> EvalRun:
    """A run of this project, or 404."""
    rows = EvalRun.objects.select_related("version__suite", "suite")
    run = get_object_or_404(rows, project=access.project, pk=evaluation_id)
    run.project = access.project
    return run
