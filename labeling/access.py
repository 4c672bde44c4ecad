"""Who may do what. Every view, API call and command goes through here.

A stranger's URL gets 404, so that it does not even tell that a project exists; a member with the wrong role gets 403.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from labeling.compiled import Select, instance, param
from labeling.errors import Refused
from labeling.models import Membership, Project, Role, User

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Can:
    """What a role allows."""

    annotate: bool = False
    review: bool = False
    view_results: bool = False
    curate: bool = False
    train: bool = False
    share: bool = False
    manage: bool = False


PROJECT = [field.attname for field in Project._meta.concrete_fields]
MEMBERSHIP = ["role", *(f"project__{name}" for name in PROJECT)]
MEMBER = Select(
    lambda: Membership.objects.filter(
        user=param("user", Membership), project__slug=param("slug", Project)
    ).values_list(*MEMBERSHIP)
)
EVERYTHING = Can(**{field.name: True for field in fields(Can)})
BY_ROLE: dict[str, Can] = {
    Role.ANNOTATOR: Can(annotate=True),
    Role.REVIEWER: Can(annotate=True, review=True, view_results=True),
    Role.ENGINEER: Can(annotate=True, review=True, view_results=True, curate=True, train=True, share=True),
    Role.LEAD: Can(review=True, view_results=True, share=True),
    Role.OWNER: EVERYTHING,
}
NO_PROJECT = "There is no such project, or it is not yours."
SIGNED_OUT = "You were signed out. Sign in again to go on."
SIGNED_OUT_SENDING = (
    "You were signed out. Your choice is still on this page: sign in again in another tab, "
    "then press the button once more."
)
WORDS = {
    "annotate": "judge items",
    "review": "read other people's judgments",
    "view_results": "see results",
    "curate": "import items and freeze datasets",
    "train": "start training and evaluation",
    "share": "show results to people without an account",
    "manage": "change its rules or its people",
}


@dataclass(frozen=True, slots=True)
class Access:
    """One person's, or the shell operator's, way into one project."""

    project: Project
    person: User | None
    role_label: str
    can: Can

    def require(self, capability: str) -> "Access":
        """Return self where the role allows it; otherwise refuse with 403 and the reason."""
        if not getattr(self.can, capability):
            raise PermissionDenied(
                f"Your role here is {self.role_label}, which may not {WORDS[capability]}; "
                "ask an owner of the project for another role."
            )
        return self


def visible_projects(user: User | AnonymousUser) -> QuerySet[Project]:
    """The projects that this person may know of."""
    if not user.is_authenticated:
        return Project.objects.none()
    if user.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(memberships__user=user)


def open_project(user: User | AnonymousUser, slug: str, capability: str | None = None) -> Access:
    """The way into a project. Raises Http404 for strangers and PermissionDenied for the wrong role."""
    if not isinstance(user, User):
        raise Http404(NO_PROJECT)
    access = _as_administrator(user, slug) if user.is_superuser else _as_member(user, slug)
    if access is None:
        raise Http404(NO_PROJECT)
    return access.require(capability) if capability else access


def _as_administrator(user: User, slug: str) -> Access | None:
    project = Project.objects.filter(slug=slug).first()
    return Access(project, user, "Administrator", EVERYTHING) if project else None


def _as_member(user: User, slug: str) -> Access | None:
    row = MEMBER.first(user=user.pk, slug=slug)
    return None if row is None else as_member(user, row)


def as_member(user: User, row: tuple[Any, ...]) -> Access:
    """The way in of a member, from the columns of MEMBERSHIP."""
    role, project = Role(row[0]), instance(Project, PROJECT, row[1:])
    return Access(project, user, role.label, BY_ROLE[role])


def opened(user: User, slug: str, capability: str) -> Access | None:
    """The way into a project for what the capability allows; None where there is none, for whatever reason."""
    try:
        return open_project(user, slug, capability)
    except (Http404, PermissionDenied):
        return None


def open_from_shell(slug: str, username: str = "", capability: str | None = None) -> Access:
    """The way in for commands: the operator of the machine may do everything, a named person what the role allows."""
    if username:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise Refused(f"There is no user {username!r}; `manage.py createsuperuser` makes the first one.")
        try:
            return open_project(user, slug, capability)
        except (Http404, PermissionDenied) as error:
            raise Refused(str(error)) from error
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        known = ", ".join(Project.objects.values_list("slug", flat=True)[:10]) or "none yet"
        raise Refused(f"There is no project {slug!r}. Projects here: {known}.")
    return Access(project, None, "Operator", EVERYTHING)


View = Callable[Concatenate[HttpRequest, Access, P], HttpResponse]


def guarded(capability: str | None = None) -> Callable[[Any], Any]:
    """Decorate `view(request, access, …)`; the URL gives `slug`. Sets `request.access` for the shell of the page."""

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def wrapper(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _ask_to_sign_in(request)
            access = open_project(request.user, slug)
            request.access = access  # type: ignore[attr-defined]
            if capability:
                access.require(capability)
            return view(request, access, *args, **kwargs)

        wrapper.guard = capability or "member"  # type: ignore[attr-defined]
        return wrapper

    return decorate


def signed_in(view: Callable[Concatenate[HttpRequest, P], HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Decorate a view that belongs to no project but needs a person."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _ask_to_sign_in(request)
        return view(request, *args, **kwargs)

    wrapper.guard = "signed in"  # type: ignore[attr-defined]
    return wrapper


def _ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """The way to the sign-in page. A fragment of a page gets a sentence instead: what is on the page stays there."""
    sending = request.method != "GET"
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(
            SIGNED_OUT_SENDING if sending else SIGNED_OUT, status=401, content_type="text/plain"
        )
    back = urlsplit(request.headers.get("Referer", "")).path if sending else request.get_full_path()
    return redirect_to_login(back or "/")
