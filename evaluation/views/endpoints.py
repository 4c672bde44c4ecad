"""Models elsewhere: the list, adding and changing one, putting one away. Owners only."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from evaluation.endpoints import (
    add_endpoint,
    archive_endpoint,
    change_endpoint,
    draft_of,
    key_is_set,
)
from evaluation.forms_judges import EndpointForm
from evaluation.models import Endpoint
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page


@guarded("manage")
def endpoints(request: HttpRequest, access: Access) -> HttpResponse:
    rows = Endpoint.objects.filter(project=access.project).select_related("created_by")
    found = [(endpoint, key_is_set(endpoint)) for endpoint in rows]
    context = {
        "used": [one for one in found if one[0].archived_at is None],
        "archived": [one for one in found if one[0].archived_at is not None],
        "section": "endpoints",
    }
    return page(request, "evaluation/endpoints.html", context)


@guarded("manage")
def endpoint_new(request: HttpRequest, access: Access) -> HttpResponse:
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = add_endpoint(project=access.project, draft=form.draft(), person=access.person)
            messages.success(request, f"{made.name} can be asked from now on.")
            return redirect("evaluation:endpoints", access.project.slug)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {"form": form, "section": "endpoints"}
    return page(request, "evaluation/endpoint.html", context, status=422 if form.errors else 200)


@guarded("manage")
def endpoint(request: HttpRequest, access: Access, endpoint_id: int) -> HttpResponse:
    found = get_object_or_404(Endpoint, project=access.project, pk=endpoint_id)
    before = draft_of(found)
    form = EndpointForm(
        request.POST or None, initial={name: getattr(before, name) for name in before.__slots__}
    )
    if request.method == "POST" and form.is_valid():
        try:
            change_endpoint(endpoint=found, changes=form.cleaned_data)
            messages.success(request, f"{found.name} was changed.")
            return redirect("evaluation:endpoints", access.project.slug)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    context = {
        "endpoint": found,
        "name": before.name,
        "form": form,
        "key": key_is_set(found),
        "judges": found.judge_versions.select_related("judge").order_by("judge", "-number")[:20],
        "section": "endpoints",
    }
    return page(request, "evaluation/endpoint.html", context, status=422 if form.errors else 200)


@require_POST
@guarded("manage")
def endpoint_archive(request: HttpRequest, access: Access, endpoint_id: int) -> HttpResponse:
    """Put it away, or with undo=1 bring it back."""
    found = get_object_or_404(Endpoint, project=access.project, pk=endpoint_id)
    back = request.POST.get("undo") == "1"
    archive_endpoint(endpoint=found, archived=not back)
    messages.info(request, f"{found.name} is {'in use again' if back else 'put away; nothing new asks it'}.")
    return redirect("evaluation:endpoints", access.project.slug)
