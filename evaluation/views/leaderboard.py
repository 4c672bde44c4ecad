"""Everybody who was scored on one suite's version, beside each other."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from evaluation.charts import Mark, dots_chart
from evaluation.charts_parts import BASELINE, OTHER, SPOKEN, Line
from evaluation.leaderboard import Board, board
from evaluation.leaderboard_ratings import rated
from evaluation.models import Split, Suite, SuiteVersion
from evaluation.sheets import metrics_of
from labeling.access import Access, guarded
from labeling.lifecycle import Status
from labeling.pages import page


@require_safe
@guarded("view_results")
def leaderboard(request: HttpRequest, access: Access) -> HttpResponse:
    scored = {"runs__status": Status.SUCCEEDED, "runs__split": Split.DEV}
    suites = list(Suite.objects.filter(project=access.project, **scored).distinct().only("name"))
    suite = next(
        (each for each in suites if str(each.pk) == request.GET.get("suite")), suites[0] if suites else None
    )
    versions = (
        list(SuiteVersion.objects.filter(suite=suite, **scored).select_related("suite").distinct())
        if suite
        else []
    )
    version = next(
        (each for each in versions if str(each.number) == request.GET.get("version")),
        versions[0] if versions else None,
    )
    found = board(version, request.GET.get("metric", "")) if version else None
    context = {
        "suites": suites,
        "versions": versions,
        "suite": suite,
        "version": version,
        "board": found,
        "metrics": metrics_of(found.entries[0].side.run) if found and found.entries else [],
        "chart": _chart(found) if found else None,
        "ratings": rated(found) if found and request.GET.get("view") == "bt" else None,
        "section": "leaderboard",
    }
    return page(request, "evaluation/leaderboard.html", context, fragment="board")


def _chart(found: Board) -> object:
    champion = found.champion
    marks = [
        Mark(entry.name, entry.estimate, SPOKEN if entry.best == 1 else BASELINE if entry.is_champion else OTHER,
             note="champion" if entry.is_champion else "")
        for entry in found.entries[:30]
        if entry.estimate is not None
    ]  # fmt: skip
    lines = [Line(champion.estimate.value, "champion")] if champion and champion.estimate else []
    title = f"{found.metric.name} on {found.version}, with 95 % intervals"
    return dots_chart(marks, found.metric, title=title, lines=lines, name="leaderboard")
