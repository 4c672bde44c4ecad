"""Frozen dataset versions: preview, freeze, read, download."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect

from labeling import exporting, rowfile
from labeling.access import Access, guarded
from labeling.curation import freeze, newer_judgments, preview
from labeling.errors import Refused
from labeling.forms import RecipeForm
from labeling.models import DatasetVersion
from labeling.pages import page
from labeling.recipes import dropped_words, read_recipe

SAMPLE = 20


@guarded("view_results")
def datasets(request: HttpRequest, access: Access) -> HttpResponse:
    form = RecipeForm(request.POST or None)
    if request.method == "POST":
        access.require("curate")
        if form.is_valid():
            try:
                version = freeze(
                    project=access.project, recipe=read_recipe(form.cleaned_data), person=access.person
                )
                messages.success(request, f"Version {version.number} holds {version.rows:,} pairs.")
                return redirect("labeling:dataset", access.project.slug, version.number)
            except Refused as refusal:
                form.add_error(None, refusal.sentence)
    context = {
        "versions": DatasetVersion.objects.filter(project=access.project).select_related("created_by"),
        "form": form,
        "preview": _preview(request, access),
        "section": "datasets",
    }
    return page(
        request, "labeling/datasets.html", context, fragment="preview", status=422 if form.errors else 200
    )


def _preview(request: HttpRequest, access: Access) -> object:
    """What the recipe on the page would give; None while it is not valid or for people who cannot freeze."""
    if not access.can.curate:
        return None
    defaults = {name: field.initial for name, field in RecipeForm.base_fields.items()}
    given = RecipeForm({**defaults, **request.GET.dict(), **request.POST.dict()})
    if not given.is_valid():
        return None
    return preview(project=access.project, recipe=read_recipe(given.cleaned_data))


@guarded("view_results")
def dataset(request: HttpRequest, access: Access, number: int) -> HttpResponse:
    version = get_object_or_404(DatasetVersion, project=access.project, number=number)
    paginator: Paginator[dict[str, object]] = Paginator(_Rows(version), SAMPLE)
    try:
        page_obj = paginator.get_page(request.GET.get("page"))
    except (OSError, ValueError) as error:
        messages.error(request, f"The rows cannot be read: {error}; restore them from a backup.")
        page_obj = Paginator([], SAMPLE).get_page(1)
    context = {
        "version": version,
        "recipe_words": recipe_words(version),
        "dropped": dropped_words(version.dropped),
        "splits": [(name, split["rows"], split["prompts"]) for name, split in sorted(version.splits.items())],
        "newer_judgments": newer_judgments(version),
        "page_obj": page_obj,
        "sample": page_obj.object_list,
        "section": "datasets",
    }
    return page(request, "labeling/dataset.html", context)


class _Rows(Sequence[dict[str, object]]):
    """The rows of a version as a sequence that a paginator can cut."""

    def __init__(self, version: DatasetVersion) -> None:
        self._version = version

    def __len__(self) -> int:
        return self._version.rows

    def __getitem__(self, part: Any) -> Any:
        rows: Iterator[dict[str, object]] = rowfile.read(self._version.path)
        return [row for index, row in zip(range(part.stop), rows, strict=False) if index >= part.start]


def recipe_words(version: DatasetVersion) -> list[str]:
    """The recipe as sentences."""
    recipe = version.recipe
    return [
        f"Items with at least {recipe['min_judgments']} judgment{'s' if recipe['min_judgments'] > 1 else ''} are used.",
        "The answer that more than half of the people gave decides; ties and both-bad are left out.",
        f"{recipe['test_share']:.0%} of the prompts are held out for evaluation (seed {recipe['seed']}); "
        "all rows of one prompt are on one side.",
    ]


@guarded("view_results")
def export(request: HttpRequest, access: Access, number: int, format: str) -> HttpResponse:
    """Download: the frozen Parquet file as it is, or JSON lines for a trainer (?split=train&shape=preference)."""
    version = get_object_or_404(DatasetVersion, project=access.project, number=number)
    split, shape = request.GET.get("split", "train"), request.GET.get("shape", "preference")
    try:
        exporting.verify(version)
    except Refused as refusal:
        return HttpResponse(refusal.sentence, status=409)
    if format == "parquet":
        file = (version.path / rowfile.FILE_NAME).open("rb")
        return FileResponse(file, as_attachment=True, filename=f"{access.project.slug}-v{number}.parquet")  # type: ignore[return-value]
    if format != "jsonl" or split not in version.splits or shape not in exporting.SHAPES:
        raise Http404("This version has no such split, shape or format.")
    lines = exporting.jsonl(version, split=split, shape=shape)
    response = StreamingHttpResponse(lines, content_type="application/jsonl")
    response["Content-Disposition"] = (
        f'attachment; filename="{access.project.slug}-v{number}-{split}-{shape}.jsonl"'
    )
    return response  # type: ignore[return-value]
