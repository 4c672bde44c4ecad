"""Answers of models for people to judge: the list, asking for some, and what came of it."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from evaluation.candidates import items_made, start_generation
from evaluation.forms_candidates import GenerationForm, initial_of
from evaluation.grouping import GROUPINGS
from evaluation.models import Generation
from evaluation.outlook import outlook
from evaluation.specs import GenerationSpec
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page
from labeling.views.parts import number

PER_PAGE, ITEMS = 50, 20


@guarded("view_results")
def generations(request: HttpRequest, access: Access) -> HttpResponse:
    rows = Generation.objects.filter(project=access.project).select_related("created_by").defer("facts")
    page_obj = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page_obj": page_obj,
        "generations": [(row, [target["name"] for target in row.spec["targets"]]) for row in page_obj],
        "live": any(not row.is_over for row in page_obj),
        "section": "generations",
    }
    return page(request, "evaluation/generations.html", context, fragment="rows")


@guarded("curate")
def generation_new(request: HttpRequest, access: Access) -> HttpResponse:
    """Ask for answers; "estimate" only tells what it would take. ?from=ID begins from the settings of another one."""
    form = GenerationForm(
        request.POST or None, request.FILES or None, project=access.project, initial=_initial(request, access)
    )
    context: dict[str, Any] = {"form": form, "section": "generations"}
    estimating = request.POST.get("action") == "estimate"
    if request.method == "POST" and form.is_valid():
        try:
            prompts = form.prompts()
            if not estimating:
                made = start_generation(
                    project=access.project,
                    prompts=prompts,
                    wanted=form.wanted(),
                    person=access.person,
                    name=form.cleaned_data["name"],
                )
                return redirect("evaluation:generation", access.project.slug, made.pk)
            context["outlook"] = outlook(project=access.project, prompts=prompts, wanted=form.wanted())
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    return page(
        request,
        "evaluation/generation_new.html",
        context,
        fragment="outlook" if estimating else "",
        status=422 if form.errors else 200,
    )


def _initial(request: HttpRequest, access: Access) -> dict[str, Any]:
    rows = Generation.objects.filter(project=access.project)
    found = rows.filter(pk=number(request.GET.get("from")) or 0).first()
    return initial_of(found.spec, found.facts) if found else {}


@guarded("view_results")
def generation(request: HttpRequest, access: Access, generation_id: int) -> HttpResponse:
    """A generation on its way, or what became of the answers."""
    found = _found(access, generation_id)
    spec = GenerationSpec.model_validate(found.spec, strict=False)
    facts = found.facts
    context = {
        "generation": found,
        "targets": spec.targets,
        "spec": spec,
        "facts": facts,
        "grouping": GROUPINGS.get(facts.get("grouping", ""), ""),
        "items": items_made(found).order_by("pk").only("preview", "n_responses")[:ITEMS]
        if found.made
        else [],
        "live": not found.is_over,
        "section": "generations",
    }
    return page(request, "evaluation/generation.html", context, fragment="generation")


@require_POST
@guarded("curate")
def generation_cancel(request: HttpRequest, access: Access, generation_id: int) -> HttpResponse:
    _found(access, generation_id).request_cancel()
    return redirect("evaluation:generation", access.project.slug, generation_id)


@require_POST
@guarded("curate")
def generation_resume(request: HttpRequest, access: Access, generation_id: int) -> HttpResponse:
    """Go on with one that was stopped or failed; what was answered is kept."""
    _found(access, generation_id).resume()
    return redirect("evaluation:generation", access.project.slug, generation_id)


def _found(access: Access, generation_id: int) -> Generation:
    rows = Generation.objects.select_related("created_by", "project")
    return get_object_or_404(rows, project=access.project, pk=generation_id)
