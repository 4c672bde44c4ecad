"""Cases: the list on a suite's page with what is done to many, one case with its history, the download."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect

from evaluation.forms_suites import CaseForm, SealShareForm
from evaluation.models import Case, CaseImport, Split, Suite, SuiteVersion
from evaluation.suites import (
    Overtaken,
    add_case,
    add_picked,
    edit_case,
    history,
    living,
    remove_cases,
    restore_cases,
    retag,
    seal,
    suite_called,
    unseal,
)
from evaluation.suites.content import Content, row_of
from evaluation.suites.diffing import changes, ended
from evaluation.suites.listing import SPLITS, Wanted, cases_of, matching, slices_of
from evaluation.suites.sealing import undecided
from evaluation.suites.summary import lines_of
from evaluation.suites.writing import ALIKE, chunks
from evaluation.views.planner import planner
from evaluation.views.suites import find_suite, picked_words
from evaluation.wear import wear_of
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page
from labeling.views.parts import number

SHOWN_VERSIONS, SHOWN_TAGS = 6, 200
MOST_UNDO = 5000


@dataclass(slots=True)
class Done:
    """What a press of a button did, or why not; `undo` is the step that takes it back for these cases."""

    words: str = ""
    refused: str = ""
    undo: str = ""
    uids: str = ""
    tags: str = ""


@guarded("view_results")
def suite(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    found = find_suite(access, suite_id)
    target = getattr(getattr(request, "htmx", None), "target", "")
    if target == "planner":
        (line,) = lines_of([found])
        return page(request, "evaluation/suite_planner.html", planner(request.GET, line.detects))
    wanted = _wanted(request.GET, access)
    done = None
    if request.method == "POST":
        access.require("curate")
        done = _act(request.POST, access, found, wanted)
    context = {
        "suite": found,
        "wanted": wanted,
        "splits": SPLITS.items(),
        "done": done,
        "sort": "newest" if wanted.newest else "",
        "section": "suites",
        "found": cases_of(suite=found, wanted=wanted),
        "tags": slices_of(found)[:SHOWN_TAGS],
    }
    if not target:
        context |= _about(found, request.GET)
    status = 422 if done and done.refused else 200
    return page(request, "evaluation/suite.html", context, fragment="rows", status=status)


def _about(found: Suite, data: QueryDict) -> dict[str, Any]:
    """What stands around the list: power with its planner, wear, seal, versions."""
    (line,) = lines_of([found])
    versions = list(
        SuiteVersion.objects.filter(suite=found).select_related("created_by")[: SHOWN_VERSIONS + 1]
    )
    return {
        "line": line,
        **planner(data, line.detects),
        "versions": versions[:SHOWN_VERSIONS],
        "more_versions": len(versions) > SHOWN_VERSIONS,
        "sealed_looks": wear_of([found], {}, Split.SEALED)[found.pk].looks,
        "waiting": undecided(found).first(),
        "seal_form": SealShareForm(),
        "running": CaseImport.objects.filter(suite=found).exclude(finished_at__isnull=False).first(),
        "imports": CaseImport.objects.filter(suite=found)[:5],
    }


def _wanted(data: QueryDict, access: Access) -> Wanted:
    split = data.get("split", "")
    return Wanted(
        q=data.get("q", "").replace("\0", "")[:200],
        tag=data.get("tag", "").replace("\0", "")[:60],
        split=split if split in SPLITS else "",
        newest=data.get("sort") == "newest",
        after=number(data.get("after")),
        before=number(data.get("before")),
        secret=access.can.manage,
    )


def _act(data: QueryDict, access: Access, found: Suite, wanted: Wanted) -> Done:
    """Do what the pressed button says with the marked cases, or with all that fit the filters."""
    step = data.get("do", "")
    if step.startswith("undo:"):
        step, uids = step.removeprefix("undo:"), data.get("undone", "").split(",")
    elif data.get("all"):
        uids = list(matching(found, wanted).order_by("position").values_list("uid", flat=True))
    else:
        uids = data.getlist("case")
    try:
        if not uids:
            raise Refused("No case was marked; mark at least one, then press the button again.")
        return _step(step, found, uids, data, access)
    except Refused as refusal:
        return Done(refused=refusal.sentence)


def _step(step: str, found: Suite, uids: list[str], data: QueryDict, access: Access) -> Done:
    who: dict[str, Any] = {"suite": found, "uids": uids, "person": access.person}
    tags = data.get("undo_tags") or data.get("tags", "")
    if step in ("tag", "untag"):
        given = tags.split(",")
        changed = retag(**who, add=given) if step == "tag" else retag(**who, remove=given)
        words = (
            f"Tagged {_cases(changed)} with {tags}."
            if step == "tag"
            else f"Took {tags} from {_cases(changed)}."
        )
        return _undoable(words, "untag" if step == "tag" else "tag", changed, tags)
    if step == "remove":
        changed = remove_cases(**who)
        return _undoable(f"Removed {_cases(changed)}. Frozen versions keep them.", "restore", changed)
    if step == "restore":
        changed = restore_cases(**who)
        return _undoable(f"Brought back {_cases(changed)}.", "remove", changed)
    if step == "pick":
        return Done(_picked(found, uids, data.get("name", ""), access))
    if step == "seal":
        changed = seal(**who)
        return Done(f"Put {_cases(changed)} under seal, with all that share their prompts.")
    if step == "unseal":
        access.require("manage")
        changed = unseal(**who, reason=data.get("reason", ""))
        return Done(f"Opened the seal of {_cases(changed)}. The reason stands in their history.")
    raise Refused("Nothing was chosen; press one of the buttons of this page.")


@transaction.atomic
def _picked(found: Suite, uids: list[str], name: str, access: Access) -> str:
    """Copy cases into the suite of this name."""
    keys = [
        key
        for some in chunks(uids)
        for key in living(found).filter(uid__in=some).values_list("pk", flat=True)
    ]
    target = suite_called(project=access.project, name=name, person=access.person)
    return picked_words(target, add_picked(suite=target, cases=keys, person=access.person))


def _undoable(words: str, undo: str, changed: list[str], tags: str = "") -> Done:
    if not changed or len(changed) > MOST_UNDO:
        return Done(words)
    return Done(words, undo=undo, uids=",".join(changed), tags=tags)


def _cases(uids: list[str]) -> str:
    return f"{len(uids):,} case{'' if len(uids) == 1 else 's'}"


@guarded("view_results")
def case(request: HttpRequest, access: Access, suite_id: int, uid: str) -> HttpResponse:
    """One case: its texts, its fields to edit, and every state that it ever had."""
    found = find_suite(access, suite_id)
    current = living(found).filter(uid=uid).select_related("suite", "created_by").first()
    row = current or ended(found, uid)
    if row is None:
        raise Http404("This suite has no such case.")
    hidden = row.sealed and not access.can.manage
    form = CaseForm(case=row)
    context: dict[str, Any] = {"suite": found, "case": row, "removed": current is None, "hidden": hidden}
    if request.method == "POST":
        access.require("manage" if hidden else "curate")
        base = Case.objects.filter(suite=found, uid=uid, pk=number(request.POST.get("base")) or 0)
        begun = base.select_related("suite").first() or row
        form = CaseForm(request.POST, case=begun)
        content = form.content()
        if content is not None:
            more = _saved(request, access, begun, form, content)
            if isinstance(more, HttpResponse):
                return more
            context |= more
    context |= {"form": form, "states": [] if hidden else history(found, uid), "section": "suites"}
    status = 409 if "theirs" in context else 422 if form.errors else 200
    return page(request, "evaluation/case.html", context, status=status)


def _saved(
    request: HttpRequest, access: Access, begun: Case, form: CaseForm, content: Content
) -> HttpResponse | dict[str, Any]:
    """Save it and go on; else what the page says of the refusal."""
    try:
        made = edit_case(
            case=begun, content=content, person=access.person, note=form.cleaned_data["note"].strip()
        )
    except Overtaken as late:
        if late.current is None:
            form.add_error(None, late.sentence)
            return {}
        mine = row_of(suite=begun.suite, uid=begun.uid, content=content, position=0, number=0, person=None)
        form.go_on_from(late.current)
        return {"conflict": late.sentence, "theirs": late.current, "differences": changes(late.current, mine)}
    except Refused as refusal:
        form.add_error(None, refusal.sentence)
        return {}
    words = "Nothing changed." if made == begun else "Saved; the states before stay in the history."
    if made.sealed and not begun.sealed:
        words = f"Saved. {ALIKE}"
    messages.success(request, words)
    return redirect("evaluation:case", access.project.slug, begun.suite_id, begun.uid)


@guarded("curate")
def case_new(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    found = find_suite(access, suite_id)
    form = CaseForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and (content := form.content()) is not None:
        try:
            made = add_case(suite=found, content=content, person=access.person, source="written here")
            alike = f" {ALIKE}" if made.sealed else ""
            messages.success(request, f"Added as case {made.position + 1}.{alike}")
            again = "evaluation:case_new" if request.POST.get("do") == "again" else "evaluation:suite"
            return redirect(again, access.project.slug, found.pk)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {"suite": found, "form": form, "section": "suites"}
    return page(request, "evaluation/case_new.html", context, status=422 if form.errors else 200)


@guarded("view_results")
def suite_file(request: HttpRequest, access: Access, suite_id: int) -> StreamingHttpResponse:
    """Download: the cases as they are now, in the columns that an import reads. Sealed ones only for those who may
    read them."""
    found = find_suite(access, suite_id)
    rows = living(found).order_by("position", "id")
    if not access.can.manage:
        rows = rows.filter(sealed=False)
    answer = StreamingHttpResponse(_lines(rows.iterator(500)), content_type="application/jsonl")
    answer["Content-Disposition"] = f'attachment; filename="{access.project.slug}-suite-{found.pk}.jsonl"'
    return answer


def _lines(rows: Iterator[Case]) -> Iterator[bytes]:
    for row in rows:
        values = row.content()
        values["id"] = values.pop("uid")
        kept = {name: value for name, value in values.items() if value not in (None, "", [])}
        yield json.dumps(kept, ensure_ascii=False).encode() + b"\n"
