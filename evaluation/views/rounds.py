"""Rounds: the list, one with everything that it ties, its changes, its files."""

import json

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from evaluation.forms_rounds import RoundForm
from evaluation.models import Decision, Round
from evaluation.rounds.sheet import as_dict, as_markdown, sheet_of
from evaluation.rounds.staleness import stale_of
from evaluation.rounds.tying import MANY, ONE, change_round, fill_in, rounds_of, start_round
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import DatasetVersion
from labeling.pages import page
from labeling.views.parts import attachment

PER_PAGE = 50
FORMATS = {"md": "text/markdown; charset=utf-8", "json": "application/json"}


@guarded("view_results")
def rounds(request: HttpRequest, access: Access) -> HttpResponse:
    """The list; POST makes a round of a version or a decision, or finds the one that there is."""
    if request.method == "POST":
        access.require("curate")
        return _started(request, access)
    q = request.GET.get("q", "").replace("\0", "")[:100]
    rows = rounds_of(access.project).filter(name__icontains=q)
    rows = rows.annotate(
        n_checkpoints=Count("checkpoints", distinct=True), n_evaluations=Count("evaluations", distinct=True)
    )
    page_obj = Paginator(rows.order_by("-pk"), PER_PAGE).get_page(request.GET.get("page"))
    stale = stale_of(list(page_obj))
    context = {
        "page_obj": page_obj,
        "lines": [(each, stale[each.pk].words) for each in page_obj],
        "q": q,
        "section": "ledger",
    }
    return page(request, "evaluation/rounds/rounds.html", context, fragment="rows")


def _started(request: HttpRequest, access: Access) -> HttpResponse:
    project, given = access.project, request.POST
    number, decision = given.get("version", ""), given.get("decision", "")
    version = (
        get_object_or_404(DatasetVersion, project=project, number=number) if number.isdecimal() else None
    )
    about = get_object_or_404(Decision, project=project, pk=decision) if decision.isdecimal() else None
    try:
        made = start_round(project=project, person=access.person, version=version, decision=about)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
        return redirect("evaluation:rounds", project.slug)
    return redirect("evaluation:round", project.slug, made.pk)


@require_safe
@guarded("view_results")
def round(request: HttpRequest, access: Access, round_id: int) -> HttpResponse:
    found = _found(access, round_id)
    context = {"round": found, "sheet": sheet_of(found), "section": "ledger"}
    return page(request, "evaluation/rounds/round.html", context)


@guarded("curate")
def round_edit(request: HttpRequest, access: Access, round_id: int) -> HttpResponse:
    found = _found(access, round_id)
    form = RoundForm(request.POST or None, instance=_found(access, round_id))  # which takes the values given
    if request.method == "POST" and form.is_valid():
        values = {name: form.cleaned_data[name] for name in ("name", "note", *ONE, *MANY)}
        try:
            change_round(round=found, values=values)
            messages.success(request, "The round is saved.")
            return redirect("evaluation:round", access.project.slug, found.pk)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {"round": found, "form": form, "section": "ledger"}
    return page(request, "evaluation/rounds/round_edit.html", context, status=422 if form.errors else 200)


@require_POST
@guarded("curate")
def round_fill(request: HttpRequest, access: Access, round_id: int) -> HttpResponse:
    """Add what lineage says belongs to it by now."""
    found = _found(access, round_id)
    try:
        new = fill_in(round=found)
        messages.success(
            request, f"{new:,} link{'s' if new != 1 else ''} added." if new else "Nothing is new."
        )
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("evaluation:round", access.project.slug, found.pk)


@require_safe
@guarded("view_results")
def round_file(request: HttpRequest, access: Access, round_id: int, format: str) -> HttpResponse:
    """The round as Markdown or JSON, with the hashes of everything in it."""
    found = _found(access, round_id)
    if format not in FORMATS:
        raise Http404(f"Rounds are given as {' or '.join(FORMATS)}.")
    sheet = sheet_of(found)
    content = (
        as_markdown(sheet) if format == "md" else json.dumps(as_dict(sheet), ensure_ascii=False, indent=1)
    )
    return attachment(content, f"round-{found.pk}.{format}", FORMATS[format])


def _found(access: Access, round_id: int) -> Round:
    return get_object_or_404(rounds_of(access.project), pk=round_id)
