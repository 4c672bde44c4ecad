"""What a person does with an item: see it, answer it, put it aside. An answer is never lost and never doubled."""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from labeling.errors import Refused, StaleLease
from labeling.models import Assignment, Draft, Item, Judgment, Project, Response, User
from labeling.queue import lease_token, take_slot
from labeling.values import PairwiseAnswer, display_order

SKIP_REASONS = {
    "unclear": "The prompt is unclear",
    "offensive": "Offensive",
    "language": "Not my language",
    "broken": "Broken text",
    "other": "Other",
}


@dataclass(frozen=True, slots=True)
class ShownResponse:
    """A response as an annotator may see it: its place on the screen and its text, nothing of its origin."""

    number: int
    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """All that an annotator's page or API call receives about an item."""

    assignment_id: int
    token: uuid.UUID
    client_key: uuid.UUID
    messages: list[dict[str, str]]
    responses: list[ShownResponse]
    draft: dict[str, Any] | None
    expires_at: Any


def show(*, assignment: Assignment, person: User) -> Task:
    """What this person sees of the item they hold."""
    item = assignment.item
    responses = list(Response.objects.filter(item=item).order_by("position"))
    draft = Draft.objects.filter(person=person, item=item).first()
    assert assignment.token is not None
    return Task(
        assignment_id=assignment.pk,
        token=assignment.token,
        client_key=uuid.uuid4(),
        messages=item.messages,
        responses=[
            ShownResponse(place + 1, ("first", "second")[place], responses[position].text)
            for place, position in enumerate(_order(assignment, person, len(responses)))
        ],
        draft=draft.answer if draft else None,
        expires_at=assignment.expires_at,
    )


def submit(
    *,
    project: Project,
    assignment_id: int,
    person: User,
    token: uuid.UUID,
    client_key: uuid.UUID,
    answer: PairwiseAnswer,
    active_ms: int | None = None,
) -> Judgment:
    """Store an answer. Sent twice, it is stored once. Raises StaleLease, with the answer kept as a draft, when the
    slot has gone to somebody else; Refused when the item is not this person's at all."""
    assignment = _assignment(project, assignment_id)
    with suppress(IntegrityError), transaction.atomic():
        earlier = Judgment.objects.filter(person=person, client_key=client_key).first()
        if earlier is not None:
            return earlier
        held = _close(assignment, person, token, submitted_at=timezone.now())
        if held is not None:
            return _record(held, person, client_key, answer, active_ms)
    # Where the same answer arrived twice at the same moment, the other one was stored by now.
    earlier = Judgment.objects.filter(person=person, client_key=client_key).first()
    if earlier is not None:
        return earlier
    _refuse_late(assignment, person, token)
    _keep(person, assignment.item, answer)
    raise StaleLease(
        "Your time for this item had run out and somebody else took it. "
        "Your answer was kept as a draft; go on with the next item."
    )


def skip(*, project: Project, assignment_id: int, person: User, token: uuid.UUID, reason: str) -> None:
    """Put an item aside for good; its slot goes to somebody else. Skipping twice is skipping once."""
    if reason not in SKIP_REASONS:
        raise Refused(f"The reason given is {reason!r}; choose one of {', '.join(SKIP_REASONS)}.")
    assignment = _assignment(project, assignment_id)
    with transaction.atomic():
        # People who skip the same item at once take turns, so that each opens a slot of their own.
        Item.objects.select_for_update(no_key=True).filter(pk=assignment.item_id).exists()
        if _close(assignment, person, token, skipped_at=timezone.now(), skip_reason=reason, expires_at=None):
            last = Assignment.objects.filter(item=assignment.item_id).aggregate(last=Max("slot"))["last"]
            Assignment.objects.create(project=project, item=assignment.item, slot=last + 1)
            return
    if not Assignment.objects.filter(
        item=assignment.item_id, person=person, skipped_at__isnull=False
    ).exists():
        _refuse_late(assignment, person, token)
        raise StaleLease("Your time for this item had run out; somebody else has it now.")


def save_draft(
    *, project: Project, assignment_id: int, person: User, token: uuid.UUID, answer: PairwiseAnswer
) -> None:
    """Keep an unfinished answer on the server, for whoever holds the slot or held it; the latter get StaleLease."""
    assignment = _assignment(project, assignment_id)
    _refuse_late(assignment, person, token)
    _keep(person, assignment.item, answer)
    if assignment.person_id != person.pk:
        raise StaleLease("Your time for this item ran out. Your choice was kept as a draft; reload the page.")


def _refuse_late(assignment: Assignment, person: User, token: uuid.UUID) -> None:
    """Refuse those who judged the item already, and those to whom it was never given."""
    if Assignment.objects.filter(item=assignment.item_id, person=person, submitted_at__isnull=False).exists():
        raise StaleLease("You have already judged this item; your first answer stands.")
    held = assignment.person_id == person.pk and assignment.token == token
    if not held and token != lease_token(assignment_id=assignment.pk, person=person):
        raise Refused("This item was never open in your name; reload the page to get one that is.")


def _assignment(project: Project, assignment_id: int) -> Assignment:
    found = (
        Assignment.objects.filter(project=project, pk=assignment_id).select_related("item", "project").first()
    )
    if found is None:
        raise Refused("There is no such item in this project; reload the page to get the next one.")
    return found


def _close(assignment: Assignment, person: User, token: uuid.UUID, **end: Any) -> Assignment | None:
    """End the lease if it is still this person's; after an expiry, any free slot of the item will do."""
    open_slot = {"person": person, "submitted_at": None, "skipped_at": None}
    if Assignment.objects.filter(pk=assignment.pk, token=token, **open_slot).update(**end):
        return assignment
    if token != lease_token(assignment_id=assignment.pk, person=person):
        return None
    retaken = take_slot(assignment=assignment, person=person)
    if retaken and Assignment.objects.filter(pk=retaken.pk, **open_slot).update(**end):
        return retaken
    return None


def _record(
    assignment: Assignment, person: User, client_key: uuid.UUID, answer: PairwiseAnswer, active_ms: int | None
) -> Judgment:
    item = assignment.item
    order = _order(assignment, person, item.responses.count())
    judgment = Judgment.objects.create(
        assignment=assignment,
        project=assignment.project,
        item=item,
        person=person,
        client_key=client_key,
        label=answer.label(order),
        display_order=order,
        answer=answer.model_dump(),
        active_ms=active_ms,
    )
    Draft.objects.filter(person=person, item=item).delete()
    return judgment


def _keep(person: User, item: Item, answer: PairwiseAnswer) -> None:
    Draft.objects.update_or_create(person=person, item=item, defaults={"answer": answer.model_dump()})


def _order(assignment: Assignment, person: User, responses: int) -> list[int]:
    return display_order(
        key=assignment.project.order_key,
        item_hash=assignment.item.content_hash,
        person=str(person.pk),
        responses=responses,
    )
