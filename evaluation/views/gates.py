"""Gates: the conditions of a suite, and what they say of one candidate of a run."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from evaluation.deciding import candidate_of, decide, last_decision, set_gate
from evaluation.findings import gate_of
from evaluation.forms_gates import DecisionForm, GateForm
from evaluation.models import EvalRun, RunTarget, Suite
from evaluation.plans import primary_of
from evaluation.suites.sealing import CANDIDATES
from evaluation.views.verdict import found_run
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.pages import page
from training.staging import in_production


@guarded("view_results")
def gate(request: HttpRequest, access: Access, suite_id: int) -> HttpResponse:
    """What a candidate must show on this suite; owners change it."""
    suite = get_object_or_404(Suite, project=access.project, pk=suite_id)
    current = gate_of(suite)
    form = GateForm(request.POST or None, gate=current)
    if request.method == "POST":
        access.require("manage")
        if form.is_valid():
            try:
                set_gate(suite=suite, values=form.gate_values(), person=access.person)
                messages.success(request, f"The gate of {suite} is kept. It holds from the next decision on.")
                return redirect("evaluation:gate", access.project.slug, suite.pk)
            except Refused as refusal:
                form.add_error(None, refusal.sentence)
    context = {
        "suite": suite,
        "gate": current,
        "form": form,
        "primary": primary_of({metric["name"]: metric.get("weight", 0) for metric in suite.scoring}),
        "section": "suites",
    }
    return page(request, "evaluation/gate.html", context, status=422 if form.errors else 200)


@guarded("view_results")
def gate_verdict(request: HttpRequest, access: Access, evaluation_id: int, index: int) -> HttpResponse:
    """Every condition with its numbers, and the buttons that decide."""
    run = found_run(access, evaluation_id)
    target = get_object_or_404(
        RunTarget.objects.select_related("checkpoint__base", "endpoint"), run=run, index=index
    )
    refusal = ""
    if request.method == "POST":
        access.require("train")
        try:
            return _decided(request, access, run, target)
        except Refused as refused:
            refusal = refused.sentence
    return page(
        request,
        "evaluation/gate_verdict.html",
        _context(run, target, refusal),
        status=409 if refusal else 200,
    )


def _decided(request: HttpRequest, access: Access, run: EvalRun, target: RunTarget) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        sentences = [sentence for errors in form.errors.values() for sentence in errors]
        raise Refused(f"Nothing was decided: {' '.join(map(str, sentences))}")
    given = form.cleaned_data
    if given["despite"]:
        access.require("manage")
    decision = decide(
        run=run,
        target=target,
        promote=given["action"] == "promote",
        person=access.person,
        reason=given["reason"],
        despite=given["despite"],
        seen=(given["production"], given["decision"]),
    )
    messages.success(request, f"{decision.candidate}: {decision.get_action_display().lower()}.")
    return redirect("evaluation:decision", access.project.slug, decision.pk)


def _context(run: EvalRun, target: RunTarget, refusal: str) -> dict[str, Any]:
    context: dict[str, Any] = {
        "evaluation": run,
        "target": target,
        "refusal": refusal,
        "section": "evaluations",
    }
    if run.status != Status.SUCCEEDED or target.is_baseline:
        try:
            candidate_of(run, target)
        except Refused as refused:
            context["why_not"] = refused.sentence
        return context
    from evaluation.gates import examine

    context |= {
        "findings": examine(run, target),
        "gate": gate_of(run.suite),
        "last": last_decision(run),
        "candidates": list(run.targets.filter(CANDIDATES)),
    }
    try:
        candidate = candidate_of(run, target)
        context |= {"candidate": candidate, "champion": in_production(candidate)}
    except Refused as refused:
        context["why_not"] = refused.sentence
    return context
