"""Quality: how far people agree, how each of them judges, and what a person is told of their own answers."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from labeling import quality as measures
from labeling.access import Access, guarded
from labeling.charts import interval_chart
from labeling.estimates import Estimate
from labeling.judged import COMPARING
from labeling.measures import Measure, PersonLine
from labeling.models import Gold, Project, Task
from labeling.own_quality import own_quality
from labeling.pages import page
from labeling.progress import own_progress
from labeling.wording import COMPARED, took_words

PAIRS_SHOWN = 50
SORTS = ("judgments", "agrees", "reliability", "known", "consistent")
HEADLINES = {Task.PAIRWISE: "alpha", Task.RANKING: "tau", Task.RAG: "alpha"}
ALIKE = {
    Task.PAIRWISE: "same answer",
    Task.RANKING: "share of pairs of responses in the same order",
    Task.RATING: "share of ratings within one step",
    Task.RAG: "same verdict",
}


@guarded("review")
def quality(request: HttpRequest, access: Access) -> HttpResponse:
    found = measures.latest(access.project)
    sort = request.GET.get("sort", "")
    people = _sorted(found.measure, sort)
    context = {
        **_common(access.project, found),
        "people": people,
        "chart": _people_chart(access.project, people),
        "sort": sort if sort in SORTS else "",
        "golds": Gold.objects.filter(project=access.project).count(),
        "section": "quality",
    }
    return page(request, "labeling/quality.html", context, fragment="measure")


@guarded("review")
def agreement(request: HttpRequest, access: Access) -> HttpResponse:
    found = measures.latest(access.project)
    person = request.GET.get("person", "")
    pairs = found.measure.pairs if found.measure else []
    if person:
        pairs = [pair for pair in pairs if person in (pair.a, pair.b)]
    context = {
        **_common(access.project, found),
        "pairs": pairs[:PAIRS_SHOWN],
        "more_pairs": len(pairs) - PAIRS_SHOWN,
        "person": person,
        "people": sorted(
            {name for pair in (found.measure.pairs if found.measure else []) for name in (pair.a, pair.b)}
        ),
        "chart": _pairs_chart(access.project, pairs[:PAIRS_SHOWN]),
        "section": "quality",
    }
    return page(request, "labeling/agreement.html", context, fragment="measure")


@guarded("annotate")
def my_quality(request: HttpRequest, access: Access) -> HttpResponse:
    assert access.person is not None
    project = access.project
    own = own_quality(project=project, person=access.person)
    context = {
        "own": own,
        "progress": own_progress(project=project, person=access.person),
        "mean_time": took_words(round(own.line.mean_ms) if own.line.mean_ms else None),
        "others_time": took_words(round(own.others["mean_ms"]) if "mean_ms" in own.others else None),
        "alike_words": ALIKE.get(Task(project.task), ""),
        "rows": _own_rows(own.line, own.others, project),
        "chart": _own_chart(own.line, own.others),
        "section": "my_quality",
    }
    return page(request, "labeling/my_quality.html", context)


def _common(project: Project, found: measures.Latest) -> dict[str, Any]:
    measure = found.measure
    headline = measure.estimate(HEADLINES.get(Task(project.task), "")) if measure else None
    return {
        "found": found,
        "measure": measure,
        "headline": headline,
        "headline_words": "Kendall's tau-b" if project.task == Task.RANKING else "Krippendorff's alpha",
        "compared": project.task in COMPARED,
        "sided": project.task in COMPARING,
        "writes": project.task in (Task.DEMONSTRATION, Task.EDIT),
        "alike_words": ALIKE.get(Task(project.task), ""),
    }


def _sorted(measure: Measure | None, sort: str) -> list[PersonLine]:
    """By name, or by a column: most judgments first, lowest shares first, those without a number last."""
    lines = measure.people if measure else []
    if sort == "judgments":
        return sorted(lines, key=lambda line: -line.judgments)
    if sort in SORTS:
        return sorted(lines, key=lambda line: _value(getattr(line, sort)))
    return lines


def _value(estimate: Estimate | None) -> float:
    return 2.0 if estimate is None else estimate.value


def _people_chart(project: Project, people: list[PersonLine]) -> dict[str, Any] | None:
    """Known answers where there are any, or else agreement with others."""
    known = [(line.name, line.known) for line in people]
    if any(estimate for _, estimate in known):
        words = f"the project's rule, {project.gold_pass:.0%}"
        return interval_chart(
            known, title="Known answers that each person got right", baseline=project.gold_pass, words=words
        )
    agrees = [(line.name, line.agrees) for line in people]
    return interval_chart(agrees, title="Others' answers to the same items that say the same, by person")


def _pairs_chart(project: Project, pairs: list[Any]) -> dict[str, Any] | None:
    key, name = ("tau", "Kendall's tau-b") if project.task == Task.RANKING else ("kappa", "Cohen's kappa")
    rows = [(f"{pair.a} and {pair.b}", pair.values.get(key)) for pair in pairs]
    return interval_chart(
        rows, title=f"{name} of two people", baseline=0.0, words="what chance would give", share=False
    )


def _own_rows(line: PersonLine, others: dict[str, float], project: Project) -> list[dict[str, Any]]:
    """What a person is told, a row a number: words, estimate, the others' median, and what it means."""
    columns = [
        ("known", "Known answers you got right", f"The project asks for {project.gold_pass:.0%}."),
        (
            "consistent",
            "The same again when you saw an item twice",
            "Responses were swapped the second time.",
        ),
        (
            "agrees",
            "Others who judged the same items and said the same",
            "100 % is not the aim: people differ.",
        ),
        ("left_share", "The response shown first won", "The order is shuffled: far from 50 % is a habit."),
        ("longer_share", "The longer response won", "Longer is not better by itself."),
    ]
    return [
        {"words": words, "means": means, "estimate": getattr(line, key), "others": others.get(key)}
        for key, words, means in columns
        if project.task in COMPARING or key not in ("left_share", "longer_share")
    ]


def _own_chart(line: PersonLine, others: dict[str, float]) -> dict[str, Any] | None:
    rows = [
        ("known answers", line.known),
        ("same again", line.consistent),
        ("as others", line.agrees),
        ("first wins", line.left_share),
        ("longer wins", line.longer_share),
    ]
    return interval_chart(rows, title="Your numbers, with 95 % intervals", baseline=0.5, words="half")
