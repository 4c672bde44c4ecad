"""The ledger of fixes: the list, one fix from its category to its closing rate, and a new one."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from evaluation.errors.sending import items_of
from evaluation.forms_rounds import FixForm
from evaluation.models import Fix, FixCase
from evaluation.rounds.drawing_cases import shown_cases
from evaluation.rounds.ledger import STANDINGS, entries_of, fixes_of
from evaluation.rounds.opening import open_fix, siblings_left, still_protected, take_in
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page

PER_PAGE = 25
CASES_SHOWN = 200


@require_safe
@guarded("view_results")
def ledger(request: HttpRequest, access: Access) -> HttpResponse:
    rows = fixes_of(access.project)
    q, standing = request.GET.get("q", "").replace("\0", "")[:100], request.GET.get("standing", "")
    if q:
        rows = rows.filter(Q(category__name__icontains=q) | Q(note__icontains=q))
    listed: Any = rows
    narrowed = standing in STANDINGS  # a standing is computed: all are looked at, most of them from the cache
    if narrowed:
        listed = [each for each in entries_of(list(rows)) if each.standing == standing]
    page_obj = Paginator(listed, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page_obj": page_obj,
        "entries": list(page_obj) if narrowed else entries_of(list(page_obj)),
        "choices": STANDINGS,
        "q": q,
        "standing": standing,
        "section": "ledger",
    }
    return page(request, "evaluation/rounds/ledger.html", context, fragment="rows")


@guarded("curate")
def fix_new(request: HttpRequest, access: Access) -> HttpResponse:
    form = FixForm(request.POST or None, project=access.project, query=request.GET)
    if request.method == "POST" and form.is_valid():
        try:
            opened = open_fix(project=access.project, person=access.person, **form.values())
            messages.success(request, opened.words)
            return redirect("evaluation:fix", access.project.slug, opened.fix.pk)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {"form": form, "section": "ledger"}
    return page(request, "evaluation/rounds/fix_new.html", context, status=422 if form.errors else 200)


@require_safe
@guarded("view_results")
def fix(request: HttpRequest, access: Access, fix_id: int) -> HttpResponse:
    found = _found(access, fix_id)
    cases = shown_cases(found)
    siblings, lessons = ([each for each in cases if each.role == role] for role in FixCase.Role)
    entry = entries_of([found])[0]
    context = {
        "fix": found,
        "entry": entry,
        "items": items_of(entry.trace.items[:CASES_SHOWN]),
        "more_items": len(entry.trace.items[CASES_SHOWN:]),
        "siblings": siblings[:CASES_SHOWN],
        "more_siblings": len(siblings[CASES_SHOWN:]),
        "lessons": lessons[:CASES_SHOWN],
        "more_lessons": len(lessons[CASES_SHOWN:]),
        "left": siblings_left(found),
        "protected": still_protected(found),
        "section": "ledger",
    }
    return page(request, "evaluation/rounds/fix.html", context)


@require_POST
@guarded("curate")
def fix_take_in(request: HttpRequest, access: Access, fix_id: int) -> HttpResponse:
    """The items that were judged to be of the category since join the fix."""
    found = _found(access, fix_id)
    count = take_in(fix=found)
    joined = f"{count:,} item{'s' if count != 1 else ''} joined."
    messages.success(request, joined if count else "No item was judged to be of it since.")
    return redirect("evaluation:fix", access.project.slug, found.pk)


def _found(access: Access, fix_id: int) -> Fix:
    return get_object_or_404(fixes_of(access.project), pk=fix_id)
