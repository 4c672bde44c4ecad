"""Retraining: what a click will do, spelled out, the click, and what came of it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page
from training.models import Retraining
from training.retraining import origin_of, outlook, start_retraining

EARLIER = 20


@guarded("train")
def retrain(request: HttpRequest, access: Access) -> HttpResponse:
    """What retraining would do now; POST does it."""
    origin, refusal = origin_of(access.project), ""
    if request.method == "POST" and origin is not None:
        try:
            start_retraining(origin, person=access.person, override=request.POST.get("override", ""))
            return redirect("training:retrain", access.project.slug)
        except Refused as sentence:
            refusal = sentence.sentence
    jobs = list(
        Retraining.objects.filter(project=access.project).select_related(
            "origin", "run", "version__project", "created_by"
        )[:EARLIER]
    )
    context = {
        "outlook": outlook(origin) if origin is not None else None,
        "jobs": jobs,
        "live": any(not job.is_over for job in jobs),
        "refusal": refusal,
        "section": "runs",
    }
    return page(request, "training/retrain.html", context, fragment="jobs", status=422 if refusal else 200)


@require_POST
@guarded("train")
def cancel(request: HttpRequest, access: Access, retraining_id: int) -> HttpResponse:
    get_object_or_404(Retraining, project=access.project, pk=retraining_id).request_cancel()
    return redirect("training:retrain", access.project.slug)
