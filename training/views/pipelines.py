"""Pipelines: SFT, reward model and policy launched in one form, and shown as one page."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page
from training import pipelines
from training.chaining import StepRefused
from training.charts import run_charts
from training.fields import adaptation_name, label, method_name, words
from training.forms_pipelines import TITLES, PipelineForm, step_forms
from training.models import Pipeline, PipelineStep
from training.standing import made, standing, status_of, steps_of, with_steps
from training.telemetry import points_of
from training.views.runs import NOTHING_NEW, run_line

PER_PAGE = 50
Role = PipelineStep.Role


@guarded("train")
def new_pipeline(request: HttpRequest, access: Access) -> HttpResponse:
    """Put the three steps together and launch them. POST with `show` only brings up what the choices need."""
    show = "show" in request.POST
    sent = request.method == "POST" and not show
    head = PipelineForm(request.POST if request.method == "POST" else None, project=access.project)
    steps = step_forms(request.POST.dict(), project=access.project, sent=sent, rearrange=show)
    if sent and all([form.is_valid() for form in (head, *steps.values())]):  # noqa: C419  each shows its errors
        try:
            launched = pipelines.launch_pipeline(
                project=access.project,
                start=head.cleaned_data["start"],
                name=head.cleaned_data["name"],
                person=access.person,
                **{role: form.asked() for role, form in steps.items()},
            )
            return redirect("training:pipeline", access.project.slug, launched.pk)
        except StepRefused as refusal:
            steps[refusal.role].refuse(refusal.sentence)
        except Refused as refusal:
            head.add_error(None, refusal.sentence)
    refused = sent and any(form.errors for form in (head, *steps.values()))
    context = {"head": head, "steps": steps.values(), "refused": refused, "section": "runs"}
    return page(
        request, "training/new_pipeline.html", context, fragment="launch", status=422 if refused else 200
    )


@guarded("view_results")
def all_pipelines(request: HttpRequest, access: Access) -> HttpResponse:
    """The pipelines of a project."""
    rows = with_steps(Pipeline.objects.filter(project=access.project))
    page_obj = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    lines = [_line(pipeline) for pipeline in page_obj.object_list]
    context = {
        "lines": lines,
        "page_obj": page_obj,
        "live": any(not line["is_over"] for line in lines),
        "section": "runs",
    }
    return page(request, "training/pipelines.html", context, fragment="rows")


@guarded("view_results")
def pipeline(request: HttpRequest, access: Access, pipeline_id: int) -> HttpResponse:
    """All steps of one pipeline. A live page that says what it has ?seen gets an answer only when something is new."""
    found = get_object_or_404(with_steps(Pipeline.objects.all()), project=access.project, pk=pipeline_id)
    line = _line(found)
    steps = [_step(found, line["steps"], role) for role in line["steps"]]
    state = ".".join(str(step["state"]) for step in steps) + f".{line['status']}"
    if request.htmx and request.GET.get("seen") == state:  # type: ignore[attr-defined]
        return HttpResponse(status=NOTHING_NEW)
    context = {"found": found, "line": line, "steps": steps, "state": state, "section": "runs"}
    return page(request, "training/pipeline.html", context, fragment="live")


@require_POST
@guarded("train")
def cancel(request: HttpRequest, access: Access, pipeline_id: int) -> HttpResponse:
    pipelines.cancel(get_object_or_404(Pipeline, project=access.project, pk=pipeline_id))
    return redirect("training:pipeline", access.project.slug, pipeline_id)


@require_POST
@guarded("train")
def go_on(request: HttpRequest, access: Access, pipeline_id: int) -> HttpResponse:
    """Take up a pipeline that was cancelled."""
    found = get_object_or_404(Pipeline, project=access.project, pk=pipeline_id)
    try:
        pipelines.go_on(found)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("training:pipeline", access.project.slug, pipeline_id)


@require_POST
@guarded("train")
def restart(request: HttpRequest, access: Access, pipeline_id: int, role: str) -> HttpResponse:
    """Train one step anew."""
    found = get_object_or_404(Pipeline, project=access.project, pk=pipeline_id, steps__role=role)
    try:
        pipelines.restart(found, role)
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("training:pipeline", access.project.slug, pipeline_id)


def _line(pipeline: Pipeline) -> dict[str, Any]:
    """What lists and the header show of a pipeline."""
    steps = steps_of(pipeline)
    status = status_of(pipeline, steps)
    return {
        "pipeline": pipeline,
        "steps": steps,
        "standing": [
            (Role(role).label, standing(pipeline, steps, role), step) for role, step in steps.items()
        ],
        "status": status,
        "status_label": status.label,
        "is_over": status in ("succeeded", "failed", "cancelled")
        and not any(step.run is not None and not step.run.is_over for step in steps.values()),
    }


def _step(pipeline: Pipeline, steps: dict[str, PipelineStep], role: str) -> dict[str, Any]:
    """What the page shows of one step."""
    step, run = steps[role], steps[role].run
    title, said = TITLES[Role(role)]
    found = standing(pipeline, steps, role)
    charts = run_charts(points_of(run), method=run.method, total_steps=run.total_steps) if run else {}
    chart = next(iter(charts.get("learning", [])), None)
    return {
        "role": role,
        "title": title,
        "said": said,
        "method": method_name(step.method),
        "adaptation": adaptation_name(str(step.values.get("adaptation", ""))),
        "step": step,
        "run": run_line(run) if run else None,
        "error": step.refusal or (run.error if run else ""),
        "standing": found,
        "made": made(step),
        "settings": [(label(name), words(value)) for name, value in step.values.items()],
        "chart": chart | {"id": f"{role}-{chart['id']}"} if chart else None,
        "state": f"{found.status}-{run.pk if run else 0}-{run.step if run else 0}-{bool(found.outdated)}",
    }
