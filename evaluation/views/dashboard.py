"""The overview of a project: the whole loop on one screen."""

from django.http import HttpRequest, HttpResponse

from evaluation.dashboard import overview
from evaluation.views.charts import asked_chart
from labeling.access import Access, guarded
from labeling.pages import page


@guarded("view_results")
def dashboard(request: HttpRequest, access: Access) -> HttpResponse:
    context = {**overview(access.project, access.can), "section": "overview"}
    if file := asked_chart(request, context["charts"].values(), "overview"):
        return file
    return page(request, "evaluation/dashboard.html", context, fragment="live")
