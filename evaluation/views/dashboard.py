"""The overview of a project: the whole loop on one screen."""

from django.http import HttpRequest, HttpResponse

from evaluation.dashboard import overview
from labeling.access import Access, guarded
from labeling.pages import page


@guarded("view_results")
def dashboard(request: HttpRequest, access: Access) -> HttpResponse:
    context = {**overview(access.project, access.can), "section": "overview"}
    return page(request, "evaluation/dashboard.html", context, fragment="live")
