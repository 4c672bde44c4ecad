"""Evaluations: the list, planning one, planning it once more, stopping it, scoring its answers again."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from evaluation.forms import EvaluationForm, filled_from
from evaluation.models import EvalRun, Suite
from evaluation.planning import plan_again, plan_evaluation, plan_on_held_out, resume_run
from evaluation.runlist import found_runs, run_lines
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.pages import page
from labeling.views.parts import number

PER_PAGE = 50
ASKED = ("q", "suite", "status")


@guarded("view_results")
def evaluations(request: HttpRequest, access: Access) -> HttpResponse:
    origin = _origin(request, access)
    initial = filled_from(origin) if origin else _initial(request)
    form = EvaluationForm(request.POST or None, project=access.project, initial=initial)
    if request.method == "POST":
        access.require("train")
        if form.is_valid():
            try:
                run = _planned(form, access)
                return redirect("evaluation:evaluation", access.project.slug, run.pk)
            except Refused as refusal:
                form.add_error(None, refusal.sentence)
    asked = {name: request.GET.get(name, "").replace("\0", "").strip()[:120] for name in ASKED}
    page_obj = Paginator(found_runs(access.project, asked), PER_PAGE).get_page(request.GET.get("page"))
    lines = run_lines(list(page_obj.object_list))
    context = {
        "page_obj": page_obj,
        "lines": lines,
        "live": any(not line.run.is_over for line in lines),
        "asked": asked,
        "filtered": any(asked.values()),
        "suites": Suite.objects.filter(project=access.project, runs__isnull=False)
        .distinct()
        .order_by("name"),
        "statuses": Status.choices,
        "form": form,
        "origin": origin,
        "section": "evaluations",
    }
    return page(
        request, "evaluation/evaluations.html", context, fragment="rows", status=422 if form.errors else 200
    )


def _origin(request: HttpRequest, access: Access) -> EvalRun | None:
    """The evaluation that the form is filled from, as the address says it: ?again=12"""
    key = request.GET.get("again")
    return get_object_or_404(EvalRun, project=access.project, pk=number(key)) if key else None


def _initial(request: HttpRequest) -> dict[str, Any]:
    """What the address already says: ?on=suite:4&checkpoint=7"""
    return {
        "on": request.GET.get("on", ""),
        "checkpoints": [pk for pk in request.GET.getlist("checkpoint") if pk.isdecimal()],
    }


def _planned(form: EvaluationForm, access: Access) -> EvalRun:
    chosen = form.suite()
    if isinstance(chosen, Suite):
        return plan_evaluation(project=access.project, suite=chosen, person=access.person, **form.plan())
    return plan_on_held_out(version=chosen, person=access.person, **form.plan())


@require_POST
@guarded("train")
def cancel(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    get_object_or_404(EvalRun, project=access.project, pk=evaluation_id).request_cancel()
    return redirect("evaluation:evaluation", access.project.slug, evaluation_id)


@require_POST
@guarded("train")
def resume(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    """Put a failed or cancelled evaluation into the queue again: it goes on where it stopped."""
    run = get_object_or_404(EvalRun, project=access.project, pk=evaluation_id)
    try:
        resume_run(run)
    except Refused as refusal:
        return _refused(request, run, refusal)
    return redirect("evaluation:evaluation", access.project.slug, evaluation_id)


@require_POST
@guarded("train")
def again(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    """The answers of an evaluation by the suite's scorers of today."""
    run = get_object_or_404(
        EvalRun.objects.select_related("suite", "project"), project=access.project, pk=evaluation_id
    )
    try:
        made = plan_again(run=run, person=access.person)
    except Refused as refusal:
        return _refused(request, run, refusal)
    return redirect("evaluation:evaluation", access.project.slug, made.pk)


def _refused(request: HttpRequest, run: EvalRun, refusal: Refused) -> HttpResponse:
    context = {"words": refusal.sentence, "evaluation": run, "section": "evaluations"}
    return page(request, "evaluation/refused.html", context, status=422)
