"""A project's retrain policy: when it starts next and why not now, its rules, and its runs step by step."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from evaluation.forms_policies import PolicyForm
from evaluation.models import Channel, PolicyRun, RetrainPolicy, Suite
from evaluation.policies import advancing
from evaluation.policies.facts import facts_of, waiting_of
from evaluation.policies.reading import (
    altered_words,
    due_words,
    line_of,
    quiet_words,
    runs_of,
    uses,
    what_happens,
)
from evaluation.policies.rules import let_go_on, set_policy
from evaluation.policies.standing import hindrance, outlook, owed, triggers_in_words
from evaluation.policies.starting import go_on, policy_of, start
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page
from training.retraining import origin_of

PER_PAGE = 20
NOTICES = {"done": "good", "failed": "danger", "stopped": "warn"}


@guarded("view_results")
def policy(request: HttpRequest, access: Access) -> HttpResponse:
    """What the policy does and when, and the runs of it; without one, what it would be for."""
    found = policy_of(access.project)
    page_obj = Paginator(runs_of(access.project), PER_PAGE).get_page(request.GET.get("page"))
    lines = [line_of(run) for run in page_obj.object_list]
    context: dict[str, Any] = {
        "policy": found,
        "page_obj": page_obj,
        "lines": lines,
        "told": Channel.objects.filter(project=access.project, archived_at=None).count(),
        "section": "policy",
    }
    context |= _standing(found) if found is not None else _missing(access)
    return page(request, "evaluation/policy.html", context, fragment="live")


def _standing(found: RetrainPolicy) -> dict[str, Any]:
    facts = facts_of(found, timezone.now())
    stops = hindrance(found, facts, by_hand=True)
    starts = owed(found, facts) is not None and hindrance(found, facts) is None
    return {
        "facts": facts,
        "altered": altered_words(facts),
        "live": starts or facts.open_run is not None,
        "outlook": outlook(found, facts),
        "why_not": stops.sentence if stops else "",
        "is_paused": facts.failures >= found.pause_after,
        "steps": what_happens(found, facts),
        "triggers": triggers_in_words(found),
        "uses": uses(found, facts),
        "quiet": quiet_words(found),
    }


def _missing(access: Access) -> dict[str, Any]:
    """What has to be there before a policy can be set."""
    return {
        "has_origin": origin_of(access.project, answering=True) is not None,
        "has_suite": Suite.objects.filter(project=access.project, archived_at=None).exists(),
    }


@guarded("train")
def settings(request: HttpRequest, access: Access) -> HttpResponse:
    """The rules."""
    found = policy_of(access.project)
    form = PolicyForm(request.POST or None, project=access.project, policy=found)
    if request.method == "POST" and form.is_valid():
        try:
            set_policy(project=access.project, changes=form.rules(), person=access.person)
            messages.success(
                request, "The policy is kept. It holds from now on; a run under way keeps its own."
            )
            return redirect("evaluation:policy", access.project.slug)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {"policy": found, "form": form, "section": "policy"} | _missing(access)
    return page(request, "evaluation/policy_settings.html", context, status=422 if form.errors else 200)


@require_POST
@guarded("train")
def begin(request: HttpRequest, access: Access) -> HttpResponse:
    """Start a run by hand."""
    try:
        run = start(project=access.project, person=access.person)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
        return redirect("evaluation:policy", access.project.slug)
    return redirect("evaluation:policy_run", access.project.slug, run.pk)


@require_POST
@guarded("train")
def resume(request: HttpRequest, access: Access) -> HttpResponse:
    """Let it start again after failures."""
    let_go_on(get_object_or_404(RetrainPolicy, project=access.project))
    messages.success(request, "It starts again by itself; the failures before count no more.")
    return redirect("evaluation:policy", access.project.slug)


@guarded("view_results")
def policy_run(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    """One run with each of its steps, live while it is under way."""
    found = get_object_or_404(runs_of(access.project).select_related("policy", "origin"), pk=run_id)
    found.project = access.project
    line = line_of(found)
    evaluation, checkpoint = line.of["evaluate"].evaluation, line.of["train"].checkpoint
    context = {
        "run": found,
        "line": line,
        "kind": NOTICES.get(line.status, ""),
        "due": due_words(found),
        "target": evaluation.targets.filter(checkpoint=checkpoint).first() if evaluation else None,
        "findings": found.steps.filter(kind="gate").values_list("findings", flat=True).first(),
        "waiting": waiting_of(found),
        "live": not found.is_over,
        "section": "policy",
    }
    return page(request, "evaluation/policy_run.html", context, fragment="live")


@require_POST
@guarded("train")
def run_go_on(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    """Evaluate what a run trained, and ask the gate, in a new run."""
    found = get_object_or_404(
        PolicyRun.objects.select_related("policy", "project"), project=access.project, pk=run_id
    )
    try:
        found = go_on(run=found, person=access.person)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("evaluation:policy_run", access.project.slug, found.pk)


@require_POST
@guarded("train")
def cancel(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    advancing.cancel(get_object_or_404(PolicyRun, project=access.project, pk=run_id))
    return redirect("evaluation:policy_run", access.project.slug, run_id)
