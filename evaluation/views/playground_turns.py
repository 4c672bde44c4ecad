"""What may be done with one turn: the button that was pressed, and the sentence that says it was done."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from evaluation.forms_playground import with_plain_lines
from evaluation.models import Suite, Turn
from evaluation.playground import again, change_message, edit, go_on, stop, to_queue, to_suite, vote
from labeling.access import Access, visible_projects
from labeling.errors import Refused
from labeling.models import Project, User
from labeling.views.parts import number, person_of


def act_on(request: HttpRequest, access: Access, turn: Turn) -> str:
    """Do it. Raises Refused."""
    post, person = request.POST, person_of(access)
    match post.get("do", ""):
        case "stop":
            stop(turn=turn)
        case "again":
            again(turn=turn)
        case "same":
            again(turn=turn, next_seed=False)
        case "go_on":
            go_on(conversation=turn.conversation)
        case "change":
            change_message(turn=turn, text=with_plain_lines(post.get("text", "")))
        case "vote":
            return _voted(request, access, turn, person)
        case "edit":
            made = edit(
                turn=turn,
                person=person,
                place=post.get("place", ""),
                text=with_plain_lines(post.get("text", "")),
                project=_project(request, access),
            )
            return f"Saved as item {made.item_id}; your text stands in place of the answer."
        case "queue":
            return f"The turn is item {to_queue(turn=turn, person=person).item_id} of the queue."
        case "suite":
            suite = get_object_or_404(Suite, project=access.project, pk=number(post.get("suite")) or 0)
            case = to_suite(turn=turn, person=person, suite=suite)
            return f"Case {case.position + 1} of {suite}. Its prompt is kept out of training from now on."
        case _:
            raise Refused("Nothing was chosen; press one of the buttons of this page.")
    return ""


def _voted(request: HttpRequest, access: Access, turn: Turn, person: User) -> str:
    post = request.POST
    made = vote(
        turn=turn,
        person=person,
        verdict=post.get("verdict", ""),
        project=_project(request, access),
        strength=number(post.get("strength")),
        rationale=post.get("rationale", ""),
    )
    return f"Your vote is a judgment of item {made.item_id}."


def _project(request: HttpRequest, access: Access) -> Project | None:
    """The project that was chosen to take the answer; None for that of the conversation."""
    slug = request.POST.get("project", "")
    if not slug or slug == access.project.slug:
        return None
    found = visible_projects(request.user).filter(slug=slug).first()
    if found is None:
        raise Refused(f"There is no project {slug[:60]!r}, or it is not yours; choose another one.")
    return found
