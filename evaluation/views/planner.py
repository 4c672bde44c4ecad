"""The planner on the page of a suite: how many cases a difference of its primary metric takes."""

from typing import Any

from django.http import QueryDict

from evaluation.forms_suites import NumberPlannerForm, PlannerForm, RatioPlannerForm
from evaluation.wear import Detectable


def planner(data: QueryDict, detects: Detectable) -> dict[str, Any]:
    """The planner with its answer. Without a share of flips it reckons with what runs of the suite have shown, or with
    the share that is assumed until one has."""
    form = _form(data if "difference" in data else None, detects)
    if not form.is_bound or not form.is_valid() or not detects.is_known:
        return {"planner": form}
    values = form.cleaned_data
    flips = values["flips"] / 100 if values.get("flips") else None
    by_runs = flips is None and not detects.assumed
    needed = detects.needed(values["difference"], power=values["power"] / 100, flips=flips)
    more = max(0, (needed or 0) - (detects.cases if by_runs else detects.units))
    return {"planner": form, "needed": needed, "more": more, "planned": values, "by_runs": by_runs}


def _form(data: QueryDict | None, detects: Detectable) -> PlannerForm:
    if detects.is_bounded:
        return PlannerForm(data)
    if detects.is_ratio:
        return RatioPlannerForm(data)
    form = NumberPlannerForm(data, initial={"difference": float(f"{detects.difference or 1:.2g}")})
    if detects.metric and detects.metric.unit:
        form.fields["difference"].label = f"Difference, {detects.metric.unit}"
    return form
