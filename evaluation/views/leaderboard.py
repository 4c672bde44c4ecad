"""Everybody who was scored on one suite's version, beside each other."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from evaluation.charts import Chart, Mark, dots_chart
from evaluation.charts_parts import BASELINE, OTHER, SPOKEN, Line
from evaluation.leaderboard import Board, Entry, board
from evaluation.leaderboard_choice import choose
from evaluation.leaderboard_ratings import Rated, rated
from evaluation.sheets import metrics_of
from evaluation.verdicts_charts import Links
from evaluation.views.charts import asked_chart
from labeling.access import Access, guarded
from labeling.pages import page


@require_safe
@guarded("view_results")
def leaderboard(request: HttpRequest, access: Access) -> HttpResponse:
    chosen = choose(access.project, request.GET)
    version = chosen.version
    found = board(version, request.GET.get("metric", "")) if version else None
    chart, ratings = _chart(found, access.project.slug) if found else None, _ratings(request, found)
    if file := asked_chart(request, [chart, ratings.chart if ratings else None], f"leaderboard-{version}"):
        return file
    context = {
        "chosen": chosen,
        "board": found,
        "metrics": metrics_of(found.entries[0].side.run) if found and found.entries else [],
        "chart": chart,
        "ratings": ratings,
        "section": "leaderboard",
    }
    return page(request, "evaluation/leaderboard.html", context, fragment="board")


def _ratings(request: HttpRequest, found: Board | None) -> Rated | None:
    return (
        rated(found, ties=request.GET.get("ties", "")) if found and request.GET.get("view") == "bt" else None
    )


def _chart(found: Board, slug: str) -> Chart | None:
    champion = found.champion
    marks = [
        Mark(entry.name, entry.estimate, SPOKEN if entry.best == 1 else BASELINE if entry.is_champion else OTHER,
             _cases(entry, slug, found.metric.name), note="champion" if entry.is_champion else "")
        for entry in found.entries[:30]
        if entry.estimate is not None
    ]  # fmt: skip
    lines = [Line(champion.estimate.value, "champion")] if champion and champion.estimate else []
    title = f"{found.metric.name} on {found.version}, with 95 % intervals"
    return dots_chart(marks, found.metric, title=title, lines=lines, name="leaderboard")


def _cases(entry: Entry, slug: str, metric: str) -> str:
    """The cases behind an entry's number, in the evaluation where it was measured."""
    target = entry.side.target
    show = "failing" if target.is_baseline else "different"
    return Links(slug, entry.side.run.pk).cases(show, target.index, metric=metric)
