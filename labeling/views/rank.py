"""The page on which people spend their day: one item at a time, with the next one already there."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.annotating import SKIP_REASONS, Sent, reopen, save_draft, skip, submit
from labeling.errors import Refused, StaleLease
from labeling.forms import JudgmentForm, LeaseForm, SkipForm
from labeling.models import Assignment, Project, Rationale, User
from labeling.pages import page
from labeling.preferences import ACTIONS, key_words, keys_of, last_read, mark_read
from labeling.progress import own_progress
from labeling.queue import claim_next, heartbeat, postpone, why_nothing
from labeling.reading import read_answer, read_draft
from labeling.screen import duration, given_answer, given_so_far, screen
from labeling.tasks import show
from labeling.values import LONGEST_TEXT, STRENGTHS

GONE = "Your time for this item had run out; somebody else may have it now."
INCOMPLETE = "The form was incomplete; choose again and submit."


@guarded("annotate")
def rank(request: HttpRequest, access: Access) -> HttpResponse:
    return _task(request, access)


@guarded("annotate")
def ahead(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    """The item after this one, for a page that shows it without waiting. 204 when there is none."""
    return _after(request, access, assignment_id)


@guarded("annotate")
def undo(request: HttpRequest, access: Access, assignment_id: int | None = None) -> HttpResponse:
    """My last answer, or the named one, to be changed."""
    try:
        found = reopen(project=access.project, person=_person(access), assignment_id=assignment_id)
    except Refused as refusal:
        return _task(request, access, conflict=refusal.sentence, status=422)
    return _task(request, access, assignment=found)


@require_POST
@guarded("annotate")
def submit_judgment(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    def store(values: dict[str, Any]) -> None:
        values.pop("ahead")
        task = access.project.task
        submit(
            project=access.project,
            assignment_id=assignment_id,
            person=_person(access),
            answer=read_answer(given_answer(request.POST, task), task=task),
            sent=Sent(**values),
        )

    return _stored(request, access, assignment_id, JudgmentForm(request.POST), store, "Saved")


@require_POST
@guarded("annotate")
def skip_item(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    def store(values: dict[str, Any]) -> None:
        skip(
            project=access.project,
            assignment_id=assignment_id,
            person=_person(access),
            token=values["token"],
            reason=values["reason"],
        )

    return _stored(request, access, assignment_id, SkipForm(request.POST), store, "Skipped")


@require_POST
@guarded("annotate")
def later(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    """Put the item to the end of my own queue."""

    def store(values: dict[str, Any]) -> None:
        if not postpone(
            project=access.project,
            assignment_id=assignment_id,
            person=_person(access),
            token=values["token"],
        ):
            raise StaleLease(GONE)

    form = LeaseForm(request.POST)
    return _stored(request, access, assignment_id, form, store, "Put to the end of your queue")


@require_POST
@guarded("annotate")
def draft(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    form = LeaseForm(request.POST)
    if not form.is_valid():
        return HttpResponse("The draft was incomplete.", status=422)
    try:
        _keep_draft(request, access, assignment_id, form.cleaned_data)
    except StaleLease as stale:
        return HttpResponse(stale.sentence, status=409, content_type="text/plain")
    except Refused as refusal:
        return HttpResponse(refusal.sentence, status=422, content_type="text/plain")
    return HttpResponse(status=204)


@require_POST
@guarded("annotate")
def beat(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    """The page is open and somebody is at it."""
    form = LeaseForm(request.POST)
    held = form.is_valid() and heartbeat(
        project=access.project,
        assignment_id=assignment_id,
        person=_person(access),
        token=form.cleaned_data["token"],
    )
    return HttpResponse(status=204) if held else HttpResponse(GONE, status=409, content_type="text/plain")


@require_POST
@guarded("annotate")
def preview(request: HttpRequest, access: Access) -> HttpResponse:
    """A text as it will be shown to others."""
    text = request.POST.get("text", "")[:LONGEST_TEXT]
    return page(request, "labeling/rank/preview.html", {"text": text})


@require_POST
@guarded("annotate")
def read(request: HttpRequest, access: Access) -> HttpResponse:
    """I have read the guidelines as they are now."""
    guideline = access.project.guideline
    if guideline is not None:
        mark_read(person=_person(access), project_id=access.project.pk, number=guideline.number)
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204)
    return redirect("labeling:rank", access.project.slug)


def _stored(
    request: HttpRequest,
    access: Access,
    assignment_id: int,
    form: Form,
    store: Callable[[dict[str, Any]], None],
    notice: str,
) -> HttpResponse:
    """Store what the form says, then the next item; a header tells the page's script that it was stored.

    A page that shows the next item already gets the one after it. What was refused comes back as it was filled in.
    """
    if not form.is_valid():
        return _task(request, access, conflict=INCOMPLETE, status=422)
    try:
        store(dict(form.cleaned_data))
    except StaleLease as stale:
        return _task(request, access, conflict=stale.sentence, status=409)
    except Refused as refusal:
        with suppress(Refused):
            _keep_draft(request, access, assignment_id, form.cleaned_data)
        mine = _mine(access, assignment_id)
        return _task(request, access, assignment=mine, conflict=refusal.sentence, status=422)
    on_screen = form.cleaned_data["ahead"]
    response = _after(request, access, on_screen) if on_screen else _task(request, access, notice=notice)
    response["Prefloop-Saved"] = "1"
    return response


def _keep_draft(request: HttpRequest, access: Access, assignment_id: int, lease: dict[str, Any]) -> None:
    task = access.project.task
    save_draft(
        project=access.project,
        assignment_id=assignment_id,
        person=_person(access),
        token=lease["token"],
        revises=lease["revises"],
        answer=read_draft(given_so_far(request.POST, task), task=task),
    )


def _mine(access: Access, assignment_id: int) -> Assignment | None:
    """The assignment, if this person has it open or has answered it."""
    mine = Assignment.objects.filter(project=access.project, person=access.person, skipped_at=None)
    return mine.select_related("item", "project").filter(pk=assignment_id).first()


def _after(request: HttpRequest, access: Access, on_screen: int) -> HttpResponse:
    person = _person(access)
    assignment = claim_next(project=access.project, person=person, besides=[on_screen])
    if assignment is None:
        return HttpResponse(status=204)
    return _task(request, access, assignment=assignment, besides=1)


def _task(
    request: HttpRequest,
    access: Access,
    *,
    assignment: Assignment | None = None,
    besides: int = 0,
    notice: str = "",
    conflict: str = "",
    status: int = 200,
) -> HttpResponse:
    """The page of one item, of this one or of the next; `besides` says how many the person has on the screen."""
    person, project = _person(access), access.project
    assignment = assignment or claim_next(project=project, person=person)
    task = show(assignment=assignment, person=person) if assignment else None
    progress, keys = own_progress(project=project, person=person), keys_of(person.preferences)
    start_from = request.GET.get("edit", "")
    held = besides + (assignment is not None and assignment.submitted_at is None)
    context = {
        "task": task,
        "screen": task
        and screen(
            task=task, project=project, start_from=int(start_from) if start_from.isdecimal() else None
        ),
        "why_nothing": "" if task else why_nothing(project=project, person=person),
        "progress": progress,
        "left": progress.left + held,
        "total": progress.total + held,
        "active_today": duration(progress.active_today_ms),
        "notice": notice,
        "conflict": conflict,
        "skip_reasons": SKIP_REASONS.items(),
        "strengths": STRENGTHS.items() if project.ask_strength else (),
        "longest_text": LONGEST_TEXT,
        "key": {name: key_words(key) for name, key in keys.items()},
        "keys_json": json.dumps(keys),
        "help": _help(project, keys),
        "preferences": person.preferences,
        "last_read": last_read(person.preferences, project.pk),
        "section": "rank",
    }
    response = page(request, "labeling/rank.html", context, fragment="task", status=status)
    response["Cache-Control"] = "no-store"
    return response


def _help(project: Project, keys: dict[str, str]) -> list[tuple[str, str]]:
    """The keys that mean something in this project, those of its kind of task first."""
    unused = set()
    if not project.ask_strength:
        unused |= {"slightly", "clearly", "much"}
    if project.rationale == Rationale.OFF:
        unused.add("why")
    if project.guideline_id is None:
        unused.add("guide")
    shown = [a for a in ACTIONS if a.shown_for(project.task) and a.name not in unused]
    shown.sort(key=lambda action: not action.kinds)
    return [(key_words(keys[action.name]), action.words) for action in shown]


def _person(access: Access) -> User:
    assert access.person is not None
    return access.person
