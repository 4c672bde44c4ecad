"""The charts of a page as files, at the page's own address and with its filters: ?chart=NAME&file=svg."""

from collections.abc import Iterable

from django.http import Http404, HttpRequest, HttpResponse

from evaluation.charts import Chart
from evaluation.charts_files import FORMATS, as_file
from labeling.views.parts import attachment


def asked_chart(request: HttpRequest, charts: Iterable[Chart | None], about: str) -> HttpResponse | None:
    """The chart that the address asks for, as a file named after the page; None where it asks for the page."""
    name, format = request.GET.get("chart"), request.GET.get("file", "")
    if name is None:
        return None
    found = next((chart for chart in charts if chart and chart.name == name), None)
    if found is None or format not in FORMATS:
        raise Http404(f"This page has no such chart; a chart is given as {', '.join(FORMATS)}.")
    return attachment(as_file(found, format), f"{about}-{name}.{format}", FORMATS[format])
