"""Reading failures one at a time: the next one, one with everything that is known of it, and new kinds on the spot."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from evaluation.casepage import answers_to
from evaluation.errors.failures import evaluated
from evaluation.errors.reading import next_failure, record
from evaluation.errors.saturation import saturation
from evaluation.errors.table import reads_of
from evaluation.forms_errors import CategoryForm
from evaluation.models import Analysis, ErrorRead
from evaluation.questions import context_text, texts_given
from evaluation.specs import CONTEXT_WORDS
from evaluation.views.errors import find_analysis
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import Scope
from labeling.pages import page
from labeling.rag.taxonomy import add_category, categories_of, current
from labeling.views.parts import number, person_of


@require_safe
@guarded("review")
def error_next(request: HttpRequest, access: Access, analysis_id: int) -> HttpResponse:
    """Go to the failure that this person reads next; where there is none, to the table."""
    found = find_analysis(access, analysis_id)
    read = next_failure(analysis=found, person=person_of(access))
    if read is not None:
        return redirect("evaluation:error_read", access.project.slug, found.pk, read.place)
    messages.success(request, "Every failing case is read, or open with somebody else.")
    return redirect("evaluation:analysis", access.project.slug, found.pk)


@guarded("review")
def error_read(request: HttpRequest, access: Access, analysis_id: int, place: int) -> HttpResponse:
    """One failure. What is said of it for the first time is followed by the next one; what is changed stays."""
    found = find_analysis(access, analysis_id)
    read = get_object_or_404(ErrorRead.objects.select_related("case"), analysis=found, place=place)
    refusal, status = "", 200
    keys, note = read.categories, read.note
    if request.method == "POST":
        keys, note = request.POST.getlist("category"), request.POST.get("note", "")
        first = read.read_at is None
        try:
            record(read=read, categories=keys, note=note, person=person_of(access))
            if not first:
                messages.success(request, "Changed; the history keeps what stood here before.")
                return redirect("evaluation:error_read", access.project.slug, found.pk, place)
            return redirect("evaluation:error_next", access.project.slug, found.pk)
        except Refused as refused:
            refusal, status = refused.sentence, 422
    context = {"read": read, "keys": keys, "note": note, "refusal": refusal, **_shown(found, read)}
    return page(request, "evaluation/errors/read.html", context, status=status)


def _shown(found: Analysis, read: ErrorRead) -> dict[str, Any]:
    spec, case = found.run.spec, read.case
    told = spec.get("contexts", "apart")
    answers = answers_to(found.run, case)
    known = reads_of(found, evaluated(found.run, found.target, found.metric), current(found.project))
    return {
        "analysis": found,
        "evaluation": found.run,
        "case": case,
        "answers": [each for each in answers if each.index == found.target.index],
        "beside": [each for each in answers if each.index != found.target.index],
        "contexts": texts_given(case, told, spec.get("contexts_seed", 0)),
        "told": CONTEXT_WORDS[told],
        "gold": [context_text(text) for text in case.gold],
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
    before, after = rows.filter(place__lt=read.place).order_by("-place"), rows.filter(place__gt=read.place)
    return (before if step < 0 else after).values_list("place", flat=True).first()


@require_POST
@guarded("review")
def error_category_new(request: HttpRequest, access: Access, analysis_id: int) -> HttpResponse:
    """Add a kind of error, and go back to the failure that is read (?place=3)."""
    found = find_analysis(access, analysis_id)
    form = CategoryForm(request.POST)
    place = number(request.GET.get("place"))
    back = reverse("evaluation:error_next", args=[access.project.slug, found.pk])
    if place is not None:
        back = reverse("evaluation:error_read", args=[access.project.slug, found.pk, place])
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
