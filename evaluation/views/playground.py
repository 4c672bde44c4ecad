"""The playground: the list of one's conversations, and one of them. Answers come while the page looks on."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from evaluation.forms_playground import CHECKPOINT, ENDPOINT, BeginForm, MessageForm
from evaluation.models import Conversation, Suite
from evaluation.playground import ask, begin, begin_anew, delete_conversation, reveal
from evaluation.playground.listing import conversations_of, counts_of_people, own_conversation
from evaluation.playground.outcomes import EDITS, VOTES, takers
from evaluation.playground.standing import ShownReply, shown_turns
from evaluation.views.playground_turns import act_on
from labeling.access import Access, guarded
from labeling.errors import Refused
from labeling.models import Rationale
from labeling.pages import page
from labeling.views.parts import number, person_of

PER_PAGE = 50


def own(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate `view(request, access, conversation, …)`; the URL gives its number. Whoever it is not of is told so."""

    @wraps(view)
    def wrapper(request: HttpRequest, access: Access, conversation_id: int, **more: int) -> HttpResponse:
        try:
            found = own_conversation(access.project, person_of(access), conversation_id)
        except Refused as refusal:
            context = {"words": refusal.sentence, "section": "playground"}
            return page(request, "evaluation/playground/refused.html", context, status=422)
        return view(request, access, found, **more)

    return wrapper


@guarded("view_results")
def playground(request: HttpRequest, access: Access) -> HttpResponse:
    """?checkpoint=ID or ?endpoint=ID, two in all, begins with these."""
    form = BeginForm(
        request.POST or None, project=access.project, endpoints=access.can.train, initial=_initial(request)
    )
    if request.method == "POST" and form.is_valid():
        try:
            made = begin(
                project=access.project,
                person=person_of(access),
                sources=form.chosen(),
                blind=form.cleaned_data["blind"],
                settings=form.settings(),
                engine=form.cleaned_data.get("engine", ""),
            )
            return redirect("evaluation:conversation", access.project.slug, made.pk)
        except Refused as refusal:
            form.add_error(None, refusal.sentence)
    rows = conversations_of(project=access.project, person=person_of(access))
    context = {
        "form": form,
        "page_obj": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "people": counts_of_people(access.project) if access.can.manage else [],
        "section": "playground",
    }
    return page(
        request, "evaluation/playground.html", context, fragment="rows", status=422 if form.errors else 200
    )


@guarded("view_results")
@own
def conversation(request: HttpRequest, access: Access, found: Conversation) -> HttpResponse:
    form, refused = MessageForm(before=found.settings), ""
    if request.method == "POST":
        if request.POST.get("do", "ask") == "ask":
            form = MessageForm(request.POST, before=found.settings)
        try:
            if (gone := _done(request, found, form)) is not None:
                return gone
        except Refused as refusal:
            refused = refusal.sentence
        found.refresh_from_db()
        if not refused and not form.errors:
            if not request.htmx:  # type: ignore[attr-defined]
                return redirect("evaluation:conversation", access.project.slug, found.pk)
            form = MessageForm(before=found.settings)
    return _shown(request, access, found, form=form, refused=refused)


@require_safe
@guarded("view_results")
@own
def conversation_state(request: HttpRequest, access: Access, found: Conversation) -> HttpResponse:
    """What of the last turn was written since: asked some times a second while an answer is on its way, so that no
    thread of the server is held by a page that waits."""
    turns = shown_turns(found)
    last = turns[-1] if turns else None
    if last is None or number(request.GET.get("turn")) != last.turn.pk:
        return JsonResponse({"changed": True})
    return JsonResponse(
        {
            "changed": False,
            "live": last.is_live,
            "replies": [_since(reply, number(request.GET.get(reply.place)) or 0) for reply in last.replies],
        }
    )


@require_POST
@guarded("view_results")
@own
def conversation_turn(
    request: HttpRequest, access: Access, found: Conversation, turn_id: int
) -> HttpResponse:
    turn = get_object_or_404(found.turns, pk=turn_id)
    refused = words = ""
    try:
        words = act_on(request, access, turn)
    except Refused as refusal:
        refused = refusal.sentence
    found.refresh_from_db()
    if not refused and not request.htmx:  # type: ignore[attr-defined]
        if words:
            messages.success(request, words)
        return redirect("evaluation:conversation", access.project.slug, found.pk)
    form = MessageForm(before=found.settings)
    return _shown(request, access, found, form=form, refused=refused, words=words)


def _done(request: HttpRequest, found: Conversation, form: MessageForm) -> HttpResponse | None:
    """What the pressed button asks for; an answer where it leads elsewhere."""
    step = request.POST.get("do", "ask")
    if step == "reveal":
        reveal(conversation=found)
    elif step == "delete":
        delete_conversation(conversation=found)
        messages.success(request, "The conversation was deleted.")
        return redirect("evaluation:playground", found.project.slug)
    elif step == "anew":
        made = begin_anew(conversation=found)
        return redirect("evaluation:conversation", found.project.slug, made.pk)
    elif step != "ask":
        raise Refused("Nothing was chosen; press one of the buttons of this page.")
    elif form.is_valid():
        ask(
            conversation=found,
            text=form.cleaned_data["text"],
            contexts=form.passages(),
            settings=form.settings(),
            carries=form.cleaned_data["carries"],
        )
    return None


def _shown(
    request: HttpRequest,
    access: Access,
    found: Conversation,
    *,
    form: MessageForm,
    refused: str = "",
    words: str = "",
) -> HttpResponse:
    turns = shown_turns(found)
    person, last = person_of(access), turns[-1] if turns else None
    voters = takers(person, tasks=VOTES, first=access.project) if last and last.can_vote else []
    suites = Suite.objects.filter(project=access.project, archived_at=None)
    context: dict[str, Any] = {
        "conversation": found,
        "voices": list(found.voices.all()),
        "turns": turns,
        "last": last,
        "form": form,
        "refused": refused or next((error for errors in form.errors.values() for error in errors), ""),
        "words": words,
        "voters": voters,
        "editors": takers(person, tasks=EDITS, first=access.project) if turns else [],
        "asks_strength": any(project.ask_strength for project in voters),
        "asks_reason": any(project.rationale != Rationale.OFF for project in voters),
        "suites": suites.only("id", "name") if access.can.curate else [],
        "section": "playground",
    }
    status = 422 if refused or form.errors else 200
    return page(request, "evaluation/conversation.html", context, fragment="talk", status=status)


def _since(reply: ShownReply, seen: int) -> dict[str, Any]:
    """An answer as it stands, with what is not on the page yet; everything where it began anew."""
    again = seen > len(reply.text)
    return {
        "place": reply.place,
        "state": reply.state,
        "words": reply.words,
        "text": reply.text if again else reply.text[seen:],
        "again": again,
        "next": len(reply.text),
    }


def _initial(request: HttpRequest) -> dict[str, Any]:
    keys = [
        f"{kind}:{key}" for kind in (CHECKPOINT, ENDPOINT) for key in request.GET.getlist(kind) if number(key)
    ]
    return dict(zip(("first", "second"), keys, strict=False))
