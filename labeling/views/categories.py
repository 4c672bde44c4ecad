"""The error categories of a project: what may be said of an answer, and how that came about."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import CategoryChange, Scope, Stage
from labeling.pages import page
from labeling.rag.changing import change_categories
from labeling.rag.taxonomy import LONGEST_KEY, LONGEST_NAME, all_categories

SHOWN, PARTS = 50, (1, 2, 3)


@guarded("review")
def categories(request: HttpRequest, access: Access) -> HttpResponse:
    """What can be chosen, with the forms that change it for owners, and the history."""
    if request.method != "POST":
        return _page(request, access)
    access.require("manage")
    try:
        words = change_categories(
            project=access.project,
            person=access.person,
            action=request.POST.get("action", ""),
            values=_values(request.POST),
        )
    except Refused as refusal:
        return _page(request, access, refusal=refusal.sentence, status=422)
    messages.success(request, words)
    return redirect("labeling:categories", access.project.slug)


def _values(data: QueryDict) -> dict[str, Any]:
    """The fields of a form: the parts of a split come as name.1, words.1, name.2 and so on."""
    parts = [{name: data.get(f"{name}.{n}", "") for name in ("name", "words", "stage")} for n in PARTS]
    values: dict[str, Any] = {name: data[name] for name in data if "." not in name}
    return {**values, "parts": [part for part in parts if part["name"].strip()]}


def _page(request: HttpRequest, access: Access, *, refusal: str = "", status: int = 200) -> HttpResponse:
    found = all_categories(access.project)
    living = [category for category in found if category.retired_at is None]
    history = CategoryChange.objects.filter(project=access.project).select_related("person")
    context = {
        "groups": [
            (scope, words, [category for category in living if category.scope == scope])
            for scope, words in Scope.choices
        ],
        "retired": [category for category in found if category.retired_at is not None],
        "history": history[:SHOWN],
        "scopes": Scope.choices,
        "stages": Stage.choices,
        "parts": PARTS,
        "refusal": refusal,
        "sent": request.POST if refusal else {},
        "longest_name": LONGEST_NAME,
        "longest_key": LONGEST_KEY,
        "section": "setup",
    }
    return page(request, "labeling/categories.html", context, status=status)
