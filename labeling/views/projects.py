"""Projects, people and API tokens."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from knox.models import AuthToken

from labeling import quality
from labeling.access import Access, guarded, signed_in
from labeling.errors import Refused
from labeling.forms import MemberForm, ProjectForm
from labeling.models import Membership, Role
from labeling.pages import page
from labeling.projects import create_project, project_lines, set_role

ROLE_WORDS = {
    Role.ANNOTATOR: "judges items and sees nobody else's work",
    Role.REVIEWER: "also reads all judgments and agreement",
    Role.ENGINEER: "also imports, freezes, trains and evaluates",
    Role.LEAD: "reads results and decides",
    Role.OWNER: "may do everything, and gives out roles",
}


@signed_in
def projects(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = create_project(owner=request.user, **form.cleaned_data)  # type: ignore[arg-type]
            return redirect("labeling:imports", project.slug)
        except Refused as refusal:
            form.add_error("name", refusal.sentence)
    context = {"projects": project_lines(request.user), "form": form, "section": "projects"}
    return page(request, "labeling/projects.html", context, status=422 if form.errors else 200)


@guarded("manage")
def people(request: HttpRequest, access: Access) -> HttpResponse:
    form = MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            member = set_role(project=access.project, **form.cleaned_data)
            messages.success(request, f"{member.user} is now {member.get_role_display()}.")
            return redirect("labeling:people", access.project.slug)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    members = (
        Membership.objects.filter(project=access.project).select_related("user").order_by("user__username")
    )
    context = {
        "members": members,
        "form": form,
        "roles": [(role.label, words) for role, words in ROLE_WORDS.items()],
        "section": "people",
    }
    return page(request, "labeling/people.html", context, status=422 if form.errors else 200)


@guarded("review")
def agreement(request: HttpRequest, access: Access) -> HttpResponse:
    found = quality.agreement(access.project)
    pairs = [{"a": p.rater_a, "b": p.rater_b, "kappa": p.kappa, "raw": p.raw} for p in found.pairs]
    context = {
        "pairs": pairs,
        "alpha": found.alpha,
        "n_items": found.n_items,
        "per_person": quality.per_person(access.project),
        "section": "agreement",
    }
    return page(request, "labeling/agreement.html", context)


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
