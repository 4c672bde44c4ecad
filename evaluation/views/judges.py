"""Judges: the list, one with its versions and cards, new ones, and how far a version agrees with people."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from evaluation.cards import newest_cards, read_card
from evaluation.cards_shown import WORDS, Differences, agreement_chart, confusion_rows, number_lines
from evaluation.forms_judges import CheckForm, JudgeForm, VersionForm, initial_of
from evaluation.judges import Overtaken, archive_judge, create_judge, save_version, who
from evaluation.judging import start_check
from evaluation.models import AgreementCard, Judge, JudgeVersion
from evaluation.trusting import THRESHOLD, standings, trust
from evaluation.views.charts import asked_chart
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.guidelines import compare
from labeling.pages import page

PER_PAGE = 10
SHOWN_CARDS = 50
VERSIONS = JudgeVersion.objects.select_related(
    "checkpoint__base", "checkpoint__parent", "endpoint", "created_by"
)


@guarded("view_results")
def judges(request: HttpRequest, access: Access) -> HttpResponse:
    rows = Judge.objects.filter(project=access.project).prefetch_related(Prefetch("versions", VERSIONS))
    newest = {judge.pk: judge.versions.all()[0] for judge in rows}
    cards = newest_cards([version.pk for version in newest.values()])
    lines = [_line(judge, newest[judge.pk], cards) for judge in rows]
    context = {
        "lines": [line for line in lines if line["judge"].archived_at is None],
        "archived": [line for line in lines if line["judge"].archived_at is not None],
        "threshold": THRESHOLD,
        "section": "judges",
    }
    return page(request, "evaluation/judges.html", context)


def _line(judge: Judge, version: JudgeVersion, cards: dict[int, dict[str, AgreementCard]]) -> dict[str, Any]:
    version.judge = judge
    rubric, *measures = standings(version, cards.get(version.pk, {}))
    return {"judge": judge, "version": version, "who": who(version), "rubric": rubric, "measures": measures}


@guarded("train")
def judge_new(request: HttpRequest, access: Access) -> HttpResponse:
    """A judge of a kind (?kind=rubric)."""
    kind = request.GET.get("kind", "")
    kind = kind if kind in Judge.Kind.values else Judge.Kind.PAIRWISE
    form = JudgeForm(request.POST or None, project=access.project, kind=kind)
    if request.method == "POST" and form.is_valid():
        try:
            version = create_judge(
                project=access.project,
                name=form.cleaned_data["name"],
                kind=kind,
                draft=form.draft(),
                person=access.person,
            )
            return redirect("evaluation:judge", access.project.slug, version.judge_id)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {"form": form, "kind": kind, "kinds": Judge.Kind.choices, "section": "judges"}
    return page(request, "evaluation/judge_new.html", context, status=422 if form.errors else 200)


@guarded("view_results")
def judge(request: HttpRequest, access: Access, judge_id: int) -> HttpResponse:
    """One judge as of a version (?version=2), its cards, and what changed from the version before."""
    found, versions = _found(access, judge_id)
    wanted = request.GET.get("version", "")
    shown = next((one for one in versions if str(one.number) == wanted), versions[0])
    before = next((one for one in versions if one.number < shown.number), None)
    cards = AgreementCard.objects.filter(version__judge=found).select_related(
        "version__judge", "dataset_version__project", "created_by"
    )[:SHOWN_CARDS]
    rubric, *measures = standings(shown, newest_cards([shown.pk]).get(shown.pk, {}))
    check = CheckForm(project=access.project)
    context = {
        "judge": found,
        "shown": shown,
        "who": who(shown),
        "newest": versions[0],
        "versions": versions,
        "before": before,
        "diff": compare(before.rubric, shown.rubric) if before else [],
        "cards": [(one, read_card(one)) for one in cards],
        "rubric": rubric,
        "measures": measures,
        "form": check,
        "can_check": check.has_people,
        "live": any(not one.is_over for one in cards),
        "section": "judges",
    }
    return page(request, "evaluation/judge.html", context, fragment="cards")


@guarded("train")
def judge_version(request: HttpRequest, access: Access, judge_id: int) -> HttpResponse:
    """Write the next version, begun from the newest one."""
    found, versions = _found(access, judge_id)
    newest = versions[0]
    form = VersionForm(
        request.POST or None, project=access.project, kind=found.kind, initial=initial_of(newest)
    )
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            saved = save_version(
                judge=found, draft=form.draft(), person=access.person, base=form.cleaned_data["base"]
            )
            if saved.number == newest.number:
                messages.info(request, f"Nothing changed: this is version {saved.number} already.")
            return redirect("evaluation:judge", access.project.slug, found.pk)
        except Overtaken as late:
            form = VersionForm(
                {**request.POST.dict(), "base": late.current.number}, project=access.project, kind=found.kind
            )
            form.add_error(None, late.sentence)
            newest, status = late.current, 409
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {"judge": found, "form": form, "following": newest.number + 1, "section": "judges"}
    status = 422 if form.errors and status == 200 else status
    return page(request, "evaluation/judge_version.html", context, status=status)


@require_POST
@guarded("train")
def judge_check(request: HttpRequest, access: Access, judge_id: int) -> HttpResponse:
    """Hold the newest version against people."""
    found, versions = _found(access, judge_id)
    versions[0].judge = found
    form = CheckForm(request.POST, project=access.project)
    if form.is_valid():
        try:
            card = start_check(version=versions[0], person=access.person, **form.asked())
            return redirect("evaluation:agreement_card", access.project.slug, card.pk)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    words = " ".join(str(error) for errors in form.errors.values() for error in errors)
    messages.error(request, words)
    return redirect("evaluation:judge", access.project.slug, found.pk)


@require_POST
@guarded("train")
def judge_archive(request: HttpRequest, access: Access, judge_id: int) -> HttpResponse:
    """Put it away, or with undo=1 bring it back."""
    found = get_object_or_404(Judge, project=access.project, pk=judge_id)
    back = request.POST.get("undo") == "1"
    archive_judge(judge=found, archived=not back)
    messages.info(request, f"{found.name} is {'in use again' if back else 'put away'}.")
    return redirect("evaluation:judges", access.project.slug)


@guarded("view_results")
def agreement_card(request: HttpRequest, access: Access, card_id: int) -> HttpResponse:
    """A check on its way, or how far the judge agrees with people and where it does not."""
    row = _card(access, card_id)
    card = read_card(row)
    context: dict[str, Any] = {
        "row": row,
        "judge": row.version.judge,
        "card": card,
        "live": not row.is_over,
        "threshold": THRESHOLD,
        "section": "judges",
    }
    if card is not None:
        is_trusted, words = trust(row.version, card, THRESHOLD, about=row.about)
        found = Differences(row, card, person=access.person)
        page_obj = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
        context |= {
            "trusted": is_trusted,
            "words": words,
            "chart": agreement_chart(card, THRESHOLD),
            "said": list(WORDS[AgreementCard.About(row.about)].values()),
            "confusion": confusion_rows(card),
            "numbers": number_lines(card, row.version.judge.kind),
            "page_obj": page_obj,
            "differences": list(page_obj.object_list),
        }
    if file := asked_chart(request, [context.get("chart")], f"agreement-{row.pk}"):
        return file
    return page(request, "evaluation/agreement_card.html", context, fragment="card")


@require_POST
@guarded("train")
def card_cancel(request: HttpRequest, access: Access, card_id: int) -> HttpResponse:
    _card(access, card_id).request_cancel()
    return redirect("evaluation:agreement_card", access.project.slug, card_id)


@require_POST
@guarded("train")
def card_resume(request: HttpRequest, access: Access, card_id: int) -> HttpResponse:
    """Go on with a check that was stopped or failed; what was answered is kept."""
    _card(access, card_id).resume()
    return redirect("evaluation:agreement_card", access.project.slug, card_id)


def _found(access: Access, judge_id: int) -> tuple[Judge, list[JudgeVersion]]:
    found = get_object_or_404(Judge, project=access.project, pk=judge_id)
    versions = list(VERSIONS.filter(judge=found))
    for version in versions:
        version.judge = found
    return found, versions


def _card(access: Access, card_id: int) -> AgreementCard:
    rows = AgreementCard.objects.select_related(
        "project", "version__judge", "version__checkpoint__base", "version__checkpoint__parent",
        "version__endpoint", "dataset_version__project", "created_by",
    )  # fmt: skip
    return get_object_or_404(rows, project=access.project, pk=card_id)
