"""Two sides or more, set against the first of them."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from evaluation.comparison import NONE_SHARED, Side, find_sides
from evaluation.measured import MOST, choices
from evaluation.views.cases_of_runs import list_context
from evaluation.views.charts import asked_chart
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.pages import page


@require_safe
@guarded("view_results")
def compare(request: HttpRequest, access: Access) -> HttpResponse:
    """?s=RUN.INDEX&s=RUN.INDEX…&metric=…: the first is the baseline. Fewer than two give the picker."""
    from evaluation.comparing import picks, screen

    keys = [key for key in request.GET.getlist("s") if key]
    context: dict[str, Any] = {"section": "evaluations"}
    sides: list[Side] = []
    if len(keys) > 1:
        try:
            sides = find_sides(access.project, keys)
        except Refused as refusal:
            context["refusal"] = refusal.sentence
    if sides and all(side.run.status == Status.SUCCEEDED for side in sides):
        found = context["screen"] = screen(sides, request.GET.get("metric", ""))
        about = f"compare-{'-'.join(side.key for side in sides)}"
        if file := asked_chart(request, [each.forest for each in found.closer] if found else (), about):
            return file
    elif sides:
        waits = next(side.run for side in sides if side.run.status != Status.SUCCEEDED)
        context["refusal"] = f"{waits.name} has no complete results; its page says why."
    if context.get("screen"):
        context |= list_context(request, access, sides)
    elif sides and "refusal" not in context:
        context["refusal"] = NONE_SHARED
    if not getattr(request, "htmx", None):
        chosen = [side.key for side in sides] or keys[:MOST]
        context |= {"choices": choices(access.project), "picks": picks(chosen)}
    return page(request, "evaluation/compare.html", context, fragment="cases")
