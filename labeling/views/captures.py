"""Captures: what came from the product, the rules that put some into the queue, the tokens by which they come."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from labeling.access import Access, guarded
from labeling.capturing import queueing, sampling
from labeling.capturing.examples import CLIENT_NAME, client_source, curl_example
from labeling.capturing.forms import CaptureFilter, RuleForm, TokenForm, initial_of
from labeling.capturing.listing import Wanted, captures_of, days_of, hidden_of
from labeling.capturing.reading import FIELDS
from labeling.capturing.tokens import make_token, revoke_token
from labeling.errors import Refused
from labeling.models import Capture, CaptureRule, CaptureState, CaptureTally, CaptureToken, Voice
from labeling.pages import page
from labeling.views.parts import number

SECTION = "captures"


@guarded("curate")
def captures(request: HttpRequest, access: Access) -> HttpResponse:
    form = CaptureFilter(request.GET)
    form.is_valid()
    wanted = Wanted(**form.cleaned_data)
    context = {
        "found": captures_of(project=access.project, wanted=wanted, reader=access.person),
        "wanted": wanted,
        "voices": Voice.choices,
        "states": CaptureState.choices,
        "days": days_of(access.project),
        "outcomes": CaptureTally.Outcome.labels,
        "rules": CaptureRule.objects.filter(project=access.project, is_on=True).count(),
        "curl": curl_example(_address(request), "pfc_…"),
        "section": SECTION,
    }
    return page(request, "labeling/captures.html", context, fragment="rows")


@guarded("curate")
def capture(request: HttpRequest, access: Access, capture_id: int) -> HttpResponse:
    rows = Capture.objects.select_related("token")
    found = get_object_or_404(rows, project=access.project, pk=capture_id)
    context = {
        "capture": found,
        "hidden": bool(hidden_of(access.project, [found], access.person)),
        "tags": [word for word in found.labels.split("|") if word],
        "section": SECTION,
    }
    return page(request, "labeling/capture.html", context)


@guarded("curate")
def rules(request: HttpRequest, access: Access) -> HttpResponse:
    """The rules with what each would have taken lately; ?edit=N opens one of them."""
    project = access.project
    step, _, key = request.POST.get("do", "").partition(":")
    edited = number(key or request.GET.get("edit")) or 0
    chosen = CaptureRule.objects.filter(project=project, pk=edited).first()
    form = RuleForm(
        request.POST if step in ("add", "save") else None, initial=initial_of(chosen) if chosen else None
    )
    refusal = ""
    if request.method == "POST":
        try:
            if words := _change(access, step, edited, form):
                messages.success(request, words)
                return redirect("labeling:capture_rules", project.slug)
        except Refused as refused:
            refusal = refused.sentence
    taken = sampling.would_take(project=project)
    context = {
        "form": form,
        "chosen": chosen if step in ("", "save") else None,
        "lines": [(rule, taken.by_rule.get(rule.pk)) for rule in CaptureRule.objects.filter(project=project)],
        "taken": taken,
        "refusal": refusal,
        "section": SECTION,
    }
    wrong = bool(refusal or form.errors)
    return page(request, "labeling/capture_rules.html", context, status=422 if wrong else 200)


def _change(access: Access, step: str, number: int, form: RuleForm) -> str:
    """Do what was pressed. Returns what to say; "" where the form has errors."""
    project = access.project
    if step in ("add", "save"):
        if not form.is_valid():
            return ""
        rule_id = number if step == "save" else None
        sampling.save_rule(project=project, person=access.person, rule_id=rule_id, **form.values())
        return "The rule holds for what comes from now on."
    if step in ("up", "down"):
        sampling.move_rule(project=project, rule_id=number, up=step == "up")
        return "Moved."
    if step in ("on", "off"):
        sampling.save_rule(project=project, person=access.person, rule_id=number, is_on=step == "on")
        return (
            "The rule is on." if step == "on" else "The rule is off: it takes nothing until it is on again."
        )
    if step == "remove":
        sampling.remove_rule(project=project, rule_id=number)
        return "The rule is gone. What it took stays in the queue."
    if step == "apply":
        count = sampling.apply_rules(project=project)
        queueing.nudge(project)
        return f"{count:,} captures of the last {sampling.DAYS} days are on their way into the queue."
    raise Refused("Nothing was chosen; press one of the buttons of this page.")


@guarded("manage")
def tokens(request: HttpRequest, access: Access) -> HttpResponse:
    """Who may send captures. The secret of a new token is in this answer only."""
    project, secret, refusal = access.project, "", ""
    making = request.POST.get("do") == "make"
    form = TokenForm(request.POST if making else None)
    if request.method == "POST":
        try:
            if making and form.is_valid():
                _, secret = make_token(project=project, person=access.person, **form.cleaned_data)
                form = TokenForm()
            elif not making:
                key = number(request.POST.get("revoke")) or 0
                token = revoke_token(project=project, token_id=key, person=access.person)
                messages.success(request, f"The token {token.name} opens nothing any more.")
                return redirect("labeling:capture_tokens", project.slug)
        except Refused as refused:
            refusal = refused.sentence
    context: dict[str, Any] = {
        "form": form,
        "secret": secret,
        "refusal": refusal,
        "tokens": CaptureToken.objects.filter(project=project).select_related("created_by", "revoked_by"),
        "most": settings.PREFLOOP_CAPTURES_PER_MINUTE,
        "curl": curl_example(_address(request), secret or "pfc_…"),
        "client": client_source(),
        "client_name": CLIENT_NAME,
        "fields": FIELDS.items(),
        "section": SECTION,
    }
    wrong = bool(refusal or form.errors)
    response = page(request, "labeling/capture_tokens.html", context, status=422 if wrong else 200)
    if secret:
        response["Cache-Control"] = "no-store"
    return response


@guarded("curate")
def client(request: HttpRequest, access: Access) -> HttpResponse:
    """Download: the Python client."""
    return HttpResponse(
        client_source(),
        content_type="text/x-python; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{CLIENT_NAME}"'},
    )


def _address(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("api-captures"))
