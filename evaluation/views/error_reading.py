"""Reading failures one at a time: the next one, one with everything that is known of it, and new kinds on the spot."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from evaluation.casepage import read_case_page
from evaluation.errors.failures import evaluated
from evaluation.errors.reading import next_failure, record
from evaluation.errors.saturation import saturation
from evaluation.errors.table import reads_of
from evaluation.forms_errors import CategoryForm
from evaluation.measured import Side
from evaluation.models import Analysis, ErrorRead
from evaluation.questions import context_text, texts_given
from evaluation.specs import CONTEXT_WORDS
from evaluation.views.errors import find_analysis
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import Scope, User
from labeling.pages import page
from labeling.rag.taxonomy import add_category, categories_of, current


def reader(access: Access) -> User:
    """Who reads: pages are for people."""
    assert access.person is not None
    return access.person


@require_safe
@guarded("review")
def error_next(request: HttpRequest, access: Access, analysis_id: int) -> HttpResponse:
    """Go to the failure that this person reads next; where there is none, to the table."""
    found = find_analysis(access, analysis_id)
    read = next_failure(analysis=found, person=reader(access))
    if read is not None:
        return redirect("evaluation:error_read", access.project.slug, found.pk, read.place)
    messages.success(request, "Every failing case is read, or open with somebody else.")
    return redirect("evaluation:analysis", access.project.slug, found.pk)


@guarded("review")
def error_read(request: HttpRequest, access: Access, analysis_id: int, place: int) -> HttpResponse:
    """One failure. Sent with ?stay it is kept and shown again; else the next one follows."""
    found = find_analysis(access, analysis_id)
    rows = ErrorRead.objects.select_related("reader")
    read = get_object_or_404(rows, analysis=found, place=place)
    refusal, status = "", 200
    keys, note = read.categories, read.note
    if request.method == "POST":
        keys, note = request.POST.getlist("category"), request.POST.get("note", "")
        first = read.read_at is None
        try:
            record(read=read, categories=keys, note=note, person=reader(access))
            if not first:
                messages.success(request, "Changed; the history keeps what stood here before.")
                return redirect("evaluation:error_read", access.project.slug, found.pk, place)
            return redirect("evaluation:error_next", access.project.slug, found.pk)
        except Refused as refused:
            refusal, status = refused.sentence, 422
    context = {"read": read, "keys": keys, "note": note, "refusal": refusal, **_shown(found, read)}
    return page(request, "evaluation/errors/read.html", context, status=status)


def _shown(found: Analysis, read: ErrorRead) -> dict[str, Any]:
    spec = found.run.spec
    case = read_case_page(found.run, [Side(found.run, found.target)], read.case_id)
    if case is None:
        raise Http404("There is no such case in this evaluation.")
    told = spec.get("contexts", "apart")
    gold = [context_text(text) for text in case.case.gold]
    known = reads_of(found, evaluated(found.run, found.target, found.metric), current(found.project))
    return {
        "analysis": found,
        "evaluation": found.run,
        "found": case,
        "case": case.case,
        "contexts": texts_given(case.case, told, spec.get("contexts_seed", 0)),
        "told": CONTEXT_WORDS[told],
        "gold": gold,
        "categories": categories_of(found.project),
        "form": CategoryForm(),
        "saturation": saturation(known, found.failing),
        "before": _beside(read, -1),
        "after": _beside(read, 1),
        "changes": list(read.changes.select_related("person")) if read.read_at else [],
        "section": "errors",
    }


def _beside(read: ErrorRead, step: int) -> int | None:
    """The place of the failure that was read before this one, or after it."""
    rows = ErrorRead.objects.filter(analysis=read.analysis_id, read_at__isnull=False)
    rows = (
        rows.filter(place__lt=read.place).order_by("-place")
        if step < 0
        else rows.filter(place__gt=read.place)
    )
    return rows.values_list("place", flat=True).first()


@require_POST
@guarded("review")
def error_category_new(request: HttpRequest, access: Access, analysis_id: int) -> HttpResponse:
    """Add a kind of error, and go back to the failure that is read (?place=3)."""
    found = find_analysis(access, analysis_id)
    form = CategoryForm(request.POST)
    place = request.GET.get("place", "")
    back = reverse("evaluation:error_next", args=[access.project.slug, found.pk])
    if place.isascii() and place.isdigit() and len(place) < 9:
        back = reverse("evaluation:error_read", args=[access.project.slug, found.pk, int(place)])
    if not form.is_valid():
        messages.error(request, "Give the new category a name of up to 80 letters, and a stage.")
        return redirect(back)
    try:
        made = add_category(
            project=access.project, person=access.person, scope=Scope.ANSWER, **form.cleaned_data
        )
        messages.success(request, f"{made.name} is a category now.")
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect(back)
