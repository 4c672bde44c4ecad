"""Files of cases: sent into a suite, and what became of each."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from evaluation.forms_suites import CasesFileForm
from evaluation.models import CaseImport
from evaluation.suites import start_import
from evaluation.suites.reading import COLUMNS
from evaluation.views.suites import find_suite
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page

PER_PAGE = 20


@guarded("curate")
def suite_imports(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    suite = find_suite(access, suite_id)
    form = CasesFileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            batch = start_import(suite=suite, file=file, filename=file.name, person=access.person)
            return redirect("evaluation:suite_import", access.project.slug, suite.pk, batch.pk)
        except Refused as refusal:
            form.add_error("file", refusal.sentence)
    batches = CaseImport.objects.filter(suite=suite).select_related("created_by").defer("row_errors")
    context = {
        "suite": suite,
        "form": form,
        "columns": COLUMNS.items(),
        "page_obj": Paginator(batches, PER_PAGE).get_page(request.GET.get("page")),
        "section": "suites",
    }
    return page(request, "evaluation/suite_imports.html", context, status=422 if form.errors else 200)


@guarded("view_results")
def suite_import(request: HttpRequest, access: Access, suite_id: int, import_id: int) -> HttpResponse:
    suite = find_suite(access, suite_id)
    batch = get_object_or_404(CaseImport.objects.select_related("created_by"), suite=suite, pk=import_id)
    context = {"suite": suite, "batch": batch, "live": not batch.is_over, "section": "suites"}
    return page(request, "evaluation/suite_import.html", context, fragment="report")


@require_POST
@guarded("curate")
def suite_import_cancel(request: HttpRequest, access: Access, suite_id: int, import_id: int) -> HttpResponse:
    """Stop reading. What was stored so far stays."""
    suite = find_suite(access, suite_id)
    get_object_or_404(CaseImport, suite=suite, pk=import_id).request_cancel()
    return redirect("evaluation:suite_import", access.project.slug, suite.pk, import_id)
