"""Links to a verdict for people without an account: made and revoked by members, read by whoever has one."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from evaluation.sharing import DAYS, open_links, revoke, share, shared_run
from evaluation.verdicts import screen
from evaluation.views.verdict import found_run
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page


@guarded("share")
def links(request: HttpRequest, access: Access, evaluation_id: int) -> HttpResponse:
    """The open links of a run, and a form that makes one. The secret of a new link is in this answer only."""
    run, address, refusal = found_run(access, evaluation_id), "", ""
    if request.method == "POST" and access.person is not None:
        days = request.POST.get("days", "")
        try:
            _, secret = share(run=run, days=int(days) if days.isdecimal() else 0, person=access.person)
            address = request.build_absolute_uri(reverse("evaluation:shared", args=[secret]))
        except Refused as refused:
            refusal = refused.sentence
    context = {
        "evaluation": run,
        "links": open_links(run),
        "days": DAYS,
        "address": address,
        "refusal": refusal,
        "section": "evaluations",
    }
    response = page(request, "evaluation/shared_links.html", context, status=422 if refusal else 200)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@guarded("share")
def revoke_link(request: HttpRequest, access: Access, evaluation_id: int, link_id: int) -> HttpResponse:
    run = found_run(access, evaluation_id)
    revoke(run=run, link_id=link_id)
    messages.success(request, "The link is worthless now.")
    return redirect("evaluation:share", access.project.slug, run.pk)


@require_safe
@never_cache
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """The first screen for whoever has a link: numbers and charts, no text of any case. 404 tells nothing else."""
    link = shared_run(token)
    if link is None:
        raise Http404("This link does not open anything (any more). Ask whoever sent it for a new one.")
    context = {
        "evaluation": link.run,
        "link": link,
        "screen": screen(link.run, {}, texts=False),
        "public": True,
    }
    response = page(request, "evaluation/shared.html", context)
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "no-referrer"
    return response
