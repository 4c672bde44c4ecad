"""The registry: base models, the family of checkpoints, and one checkpoint with all that is known of it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page
from training.archives import Archive
from training.bases import known_bases, register_model
from training.cards import card_body, merge_sentence, metrics, model_card, trained_in
from training.charts_registry import change_chart, change_sentence, rank_chart
from training.forms_registry import BaseModelForm, NoteForm, StageForm, stages_from
from training.lineage import stale_checkpoints
from training.measuring import start_measurement
from training.merging import check_mergeable, start_merge
from training.models import Checkpoint
from training.registry import ancestors, visible_checkpoints
from training.staging import Stage, gate_before, in_production, move_by_hand, note

DEEPEST = 7  # levels of the family tree that are indented


@guarded("view_results")
def bases(request: HttpRequest, access: Access) -> HttpResponse:
    """The base models of this installation, and what this project trained on each; POST registers another."""
    form = BaseModelForm(request.POST or None)
    if request.method == "POST":
        access.require("train")
        if form.is_valid():
            try:
                root = register_model(project=access.project, person=access.person, **form.cleaned_data)
                messages.success(request, f"{root.name} is registered.")
                return redirect("training:bases", access.project.slug)
            except Refused as refusal:
                form.add_error(None, refusal.sentence)
    rows = list(known_bases(access.project))
    roots = {root.base_id: root for root in Checkpoint.objects.filter(kind=Checkpoint.Kind.BASE)}
    context = {
        "bases": [(base, roots.get(base.pk)) for base in rows],
        "form": form,
        "section": "checkpoints",
    }
    return page(request, "training/bases.html", context, status=422 if form.errors else 200)


@guarded("view_results")
def checkpoints(request: HttpRequest, access: Access) -> HttpResponse:
    rows = list(visible_checkpoints(access.project))
    depth: dict[int | None, int] = {None: -1}
    for row in rows:  # parents come before their children
        depth[row.pk] = depth.get(row.parent_id, -1) + 1
    lines = [(row, min(depth[row.pk], DEEPEST)) for row in _family_order(rows)]
    context = {"checkpoints": lines, "stale": stale_checkpoints(), "section": "checkpoints"}
    return page(request, "training/checkpoints.html", context)


def _family_order(rows: list[Checkpoint]) -> list[Checkpoint]:
    children: dict[int | None, list[Checkpoint]] = {}
    for row in rows:
        children.setdefault(row.parent_id, []).append(row)
    ordered, ahead = [], children.get(None, [])[::-1]
    while ahead:
        row = ahead.pop()
        ordered.append(row)
        ahead += children.get(row.pk, [])[::-1]
    return ordered


def _found(access: Access, checkpoint_id: int) -> Checkpoint:
    """A checkpoint of this project, or a base model's root."""
    rows = visible_checkpoints(access.project).select_related(
        "base",
        "parent__run",
        "parent__base",
        "run__dataset_version__project",
        "run__start",
        "run__created_by",
        "merge",
    )
    return get_object_or_404(rows, pk=checkpoint_id)


@guarded("view_results")
def checkpoint(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponse:
    return _shown(request, access, _found(access, checkpoint_id))


def _shown(
    request: HttpRequest, access: Access, found: Checkpoint, refusal: str = "", text: str | None = None
) -> HttpResponse:
    """The page of a checkpoint; after a refusal with its sentence and with the notes that were typed."""
    newest, run, current = found.notes.first(), trained_in(found), in_production(found)
    gate = gate_before(found)
    stages = stages_from(found)
    if gate and not access.can.manage:
        stages = [each for each in stages if Stage.PRODUCTION not in (each[0], found.stage)]
    seen = {"seen": newest.pk if newest else None, "text": newest.text if newest else ""}
    context: dict[str, Any] = {
        "checkpoint": found,
        "ancestors": ancestors(found),
        "run": run,
        "metrics": metrics(run) if run else [],
        "stale": found.pk in stale_checkpoints(),
        "own": found.kind != Checkpoint.Kind.BASE,
        "stages": stages,
        "gate": gate,
        "current": current,
        "changes": list(found.stage_changes.select_related("created_by")[:20]),
        "earlier_notes": list(found.notes.select_related("created_by")[:20]),
        "note_form": NoteForm(initial=seen if text is None else {**seen, "text": text}),
        "refusal": refusal,
        "section": "checkpoints",
        **_jobs(found),
    }
    if not getattr(request, "htmx", None):
        context["card"] = card_body(found)
    return page(request, "training/checkpoint.html", context, fragment="jobs", status=409 if refusal else 200)


def _jobs(found: Checkpoint) -> dict[str, Any]:
    """What was merged and measured, or is on its way."""
    merge, measurement = found.merges.select_related("made").first(), found.measurements.first()
    context: dict[str, Any] = {
        "merging": merge,
        "measuring": measurement,
        "live": any(job is not None and not job.is_over for job in (merge, measurement)),
        "merged_from": getattr(found, "merge", None),
    }
    try:
        check_mergeable(found)
    except Refused as refusal:
        context["not_mergeable"] = refusal.sentence
    done = context["merged_from"] or (merge if merge is not None and merge.made else None)
    if done is not None:
        context["merge_words"] = merge_sentence(done.result)
    if found.deltas is not None:
        modules = found.deltas["modules"]
        context |= {
            "change_words": change_sentence(found.deltas),
            "change": change_chart(modules, name=found.name),
            "ranks": rank_chart(modules, name=found.name),
        }
    return context


@require_POST
@guarded("train")
def stage(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponse:
    """Promote, archive or take back; refused where somebody else changed what was seen."""
    found, form = _found(access, checkpoint_id), StageForm(request.POST)
    if not form.is_valid():
        return _shown(
            request, access, found, refusal="The stage was not sent as this page sends it; try again."
        )
    try:
        move_by_hand(checkpoint=found, person=access.person, past_gate=access.can.manage, **form.cleaned_data)
    except Refused as refusal:
        return _shown(request, access, _found(access, checkpoint_id), refusal=refusal.sentence)
    messages.success(request, f"{found.name}: {found.get_stage_display().lower()}.")
    return redirect("training:checkpoint", access.project.slug, found.pk)


@require_POST
@guarded("train")
def notes(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponse:
    found, form = _found(access, checkpoint_id), NoteForm(request.POST)
    text = request.POST.get("text", "")
    try:
        if not form.is_valid():
            raise Refused("The notes were not sent as this page sends them; try again.")
        note(checkpoint=found, person=access.person, **form.cleaned_data)
    except Refused as refusal:
        return _shown(request, access, found, refusal=refusal.sentence, text=text)
    messages.success(request, "The notes are kept.")
    return redirect("training:checkpoint", access.project.slug, found.pk)


@require_POST
@guarded("train")
def merge(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponse:
    found = _found(access, checkpoint_id)
    try:
        start_merge(adapter=found, person=access.person)
    except Refused as refusal:
        return _shown(request, access, found, refusal=refusal.sentence)
    return redirect("training:checkpoint", access.project.slug, found.pk)


@require_POST
@guarded("train")
def merge_cancel(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponse:
    found = _found(access, checkpoint_id)
    if (newest := found.merges.first()) is not None:
        newest.request_cancel()
    return redirect("training:checkpoint", access.project.slug, found.pk)


@require_POST
@guarded("train")
def measure(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponse:
    found = _found(access, checkpoint_id)
    try:
        start_measurement(checkpoint=found, project=access.project, person=access.person)
    except Refused as refusal:
        return _shown(request, access, found, refusal=refusal.sentence)
    return redirect("training:checkpoint", access.project.slug, found.pk)


@require_safe
@guarded("view_results")
def card(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponse:
    """The model card as a file."""
    found = _found(access, checkpoint_id)
    reply = HttpResponse(model_card(found), content_type="text/markdown; charset=utf-8")
    reply["Content-Disposition"] = 'attachment; filename="README.md"'
    return reply


@require_safe
@guarded("view_results")
def weights(request: HttpRequest, access: Access, checkpoint_id: int) -> HttpResponseBase:
    """The checkpoint's folder with its card as one tar file."""
    try:
        archive = Archive(_found(access, checkpoint_id))
    except Refused as refusal:
        return HttpResponse(refusal.sentence, status=409, content_type="text/plain; charset=utf-8")
    reply = StreamingHttpResponse(iter(archive), content_type="application/x-tar")
    reply["Content-Length"] = str(len(archive))
    reply["Content-Disposition"] = f'attachment; filename="{archive.name}.tar"'
    return reply
