"""Frozen dataset versions: the list, one version, its files."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from labeling.access import Access, guarded, opened
from labeling.blind import hidden_items
from labeling.curation import exporting, rowfile
from labeling.curation.describing import checks, recipe_sentences
from labeling.curation.diffing import diff
from labeling.curation.freezing import newer_judgments
from labeling.curation.lineage import row_lineage
from labeling.curation.lint import LintReport
from labeling.curation.recipe import KINDS, document, dropped_words, read_recipe
from labeling.curation.shapes import STYLES, TRAINERS, shapes_of
from labeling.curation.withdrawing import stale_versions
from labeling.downloads import resumable
from labeling.errors import Refused
from labeling.models import DatasetVersion
from labeling.pages import page

SAMPLE = 20
CHANGES = {"added": "Added", "removed": "Removed", "relabelled": "Another label", "moved": "Another split"}
TYPES = {"jsonl": "application/jsonl", "parquet": "application/vnd.apache.parquet"}


@guarded("view_results")
def datasets(request: HttpRequest, access: Access) -> HttpResponse:
    versions = list(
        DatasetVersion.objects.filter(project=access.project).select_related("created_by", "parent")
    )
    # What became nothing is shown until something was frozen after it.
    since = versions[0].created_at if versions else access.project.created_at
    jobs = list(
        access.project.freezes.filter(version=None, created_at__gt=since)
        .select_related("created_by")
        .defer("keep")
    )
    context = {
        "versions": versions,
        "stale": stale_versions(versions),
        "jobs": jobs,
        "live": any(not job.is_over for job in jobs),
        "section": "datasets",
    }
    return page(request, "labeling/datasets.html", context, fragment="list")


@guarded("view_results")
def dataset(request: HttpRequest, access: Access, number: int) -> HttpResponse:
    versions = DatasetVersion.objects.select_related("parent", "project", "created_by")
    versions = versions.prefetch_related("training_runs", "children")
    version = get_object_or_404(versions, project=access.project, number=number)
    paginator: Paginator[dict[str, object]] = Paginator(_Rows(version), SAMPLE)
    try:
        page_obj = paginator.get_page(request.GET.get("page"))
        rows = list(page_obj.object_list)
    except (OSError, ValueError) as error:
        messages.error(request, f"The rows cannot be read: {error}; restore them from a backup.")
        page_obj, rows = Paginator([], SAMPLE).get_page(1), []
    first = page_obj.start_index() - 1
    context = {
        "version": version,
        "kind_words": KINDS.get(version.kind, version.kind),
        "recipe_words": recipe_sentences(version.recipe),
        "document": document(read_recipe(version.recipe)),
        "dropped": dropped_words(version.dropped),
        "lint": LintReport.from_dict(version.lint),
        "checks": checks(LintReport.from_dict(version.lint)),
        "stale": stale_versions([version]),
        "newer_judgments": newer_judgments(version),
        "page_obj": page_obj,
        "sample": list(enumerate(rows, start=first)),
        "files": _files(version),
        "styles": STYLES,
        "others": DatasetVersion.objects.filter(project=access.project).exclude(pk=version.pk),
        "section": "datasets",
    }
    return page(request, "labeling/dataset.html", context)


def _files(version: DatasetVersion) -> list[tuple[str, str, list[str]]]:
    """(shape, who reads it, splits) of everything that can be downloaded."""
    names = [name for name, _ in version.ordered_splits]
    return [(shape, TRAINERS[shape], names) for shape in shapes_of(version.kind)]


class _Rows(Sequence[dict[str, object]]):
    """The rows of a version as a sequence that a paginator can cut."""

    def __init__(self, version: DatasetVersion) -> None:
        self._version = version

    def __len__(self) -> int:
        return self._version.rows

    def __getitem__(self, part: Any) -> Any:
        rows: Iterator[dict[str, object]] = rowfile.read(self._version.path, start=part.start)
        return [row for _, row in zip(range(part.stop - part.start), rows, strict=False)]


@guarded("view_results")
def export(request: HttpRequest, access: Access, number: int, format: str) -> HttpResponse:
    """Download, in parts where the client asks for them: the frozen file as it is, or a split of it for a trainer
    (?split=train&shape=preference&style=conversational)."""
    version = get_object_or_404(DatasetVersion, project=access.project, number=number)
    name = f"{access.project.slug}-v{number}"
    split, shape = request.GET.get("split", ""), request.GET.get("shape", "") or version.kind
    style = request.GET.get("style", exporting.CONVERSATIONAL)
    whole = format == "parquet" and not split
    split = split or "train"
    _known_or_404(version, split, shape, style, format)
    try:
        if whole:
            exporting.verify(version)
            path = version.path / rowfile.FILE_NAME
        else:
            path = exporting.export_file(version, split=split, shape=shape, style=style, format=format)
            name += f"-{split}-{shape}-{style}"
    except Refused as refusal:
        return HttpResponse(refusal.sentence, status=409, content_type="text/plain; charset=utf-8")
    return resumable(request, path, filename=f"{name}.{format}", content_type=TYPES[format])  # type: ignore[return-value]


def _known_or_404(version: DatasetVersion, split: str, shape: str, style: str, format: str) -> None:
    if format not in TYPES or split not in version.splits:
        raise Http404(f"{version} has {', '.join(sorted(version.splits))}, as {' or '.join(TYPES)}.")
    try:
        exporting.check_shape(version, shape, style)
    except Refused as refusal:
        raise Http404(refusal.sentence) from refusal


@guarded("view_results")
def row(request: HttpRequest, access: Access, number: int, row: int) -> HttpResponse:
    """One row, and everything behind it: judgments, people, guidelines."""
    version = get_object_or_404(DatasetVersion, project=access.project, number=number)
    try:
        found = row_lineage(version, row)
    except Refused as refusal:
        raise Http404(refusal.sentence) from refusal
    source = found.item.project
    hidden = bool(hidden_items(project=source, person=access.person, items=[found.item.pk]))
    if source.pk != access.project.pk and access.person is not None:
        hidden = hidden or opened(access.person, source.slug, "review") is None
    context = {
        "version": version,
        "number": row,
        "found": found,
        "hidden": hidden,
        "section": "datasets",
    }
    return page(request, "labeling/dataset_row.html", context)


@guarded("view_results")
def compare(request: HttpRequest, access: Access) -> HttpResponse:
    """What differs between two versions (?from=1&to=2)."""
    versions = {v.number: v for v in DatasetVersion.objects.filter(project=access.project)}
    wanted = [request.GET.get(name, "") for name in ("from", "to")]
    found = [
        versions.get(int(number)) if number.isdecimal() and len(number) < 10 else None for number in wanted
    ]
    before, after = found
    if before is None or after is None:
        raise Http404("Name two versions of this project, as in ?from=1&to=2.")
    context: dict[str, Any] = {"before": before, "after": after, "section": "datasets"}
    try:
        context["diff"] = diff(before, after)
    except Refused as refusal:
        context["refusal"] = refusal.sentence
    context["changes"] = [
        (words, context["diff"].counts[sort], context["diff"].examples[sort])
        for sort, words in CHANGES.items()
        if "diff" in context
    ]
    return page(request, "labeling/dataset_diff.html", context)
