"""Decisions: the list, one with its record as a page and as a file, and the way back."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_safe

from evaluation.deciding import predecessor, roll_back
from evaluation.forms_gates import RollBackForm
from evaluation.models import Decision
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page
from labeling.views.parts import attachment
from training.models import Checkpoint

PER_PAGE = 50
FORMATS = {"md": "text/markdown; charset=utf-8", "pdf": "application/pdf"}


@require_safe
@guarded("view_results")
def decisions(request: HttpRequest, access: Access) -> HttpResponse:
    rows = Decision.objects.filter(project=access.project)
    rows = rows.select_related("candidate", "champion", "run", "created_by").defer("record", "findings")
    q, action = request.GET.get("q", "").replace("\0", "")[:100], request.GET.get("action", "")
    if q:
        rows = rows.filter(candidate__name__icontains=q)
    if action in Decision.Action.values:
        rows = rows.filter(action=action)
    context = {
        "page_obj": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "q": q,
        "action": action,
        "actions": Decision.Action.choices,
        "section": "decisions",
    }
    return page(request, "evaluation/decisions.html", context, fragment="rows")


@require_safe
@guarded("view_results")
def decision(request: HttpRequest, access: Access, decision_id: int) -> HttpResponse:
    found = _found(access, decision_id)
    now = found.candidate.stage == Checkpoint.Stage.PRODUCTION
    context = {
        "decision": found,
        "in_production": now,
        "before": predecessor(found.candidate) if now else None,
        "section": "decisions",
    }
    return page(request, "evaluation/decision.html", context)


@require_safe
@guarded("view_results")
def decision_file(request: HttpRequest, access: Access, decision_id: int, format: str) -> HttpResponse:
    """The record as Markdown or as PDF."""
    found = _found(access, decision_id)
    if format not in FORMATS:
        raise Http404(f"Records are given as {' or '.join(FORMATS)}.")
    content: bytes | str = found.record
    if format == "pdf":
        from evaluation.records import pdf_of

        content = pdf_of(found)
    return attachment(content, f"decision-{found.pk}.{format}", FORMATS[format])


@guarded("train")
def roll_back_to(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponse:
    """What would come back, and after a reason it does."""
    found = get_object_or_404(
        Checkpoint.objects.select_related("base"), project=access.project, pk=checkpoint_id
    )
    before = predecessor(found) if found.stage == Checkpoint.Stage.PRODUCTION else None
    form = RollBackForm(request.POST or None, initial={"back_to": before.pk if before else None})
    if request.method == "POST" and form.is_valid():
        try:
            made = roll_back(
                project=access.project, checkpoint=found, person=access.person, **form.cleaned_data
            )
            messages.success(request, f"{made.candidate} is in production again.")
            return redirect("evaluation:decision", access.project.slug, made.pk)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {"checkpoint": found, "before": before, "form": form, "section": "checkpoints"}
    return page(request, "evaluation/roll_back.html", context, status=422 if form.errors else 200)


def _found(access: Access, decision_id: int) -> Decision:
    rows = Decision.objects.select_related("candidate__base", "champion", "run", "created_by")
    return get_object_or_404(rows, project=access.project, pk=decision_id)
