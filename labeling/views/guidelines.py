"""Guidelines: what people judge by, its versions, and what changed from one to the next."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.forms import GuidelineForm
from labeling.guidelines import LONGEST, Overtaken, compare, save_guideline
from labeling.models import Guideline
from labeling.pages import page

SHOWN = 100


@guarded("review")
def guidelines(request: HttpRequest, access: Access) -> HttpResponse:
    current = Guideline.objects.filter(project=access.project).first()
    text, base = (current.text, current.number) if current else ("", 0)
    form = GuidelineForm(request.POST or None, initial={"text": text, "base": base})
    if request.method != "POST":
        return _page(request, access, form)
    access.require("manage")
    if not form.is_valid():
        return _page(request, access, form, status=422)
    if request.POST.get("action") == "preview":
        shown = form.cleaned_data["text"][:LONGEST]
        return _page(request, access, form, fragment="preview", more={"preview": shown, "previewed": True})
    return _save(request, access, form, base)


def _save(request: HttpRequest, access: Access, form: GuidelineForm, latest: int) -> HttpResponse:
    mine = form.cleaned_data["text"]
    try:
        saved = save_guideline(
            project=access.project, text=mine, person=access.person, base=form.cleaned_data["base"]
        )
    except Overtaken as late:
        again = GuidelineForm({"text": mine, "base": late.current.number})
        told: dict[str, Any] = {
            "conflict": late.sentence,
            "theirs": late.current,
            "diff": compare(late.current.text, mine),
        }
        return _page(request, access, again, status=409, more=told)
    except Refused as refusal:
        form.add_error("text", refusal.sentence)
        return _page(request, access, form, status=422)
    if saved.number == latest:
        messages.info(request, f"Nothing changed: this is version {saved.number} already.")
    else:
        messages.success(request, f"Version {saved.number} is what people judge by from now on.")
    return redirect("labeling:guidelines", access.project.slug)


@guarded("review")
def guideline(request: HttpRequest, access: Access, number: int) -> HttpResponse:
    """One version, as people read it and as it differs from the one before it or another one."""
    versions = Guideline.objects.filter(project=access.project)
    shown = get_object_or_404(versions.select_related("created_by"), number=number)
    against = request.GET.get("against", "")
    numbers = list(versions.values_list("number", flat=True))
    wanted = int(against) if against.isdecimal() and len(against) < 9 else number - 1
    other = versions.filter(number=wanted).first() if wanted != number else None
    context = {
        "guideline": shown,
        "current": number == numbers[0],
        "other": other,
        "diff": compare(other.text, shown.text) if other else [],
        "others": [known for known in numbers if known != number],
        "section": "guidelines",
    }
    return page(request, "labeling/guideline.html", context)


def _page(
    request: HttpRequest,
    access: Access,
    form: GuidelineForm,
    *,
    fragment: str = "",
    status: int = 200,
    more: dict[str, Any] | None = None,
) -> HttpResponse:
    versions = Guideline.objects.filter(project=access.project).select_related("created_by").defer("text")
    listed = list(versions[:SHOWN])
    context = {
        "form": form,
        "versions": listed,
        "current": Guideline.objects.get(pk=listed[0].pk) if listed and not access.can.manage else None,
        "following": listed[0].number + 1 if listed else 1,
        "longest": LONGEST,
        "section": "guidelines",
        **(more or {}),
    }
    return page(request, "labeling/guidelines.html", context, fragment=fragment, status=status)
