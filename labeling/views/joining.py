"""The page behind an invitation's link: sign up or in, and join."""

import functools
from collections.abc import Callable
from typing import Any

from allauth.account.forms import SignupForm
from allauth.account.utils import complete_signup
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url

from labeling.access import BY_ROLE
from labeling.errors import Refused
from labeling.invitations import accept, find
from labeling.models import Invitation, Membership, Role, User
from labeling.pages import page
from labeling.views.projects import ROLE_WORDS

GONE = 410


def by_link(view: Callable[[HttpRequest, str, Invitation], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a view that whoever has the link may open; a link that cannot be used says why."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, secret: str) -> HttpResponse:
        try:
            response = view(request, secret, find(secret))
        except Refused as refusal:
            context = {"refusal": refusal.sentence}
            response = page(request, "labeling/invitation.html", context, status=GONE)
        response["Cache-Control"] = "no-store"
        return response

    wrapper.guard = "invitation"  # type: ignore[attr-defined]
    return wrapper


@by_link
def invitation(request: HttpRequest, secret: str, invited: Invitation) -> HttpResponse:
    if isinstance(request.user, User):
        return _join(request, secret, invited, request.user)
    form = SignupForm(request.POST or None)
    form.fields["email"].label = "Email"
    if request.method == "POST" and form.is_valid():
        return _sign_up(request, secret, form)
    return _page(request, invited, form=form, status=422 if form.errors else 200)


def _join(request: HttpRequest, secret: str, invited: Invitation, person: User) -> HttpResponse:
    member = Membership.objects.filter(project=invited.project, user=person).select_related("project").first()
    if member is None and request.method == "POST":
        joined = accept(secret=secret, person=person)
        messages.success(request, f"Welcome to {joined.project}: you are {joined.get_role_display()} here.")
        return redirect(_first_page(joined))
    return _page(request, invited, member=member)


def _sign_up(request: HttpRequest, secret: str, form: Any) -> HttpResponse:
    """An account and its place in the project: both, or neither."""
    with transaction.atomic():
        person, answer = form.try_save(request)
        if answer is not None:
            return _page(request, find(secret), form=form, status=422)
        joined = accept(secret=secret, person=person)
    messages.success(request, f"Welcome to {joined.project}: you are {joined.get_role_display()} here.")
    response: HttpResponse = complete_signup(request, person, None, _first_page(joined))
    return response


def _first_page(joined: Membership) -> str:
    """Where the day of somebody with this role begins."""
    reads = BY_ROLE[joined.role].review and not BY_ROLE[joined.role].train
    name = "labeling:setup" if BY_ROLE[joined.role].manage else "labeling:work" if reads else "labeling:rank"
    return resolve_url(name, joined.project.slug)


def _page(
    request: HttpRequest,
    invited: Invitation,
    *,
    member: Membership | None = None,
    form: Any = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "invited": invited,
        "role_words": ROLE_WORDS[Role(invited.role)],
        "member": member,
        "first_page": _first_page(member) if member else "",
        "form": form,
    }
    return page(request, "labeling/invitation.html", context, status=status)
