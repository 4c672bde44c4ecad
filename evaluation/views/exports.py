"""Downloads of one evaluation: every mark as CSV, the first screen as Markdown or PDF."""

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from evaluation.exporting import markdown_of, pdf_of, result_rows
from evaluation.models import Split
from evaluation.verdicts import screen
from evaluation.views.verdict import found_run
from labeling.access import Access, guarded
from labeling.views.parts import attachment

KINDS = {"md": "text/markdown; charset=utf-8", "pdf": "application/pdf"}


@require_safe
@guarded("view_results")
def result(request: HttpRequest, access: Access, evaluation_id: int) -> StreamingHttpResponse:
    """Every mark; with ?texts=1 prompts and answers too. Texts of sealed cases are for owners alone."""
    run, texts = found_run(access, evaluation_id), request.GET.get("texts") == "1"
    if texts and run.split == Split.SEALED:
        access.require("manage")
    name = f"evaluation-{run.pk}.csv"
    return StreamingHttpResponse(
        result_rows(run, texts=texts),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_safe
@guarded("view_results")
def verdict(request: HttpRequest, access: Access, evaluation_id: int, format: str) -> HttpResponse:
    """The first screen as a file, with the filters of the page that it was asked from."""
    run = found_run(access, evaluation_id)
    if format not in KINDS or not run.is_over:
        raise Http404("There is no such file of this evaluation.")
    found = screen(run, request.GET)
    body: bytes | str = pdf_of(found) if format == "pdf" else markdown_of(found)
    return attachment(body, f"evaluation-{run.pk}-verdict.{format}", KINDS[format])
