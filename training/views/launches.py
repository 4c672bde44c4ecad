"""Launching: the page on which a run is put together, new or from the settings of another."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import DatasetVersion
from labeling.pages import page
from training.beginning import Typed, begun, begun_again, rearranged
from training.checking import start_check
from training.fields import kinds_for
from training.forms import RunForm
from training.launching import launch
from training.models import Checkpoint, TrainingRun
from training.needs import needs
from training.pipelines import take_place
from training.registry import visible_checkpoints
from training.specs import METHODS, SpecRefused, parse_spec


@guarded("train")
def new_run(request: HttpRequest, access: Access) -> HttpResponse:
    """Put a run together, then check or start it. POST with `show` only brings up the fields that the choices need."""
    origin = _origin(request, access)
    sent = request.method == "POST" and "show" not in request.POST
    form = RunForm(_values(request, access, origin), project=access.project, sent=sent)
    if sent and form.is_valid():
        try:
            asked: dict[str, Any] = {
                key: form.cleaned_data[key] for key in ("method", "dataset_version", "start", "name")
            }
            asked |= {"project": access.project, "values": form.spec_values(), "person": access.person}
            asked |= {name: form.cleaned_data.get(name) for name in ("reward", "gold")}
            if "check" in request.POST:
                check = start_check(**asked)
                return redirect("training:check", access.project.slug, check.pk)
            run = launch(**asked, again_of=origin)
            if origin is not None and form.cleaned_data["step"]:
                take_place(run=run, of=origin)
            return redirect("training:run", access.project.slug, run.pk)
        except Refused as refusal:
            form.refuse(refusal.sentence)
    context = {"form": form, "origin": origin, "section": "runs"}
    return page(
        request, "training/new_run.html", context, fragment="launch", status=422 if form.errors else 200
    )


@require_POST
@guarded("train")
def run_needs(request: HttpRequest, access: Access) -> HttpResponse:
    """What the run in the form would need; a word instead where the form cannot be read yet."""
    form = RunForm(request.POST.dict(), project=access.project, sent=True)
    context: dict[str, Any] = {"section": "runs", "unread": not form.is_valid()}
    if form.is_valid():
        try:
            spec = parse_spec(form.cleaned_data["method"], form.spec_values())
            context["needs"] = needs(
                start=form.cleaned_data["start"], spec=spec, version=form.cleaned_data["dataset_version"]
            )
        except SpecRefused:
            context["unread"] = True
    return page(request, "training/new_run.html", context, fragment="needs")


def _key(request: HttpRequest, name: str) -> int:
    """A key in the address; 0, which nothing has, where there is none."""
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _values(request: HttpRequest, access: Access, origin: TrainingRun | None) -> Typed:
    if request.method == "POST":
        typed: dict[str, Any] = request.POST.dict()
        return rearranged(typed) if "show" in typed else typed
    if origin is not None:
        return begun_again(origin) | {"step": request.GET.get("step", "")}
    version = DatasetVersion.objects.filter(
        project=access.project, pk=_key(request, "dataset_version")
    ).first()
    fitting = [name for name in METHODS if version is None or version.kind in kinds_for(name)]
    asked = request.GET.get("method", "")
    method = asked if asked in METHODS else [*fitting, *METHODS][0]
    known = visible_checkpoints(access.project).order_by("-id")
    likely = known if method == "reward" else known.exclude(line=Checkpoint.Line.REWARD)
    start = known.filter(pk=_key(request, "start")).first() or likely.first() or known.first()
    return begun(method=method, start=start, **({"dataset_version": version.pk} if version else {}))


def _origin(request: HttpRequest, access: Access) -> TrainingRun | None:
    """The run that this one repeats with changes. Raises Http404 where it is not of this project."""
    key = (request.POST if request.method == "POST" else request.GET).get("again", "")
    if not key:
        return None
    number = int(key) if key.isdecimal() and len(key) < 19 else 0
    return get_object_or_404(TrainingRun, project=access.project, pk=number)
