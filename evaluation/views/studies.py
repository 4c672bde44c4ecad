"""Studies of what people prefer: the list, planning one, how it goes, looks, and its result as files."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from evaluation.forms_studies import StudyForm
from evaluation.models import Study, StudyLook
from evaluation.studies import sentences
from evaluation.studies.charts import boundary_chart, rates_chart
from evaluation.studies.counting import Counted, count
from evaluation.studies.design import SPENDINGS, comparisons, detectable, read_design
from evaluation.studies.exporting import as_csv, as_markdown
from evaluation.studies.lineage import SeenInTraining, gone
from evaluation.studies.looking import cancel_study, changed_since, end_study, take_look
from evaluation.studies.results import result_of
from evaluation.studies.shown import next_look, orders, reckoned
from evaluation.studies.starting import start_study
from evaluation.views.charts import asked_chart
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.pages import page
from labeling.views.parts import attachment

PER_PAGE = 50
KINDS = {"md": "text/markdown; charset=utf-8", "csv": "text/csv; charset=utf-8"}


@guarded("view_results")
def studies(request: HttpRequest, access: Access) -> HttpResponse:
    taken = Prefetch("looks", StudyLook.objects.defer("counted"))
    rows = Study.objects.filter(project=access.project).select_related("created_by").prefetch_related(taken)
    page_obj = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    lines = []
    for row in page_obj:
        looks = list(row.looks.all())
        words = sentences.headline(row, looks[-1] if looks else None)
        lines.append((row, sentences.stage(row), words, len(looks)))
    context = {
        "page_obj": page_obj,
        "lines": lines,
        "live": any(not row.is_over for row in page_obj),
        "section": "studies",
    }
    return page(request, "evaluation/studies.html", context, fragment="rows")


@guarded("train")
def study_new(request: HttpRequest, access: Access) -> HttpResponse:
    """Plan a study and start it; "plan" only tells how many prompts the design needs."""
    form = StudyForm(request.POST or None, request.FILES or None, project=access.project, person=request.user)
    context: dict[str, Any] = {"form": form, "section": "studies"}
    planning = request.POST.get("action") == "plan"
    if request.method != "POST":
        context["reckoned"] = reckoned(read_design({}), models=2, project=access.project)
    elif form.is_valid():
        try:
            if not planning:
                made = start_study(
                    project=access.project,
                    plan=form.plan(),
                    person=access.person,
                    name=form.cleaned_data["name"],
                )
                return redirect("evaluation:study", access.project.slug, made.pk)
            prompts = form.prompts()
            found = len(prompts.found) if prompts else None
            context["reckoned"] = reckoned(
                form.design(), models=form.models, project=access.project, prompts=found
            )
        except SeenInTraining as refusal:
            context["seen"] = refusal.seen
            form.add_error(None, refusal.sentence)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    status = 422 if form.errors else 200
    return page(
        request, "evaluation/study_new.html", context, fragment="planner" if planning else "", status=status
    )


@guarded("view_results")
def study(request: HttpRequest, access: Access, study_id: int) -> HttpResponse:
    """How a study goes: what is done, without a word of who is ahead, and what looks have shown."""
    found = _found(access, study_id)
    context = _context(found)
    if file := asked_chart(request, [context.get("chart"), context.get("rates")], f"study-{found.pk}"):
        return file
    return page(request, "evaluation/study.html", context, fragment="study")


def _context(found: Study) -> dict[str, Any]:
    looks = list(found.looks.select_related("taken_by").defer("counted"))
    look = looks[-1] if looks else None
    design = read_design(found.design)
    context: dict[str, Any] = {
        "study": found,
        "design": design,
        "spending": SPENDINGS[design.spending],
        "looks": looks,
        "look": look,
        "stage": sentences.stage(found),
        "headline": sentences.headline(found, look),
        "gone": gone(found),
        "pairs": comparisons(len(found.names)),
        "live": not found.is_over,
        "section": "studies",
    }
    if found.status == Status.SUCCEEDED:
        counted = count(found)
        context |= {
            "finds": detectable(design, found.planned, len(found.names)),
            "counted": counted,
            "orders": orders(found, counted),
            "next": next_look(found, looks, counted),
            "chart": boundary_chart(found, looks),
        }
        if look is not None:
            context |= _seen_at(found, look, counted)
    return context


def _seen_at(found: Study, look: StudyLook, counted: Counted) -> dict[str, Any]:
    result = result_of(look)
    return {
        "result": result,
        "equivalent": sentences.equivalent(result.pairs[0]) if len(result.pairs) == 1 else "",
        "stopping": sentences.stopping(found, look),
        "intervals": sentences.intervals(result),
        "changed": changed_since(look, counted),
        "rates": rates_chart(result, f"Win rates at look {look.number}"),
    }


@require_POST
@guarded("train")
def study_look(request: HttpRequest, access: Access, study_id: int) -> HttpResponse:
    """Take a look; with "final" it is the last one, and the study ends."""
    found, take = _found(access, study_id), end_study if request.POST.get("final") == "1" else take_look
    return _done(request, access, found, lambda: take(study=found, person=access.person))


@require_POST
@guarded("train")
def study_cancel(request: HttpRequest, access: Access, study_id: int) -> HttpResponse:
    found = _found(access, study_id)
    return _done(request, access, found, lambda: cancel_study(study=found, person=access.person))


@require_POST
@guarded("train")
def study_resume(request: HttpRequest, access: Access, study_id: int) -> HttpResponse:
    """Go on with answers that were stopped or failed; what was answered is kept."""
    found = _found(access, study_id)
    if not found.closed_as:
        found.resume()
    return redirect("evaluation:study", access.project.slug, study_id)


@require_safe
@guarded("view_results")
def study_file(request: HttpRequest, access: Access, study_id: int, format: str) -> HttpResponse:
    """The result as Markdown, or the looks as CSV."""
    found = _found(access, study_id)
    if format not in KINDS:
        raise Http404("There is no such file of a study.")
    looks = list(found.looks.defer("counted"))
    body: bytes | str = as_csv(looks) if format == "csv" else as_markdown(found, looks)
    return attachment(body, f"study-{found.pk}.{format}", KINDS[format])


def _done(request: HttpRequest, access: Access, found: Study, do: Any) -> HttpResponse:
    """Do it and go back to the page; a refusal is said there."""
    try:
        do()
    except Refused as refusal:
        context = _context(_found(access, found.pk)) | {"refusal": refusal.sentence}
        return page(request, "evaluation/study.html", context, status=422)
    return redirect("evaluation:study", access.project.slug, found.pk)


def _found(access: Access, study_id: int) -> Study:
    rows = Study.objects.select_related("created_by", "closed_by", "project", "queue", "judge__judge")
    return get_object_or_404(rows, project=access.project, pk=study_id)
