"""Launching: the page on which a run is put together, new or from the settings of another."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import DatasetVersion
from labeling.pages import page
from training.beginning import Typed, begun, begun_again, rearranged
from training.fields import kinds_for
from training.forms import RunForm
from training.launching import launch
from training.models import TrainingRun
from training.registry import visible_checkpoints
from training.specs import METHODS


@guarded("train")
def new_run(request: HttpRequest, access: Access) -> HttpResponse:
    """Put a run together and start it. POST with `show` only brings up the fields that the choices need."""
    origin = _origin(request, access)
    sent = request.method == "POST" and "show" not in request.POST
    form = RunForm(_values(request, access, origin), project=access.project, sent=sent)
    if sent and form.is_valid():
        try:
            values = {key: form.cleaned_data[key] for key in ("method", "dataset_version", "start", "name")}
            run = launch(
                project=access.project,
                values=form.spec_values(),
                person=access.person,
                again_of=origin,
                **values,
            )
            return redirect("training:run", access.project.slug, run.pk)
        except Refused as refusal:
            form.refuse(refusal.sentence)
    context = {"form": form, "origin": origin, "section": "runs"}
    return page(
        request, "training/new_run.html", context, fragment="launch", status=422 if form.errors else 200
    )


def _values(request: HttpRequest, access: Access, origin: TrainingRun | None) -> Typed:
    if request.method == "POST":
        typed: dict[str, Any] = request.POST.dict()
        return rearranged(typed) if "show" in typed else typed
    if origin is not None:
        return begun_again(origin)
    start = visible_checkpoints(access.project).order_by("-id").first()
    key = request.GET.get("dataset_version", "")
    number = int(key) if key.isdecimal() and len(key) < 19 else 0
    version = DatasetVersion.objects.filter(project=access.project, pk=number).first()
    fitting = [name for name in METHODS if version is None or version.kind in kinds_for(name)]
    asked = request.GET.get("method", "")
    method = asked if asked in METHODS else [*fitting, *METHODS][0]
    return begun(method=method, start=start, **({"dataset_version": version.pk} if version else {}))


def _origin(request: HttpRequest, access: Access) -> TrainingRun | None:
    """The run that this one repeats with changes. Raises Http404 where it is not of this project."""
    key = (request.POST if request.method == "POST" else request.GET).get("again", "")
    if not key:
        return None
    number = int(key) if key.isdecimal() and len(key) < 19 else 0
    return get_object_or_404(TrainingRun, project=access.project, pk=number)
