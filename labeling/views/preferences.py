"""What a person sets for themselves: the keys of the annotating page, and how it looks."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from labeling.access import signed_in, visible_projects
from labeling.errors import Refused
from labeling.models import User
from labeling.pages import page
from labeling.preferences import ACTIONS, NAMED, USUAL, keys_of, prefer, set_keys


@signed_in
def keys(request: HttpRequest) -> HttpResponse:
    """The keys of the annotating page, each to be changed."""
    person, refusal = _person(request), ""
    chosen = keys_of(person.preferences)
    if request.method == "POST":
        reset = "reset" in request.POST
        chosen = {name: request.POST.get(name, usual) for name, usual in USUAL.items()}
        try:
            set_keys(person=person, keys=USUAL if reset else chosen)
            messages.success(request, "The usual keys are back." if reset else "Your keys are saved.")
            return redirect(f"{reverse('labeling:keys')}?project={_project(request)}")
        except Refused as refused:
            refusal = refused.sentence
    context = {
        "groups": _groups(chosen),
        "named": [*NAMED, "Shift+1"],
        "refusal": refusal,
        "back": _project(request),
        "section": "keys",
    }
    return page(request, "labeling/keys.html", context, status=422 if refusal else 200)


@require_POST
@signed_in
def choose(request: HttpRequest) -> HttpResponse:
    """One choice about how the annotating page looks."""
    try:
        prefer(
            person=_person(request),
            what=request.POST.get("what", ""),
            value=request.POST.get("value", ""),
        )
    except Refused as refusal:
        return HttpResponse(refusal.sentence, status=422, content_type="text/plain")
    return HttpResponse(status=204)


def _groups(chosen: dict[str, str]) -> list[dict[str, object]]:
    """The actions by where they are used, with the key chosen for each."""
    headings = {
        (): "Every task",
        ("pairwise",): "Comparing two responses",
        ("pairwise", "ranking"): "Comparing and ranking",
        ("ranking",): "Ranking",
        ("demonstration", "edit"): "Writing and improving",
        ("rag",): "Reviewing a RAG answer",
    }
    return [
        {
            "words": words,
            "rows": [(action, chosen[action.name]) for action in ACTIONS if action.kinds == kinds],
        }
        for kinds, words in headings.items()
    ]


def _project(request: HttpRequest) -> str:
    """The slug of the project from which the person came, if it is one of theirs."""
    slug = request.POST.get("project") or request.GET.get("project", "")
    return slug if visible_projects(request.user).filter(slug=slug).exists() else ""


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
