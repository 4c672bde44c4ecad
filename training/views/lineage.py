"""Where judgments went, and what a withdrawal makes stale."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from labeling.access import Access, guarded, visible_projects
from labeling.blind import hidden_items
from labeling.curation.withdrawing import LONGEST_REASON, withdraw
from labeling.errors import Refused
from labeling.forms import PlainForm
from labeling.models import Item, Withdrawal
from labeling.pages import page
from training.lineage import affected, uses_of

SHOWN = 200


class WithdrawalForm(PlainForm):
    username = forms.CharField(
        required=False, max_length=150, label="Person", help_text="The name that they sign in with."
    )
    item_id = forms.IntegerField(
        required=False, min_value=1, label="Or item", help_text="The number on the item's page."
    )
    reason = forms.CharField(
        required=False, max_length=LONGEST_REASON, widget=forms.Textarea(attrs={"rows": 2})
    )


def _visible(request: HttpRequest) -> set[int]:
    """The projects that this person may know of: what others made of the judgments is told without names."""
    return set(visible_projects(request.user).values_list("pk", flat=True))


@guarded("review")
def uses(request: HttpRequest, access: Access, item_id: int) -> HttpResponse:
    """Every judgment of an item, with the versions and checkpoints that used it."""
    item = get_object_or_404(Item, project=access.project, pk=item_id)
    hidden = bool(hidden_items(project=access.project, person=access.person, items=[item.pk]))
    context = {
        "item": item,
        "hidden": hidden,
        "uses": [] if hidden else uses_of(item),
        "visible": _visible(request),
        "section": "items",
    }
    return page(request, "training/uses.html", context)


@guarded("manage")
def withdrawals(request: HttpRequest, access: Access) -> HttpResponse:
    """Take a person or an item out, and see what that makes stale."""
    form = WithdrawalForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            withdraw(project=access.project, by=access.person, **form.cleaned_data)
            messages.success(request, "Withdrawn. Versions that are frozen from now on leave it out.")
            return redirect("training:withdrawals", access.project.slug)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    rows = Withdrawal.objects.filter(project=access.project).select_related("person", "item", "created_by")
    context = {
        "form": form,
        "affected": affected(rows[:SHOWN]),
        "visible": _visible(request),
        "section": "withdrawals",
    }
    return page(request, "training/withdrawals.html", context, status=422 if form.errors else 200)
