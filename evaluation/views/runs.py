"""Evaluations: plan one, watch it, read its verdict."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from evaluation.charts import accuracy_chart
from evaluation.forms import EvaluationForm
from evaluation.models import CaseResult, EvalRun
from evaluation.planning import plan_on_held_out
from evaluation.reading import ScoreLine, prompts_of, score_lines, spoken_of, verdict
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page

FLIPS = 12


@guarded("view_results")
def evaluations(request: HttpRequest, access: Access) -> HttpResponse:
    form = EvaluationForm(request.POST or None, project=access.project)
    if request.method == "POST":
        access.require("train")
        if form.is_valid():
            try:
                run = plan_on_held_out(
                    version=form.cleaned_data["dataset_version"],
                    checkpoints=list(form.cleaned_data["checkpoints"]),
                    person=access.person,
                )
                return redirect("evaluation:evaluation", access.project.slug, run.pk)
            except Refused as refusal:
                form.add_error(None, refusal.sentence)
    rows = (
        EvalRun.objects.filter(project=access.project).select_related("suite").prefetch_related("checkpoints")
    )
    found = list(rows[:100])
    context = {
        "evaluations": found,
        "live": any(not run.is_over for run in found),
        "form": form,
        "section": "evaluations",
    }
    return page(
        request, "evaluation/evaluations.html", context, fragment="rows", status=422 if form.errors else 200
    )


@guarded("view_results")
def evaluation(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    run = get_object_or_404(EvalRun.objects.select_related("suite"), project=access.project, pk=evaluation_id)
    lines = score_lines(run)
    rows = [(line.checkpoint.name, line.accuracy) for line in lines]
    context = {
        "evaluation": run,
        "verdict": verdict(lines),
        "scores": lines,
        "chart": accuracy_chart(rows, title="Preference accuracy on held-out items"),
        "prompts": prompts_of(run),
        **flips(run, lines),
        "live": not run.is_over,
        "section": "evaluations",
    }
    return page(request, "evaluation/evaluation.html", context, fragment="live")


@require_POST
@guarded("train")
def cancel(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    get_object_or_404(EvalRun, project=access.project, pk=evaluation_id).request_cancel()
    return redirect("evaluation:evaluation", access.project.slug, evaluation_id)


def flips(run: EvalRun, lines: list[ScoreLine]) -> dict[str, Any]:
    """Pairs on which the base and the verdict's checkpoint differ: their numbers, and some of each kind to read."""
    line = spoken_of(lines)
    if line is None:
        return {"cases": [], "flips": None}
    rows = CaseResult.objects.filter(run=run).order_by("case__index")
    base = {row.case_id: row.preferred for row in rows.filter(checkpoint=run.plan[0])}
    changed = [row for row in rows.filter(checkpoint=line.checkpoint) if row.preferred != base[row.case_id]]
    kinds = [
        [row for row in changed if (row.preferred > base[row.case_id]) == better] for better in (False, True)
    ]
    wanted = [row.pk for kind in kinds for row in kind[: FLIPS // 2]]
    shown = sorted(rows.filter(pk__in=wanted).select_related("case"), key=lambda row: wanted.index(row.pk))
    cases = [
        {
            "prompt": row.case.prompt,
            "chosen": row.case.chosen,
            "rejected": row.case.rejected,
            "base_ok": base[row.case_id] == 1.0,
            "checkpoint_ok": row.preferred == 1.0,
            "checkpoint": line.checkpoint.name,
        }
        for row in shown
    ]
    broken, mended = (len(kind) for kind in kinds)
    numbers = {"mended": mended, "broken": broken, "shown": len(cases), "checkpoint": line.checkpoint.name}
    return {"cases": cases, "flips": numbers if cases else None}
