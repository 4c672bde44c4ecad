"""Checks before launch: ask for one, read what the trainer would see, start the run."""

import json
from contextlib import suppress
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.pages import page
from training.checking import blocked_words, launch_checked
from training.models import Preflight, TrainingRun
from training.needs import needs
from training.reports import report_context
from training.specs import parse_spec


@guarded("view_results")
def check(request: HttpRequest, access: Access, check_id: int) -> HttpResponse:
    """A check on its way, or what it found."""
    found = _check(access, check_id)
    context: dict[str, Any] = {
        "check": found,
        "live": not found.is_over,
        "blocked": blocked_words(found),
        "refusal": request.session.pop("refused_start", "") if found.is_over else "",
        "section": "runs",
    }
    if found.status == Status.SUCCEEDED:
        report, spec = found.result["report"], parse_spec(found.method, found.spec)
        context["needs"] = needs(start=found.start, spec=spec, version=found.dataset_version, report=report)
        context |= report_context(report, spec=found.spec, calibration=found.result["calibration"])
        advice = context["needs"].warnings if context["needs"] else []
        context["warned"] = context["counted"]["warning"] + len(advice)
    return page(request, "training/check.html", context, fragment="check")


@require_POST
@guarded("train")
def cancel(request: HttpRequest, access: Access, check_id: int) -> HttpResponse:
    _check(access, check_id).request_cancel()
    return redirect("training:check", access.project.slug, check_id)


@require_POST
@guarded("train")
def start(request: HttpRequest, access: Access, check_id: int) -> HttpResponse:
    """Start the run that was checked."""
    try:
        run = launch_checked(_check(access, check_id), person=access.person)
    except Refused as refusal:
        request.session["refused_start"] = refusal.sentence
        return redirect("training:check", access.project.slug, check_id)
    return redirect("training:run", access.project.slug, run.pk)


@guarded("view_results")
def report(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    """What a run found before its first step: the same report, of what it really trains on."""
    run = get_object_or_404(TrainingRun, project=access.project, pk=run_id)
    context: dict[str, Any] = {"run": run, "section": "runs"}
    with suppress(OSError, ValueError):  # it has not looked yet
        found = json.loads((run.path / "preflight.json").read_text(encoding="utf-8"))
        context |= report_context(found, spec=run.spec, calibration=None)
    return page(request, "training/report.html", context)


def _check(access: Access, check_id: int) -> Preflight:
    rows = Preflight.objects.select_related("dataset_version__project", "base", "start", "created_by", "run")
    return get_object_or_404(rows, project=access.project, pk=check_id)
