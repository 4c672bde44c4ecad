"""Bringing files in, and what became of each."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.forms import ImportForm
from labeling.importing.batches import start_import
from labeling.models import ImportBatch
from labeling.pages import page


@guarded("curate")
def imports(request: HttpRequest, access: Access) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            batch = start_import(
                project=access.project,
                file=file,
                filename=file.name,
                person=access.person,
                format=form.cleaned_data["format"],
                licence=form.cleaned_data["licence"],
                scrub=form.cleaned_data["scrub"],
            )
            return redirect("labeling:import", access.project.slug, batch.pk)
        except Refused as refusal:
            form.add_error("file", refusal.sentence)
    batches = list(access.project.imports.select_related("created_by")[:50])
    context = {
        "form": form,
        "batches": batches,
        "live": any(not batch.is_over for batch in batches),
        "section": "imports",
    }
    return page(
        request, "labeling/imports.html", context, fragment="batches", status=422 if form.errors else 200
    )


@guarded("curate")
def report(request: HttpRequest, access: Access, import_id: int) -> HttpResponse:
    batch = get_object_or_404(ImportBatch, project=access.project, pk=import_id)
    context = {
        "batch": batch,
        "rows_read": batch.new + batch.duplicate + batch.refused,
        "errors": batch.row_errors.all()[:500],
        "live": not batch.is_over,
        "section": "imports",
    }
    return page(request, "labeling/import.html", context, fragment="report")


@require_POST
@guarded("curate")
def cancel(request: HttpRequest, access: Access, import_id: int) -> HttpResponse:
    """Stop reading. What was read so far stays."""
    get_object_or_404(ImportBatch, project=access.project, pk=import_id).request_cancel()
    return redirect("labeling:import", access.project.slug, import_id)
