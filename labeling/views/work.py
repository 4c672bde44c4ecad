"""How the work goes, at a glance."""

import math
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from labeling import quality
from labeling.access import Access, guarded
from labeling.charts import judgments_chart
from labeling.models import Project
from labeling.pages import page
from labeling.work import PACE_DAYS, Pace, Work, work_of


@guarded("review")
def work(request: HttpRequest, access: Access) -> HttpResponse:
    """The whole page; agreement, which takes longest to work out, is asked for by the page itself."""
    project = access.project
    if request.GET.get("part") == "agreement":
        return page(request, "labeling/work.html", _agreement(project), fragment="agreement")
    found = work_of(project)
    too_few = found.amount.left > 0 and found.annotators < project.overlap
    context = {
        "work": found,
        "chart": pace_chart(found.pace),
        "returned": [line for line in found.people if line.returned],
        "failing": [line for line in found.people if line.fails],
        "too_few": too_few,
        "percent_done": f"{math.floor(found.amount.share * 1000) / 10:g} %",
        "hours_left": duration(found.hours_left * 3600) if found.hours_left else "",
        "usual": duration(found.usual.total_seconds()) if found.usual else "",
        "gold_pass": f"{project.gold_pass * 100:g} %",
        "steps": _steps(access, found, too_few),
        "section": "work",
    }
    return page(request, "labeling/work.html", context)


def _agreement(project: Project) -> dict[str, Any]:
    """What is known of it; a large project is measured by a worker, and the page asks again until it is."""
    found = quality.latest(project)
    alpha = found.measure.estimate("alpha") if found.measure else None
    return {"alpha": alpha, "asked": True, "measuring": found.measure is None, "section": "work"}


def duration(seconds: float) -> str:
    """A time in words, in the unit that fits: 40 s, 12 min, 3.5 h, 120 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 10 else f"{hours:,.0f} h"


def _steps(access: Access, found: Work, too_few: bool) -> list[dict[str, str]]:
    """What moves the work on, the most pressing first; only what this role may do."""
    can, amount, project = access.can, found.amount, access.project
    steps = [
        (can.manage and project.paused_at, "Resume the project: nothing is given out", "labeling:setup"),
        (can.curate and not amount.items, "Bring in prompts and responses", "labeling:imports"),
        (can.manage and not project.guideline_id, "Write down how to judge", "labeling:guidelines"),
        (
            can.manage and too_few,
            f"Invite people: each item wants {project.overlap}, {found.annotators} can judge",
            "labeling:people",
        ),
        (can.manage and not found.annotators and not too_few, "Invite people to judge", "labeling:people"),
        (
            can.annotate and amount.left and not project.paused_at,
            f"{amount.left:,} judgments are still wanted: judge items",
            "labeling:rank",
        ),
        (can.curate and amount.judgments, "Freeze a dataset version", "labeling:datasets"),
    ]
    return [{"words": words, "url": reverse(name, args=[project.slug])} for due, words, name in steps if due]


def pace_chart(pace: Pace) -> dict[str, Any] | None:
    """Judgments a day as bars, today's apart because it is not over; None while there is none."""
    if not any(count for _, count in pace.days):
        return None
    first = next(n for n, (_, count) in enumerate(pace.days) if count)
    shown = pace.days[min(first, len(pace.days) - PACE_DAYS) :]
    chart = judgments_chart(shown, title=f"Judgments a day, the last {len(shown)} days", today=shown[-1][0])
    total = sum(count for _, count in shown)
    return chart and {**chart, "n_words": f"n = {total:,}; today, the lighter bar, is not over"}
