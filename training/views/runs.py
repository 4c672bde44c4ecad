"""Runs: start one, watch it learn, stop it."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.pages import page
from training.charts import loss_chart
from training.forms import RunForm
from training.launching import launch
from training.models import RunEvent, TrainingRun
from training.processes import log_tail
from training.telemetry import loss_points

PER_PAGE = 100


@guarded("view_results")
def runs(request: HttpRequest, access: Access) -> HttpResponse:
    form = RunForm(request.POST or None, project=access.project)
    if request.method == "POST":
        access.require("train")
        if form.is_valid():
            try:
                values = {
                    key: form.cleaned_data[key] for key in ("method", "dataset_version", "start", "name")
                }
                run = launch(
                    project=access.project, values=form.spec_values(), person=access.person, **values
                )
                return redirect("training:run", access.project.slug, run.pk)
            except Refused as refusal:
                form.add_error(None, refusal.sentence)
    rows = TrainingRun.objects.filter(project=access.project).defer("spec", "result")
    found = list(
        rows.select_related("dataset_version", "dataset_version__project", "base", "start")[:PER_PAGE]
    )
    context = {
        "runs": [run_line(run) for run in found],
        "live": any(not run.is_over for run in found),
        "form": form,
        "section": "runs",
    }
    return page(request, "training/runs.html", context, fragment="rows", status=422 if form.errors else 200)


@guarded("view_results")
def run(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    found = get_object_or_404(
        TrainingRun.objects.select_related(
            "dataset_version__project", "base", "start", "project", "created_by"
        ),
        project=access.project,
        pk=run_id,
    )
    chart = loss_chart(
        loss_points(found), name=found.name, method=found.method, total_steps=found.total_steps
    )
    context = {
        "run": {
            **run_line(found),
            "error": found.error,
            "started_at": found.started_at,
            "is_over": found.is_over,
        },
        "found": found,
        "spec_rows": spec_rows(found),
        "lineage": lineage(found),
        "chart": chart,
        "samples": _samples(found),
        "log_tail": log_tail(found.path),
        "checkpoint": getattr(found, "checkpoint", None),
        "live": not found.is_over,
        "section": "runs",
    }
    return page(request, "training/run.html", context, fragment="live")


@require_POST
@guarded("train")
def cancel(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    get_object_or_404(TrainingRun, project=access.project, pk=run_id).request_cancel()
    return redirect("training:run", access.project.slug, run_id)


def run_line(run: TrainingRun) -> dict[str, Any]:
    """What lists and headers show of a run."""
    return {
        "id": run.pk,
        "name": run.name,
        "method": run.method,
        "dataset": run.dataset_version,
        "base": run.base,
        "start": run.start,
        "status": run.status,
        "status_label": status_label(run),
        "progress": 1.0 if run.status == Status.SUCCEEDED else run.progress,
        "step": run.step,
        "total_steps": run.total_steps,
        "loss_first": run.loss_first,
        "loss_last": run.loss_last,
        "created_at": run.created_at,
        "duration": duration_words(run.seconds),
        "eta_words": _eta(run),
    }


def status_label(run: TrainingRun) -> str:
    return str(run.get_status_display())


def duration_words(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _eta(run: TrainingRun) -> str:
    """How long still, from the speed so far; empty before a tenth is done."""
    if run.status != Status.RUNNING or not run.progress or run.progress < 0.1 or run.seconds is None:
        return ""
    left = run.seconds * (1 - run.progress) / run.progress
    return f"about {timesince(timezone.now() - timedelta(seconds=max(left, 60)))} left"


def lineage(run: TrainingRun) -> list[tuple[str, str]]:
    """The thread through a run as (words, address): dataset version, start, the run itself."""
    slug, version, start = run.project.slug, run.dataset_version, run.start
    return [
        (f"Dataset version {version.number}", reverse("labeling:dataset", args=[slug, version.number])),
        (f"starts from {start.name}", reverse("training:checkpoint", args=[slug, start.pk])),
        (run.name, ""),
    ]


def spec_rows(run: TrainingRun) -> list[tuple[str, Any]]:
    return [("started by", run.created_by.username if run.created_by else "the shell"), *_settings(run)]


def _settings(run: TrainingRun) -> list[tuple[str, Any]]:
    return [(name.replace("_", " "), value) for name, value in run.spec.items()]


def _samples(run: TrainingRun) -> list[dict[str, Any]]:
    events = RunEvent.objects.filter(run=run, type="sample").order_by("-seq")[:6]
    return [{"step": event.step, **event.values} for event in events]
