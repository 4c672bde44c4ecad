"""Projects, people and API tokens."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from knox.models import AuthToken

from labeling.access import Access, guarded, signed_in
from labeling.allocation import remove_member
from labeling.errors import Refused
from labeling.forms import InviteForm, MemberForm, ProjectForm
from labeling.invitations import invite, open_invitations, revoke
from labeling.models import Membership, Role, User
from labeling.pages import page
from labeling.projects import TEMPLATES, create_from_template, project_lines, set_role

ROLE_WORDS = {
    Role.ANNOTATOR: "judges items and sees nobody else's work",
    Role.REVIEWER: "also reads all judgments and agreement",
    Role.ENGINEER: "also imports, freezes, trains and evaluates",
    Role.LEAD: "reads results and decides",
    Role.OWNER: "may do everything, and gives out roles",
}


@signed_in
def projects(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _start(request)
    context = {"projects": project_lines(request.user), "section": "projects"}
    return page(request, "labeling/projects.html", context)


@signed_in
def project_new(request: HttpRequest) -> HttpResponse:
    """A project from a template; whoever makes it owns it."""
    return _start(request)


def _start(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = create_from_template(owner=request.user, **form.cleaned_data)  # type: ignore[arg-type]
            return redirect("labeling:setup", project.slug)
        except Refused as refusal:
            form.add_error("name", refusal.sentence)
    context = {
        "form": form,
        "templates": TEMPLATES,
        "chosen": form["template"].value() or TEMPLATES[0].key,
        "section": "projects",
    }
    return page(request, "labeling/project_new.html", context, status=422 if form.errors else 200)


@guarded("manage")
def people(request: HttpRequest, access: Access) -> HttpResponse:
    """Members and invitations. The secret of a new link is in this answer only."""
    project, action = access.project, request.POST.get("action", "role")
    form = MemberForm(request.POST if request.method == "POST" and action == "role" else None)
    invite_form = InviteForm(request.POST if action == "invite" else None)
    link, refusal = "", ""
    if request.method == "POST":
        try:
            if action == "invite":
                link = _invite(request, access, invite_form)
                invite_form = InviteForm() if link else invite_form
            elif done := _change(request, access, action, form):
                messages.success(request, done)
                return redirect("labeling:people", project.slug)
        except Refused as refused:
            refusal = refused.sentence
    members = Membership.objects.filter(project=project).select_related("user").order_by("user__username")
    context = {
        "members": members,
        "form": form,
        "invite_form": invite_form,
        "invitations": open_invitations(project),
        "link": link,
        "refusal": refusal,
        "roles": [(role.value, role.label, words) for role, words in ROLE_WORDS.items()],
        "section": "people",
    }
    wrong = bool(refusal or form.errors or invite_form.errors)
    response = page(request, "labeling/people.html", context, status=422 if wrong else 200)
    if link:
        response["Cache-Control"] = "no-store"
    return response


def _invite(request: HttpRequest, access: Access, form: InviteForm) -> str:
    """The link of a new invitation; "" where the form has errors."""
    if not form.is_valid():
        return ""
    _, secret = invite(project=access.project, person=access.person, **form.cleaned_data)
    return request.build_absolute_uri(reverse("labeling:invitation", args=[secret]))


def _change(request: HttpRequest, access: Access, action: str, form: MemberForm) -> str:
    """Change a role, remove a person or revoke a link. Returns what to say; "" where the form has errors."""
    project = access.project
    if action == "revoke":
        number = request.POST.get("invitation", "")
        revoke(project=project, invitation_id=int(number) if number.isdecimal() else 0)
        return "The link is worthless now."
    if action == "remove":
        name = request.POST.get("username", "").replace("\0", "")
        person = User.objects.filter(username=name).first()
        if person is None:
            raise Refused(f"There is no user {name[:60]!r}; reload the page to see who is here.")
        freed = remove_member(project=project, person=person)
        given = f" {freed} item{'' if freed == 1 else 's'} went back to the queue." if freed else ""
        return f"{person} is no longer here; their judgments stay.{given}"
    if not form.is_valid():
        return ""
    member = set_role(project=project, **form.cleaned_data)
    return f"{member.user} is now {member.get_role_display()}."


@signed_in
def tokens(request: HttpRequest) -> HttpResponse:
    new_token = ""
    if request.method == "POST" and "revoke" in request.POST:
        AuthToken.objects.filter(user=request.user, token_key=request.POST["revoke"]).delete()
        return redirect(reverse("labeling:tokens"))
    if request.method == "POST":
        _, new_token = AuthToken.objects.create(user=request.user)
    context = {
        "tokens": AuthToken.objects.filter(user=request.user).order_by("-created"),
        "new_token": new_token,
        "section": "tokens",
    }
    return page(request, "labeling/tokens.html", context)
