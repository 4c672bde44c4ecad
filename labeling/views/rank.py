"""The page on which people spend their day: one item, two responses, four answers."""

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.annotating import SKIP_REASONS, save_draft, show, skip, submit
from labeling.errors import Refused, StaleLease
from labeling.forms import DraftForm, JudgmentForm, SkipForm
from labeling.models import Assignment, User
from labeling.pages import page
from labeling.queue import claim_next, left_for
from labeling.values import read_answer


@guarded("annotate")
def rank(request: HttpRequest, access: Access) -> HttpResponse:
    return _task(request, access)


@require_POST
@guarded("annotate")
def submit_judgment(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    form = JudgmentForm(request.POST)
    if not form.is_valid():
        return _task(
            request, access, conflict="The form was incomplete; choose again and submit.", status=422
        )
    values = form.cleaned_data
    try:
        submit(
            project=access.project,
            assignment_id=assignment_id,
            person=_person(access),
            token=values["token"],
            client_key=values["client_key"],
            answer=read_answer({"verdict": values["verdict"]}),
            active_ms=values["active_ms"],
        )
    except StaleLease as stale:
        return _task(request, access, conflict=stale.sentence, status=409)
    except Refused as refusal:
        return _task(request, access, conflict=refusal.sentence, status=422)
    return _stored(request, access, "Saved")


@require_POST
@guarded("annotate")
def skip_item(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    form = SkipForm(request.POST)
    if not form.is_valid():
        return _task(request, access, conflict="Choose a reason, then skip.", status=422)
    try:
        skip(project=access.project, assignment_id=assignment_id, person=_person(access), **form.cleaned_data)
    except StaleLease as stale:
        return _task(request, access, conflict=stale.sentence, status=409)
    except Refused as refusal:
        return _task(request, access, conflict=refusal.sentence, status=422)
    return _stored(request, access, "Skipped")


@require_POST
@guarded("annotate")
def draft(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    form = DraftForm(request.POST)
    if not form.is_valid():
        return HttpResponse("The draft was incomplete.", status=422)
    try:
        save_draft(
            project=access.project,
            assignment_id=assignment_id,
            person=_person(access),
            token=form.cleaned_data["token"],
            answer=read_answer({"verdict": form.cleaned_data["verdict"]}),
        )
    except StaleLease as stale:
        return HttpResponse(stale.sentence, status=409)
    except Refused as refusal:
        return HttpResponse(refusal.sentence, status=422)
    return HttpResponse(status=204)


def _stored(request: HttpRequest, access: Access, notice: str) -> HttpResponse:
    """The next item, with the header by which the page's script knows that the last one was stored."""
    response = _task(request, access, notice=notice)
    response["Prefloop-Saved"] = "1"
    return response


def _task(
    request: HttpRequest, access: Access, *, notice: str = "", conflict: str = "", status: int = 200
) -> HttpResponse:
    person = _person(access)
    assignment = claim_next(project=access.project, person=person)
    context = {
        "task": show(assignment=assignment, person=person) if assignment else None,
        "progress": _progress(access),
        "notice": notice,
        "conflict": conflict,
        "skip_reasons": SKIP_REASONS.items(),
        "section": "rank",
    }
    response = page(request, "labeling/rank.html", context, fragment="task", status=status)
    response["Cache-Control"] = "no-store"
    return response


def _progress(access: Access) -> dict[str, Any]:
    mine = Assignment.objects.filter(project=access.project, person=access.person, submitted_at__isnull=False)
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    left = left_for(project=access.project, person=_person(access))
    counts = mine.aggregate(done=Count("pk"), today=Count("pk", filter=Q(submitted_at__gte=midnight)))
    return {**counts, "left": left, "total": counts["done"] + left}


def _person(access: Access) -> User:
    assert access.person is not None
    return access.person
