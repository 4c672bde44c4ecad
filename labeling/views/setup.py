"""Setting a project up: its rules, what people will be asked, and whether work goes on."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.allocation import Change, own_numbers, pause, resume
from labeling.attributes import PRESETS, preset
from labeling.errors import Refused
from labeling.forms import AttributeRows, RulesForm
from labeling.invitations import open_invitations
from labeling.models import Item, Project, Task
from labeling.pages import page
from labeling.projects import set_rules

CHECKS = ("gold_share", "gold_pass", "repeat_share", "repeat_after")
PACE = ("overlap", "every_item", "lease_minutes", "daily_cap")


@guarded("manage")
def setup(request: HttpRequest, access: Access) -> HttpResponse:
    project, action = access.project, request.POST.get("action", "")
    items = Item.objects.filter(project=project).count()
    own = own_numbers(project) if items else 0
    form = RulesForm(request.POST if action == "rules" else None, project=project, items=items, own=own)
    sent = {"data": request.POST} if action == "attributes" else {"initial": project.attributes}
    rows = AttributeRows(**sent, prefix="attribute")
    refusal = ""
    if request.method == "POST":
        try:
            words = _save(request, project, action, form, rows)
            if words:
                messages.success(request, words)
                return redirect(f"{request.path}{'' if action == 'rules' else '#attributes'}")
        except Refused as refused:
            refusal = refused.sentence
            if action == "rules":
                form.add_error(None, refusal)
    wrong = bool(refusal or form.errors or rows.total_error_count())
    return page(
        request,
        "labeling/setup.html",
        _context(access, form, rows, items, refusal),
        status=422 if wrong else 200,
    )


def _save(request: HttpRequest, project: Project, action: str, form: RulesForm, rows: Any) -> str:
    """Store what was sent. Returns what to say of it; "" where the form has errors of its own."""
    if action == "preset":
        set_rules(project=project, attributes=preset(project, request.POST.get("preset", "")))
        return "The attributes of the preset are in."
    if action == "attributes":
        if not rows.is_valid():
            return ""
        given = [row for row in rows.cleaned_data if any(value not in ("", None) for value in row.values())]
        set_rules(project=project, attributes=given)
        return "The attributes are saved."
    return _said(set_rules(project=project, **form.rules())) if form.is_valid() else ""


def _said(change: Change) -> str:
    if change.opened:
        return f"Saved. {change.opened:,} more judgments are wanted now."
    if change.withdrawn:
        return f"Saved. {change.withdrawn:,} judgments that nobody had begun are not wanted any more."
    return "Saved."


def _context(access: Access, form: RulesForm, rows: Any, items: int, refusal: str) -> dict[str, Any]:
    project = access.project
    task = [
        name
        for name in ("name", "description", "task", "rationale", "ask_strength", "two_pass")
        if name in form.fields
    ]
    pace = [name for name in PACE if name in form.fields]
    return {
        "form": form,
        "parts": [
            ("What is asked", [form[name] for name in task]),
            ("How many people, how long", [form[name] for name in pace]),
            ("How people are checked", [form[name] for name in CHECKS]),
            ("What your product sends", [form["capture_days"]]),
        ],
        "rows": rows,
        "rates": project.task == Task.RATING,
        "categorised": project.task == Task.RAG,
        "presets": [(key, words) for key, (words, _) in PRESETS.items()],
        "refusal": refusal,
        "items": items,
        "people": project.memberships.count(),
        "invited": len(open_invitations(project)),
        "section": "setup",
    }


@require_POST
@guarded("manage")
def set_pause(request: HttpRequest, access: Access) -> HttpResponse:
    """Stop giving out items, or go on."""
    project = access.project
    if request.POST.get("action") == "resume":
        resume(project=project)
        messages.success(request, "Items are given out again.")
    else:
        pause(project=project)
        messages.success(request, "Paused: no more items are given out. Who holds one may finish it.")
    back = "labeling:work" if request.POST.get("back") == "work" else "labeling:setup"
    return redirect(back, project.slug)
