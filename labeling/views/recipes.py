"""Making a version: the recipe and what it would give, then the freeze on its way."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from labeling.access import Access, guarded
from labeling.curation.describing import checks
from labeling.curation.forms import DocumentForm, RecipeForm, initial_of
from labeling.curation.freezes import freeze_again, start_freeze
from labeling.curation.lint import LintReport
from labeling.curation.previewing import Preview, preview
from labeling.curation.recipe import Recipe, document, read_document, read_recipe
from labeling.errors import Refused
from labeling.models import DatasetVersion, Freeze, Membership, Project, Role
from labeling.pages import page

EXAMPLES = 20
CURATING = (Role.ENGINEER, Role.OWNER)


@guarded("curate")
def new_version(request: HttpRequest, access: Access) -> HttpResponse:
    """The recipe, as a form or as YAML (?as=yaml), begun from a version with ?from=N; a POST freezes it."""
    as_text = (request.POST or request.GET).get("as") == "yaml"
    others = list(_others(access))
    given = request.POST or (request.GET if "kind" in request.GET or "document" in request.GET else None)
    start = _start(request, access)
    form: Any = (
        DocumentForm(given, initial={"document": document(start)})
        if as_text
        else RecipeForm(given, initial=initial_of(start), others=others)
    )
    recipe: Recipe | None = None
    try:
        recipe = _read(form) if given is not None else start
        if request.method == "POST" and recipe is not None:
            job = start_freeze(project=access.project, recipe=recipe, person=access.person)
            return redirect("labeling:freeze", access.project.slug, job.pk)
    except Refused as refusal:
        form.add_error(None, refusal.sentence)
    found, problems = _looked_at(access, recipe, form)
    context = {
        "form": form,
        "as_text": as_text,
        "document": document(recipe) if recipe is not None else "",
        "preview": found,
        "problems": problems,
        "section": "datasets",
    }
    wrong = request.method == "POST" and bool(form.errors)
    return page(request, "labeling/recipe.html", context, fragment="preview", status=422 if wrong else 200)


def _others(access: Access) -> QuerySet[Project]:
    """The other projects whose judgments this person may use."""
    found = Project.objects.exclude(pk=access.project.pk)
    if access.person is None or access.person.is_superuser:
        return found
    member = Membership.objects.filter(user=access.person, role__in=CURATING)
    return found.filter(pk__in=member.values("project"))


def _start(request: HttpRequest, access: Access) -> Recipe:
    number = request.GET.get("from", "")
    if not number.isdecimal() or len(number) > 9:
        return Recipe()
    version = get_object_or_404(DatasetVersion, project=access.project, number=int(number))
    return read_recipe(version.recipe)


def _read(form: Any) -> Recipe | None:
    if not form.is_valid():
        return None
    if isinstance(form, DocumentForm):
        return read_document(form.cleaned_data["document"])
    return read_recipe(form.recipe_values())


def _looked_at(access: Access, recipe: Recipe | None, form: Any) -> tuple[Preview | None, list[str]]:
    """What the recipe would give, or the sentences that say why it cannot be applied."""
    if recipe is None:
        whole = [str(error) for error in form.non_field_errors()]
        return None, whole + [f"{field.label}: {error}" for field in form for error in field.errors]
    try:
        found = preview(project=access.project, recipe=recipe, person=access.person, sample=EXAMPLES)
    except Refused as refusal:
        return None, [refusal.sentence]
    return found, []


@guarded("view_results")
def freeze(request: HttpRequest, access: Access, freeze_id: int) -> HttpResponse:
    """A recipe on its way: progress, the version, or what the check found."""
    jobs = Freeze.objects.select_related("created_by", "version", "parent").defer("keep")
    job = get_object_or_404(jobs, project=access.project, pk=freeze_id)
    if job.version is not None:
        to = reverse("labeling:dataset", args=[access.project.slug, job.version.number])
        return HttpResponseClientRedirect(to) if request.headers.get("HX-Request") else redirect(to)
    report = LintReport.from_dict(job.lint)
    context = {
        "job": job,
        "live": not job.is_over,
        "lint": report,
        "checks": checks(report),
        "document": document(read_recipe(job.recipe)),
        "section": "datasets",
    }
    return page(request, "labeling/freeze.html", context, fragment="job")


@require_POST
@guarded("curate")
def freeze_anyway(request: HttpRequest, access: Access, freeze_id: int) -> HttpResponse:
    """Freeze in spite of what the check found, for a reason in writing."""
    job = get_object_or_404(Freeze, project=access.project, pk=freeze_id)
    reason = request.POST.get("override", "").strip()
    if not reason:
        return HttpResponse(
            "Write why it should be frozen all the same; it stays with the version.", status=422
        )
    again = freeze_again(job, person=access.person, override=reason)
    return redirect("labeling:freeze", access.project.slug, again.pk)


@require_POST
@guarded("curate")
def cancel_freeze(request: HttpRequest, access: Access, freeze_id: int) -> HttpResponse:
    get_object_or_404(Freeze, project=access.project, pk=freeze_id).request_cancel()
    return redirect("labeling:freeze", access.project.slug, freeze_id)
