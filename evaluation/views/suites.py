"""Suites: the list, a new one, its page, its settings, its versions."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from evaluation.forms_scoring import ScoringForm
from evaluation.forms_suites import NewFromFileForm, NewFromSplitForm, NewSuiteForm, SealShareForm, SuiteForm
from evaluation.models import Suite, SuiteVersion
from evaluation.suites import (
    Put,
    add_picked,
    archive_suite,
    change_suite,
    create_suite,
    diff,
    freeze_version,
    seal_share,
    start_import,
    suite_called,
    suite_from_split,
)
from evaluation.suites.reading import COLUMNS
from evaluation.suites.summary import lines_of
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import DatasetVersion
from labeling.pages import page
from labeling.views.parts import number

PER_PAGE = 50
WAYS = {"file": "From a file", "split": "From held-out rows", "empty": "Empty"}


def find_suite(access: Access, suite_id: int) -> Suite:
    """The suite of this number in the project that was opened."""
    return get_object_or_404(Suite.objects.select_related("project"), project=access.project, pk=suite_id)


@guarded("view_results")
def suites(request: HttpRequest, access: Access) -> HttpResponse:
    q, archived = request.GET.get("q", "").replace("\0", "")[:120], request.GET.get("state") == "archived"
    rows = Suite.objects.filter(project=access.project, archived_at__isnull=not archived).defer("system")
    if q:
        rows = rows.filter(name__icontains=q)
    found = Paginator(rows.order_by("-id"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page_obj": found,
        "lines": lines_of(list(found.object_list)),
        "q": q,
        "state": "archived" if archived else "",
        "section": "suites",
    }
    return page(request, "evaluation/suites.html", context, fragment="rows")


@guarded("curate")
def suite_new(request: HttpRequest, access: Access) -> HttpResponse:
    way = request.POST.get("way") or request.GET.get("way", "")
    way = way if way in WAYS else "file"
    form = _new_form(way, request, access)
    if request.method == "POST" and form.is_valid():
        try:
            return _made(way, form.cleaned_data, access)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {
        "form": form,
        "way": way,
        "ways": WAYS.items(),
        "columns": COLUMNS.items(),
        "frozen": DatasetVersion.objects.filter(project=access.project).exists(),
        "section": "suites",
    }
    return page(request, "evaluation/suite_new.html", context, status=422 if form.errors else 200)


def _new_form(way: str, request: HttpRequest, access: Access) -> Any:
    data, files = request.POST or None, request.FILES or None
    if way == "split":
        version = request.GET.get("version", "")
        initial = {"version": version} if version.isdecimal() else None
        return NewFromSplitForm(data, project=access.project, initial=initial)
    return NewFromFileForm(data, files) if way == "file" else NewSuiteForm(data)


def _made(way: str, values: dict[str, Any], access: Access) -> HttpResponse:
    slug = access.project.slug
    if way == "split":
        suite = suite_from_split(version=values["version"], split=values["split"], person=access.person)
        return redirect("evaluation:suite", slug, suite.pk)
    suite = create_suite(
        project=access.project,
        name=values["name"],
        description=values["description"],
        person=access.person,
    )
    if way == "empty":
        return redirect("evaluation:suite", slug, suite.pk)
    file = values["file"]
    batch = start_import(suite=suite, file=file, filename=file.name, person=access.person)
    return redirect("evaluation:suite_import", slug, suite.pk, batch.pk)


@guarded("view_results")
def suite_settings(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    """Its name, what is put before its prompts, and what it is scored by."""
    suite = find_suite(access, suite_id)
    first = {"name": suite.name, "description": suite.description, "system": suite.system}
    posted = request.POST if request.method == "POST" else None
    scoring = ScoringForm(access.project, suite.scoring, posted)
    form = SuiteForm(posted, initial=first)
    fragment = ""
    if posted is not None:
        access.require("curate")
        step, _, key = posted.get("do", "save").partition(":")
        if step == "add":
            scoring.add(posted.get("scorer", ""))
        elif step == "drop":
            scoring.drop(key)
        elif _changed(suite, form, scoring):
            messages.success(request, "Saved. Runs that were planned before keep what they froze.")
            return redirect("evaluation:suite", access.project.slug, suite.pk)
        fragment = "scoring" if step in ("add", "drop") else ""
    context = {"suite": suite, "form": form, "scoring": scoring, "section": "suites"}
    wrong = posted is not None and not fragment
    return page(
        request, "evaluation/suite_settings.html", context, fragment=fragment, status=422 if wrong else 200
    )


def _changed(suite: Suite, form: SuiteForm, scoring: ScoringForm) -> bool:
    metrics = scoring.scoring()
    if not form.is_valid() or metrics is None:
        return False
    try:
        change_suite(suite=suite, scoring=metrics, **form.cleaned_data)
    except Refused as refusal:
        form.add_error(None, refusal.sentence)
        return False
    return True


@require_POST
@guarded("curate")
def suite_archive(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    suite = find_suite(access, suite_id)
    away = request.POST.get("do") != "bring_back"
    try:
        archive_suite(suite=suite, archived=away, owner=access.can.manage)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
        return redirect("evaluation:suite", access.project.slug, suite.pk)
    words = f"{suite.name} was put away; its runs stay." if away else f"{suite.name} is back."
    messages.success(request, words)
    return redirect("evaluation:suites", access.project.slug)


@require_POST
@guarded("curate")
def suite_freeze(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    suite = find_suite(access, suite_id)
    try:
        note = request.POST.get("note", "")
        version = freeze_version(suite=suite, person=access.person, note=note)
        messages.success(
            request, f"Version {version.number} is frozen with {version.cases:,} cases; no run changes it."
        )
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("evaluation:suite", access.project.slug, suite.pk)


@require_POST
@guarded("curate")
def suite_seal(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    """Put a random share of the open cases under seal."""
    suite, form = find_suite(access, suite_id), SealShareForm(request.POST)
    try:
        if not form.is_valid():
            raise Refused(str(next(iter(form.errors.values()))[0]))
        changed = seal_share(
            suite=suite,
            share=form.cleaned_data["share"],
            seed=form.cleaned_data["seed"],
            person=access.person,
        )
        messages.success(
            request, f"{len(changed):,} cases are under seal. Score one chosen candidate on them."
        )
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("evaluation:suite", access.project.slug, suite.pk)


@guarded("view_results")
def suite_diff(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    """What differs between two versions: ?from=1&to=2; without them the newest and the one before it."""
    suite = find_suite(access, suite_id)
    versions = list(SuiteVersion.objects.filter(suite=suite).select_related("created_by")[:200])
    numbers = {version.number: version for version in versions}
    newest = versions[0].number if versions else 0
    after = numbers.get(number(request.GET.get("to")) or newest)
    before = numbers.get(number(request.GET.get("from")) or newest - 1)
    found = diff(before, after) if before and after and before != after else None
    changed = [
        pair
        for pair in (found.changed if found else [])
        if access.can.manage or not (pair.before.sealed or pair.after.sealed)
    ]
    context = {
        "suite": suite,
        "versions": versions,
        "before": before,
        "after": after,
        "diff": found,
        "changed": changed,
        "hidden": len(found.changed) - len(changed) if found else 0,
        "sides": [
            ("Added", found.added, found.counts["added"]),
            ("Removed", found.removed, found.counts["removed"]),
        ]
        if found
        else [],
        "secret": access.can.manage,
        "section": "suites",
    }
    return page(request, "evaluation/suite_diff.html", context)


@require_POST
@guarded("curate")
def suite_pick(request: HttpRequest, access: Access) -> HttpResponse:
    """Copy what was picked on another page into a suite: `item` and `case` are numbers, `suite` is one of the project,
    or `name` that of one, there or new."""
    picked = {
        f"{kind}s": [key for key in map(number, request.POST.getlist(kind)) if key is not None]
        for kind in ("item", "case")
    }
    chosen = number(request.POST.get("suite"))
    tags = request.POST.get("tags", "").split(",")
    try:
        with transaction.atomic():
            if chosen is not None:
                suite = find_suite(access, chosen)
            else:
                name = request.POST.get("name", "")
                suite = suite_called(project=access.project, name=name, person=access.person)
            done = add_picked(suite=suite, tags=tags, person=access.person, **picked)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
        return redirect("evaluation:suites", access.project.slug)
    messages.success(request, picked_words(suite, done))
    return redirect("evaluation:suite", access.project.slug, suite.pk)


def picked_words(suite: Suite, done: Put) -> str:
    """What came of copying cases into a suite."""
    there = f", {done.unchanged:,} {'was' if done.unchanged == 1 else 'were'} there already"
    sealed = f" {done.sealed:,} came under seal, as what it has of the same prompt or cluster."
    words = f"{done.new:,} case{' was' if done.new == 1 else 's were'} added to {suite.name}"
    return f"{words}{there if done.unchanged else ''}.{sealed if done.sealed else ''}"
