"""Who is told of retraining, and every message that went out: channels for owners, deliveries for engineers."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from evaluation.forms_policies import PersonForm, WebhookForm
from evaluation.models import Channel, Delivery, Notice
from evaluation.policies.channels import add_person, add_webhook, renew_secret, sends_mail, take_away
from evaluation.policies.delivering import MOST_TRIES, send_again
from evaluation.policies.notices import announce_test
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.pages import page

PER_PAGE = 50
EMAIL, WEBHOOK = "email", "webhook"


@guarded("train")
def notices(request: HttpRequest, access: Access) -> HttpResponse:
    """The channels and the deliveries; owners add a channel. The secret of a new one is in this answer only."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        access.require("manage")
        context = _added(request, access)
        if not context:
            return redirect("evaluation:notices", access.project.slug)
    return _shown(request, access, context)


def _added(request: HttpRequest, access: Access) -> dict[str, Any]:
    """Add what was asked for; what the page then shows of it, nothing where it is to be loaded anew."""
    data, project, person = request.POST, access.project, access.person
    is_person = data.get("kind") == EMAIL
    form = PersonForm(data, project=project, prefix=EMAIL) if is_person else WebhookForm(data, prefix=WEBHOOK)
    if form.is_valid():
        found = form.cleaned_data
        try:
            if is_person:
                add_person(project=project, username=found["person"], events=found["events"], person=person)
                messages.success(request, f"{found['person']} is told from now on.")
                return {}
            channel, secret = add_webhook(project=project, **found, person=person)
            return {"secret": secret, "secret_of": channel}
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    return {"person_form" if is_person else "webhook_form": form}


def _shown(request: HttpRequest, access: Access, more: dict[str, Any]) -> HttpResponse:
    rows = Delivery.objects.filter(notice__project=access.project).select_related("notice", "channel__person")
    rows = rows.defer("notice__payload", "notice__text")
    channels = Channel.objects.filter(project=access.project, archived_at=None).select_related(
        "person", "created_by"
    )
    labels = dict(Notice.Event.choices)
    context = {
        "channels": [(channel, [labels[event].lower() for event in channel.events]) for channel in channels],
        "page_obj": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "live": rows.filter(state=Delivery.State.WAITING).exists(),
        "soon": timezone.now() + timedelta(minutes=1),
        "most": MOST_TRIES,
        "sends_mail": sends_mail(),
        "person_form": PersonForm(project=access.project, prefix=EMAIL),
        "webhook_form": WebhookForm(prefix=WEBHOOK),
        "section": "policy",
        **more,
    }
    status = 422 if more and "secret" not in more else 200
    response = page(request, "evaluation/notices.html", context, fragment="deliveries", status=status)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@guarded("manage")
def channel_change(request: HttpRequest, access: Access, channel_id: int, what: str) -> HttpResponse:
    """Take a channel away, send it a test, or make it another secret, which is in this answer only."""
    channel = get_object_or_404(
        Channel.objects.select_related("project", "person"),
        project=access.project,
        pk=channel_id,
        archived_at=None,
    )
    if what == "secret":
        try:
            return _shown(request, access, {"secret": renew_secret(channel), "secret_of": channel})
        except Refused as refusal:
            messages.error(request, refusal.sentence)
    elif what == "test":
        announce_test(channel)
        messages.success(request, f"A test is on its way to {channel.shown}.")
    else:
        take_away(channel)
        messages.success(request, f"{channel.shown} is told nothing more.")
    return redirect("evaluation:notices", access.project.slug)


@require_POST
@guarded("train")
def delivery_again(request: HttpRequest, access: Access, delivery_id: int) -> HttpResponse:
    """Send one message again."""
    found = get_object_or_404(Delivery, notice__project=access.project, pk=delivery_id)
    try:
        send_again(found)
        messages.success(request, "It is sent again, with the same id.")
    except Refused as refusal:
        messages.error(request, refusal.sentence)
    return redirect("evaluation:notices", access.project.slug)
