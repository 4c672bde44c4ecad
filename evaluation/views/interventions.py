"""Interventions: plan the four arms, watch them, and read which stage is to blame."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from evaluation.errors.blame import WORDS, Blame, agreement, arms_of, blames, is_over, measured_stages
from evaluation.errors.failures import evaluated
from evaluation.errors.interventions import ARMS, plan_intervention
from evaluation.errors.table import reads_of
from evaluation.forms_errors import InterventionForm
from evaluation.models import Analysis, Case, EvalRun, Intervention, Score
from evaluation.specs import CONTEXT_WORDS
from evaluation.views.errors import find_analysis
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page
from labeling.rag.taxonomy import current, stages_by_key

PER_PAGE = 50


@require_POST
@guarded("train")
def intervention_new(request: HttpRequest, access: Access, analysis_id: int) -> HttpResponse:
    found = find_analysis(access, analysis_id)
    form = InterventionForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Give a number of failing cases and a seed, or take the whole split.")
        return redirect("evaluation:analysis", access.project.slug, found.pk)
    try:
        made = plan_intervention(analysis=found, person=access.person, **form.cleaned_data)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
        return redirect("evaluation:analysis", access.project.slug, found.pk)
    return redirect("evaluation:intervention", access.project.slug, found.pk, made.pk)


@require_safe
@guarded("view_results")
def intervention(
    request: HttpRequest, access: Access, analysis_id: int, intervention_id: int
) -> HttpResponse:
    analysis = find_analysis(access, analysis_id)
    rows = Intervention.objects.select_related("created_by")
    found = get_object_or_404(rows, analysis=analysis, pk=intervention_id)
    found.analysis = analysis
    arms = arms_of(found)
    over = is_over(arms)
    context = {
        "analysis": analysis,
        "intervention": found,
        "arms": _arms(arms, analysis.metric),
        "live": not all(run.is_over for run in arms.values()),
        "over": over,
        "section": "errors",
        **(_result(request, analysis, found) if over else {}),
    }
    return page(request, "evaluation/errors/intervention.html", context, fragment="live")


def _arms(arms: dict[str, EvalRun], metric: str) -> list[dict[str, Any]]:
    scores = {
        score.run_id: score
        for score in Score.objects.filter(run__in=arms.values(), metric=metric, slice="", versus=None)
    }
    return [
        {"words": CONTEXT_WORDS[name], "run": run, "score": scores.get(run.pk)} for name, run in arms.items()
    ]


def _result(request: HttpRequest, analysis: Analysis, found: Intervention) -> dict[str, Any]:
    blamed = blames(found)
    before = evaluated(analysis.run, analysis.target, analysis.metric)
    reads = reads_of(analysis, before, current(analysis.project))
    stage = request.GET.get("stage", "")
    shown = [each for each in blamed if each.stage == stage] if stage in WORDS else blamed
    some = Paginator(shown, PER_PAGE).get_page(request.GET.get("page"))
    return {
        "stages": measured_stages(found, blamed),
        "agreement": agreement(reads, blamed, stages_by_key(analysis.project)),
        "stage_words": WORDS.get(stage, ""),
        "page_obj": some,
        "cases": _cases(list(some)),
    }


def _cases(some: list[Blame]) -> list[dict[str, Any]]:
    previews = dict(Case.objects.filter(pk__in=[each.case for each in some]).values_list("pk", "preview"))
    return [
        {
            "blame": each,
            "preview": previews.get(each.case, ""),
            "values": list(zip(ARMS, each.values, strict=True)),
        }
        for each in some
    ]
