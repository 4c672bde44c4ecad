"""Reading failures one at a time: the next one, one with everything that is known of it, and new kinds on the spot."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from evaluation.casepage import answers_to
from evaluation.errors.failures import evaluated
from evaluation.errors.reading import Overtaken, called_now, next_failure, record
from evaluation.errors.saturation import saturation
from evaluation.errors.table import reads_of
from evaluation.forms_errors import CategoryForm
from evaluation.models import Analysis, ErrorRead, ErrorReadChange
from evaluation.questions import context_text, texts_given
from evaluation.specs import CONTEXT_WORDS
from evaluation.views.errors import find_analysis
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import Scope
from labeling.pages import page
from labeling.rag.taxonomy import add_category, all_categories, current
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
    """One failure. What is said of it for the first time is followed by the next one; what is changed stays, and
    what somebody else said meanwhile is shown beside it."""
    found = find_analysis(access, analysis_id)
    said = ErrorReadChange.objects.filter(read__analysis=found, read__place=place)
    base = said.values_list("pk", flat=True).first() or 0
    read = get_object_or_404(ErrorRead.objects.select_related("case"), analysis=found, place=place)
    refusal, status = "", 200
    keys, note = read.categories, read.note
    if request.method == "POST":
        keys, note = request.POST.getlist("category"), request.POST.get("note", "")
        base = number(request.POST.get("base")) or 0
        try:
            record(read=read, categories=keys, note=note, person=person_of(access), base=base)
            if base and said.filter(pk__gt=base).exists():
                messages.success(request, "Changed; the history keeps what stood here before.")
                return redirect("evaluation:error_read", access.project.slug, found.pk, place)
            return redirect("evaluation:error_next", access.project.slug, found.pk)
        except Overtaken as late:
            refusal, status, base = late.sentence, 409, late.current.pk
            read.refresh_from_db(fields=["read_at"])
        except Refused as refused:
            refusal, status = refused.sentence, 422
    context = {"read": read, "note": note, "base": base, "refusal": refusal, **_shown(found, read, keys)}
    if status == 409:
        context["theirs"] = next(change for change in context["changes"] if change["pk"] == base)
    return page(request, "evaluation/errors/read.html", context, status=status)


def _shown(found: Analysis, read: ErrorRead, keys: Sequence[str]) -> dict[str, Any]:
    spec, case = found.run.spec, read.case
    known, now = all_categories(found.project), current(found.project)
    chosen = called_now(keys, now)
    told = spec.get("contexts", "apart")
    answers = answers_to(found.run, case)
    reads = reads_of(found, evaluated(found.run, found.target, found.metric), now)
    return {
        "analysis": found,
        "evaluation": found.run,
        "case": case,
        "answers": [each for each in answers if each.index == found.target.index],
        "beside": [each for each in answers if each.index != found.target.index],
        "contexts": texts_given(case, told, spec.get("contexts_seed", 0)),
        "told": CONTEXT_WORDS[told],
        "gold": [context_text(text) for text in case.gold],
        "keys": chosen,
        "categories": [
            *(category for category in known if category.retired_at is None),
            *(category for category in known if category.retired_at and category.key in chosen),
        ],
        "form": CategoryForm(),
        "saturation": saturation(reads, found.failing),
        "before": _beside(read, -1),
        "after": _beside(read, 1),
        "changes": _changes(read, {category.key: category.name for category in known}),
        "section": "errors",
    }


def _changes(read: ErrorRead, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Everything that was said of a failure, the newest first, with the names of its categories."""
    return [
        {
            "pk": change.pk,
            "at": change.created_at,
            "person": change.person,
            "names": [names.get(key, key) for key in change.categories],
            "note": change.note,
        }
        for change in read.changes.select_related("person")
    ]


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
