"""The page of one evaluation: while it runs its progress, and then its verdict."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from evaluation.charts_files import FORMATS, as_file
from evaluation.errors.table import find_table
from evaluation.models import EvalRun
from evaluation.verdicts import Screen, screen
from evaluation.verdicts_charts import Links
from labeling.access import Access, guarded
from labeling.pages import page
from labeling.views.parts import attachment

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
    shown = screen(run, request.GET, links=links) if run.is_over else None
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


@require_safe
@guarded("view_results")
def chart(request: HttpRequest, access: Access, evaluation_id: int, name: str, format: str) -> HttpResponse:
    """One chart of the page as a file, with the page's own filters."""
    run = found_run(access, evaluation_id)
    found = screen(run, request.GET, texts=False).charts.get(name) if run.is_over else None
    if found is None or format not in FORMATS:
        raise Http404("There is no such chart of this evaluation.")
    return attachment(as_file(found, format), f"evaluation-{run.pk}-{name}.{format}", FORMATS[format])


def found_run(access: Access, evaluation_id: int) -> EvalRun:
    """A run of this project, or 404."""
    rows = EvalRun.objects.select_related("version__suite", "suite")
    run = get_object_or_404(rows, project=access.project, pk=evaluation_id)
    run.project = access.project
    return run
