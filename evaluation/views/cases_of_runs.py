"""The cases of a run: the list, one case with everything that was answered and marked, and the way back to labeling."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from evaluation.caselist import (
    PER_PAGE,
    SHOWS,
    SORTS,
    Listing,
    is_hidden,
    is_sealed,
    listed,
    page_of,
    read_asked,
)
from evaluation.casepage import read_case_page
from evaluation.comparison import Side, find_sides
from evaluation.errors.sending import COMPARING, MOST
from evaluation.feedback import parcel_of, send_to_labeling
from evaluation.models import EvalRun
from evaluation.sheets import metrics_of
from evaluation.suites.sealing import is_candidate
from evaluation.views.verdict import found_run
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page


@require_safe
@guarded("view_results")
def cases(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    run = found_run(access, evaluation_id)
    context = {
        "evaluation": run,
        "targets": list(run.targets.all()),
        "section": "evaluations",
        **list_context(request, access, sides_asked(request, access, run)),
    }
    return page(request, "evaluation/cases.html", context, fragment="cases")


@require_safe
@guarded("view_results")
def result_case(request: HttpRequest, access: Access, evaluation_id: int, case_id: int) -> HttpResponse:
    run = found_run(access, evaluation_id)
    sides = sides_asked(request, access, run)
    if any(map(is_sealed, (run, *(side.run for side in sides)))) and not access.can.manage:
        raise PermissionDenied(
            "Sealed cases stay unread, so that nobody chooses by them; owners may read them."
        )
    asked = read_asked(request.GET, sides, secret=access.can.manage)
    found = read_case_page(run, sides, case_id)
    if found is None:
        raise Http404("There is no such case in this evaluation.")
    before, after, place = listed(sides, asked).neighbours(case_id)
    context = {
        "evaluation": run,
        "case": found.case,
        "found": found,
        "asked": asked,
        "targets": list(run.targets.all()),
        "before": before,
        "after": after,
        "place": place,
        "plain": request.GET.get("text") == "plain",
        "sendable": _sendable(access, sides),
        "back": _back(request, access, run),
        "section": "evaluations",
    }
    return page(request, "evaluation/result_case.html", context)


@require_POST
@guarded("curate")
def send_cases(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    """First what would be sent, with what follows from it; with ?sure the items are made."""
    run = found_run(access, evaluation_id)
    sides = sides_asked(request, access, run)
    listing = listed(sides, read_asked(request.GET, sides, secret=access.can.manage))
    keys = [int(key) for key in request.POST.getlist("case") if key.isascii() and key.isdigit()]
    if "every" in request.POST:
        keys = [row.id for row in listing.rows[:MOST]]
    context: dict[str, Any] = {"evaluation": run, "keys": keys, "sides": sides, "section": "evaluations"}
    context["back"] = back = _back(request, access, run)
    try:
        if "sure" not in request.POST:
            context["parcel"] = parcel_of(project=access.project, sides=sides, case_ids=keys)
            return page(request, "evaluation/cases_send.html", context)
        intake, parcel = send_to_labeling(project=access.project, sides=sides, case_ids=keys)
    except Refused as refusal:
        context["refusal"] = refusal.sentence
        return page(request, "evaluation/cases_send.html", context, status=422)
    said = [f"{intake.new:,} new items to label, {intake.duplicate:,} known already", *parcel.stayed]
    messages.success(request, f"{'; '.join(said)}.")
    return redirect(back)


def sides_asked(request: HttpRequest, access: Access, run: EvalRun) -> list[Side]:
    """?s=RUN.INDEX… (the first of this run), or ?a=INDEX&b=INDEX; else the baseline and the last candidate."""
    keys = [key for key in request.GET.getlist("s") if key]
    try:
        if keys:
            found = find_sides(access.project, keys, least=1)
            return (
                sorted(found, key=lambda side: side.run.pk != run.pk) if found[0].run.pk != run.pk else found
            )
    except Refused as refusal:
        raise Http404(refusal.sentence) from refusal
    targets = list(run.targets.select_related("checkpoint", "endpoint"))
    chosen = [_index(request, name, len(targets)) for name in ("a", "b")]
    first = 0 if chosen[0] is None else chosen[0]
    candidates = [target.index for target in targets if is_candidate(target)]
    last = candidates[-1] if candidates else len(targets) - 1
    second = last if chosen[1] is None else chosen[1]
    return [Side(run, targets[index]) for index in dict.fromkeys([first, second])]


def _index(request: HttpRequest, name: str, count: int) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 and int(text) < count else None


def list_context(request: HttpRequest, access: Access, sides: list[Side]) -> dict[str, Any]:
    """What the list of cases needs, on whichever page it stands."""
    asked = read_asked(request.GET, sides, secret=access.can.manage)
    listing = listed(sides, asked)
    pages = Paginator(listing.rows, PER_PAGE)
    some = pages.get_page(asked.page)
    hidden = is_hidden(sides, asked)
    return {
        "listing": listing,
        "page_obj": some,
        "rows": list(some) if hidden else page_of(listing, list(some)),
        "hidden": hidden,
        "first": sides[0],
        "others": sides[1:],
        "shows": [(key, words, listing.counts[key]) for key, words in SHOWS.items() if _fits(key, listing)],
        "sorts": SORTS.items() if len(sides) > 1 else (),
        "metrics": [metric.name for metric in metrics_of(sides[0].run)],
        "asked": asked,
        "pickable": _pickable(access, sides),
        "sendable": _sendable(access, sides),
        "most": MOST,
    }


def _pickable(access: Access, sides: list[Side]) -> bool:
    return access.can.curate and not any(is_sealed(side.run) for side in sides)


def _sendable(access: Access, sides: list[Side]) -> bool:
    """Whether this person may send these cases to labeling, in the form that the project's task takes."""
    return _pickable(access, sides) and (len(sides) > 1 or access.project.task not in COMPARING)


def _fits(show: str, listing: Listing) -> bool:
    """Ways to show the cases that mean something here; the one that is chosen always does."""
    if show == listing.asked.show:
        return True
    if show in ("different", "fixed", "broken"):
        return len(listing.sides) > 1
    if show == "failing":
        return listing.metric.is_bounded
    return show == "all" or listing.counts[show] > 0


def _back(request: HttpRequest, access: Access, run: EvalRun) -> str:
    """The list that the reader came from, with its filters: the compare page where sides were named by ?s."""
    params = request.GET.copy()
    params.pop("text", None)
    name = "evaluation:compare" if len(params.getlist("s")) > 1 else "evaluation:cases"
    args = [access.project.slug] if name == "evaluation:compare" else [access.project.slug, run.pk]
    return f"{reverse(name, args=args)}?{params.urlencode()}"
