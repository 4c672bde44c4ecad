"""Runs: the list, one run as it learns, and the button that stops it."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import F, QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion
from labeling.pages import page
from training import launching
from training.charts import run_charts
from training.devices import devices_in_words
from training.fields import label, method_name, words
from training.models import TrainingRun
from training.outcomes import outcomes
from training.specs import METHODS, ROLLOUTS
from training.telemetry import points_of
from training.telling import checks, differing, facts, falling, gamed, rollouts, samples, settings
from training.tracking import told
from training.views.logs import last_part

PER_PAGE = 50
NOTHING_NEW = 204  # htmx leaves the page as it is
SORTS: dict[str, list[Any]] = {
    "name": ["name", "-id"],
    "status": ["status", "-id"],
    "loss": [F("loss_last").asc(nulls_last=True), "-id"],
    "took": [(F("finished_at") - F("started_at")).desc(nulls_last=True), "-id"],
}


@guarded("view_results")
def runs(request: HttpRequest, access: Access) -> HttpResponse:
    """The runs of a project, by status, method and words of their names."""
    rows = TrainingRun.objects.filter(project=access.project).defer("spec", "result")
    rows = rows.select_related("dataset_version", "dataset_version__project", "base", "start")
    chosen, sort, marked = _filters(request), request.GET.get("sort", ""), request.GET.getlist("run")
    unmarked = request.GET.copy()
    unmarked.pop("run", None)  # a mark is of this look only: no address on the page keeps it
    request.GET = unmarked  # type: ignore[assignment]
    page_obj = Paginator(_filtered(rows, chosen).order_by(*SORTS.get(sort, ["-id"])), PER_PAGE).get_page(
        request.GET.get("page")
    )
    found = list(page_obj.object_list)
    context = {
        "runs": [run_line(run) for run in found],
        "page_obj": page_obj,
        "marked": marked,
        "live": any(not run.is_over for run in found),
        "filters": chosen,
        "filtered": any(chosen.values()),
        "sort": sort if sort in SORTS else "",
        "statuses": Status.choices,
        "methods": [(name, method_name(name)) for name in METHODS],
        "devices": devices_in_words(access.project),
        "has_versions": DatasetVersion.objects.filter(project=access.project).exists(),
        "section": "runs",
    }
    return page(request, "training/runs.html", context, fragment="rows")


def _filters(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "").strip() for name in ("q", "status", "method")}


def _filtered(rows: QuerySet[TrainingRun], chosen: dict[str, str]) -> QuerySet[TrainingRun]:
    if chosen["q"]:
        rows = rows.filter(name__icontains=chosen["q"])
    given = {name: chosen[name] for name in ("status", "method") if chosen[name]}
    return rows.filter(**given).annotate(adaptation=KT("spec__adaptation"))


@guarded("view_results")
def run(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    """One run. A live page that says what it has ?seen gets an answer only when there is something new."""
    found = get_object_or_404(_whole(), project=access.project, pk=run_id)
    points = points_of(found)
    newest = found.events.order_by("-seq").values_list("seq", flat=True).first()
    state = f"{found.status}.{found.step}.{newest}.{found.attempt}.{int(bool(found.cancel_requested_at))}"
    if request.htmx and request.GET.get("seen") == state:  # type: ignore[attr-defined]
        return HttpResponse(status=NOTHING_NEW)
    checked, warnings = checks(found)
    warnings += [sentence for sentence in (falling(points), gamed(points)) if sentence]
    context = {
        "run": run_line(found),
        "found": found,
        "state": state,
        **run_charts(points, method=found.method, total_steps=found.total_steps),
        "samples": samples(found),
        "rollouts": rollouts(found) if found.method in ROLLOUTS else [],
        "checks": checked,
        "warnings": warnings,
        "differences": differing([found.again_of, found]) if found.again_of else [],
        "spec_rows": spec_rows(found),
        "environment": facts(found.result.get("environment") or {}),
        "lineage": lineage(found),
        "log": last_part(found),
        "trackers": told(found),
        "checkpoint": getattr(found, "checkpoint", None),
        **outcomes(found),
        "section": "runs",
    }
    return page(request, "training/run.html", context, fragment="live")


@require_POST
@guarded("train")
def cancel(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    get_object_or_404(TrainingRun, project=access.project, pk=run_id).request_cancel()
    return redirect("training:run", access.project.slug, run_id)


@require_POST
@guarded("train")
def resume(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    """Let a run that failed or was cancelled go on from its last checkpoint."""
    found = get_object_or_404(_whole(), project=access.project, pk=run_id)
    try:
        launching.resume(found)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("training:run", access.project.slug, run_id)


def _whole() -> QuerySet[TrainingRun]:
    return TrainingRun.objects.select_related(
        "dataset_version__project",
        "base",
        "start",
        "reward",
        "gold",
        "project",
        "created_by",
        "checkpoint",
        "pipeline_step__pipeline",
        "again_of__dataset_version",
        "again_of__start",
        "again_of__reward",
        "again_of__gold",
    )


def run_line(run: TrainingRun) -> dict[str, Any]:
    """What lists and headers show of a run."""
    return {
        "id": run.pk,
        "name": run.name,
        "method": run.method,
        "adaptation": getattr(run, "adaptation", ""),
        "dataset": run.dataset_version,
        "base": run.base,
        "start": run.start,
        "status": run.status,
        "status_label": status_label(run),
        "is_over": run.is_over,
        "waiting": run.waiting,
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
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _eta(run: TrainingRun) -> str:
    """How long still, from the speed so far; empty before a tenth is done."""
    if run.is_over or not run.progress or run.progress < 0.1 or run.seconds is None:
        return ""
    left = run.seconds * (1 - run.progress) / run.progress
    return f"about {timesince(timezone.now() - timedelta(seconds=max(left, 60)))} left"


def lineage(run: TrainingRun) -> list[tuple[str, str]]:
    """The thread through a run as (words, address): dataset version, start, the run itself."""
    slug, version, start, judge = run.project.slug, run.dataset_version, run.start, run.reward
    judged = (
        [(f"rewarded by {judge.name}", reverse("training:checkpoint", args=[slug, judge.pk]))]
        if judge
        else []
    )
    step = getattr(run, "pipeline_step", None)
    part_of = (
        [(f"a step of {step.pipeline.name}", reverse("training:pipeline", args=[slug, step.pipeline_id]))]
        if step
        else []
    )
    return [
        *part_of,
        (f"Dataset version {version.number}", reverse("labeling:dataset", args=[slug, version.number])),
        (f"starts from {start.name}", reverse("training:checkpoint", args=[slug, start.pk])),
        *judged,
        (run.name, ""),
    ]


def spec_rows(run: TrainingRun) -> list[tuple[str, str]]:
    """What a run was told, setting by setting."""
    by = run.created_by.username if run.created_by else "the shell"
    judges = (("Reward model", run.reward), ("Second reward model", run.gold))
    return [
        ("Started by", by),
        *((title, judge.name) for title, judge in judges if judge is not None),
        *((label(name), words(value)) for name, value in settings(run).items()),
    ]
