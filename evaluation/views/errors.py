"""Error analyses: the list, one with its table and charts, the table as a file, and its kinds one by one."""

import json

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.forms.models import model_to_dict
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from evaluation.errors.charts import pareto_chart, saturation_chart
from evaluation.errors.exporting import as_csv, as_dict
from evaluation.errors.failures import start_analysis
from evaluation.errors.plans import plan_against
from evaluation.errors.saturation import saturation
from evaluation.errors.sending import items_of, send_category, siblings_among
from evaluation.errors.slices import slices_of
from evaluation.errors.table import read_table
from evaluation.forms_errors import AnalysisForm, InterventionForm, PlanForm
from evaluation.measured import find_sides
from evaluation.models import Analysis, CategoryPlan, ErrorRead
from evaluation.views.charts import asked_chart
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import ErrorCategory
from labeling.pages import page
from labeling.views.parts import attachment

PER_PAGE, EXAMPLES = 50, 50
FILES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


@guarded("view_results")
def analyses(request: HttpRequest, access: Access) -> HttpResponse:
    form = AnalysisForm(request.POST or None, project=access.project)
    if request.method == "POST":
        access.require("review")
        if form.is_valid():
            try:
                (side,) = find_sides(access.project, [form.cleaned_data["side"]], least=1)
                metric = form.cleaned_data["metric"].strip()
                made = start_analysis(run=side.run, target=side.target, metric=metric, person=access.person)
                return redirect("evaluation:analysis", access.project.slug, made.pk)
            except Refused as refusal:
                form.add_error(None, refusal.sentence)
    done = Count("reads", filter=Q(reads__read_at__isnull=False))
    rows = Analysis.objects.filter(project=access.project).select_related("run", "target")
    rows = rows.defer("order", "run__spec", "run__facts").annotate(done=done).order_by("-id")
    context = {
        "page_obj": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "form": form,
        "section": "errors",
    }
    return page(request, "evaluation/errors/analyses.html", context, status=422 if form.errors else 200)


@require_safe
@guarded("view_results")
def analysis(request: HttpRequest, access: Access, analysis_id: int) -> HttpResponse:
    found = find_analysis(access, analysis_id)
    table = read_table(found)
    kinds = {row.key: row.category.name for row in table.rows}
    kind = request.GET.get("kind", "")
    kind = kind if kind in kinds else next(iter(kinds), "")
    known = saturation(table.reads, found.failing)
    slug = access.project.slug
    urls = {key: reverse("evaluation:error_category", args=[slug, found.pk, key]) for key in kinds}
    charts = [chart for chart in (pareto_chart(table, urls), saturation_chart(known)) if chart]
    if file := asked_chart(request, charts, f"errors-{found.pk}"):
        return file
    context = {
        "analysis": found,
        "table": table,
        "waiting": found.reads.filter(read_at=None).count(),
        "saturation": known,
        "charts": charts,
        "slices": slices_of(table.reads, kind) if kind else [],
        "kind": kind,
        "kinds": kinds.items(),
        "interventions": found.interventions.all(),
        "form": InterventionForm(),
        "section": "errors",
    }
    return page(request, "evaluation/errors/analysis.html", context)


@require_safe
@guarded("view_results")
def analysis_file(request: HttpRequest, access: Access, analysis_id: int, format: str) -> HttpResponse:
    found = find_analysis(access, analysis_id)
    if format not in FILES:
        raise Http404("The table is given as csv and as json.")
    table = read_table(found)
    text = as_csv(table) if format == "csv" else json.dumps(as_dict(table), ensure_ascii=False, indent=1)
    return attachment(text, f"errors-{found.pk}.{format}", FILES[format])


@guarded("view_results")
def error_category(request: HttpRequest, access: Access, analysis_id: int, key: str) -> HttpResponse:
    """One kind of error in an analysis: what it costs, the failures that were read, and the plan against it."""
    found = find_analysis(access, analysis_id)
    category = get_object_or_404(ErrorCategory, project=access.project, key=key)
    table = read_table(found)
    plan = CategoryPlan.objects.filter(category=category).select_related("owner", "changed_by").first()
    initial = model_to_dict(plan or CategoryPlan(), fields=PlanForm.base_fields)
    form = PlanForm(request.POST or None, project=access.project, initial=initial)
    if request.method == "POST":
        access.require("review")
        if form.is_valid():
            try:
                plan_against(category=category, person=access.person, **form.cleaned_data)
                messages.success(request, f"The plan against {category.name} is kept.")
                return redirect("evaluation:analysis", access.project.slug, found.pk)
            except Refused as refusal:
                form.add_error(None, refusal.sentence)
    own = [read for read in table.reads if key in read.categories]
    row = next((row for row in table.rows if row.key == key), None)
    held = siblings_among(read.case for read in own)
    context = {
        "analysis": found,
        "table": table,
        "category": category,
        "row": row,
        "plan": plan,
        "items": items_of(table.sent[read.uid] for read in own if read.uid in table.sent),
        "unsent": sum(read.uid not in table.sent and read.case not in held for read in own),
        "held": len(held),
        "examples": _shown([read.id for read in own[:EXAMPLES]]),
        "more": max(0, len(own) - EXAMPLES),
        "form": form,
        "section": "errors",
    }
    return page(request, "evaluation/errors/category.html", context, status=422 if form.errors else 200)


def _shown(reads: list[int]) -> list[ErrorRead]:
    rows = ErrorRead.objects.filter(pk__in=reads).select_related("case", "reader").order_by("place")
    return list(
        rows.only("place", "note", "categories", "read_at", "analysis", "case__preview", "reader__username")
    )


@require_POST
@guarded("curate")
def error_send(request: HttpRequest, access: Access, analysis_id: int, key: str) -> HttpResponse:
    """The failures of one kind go to labeling."""
    found = find_analysis(access, analysis_id)
    get_object_or_404(ErrorCategory, project=access.project, key=key)
    try:
        messages.success(request, send_category(analysis=found, key=key).words)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("evaluation:error_category", access.project.slug, found.pk, key)


def find_analysis(access: Access, analysis_id: int) -> Analysis:
    """An analysis of this project, or 404."""
    rows = Analysis.objects.select_related("run__version__suite", "run__suite", "target", "created_by")
    found = get_object_or_404(rows, project=access.project, pk=analysis_id)
    found.project = found.run.project = access.project
    return found
