"""Choosing the best rows of a version: ask for it, see what was chosen and why, freeze it."""

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Freeze
from labeling.pages import page
from training.charts import choice_map, distance_chart
from training.forms import ALGORITHMS, QUALITIES, TEXTS, SelectionForm
from training.models import Selection
from training.selecting import freeze_selection, lines, start_selection

PER_PAGE = 25
EARLIER = 50


@guarded("curate")
def choose(request: HttpRequest, access: Access, number: int) -> HttpResponse:
    """Choose rows of a version, begun from the settings of an earlier choice with ?from=ID."""
    version = get_object_or_404(
        DatasetVersion.objects.select_related("project"), project=access.project, number=number
    )
    earlier = Selection.objects.filter(dataset_version=version).select_related("checkpoint", "created_by")
    form = SelectionForm(request.POST or None, initial=_settings(request, earlier), version=version)
    if request.method == "POST" and form.is_valid():
        values = {name: value for name, value in form.cleaned_data.items() if name != "checkpoint"}
        try:
            selection = start_selection(
                version=version,
                checkpoint=form.cleaned_data["checkpoint"],
                values=values,
                person=access.person,
            )
            return redirect("training:selection", access.project.slug, selection.pk)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {
        "version": version,
        "form": form,
        "earlier": [(each, _words(each)) for each in earlier[:EARLIER]],
        "section": "datasets",
    }
    return page(request, "training/choose.html", context, status=422 if form.errors else 200)


def _settings(request: HttpRequest, earlier: Any) -> dict[str, Any]:
    key = request.GET.get("from", "")
    found = earlier.filter(pk=int(key)).first() if key.isdecimal() and len(key) < 10 else None
    return {} if found is None else {**found.spec, "checkpoint": found.checkpoint_id}


def _words(selection: Selection) -> str:
    spec = selection.spec
    return f"{spec['k']:,} rows {QUALITIES[spec['quality']]}"


@guarded("view_results")
def selection(request: HttpRequest, access: Access, selection_id: int) -> HttpResponse:
    """A choice on its way, or what was chosen and why."""
    found = get_object_or_404(
        Selection.objects.select_related("dataset_version__project", "checkpoint", "created_by"),
        project=access.project,
        pk=selection_id,
    )
    context: dict[str, Any] = {
        "selection": found,
        "version": found.dataset_version,
        "live": not found.is_over,
        "facts": _facts(found),
        "section": "datasets",
    }
    if found.status == Status.SUCCEEDED:
        try:
            context |= _chosen(request, found)
        except Refused as refusal:
            context["refusal"] = refusal.sentence
    return page(request, "training/selection.html", context, fragment="selection")


def _chosen(request: HttpRequest, found: Selection) -> dict[str, Any]:
    result = found.result
    # Two choices of the same rows are one version, which tells of the first.
    frozen = Freeze.objects.filter(parent=found.dataset_version, choice__selection=found.pk)
    page_obj = Paginator(_Picks(found), PER_PAGE).get_page(request.GET.get("page"))
    curve = lines(found, "curve") if found.spec["algorithm"] == "farthest" else []
    return {
        "result": result,
        "picks": list(enumerate(page_obj.object_list, start=page_obj.start_index())),
        "page_obj": page_obj,
        "left": lines(found, "left"),
        "random": {name: _around(result[f"{name}_random"]) for name in ("reach", "worse")},
        "map": choice_map(lines(found, "map"), chosen=result["chosen"], rows=result["rows"]),
        "curve": distance_chart(curve),
        "versions": DatasetVersion.objects.filter(pk__in=frozen.values("version")).order_by("number"),
    }


def _around(draws: Sequence[float]) -> dict[str, float]:
    return {"mean": sum(draws) / len(draws), "low": min(draws), "high": max(draws), "n": len(draws)}


def _facts(found: Selection) -> list[tuple[str, str]]:
    spec, limit = found.spec, found.result.get("limit", found.spec["max_length"])
    good = f"those {QUALITIES[spec['quality']]}"
    return [
        (
            "Good rows",
            good if spec["quality"] == "none" else f"{good}; quality weighs {spec['weight'] * 100:g} %",
        ),
        ("Unlike rows", f"{ALGORITHMS[spec['algorithm']].lower()}, by {TEXTS[spec['text']]}"),
        ("Read by", f"{found.checkpoint.name}, up to {limit:,} tokens of a text"),
    ]


class _Picks(Sequence[dict[str, Any]]):
    """The chosen rows as a sequence that a paginator can cut."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def __len__(self) -> int:
        return int(self._selection.result["chosen"])

    def __getitem__(self, part: Any) -> Any:
        return lines(self._selection, "picks", start=part.start, count=part.stop - part.start)


@require_POST
@guarded("curate")
def cancel(request: HttpRequest, access: Access, selection_id: int) -> HttpResponse:
    get_object_or_404(Selection, project=access.project, pk=selection_id).request_cancel()
    return redirect("training:selection", access.project.slug, selection_id)


@require_POST
@guarded("curate")
def freeze(request: HttpRequest, access: Access, selection_id: int) -> HttpResponse:
    """Freeze what was chosen as a version of its own."""
    found = get_object_or_404(
        Selection.objects.select_related("dataset_version__project", "checkpoint"),
        project=access.project,
        pk=selection_id,
    )
    try:
        job = freeze_selection(found, person=access.person)
    except Refused as refusal:
        return HttpResponse(refusal.sentence, status=409, content_type="text/plain; charset=utf-8")
    return redirect("labeling:freeze", access.project.slug, job.pk)
