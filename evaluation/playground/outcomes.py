"""What becomes of a turn: a vote or an edit is a judgment like any other, and any turn an item or a case."""

import uuid
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from django.db import transaction

from evaluation.models import Case, Conversation, Outcome, Reply, Suite, Turn
from evaluation.playground.prompts import PLACES, by_place, prompt_of
from evaluation.playground.provenance import BY_A_PERSON, origin, stored_item
from evaluation.playground.talking import ASKED_AGAIN, locked, plain, reveal
from evaluation.suites import add_case
from evaluation.suites.content import Content
from labeling.access import BY_ROLE, opened, visible_projects
from labeling.beside import judge_beside
from labeling.blind import read_without_judging
from labeling.errors import Refused
from labeling.intake import ResponseDraft
from labeling.models import Item, Judgment, Project, Task, User
from labeling.protection import fingerprints, protect
from labeling.reading import read_answer
from labeling.values import Answer

VOTES = (Task.PAIRWISE, Task.RANKING)
EDITS = (Task.EDIT, Task.PAIRWISE, Task.RANKING, Task.DEMONSTRATION)
SHOWN = {"left": "first", "right": "second", "tie": "tie", "both_bad": "both_bad"}
RANKED = {"left": "1>2", "right": "2>1", "tie": "1=2", "both_bad": "all_bad"}
VERDICTS = tuple(SHOWN)
NAMESPACE = uuid.UUID("0f6d1f0c-6a51-4f0e-8f6e-0d6f3c0a7b11")
MOST_OFFERED = 20


def vote(
    *,
    turn: Turn,
    person: User,
    verdict: str,
    project: Project | None = None,
    strength: int | None = None,
    rationale: str = "",
) -> Outcome:
    """Say which of the two answers is better, as they stand on the page. It becomes a judgment of an item in `project`
    (that of the conversation, if none is named), and from then on everybody knows who is who. The same vote again is
    the same vote. Raises Refused."""
    project = _taking(project or turn.conversation.project, person, VOTES, "A vote between two answers")
    if verdict not in VERDICTS:
        raise Refused(f"The vote given is {verdict[:40]!r}; choose one of {', '.join(VERDICTS)}.")
    with transaction.atomic():
        conversation = _standing(turn)
        replies = _comparable(turn)
        earlier = Outcome.objects.filter(turn=turn, kind=Outcome.Kind.VOTE).first()
        if earlier is not None:
            if earlier.verdict == verdict:
                return earlier
            raise Refused("You have voted on this turn; you know by now who wrote what, so the vote stands.")
        if any(reply.edited for reply in replies):
            raise Refused(
                "You improved an answer of this turn, which is a judgment already; ask it again to vote."
            )
        item = stored_item(project=project, turn=turn, responses=map(_response, replies))
        judgment = judge_beside(
            project=project,
            item_id=item.pk,
            person=person,
            answer=_voted(project, verdict, strength, plain(rationale)),
            shown=[conversation.left, 1 - conversation.left],
            client_key=uuid.uuid5(NAMESPACE, f"vote of turn {turn.pk}"),
            layout="side",
        )
        made = _noted(turn, person, Outcome.Kind.VOTE, item, judgment, verdict=verdict)
        reveal(conversation=conversation)
    return made


def edit(*, turn: Turn, person: User, place: str, text: str, project: Project | None = None) -> Outcome:
    """Write an answer better. It becomes a judgment by the kind of the project: an edit, a demonstration, or a
    comparison in which the better text wins; and it stands in place of the answer from then on, in the last turn only:
    what came after another one was said to the answer as it was. Raises Refused."""
    project = _taking(project or turn.conversation.project, person, EDITS, "An improved answer")
    with transaction.atomic():
        conversation = _standing(turn)
        if conversation.turns.filter(replaced_at=None, number__gt=turn.number).exists():
            raise Refused(
                "The conversation went on from this answer; improve the last one, or ask this turn again."
            )
        reply = dict(zip(PLACES, by_place(turn), strict=False)).get(place)
        if reply is None or reply.finished_at is None or reply.error:
            raise Refused("There is no answer in this place to improve; wait until it is there.")
        if conversation.is_hidden:
            raise Refused("Vote first, or show who is who: the item of an edit names who wrote the answer.")
        if not text.strip() or text.strip() == reply.said.strip():
            raise Refused("The text is still that of the answer; change it, or leave it.")
        responses = [_response(reply)]
        if project.task in VOTES:
            responses.append(ResponseDraft(text, origin=BY_A_PERSON))
        item = stored_item(project=project, turn=turn, responses=responses)
        judgment = judge_beside(
            project=project,
            item_id=item.pk,
            person=person,
            answer=_edited(project, plain(text)),
            shown=list(range(len(responses))),
            client_key=uuid.uuid5(NAMESPACE, f"edit of reply {reply.pk}: {text}"),
        )
        Reply.objects.filter(pk=reply.pk).update(edited=text)
        return _noted(turn, person, Outcome.Kind.EDIT, item, judgment, voice=reply.voice)


def to_queue(*, turn: Turn, person: User) -> Outcome:
    """Put a turn into the queue of its project, for other people to judge: who saw who wrote what is never given it.
    Repeating it is harmless. Raises Refused."""
    project = turn.conversation.project
    if opened(person, project.slug, "curate") is None:
        raise Refused(f"You may not put items into {project}; ask an owner of it.")
    with transaction.atomic():
        if _standing(turn).is_hidden:
            raise Refused("Vote first, or show who is who: the item names who wrote what.")
        ended = [reply for reply in by_place(turn) if reply.finished_at and not reply.error]
        replies = sorted(
            ended, key=lambda reply: reply.voice.index
        )  # as a vote's item has them: it is one item
        item = stored_item(project=project, turn=turn, responses=map(_response, replies))
        with suppress(Refused):  # they hold it already, or judged it
            read_without_judging(project=project, item_id=item.pk, person=person)
        there = Outcome.objects.filter(turn=turn, kind=Outcome.Kind.ITEM, item=item).first()
        return there or _noted(turn, person, Outcome.Kind.ITEM, item)


def to_suite(*, turn: Turn, person: User, suite: Suite) -> Case:
    """Make a turn a case of a suite, with the better answer as its reference where it is known. From this moment its
    prompt is kept out of training. Raises Refused."""
    if opened(person, suite.project.slug, "curate") is None:
        raise Refused(f"You may not change the suites of {suite.project}; ask an owner of it.")
    if suite.archived_at is not None:
        raise Refused(f"The suite {suite} was put away; choose another one.")
    with transaction.atomic():
        _standing(turn)
        prompt = prompt_of(turn, bare=True)
        reference, rejected = _known(turn)
        case = add_case(
            suite=suite,
            content=Content(
                prompt=prompt,
                reference=reference,
                rejected=rejected,
                contexts=list(turn.contexts),
                tags=["playground"],
            ),
            person=person,
            source=f"playground, turn {turn.pk}",
        )
        protect(
            project=suite.project,
            prompts=fingerprints([prompt]),
            reason=f"{suite}, from the playground"[:200],
        )
        _noted(turn, person, Outcome.Kind.CASE, None, suite=suite, case_uid=case.uid)
    return case


def takers(person: User, *, tasks: Collection[str], first: Project) -> list[Project]:
    """The projects in which this person may give an answer of this kind, that of the conversation first."""
    roles = [role for role, can in BY_ROLE.items() if can.annotate]
    found = visible_projects(person).filter(task__in=tasks)
    if not person.is_superuser:
        found = found.filter(memberships__user=person, memberships__role__in=roles)
    return sorted(found.order_by("name"), key=lambda project: project != first)[:MOST_OFFERED]


def _taking(project: Project, person: User, tasks: Collection[str], what: str) -> Project:
    if opened(person, project.slug, "annotate") is None:
        raise Refused(f"You may not judge in {project}; ask an owner of it for a role that does.")
    if project.task not in tasks:
        others = takers(person, tasks=tasks, first=project)
        names = ", ".join(other.name for other in others)
        can = f"one of yours that can is {names}" if len(others) == 1 else f"yours that can are {names}"
        raise Refused(
            f"{what} does not fit {project}, where the task is to {project.get_task_display().lower()}; "
            + (f"{can}: choose it." if others else "begin a project that can, and vote into it.")
        )
    return project


def _standing(turn: Turn) -> Conversation:
    """The conversation of a turn that still stands in it, locked. Raises Refused."""
    turn.conversation = locked(turn.conversation)
    if not turn.conversation.turns.filter(pk=turn.pk, replaced_at=None).exists():
        raise Refused(ASKED_AGAIN)
    return turn.conversation


def _comparable(turn: Turn) -> list[Reply]:
    """The two answers by the index of their voice."""
    replies = by_place(turn)
    if len(replies) != 2:
        raise Refused("One answer alone cannot be voted on; improve it, or begin a conversation of two.")
    for reply, place in zip(replies, PLACES, strict=True):
        if reply.finished_at is None:
            raise Refused("Both answers must be there before a vote; wait for them.")
        if reply.error or reply.finish == "stopped":
            raise Refused(f"The {place} answer is not whole; ask the turn again, then vote.")
    return sorted(replies, key=lambda reply: reply.voice.index)


def _response(reply: Reply) -> ResponseDraft:
    return ResponseDraft(reply.text, origin=origin(reply))


def _voted(project: Project, verdict: str, strength: int | None, rationale: str) -> Answer:
    given: dict[str, Any] = {"order": RANKED[verdict]}
    if project.task == Task.PAIRWISE:
        graded = strength if project.ask_strength and verdict in PLACES else None
        given = {"verdict": SHOWN[verdict], "strength": graded}
    return read_answer({**given, "rationale": rationale}, task=project.task)


def _edited(project: Project, text: str) -> Answer:
    """What an edit says in a project of this kind. A text that somebody took the trouble to write is clearly better."""
    given: dict[str, dict[str, Any]] = {
        Task.EDIT: {"number": 1, "text": text},
        Task.DEMONSTRATION: {"text": text},
        Task.RANKING: {"order": "2>1"},
        Task.PAIRWISE: {"verdict": "second", "strength": 2 if project.ask_strength else None},
    }
    return read_answer(given[project.task], task=project.task)


def _known(turn: Turn) -> tuple[str | None, str | None]:
    """(the better answer, the worse one), as far as somebody said so."""
    replies = by_place(turn)
    for reply in replies:
        if reply.edited:
            return reply.edited, reply.text
    voted = turn.outcomes.filter(kind=Outcome.Kind.VOTE).values_list("verdict", flat=True).first()
    if voted not in PLACES or len(replies) != 2 or replies[0].text == replies[1].text:
        return None, None
    better = PLACES.index(voted)
    return replies[better].text, replies[1 - better].text


def _noted(
    turn: Turn, person: User, kind: str, item: Item | None, judgment: Judgment | None = None, **more: object
) -> Outcome:
    return Outcome.objects.create(
        turn=turn,
        kind=kind,
        item=item,
        judgment=judgment,
        blind=turn.conversation.is_hidden,
        created_by=person,
        **more,
    )
