"""What a person does with an item: see it, answer it, change the answer, put it aside. An answer is never lost and
never doubled."""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from labeling import progress, slots
from labeling.compiled import Insert, Update, instance, param
from labeling.errors import Refused, StaleLease
from labeling.holding import close, refuse_late, replace, retake, slot_of
from labeling.models import (
    Assignment,
    Draft,
    Item,
    Judgment,
    Project,
    Response,
    ReviewState,
    Seat,
    User,
)
from labeling.queue import TakenMeanwhile, claim_at, claim_next, seat_of, turn_shown
from labeling.rag.showing import as_stored, refuse_unfitting
from labeling.tasks import VERDICTS, shown_order
from labeling.values import Answer, EditAnswer

SKIP_REASONS = {
    "unclear": "The prompt is unclear",
    "offensive": "Offensive",
    "language": "Not my language",
    "broken": "Broken text",
    "other": "Other",
}
LAYOUTS = ("side", "stacked")
STORE = Insert(Judgment)
SUBMIT = Update(
    lambda: (
        Assignment.objects.filter(
            **{name: param(name, Assignment) for name in ("id", "token", "person")},
            submitted_at=None,
            skipped_at=None,
        ),
        {name: param(name, Assignment) for name in ("submitted_at", "review")},
    )
)


class _Late(Exception):
    """The slot is not this person's any more, or the answer that they change is not the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What comes with an answer: the proof of the lease, the key that makes sending twice harmless, and how it was
    made."""

    token: uuid.UUID
    client_key: uuid.UUID
    active_ms: int | None = None
    layout: str = ""
    revises: int | None = None


def submit(*, project: Project, assignment_id: int, person: User, answer: Answer, sent: Sent) -> Judgment:
    """Store an answer. Sent twice, it is stored once. Raises StaleLease, with the answer kept as a draft, when the
    slot has gone to somebody else; Refused when the item is not this person's at all, or the answer does not fit."""
    assignment = slot_of(project, person, assignment_id)
    _check(assignment, person, answer, sent.token)
    with suppress(IntegrityError, _Late), transaction.atomic():
        return _at_once(assignment, person, answer, sent)[0]
    with suppress(IntegrityError, _Late), transaction.atomic():
        late = _retaken if sent.revises is None else _again
        return late(assignment, person, answer, sent)
    # Where the same answer arrived twice, at the same moment or later, the other one was stored by now.
    earlier = Judgment.objects.filter(person=person, client_key=sent.client_key).first()
    if earlier is not None:
        return earlier
    turn = refuse_late(assignment, person, sent.token, revises=sent.revises)
    _keep(person, assignment.item, answer, turn)
    if sent.revises is not None:
        raise StaleLease("This answer was changed or accepted meanwhile. What you sent was kept as a draft.")
    raise StaleLease(
        "Your time for this item had run out and somebody else took it. "
        "Your answer was kept as a draft; go on with the next item."
    )


def submit_and_claim(
    *, slot: Assignment, person: User, answer: Answer, sent: Sent
) -> tuple[Judgment, Assignment | None]:
    """Submit, then claim the next item, in one transaction where nothing comes between. `slot` is the assignment as
    `slot_of` reads it. Raises what `submit` raises; the answer is stored whatever becomes of the claim."""
    _check(slot, person, answer, sent.token)
    with suppress(IntegrityError, TakenMeanwhile, _Late), transaction.atomic():
        made, seat = _at_once(slot, person, answer, sent)
        return made, claim_at(seat, project=slot.project, person=person, holds=slot.more)  # type: ignore[attr-defined]
    made = submit(project=slot.project, assignment_id=slot.pk, person=person, answer=answer, sent=sent)
    return made, claim_next(project=slot.project, person=person)


def reopen(*, project: Project, person: User, assignment_id: int | None = None) -> Assignment:
    """A submitted answer of this person, their last one where none is named, to be changed. Until the change is
    submitted the earlier answer stands. Raises Refused where there is none, or a reviewer has accepted it."""
    mine = Assignment.objects.filter(project=project, person=person, submitted_at__isnull=False)
    if assignment_id is not None:
        mine = mine.filter(pk=assignment_id)
    found = mine.select_related("item", "project").order_by("-submitted_at").first()
    if found is None:
        raise Refused("There is no answer of yours to go back to.")
    if found.review == ReviewState.ACCEPTED:
        raise Refused("A reviewer has accepted this answer; it cannot be changed any more.")
    return found


def skip(*, project: Project, assignment_id: int, person: User, token: uuid.UUID, reason: str) -> None:
    """Put an item aside for good; its slot goes to somebody else. Skipping twice is skipping once."""
    if reason not in SKIP_REASONS:
        raise Refused(f"The reason given is {reason!r}; choose one of {', '.join(SKIP_REASONS)}.")
    assignment = slot_of(project, person, assignment_id)
    with transaction.atomic():
        seat_of(project=project, person=person, lock=True)  # before the slot, as in _at_once
        # People who skip the same item at once take turns, so that each opens a slot of their own.
        item = Item.objects.select_for_update(no_key=True).get(pk=assignment.item_id)
        if close(assignment, person, token, skipped_at=timezone.now(), skip_reason=reason, expires_at=None):
            replace(assignment, item)
            progress.skipped(project=project, person=person)
            return
    if not Assignment.objects.filter(
        item=assignment.item_id, person=person, skipped_at__isnull=False
    ).exists():
        refuse_late(assignment, person, token)
        raise StaleLease("Your time for this item had run out; somebody else has it now.")


def save_draft(
    *,
    project: Project,
    assignment_id: int,
    person: User,
    token: uuid.UUID,
    answer: dict[str, Any],
    revises: int | None = None,
) -> None:
    """Keep an unfinished answer on the server, for whoever holds the slot or held it; the latter get StaleLease.
    `revises` is the revision that it would replace, where this person opened a submitted answer again."""
    assignment = slot_of(project, person, assignment_id)
    mine = assignment.person_id == person.pk and assignment.token == token
    mine = mine and (assignment.submitted_at is None or revises is not None)
    turn = assignment.turn if mine else refuse_late(assignment, person, token)
    Draft.objects.update_or_create(
        person=person, item=assignment.item, defaults={"answer": answer, "turn": turn}
    )
    if not mine:
        raise StaleLease("Your time for this item ran out. Your choice was kept as a draft; reload the page.")


def _check(assignment: Assignment, person: User, answer: Answer, token: uuid.UUID) -> None:
    project = assignment.project
    if answer.kind != project.task:
        raise Refused(f"The answer is a {answer.kind}; this project asks for a {project.task}.")
    answer.check(responses=assignment.item.n_responses, attributes=project.attributes)
    refuse_unfitting(assignment, person, answer)
    if isinstance(answer, EditAnswer) and _unchanged(assignment, person, answer, token):
        raise Refused(f"The text is still that of response {answer.number}; change it, or skip the item.")
    if project.rationale == "required" and not answer.rationale.strip():
        raise Refused("The reason is empty; this project asks for one in words with each answer.")
    if project.ask_strength and getattr(answer, "verdict", "") in VERDICTS and answer.graded is None:
        raise Refused(
            "The strength is missing; say whether it is slightly (1), clearly (2) or much (3) better."
        )


def _unchanged(assignment: Assignment, person: User, answer: EditAnswer, token: uuid.UUID) -> bool:
    turn = turn_shown(assignment=assignment, person=person, token=token)
    if turn is None:
        return False  # it was never theirs: they are told that
    position = int(answer.label(shown_order(assignment, turn)))
    texts = Response.objects.filter(item=assignment.item_id, position=position).values_list("text", flat=True)
    return answer.text.strip() == (texts.first() or "").strip()


def _at_once(assignment: Assignment, person: User, answer: Answer, sent: Sent) -> tuple[Judgment, Seat]:
    """The first answer of a person who still holds the slot, and their seat. Raises _Late where they do not hold it,
    or change an earlier answer.

    The seat is locked before the slot, as by whoever claims: two tabs of one person wait for each other, never both.
    """
    if sent.revises is not None or assignment.person_id != person.pk:
        raise _Late
    values = _values(assignment, person, answer, sent, turn=assignment.turn)
    seat = slots.count(assignment, person, active_ms=values["active_ms"] or 0, now=values["created_at"])
    if seat is None or not SUBMIT.run(
        id=assignment.pk, token=sent.token, person=person.pk, **_ended(values["created_at"])
    ):
        raise _Late
    slots.open_second(assignment, now=values["created_at"])
    return _stored(values, assignment, person), seat


def _retaken(assignment: Assignment, person: User, answer: Answer, sent: Sent) -> Judgment:
    """The first answer of a person whose time ran out, in any free slot of the item. Raises _Late where none is."""
    seat_of(project=assignment.project, person=person, lock=True)
    now = timezone.now()
    held = retake(assignment, person, sent.token, **_ended(now))
    turn = turn_shown(assignment=assignment, person=person, token=sent.token)
    if held is None or turn is None:
        raise _Late
    values = _values(held, person, answer, sent, turn=turn)
    values["active_ms"] = _believable(assignment, sent.active_ms)
    slots.count(held, person, active_ms=values["active_ms"] or 0, now=now)
    slots.open_second(held, now=now)
    return _stored(values, assignment, person)


def _again(assignment: Assignment, person: User, answer: Answer, sent: Sent) -> Judgment:
    """Another revision of an answer of this person. Raises _Late where it is not the newest that they change."""
    mine = Assignment.objects.filter(pk=assignment.pk, person=person, token=sent.token)
    mine = mine.filter(submitted_at__isnull=False).exclude(review=ReviewState.ACCEPTED)
    returned = assignment.review == ReviewState.RETURNED
    newest = assignment.judgments.aggregate(newest=Max("revision"))["newest"]
    if newest != sent.revises or not mine.update(review=ReviewState.SUBMITTED):
        raise _Late
    if returned:
        progress.mended(project=assignment.project, person=person)
    values = _values(assignment, person, answer, sent, turn=assignment.turn) | {"revision": newest + 1}
    return _stored(values, assignment, person)


def _values(assignment: Assignment, person: User, answer: Answer, sent: Sent, *, turn: int) -> dict[str, Any]:
    """The row of a judgment, but for its key."""
    order = shown_order(assignment, turn)
    return {
        "assignment_id": assignment.pk,
        "project_id": assignment.project_id,
        "item_id": assignment.item_id,
        "person_id": person.pk,
        "revision": 1,
        "client_key": sent.client_key,
        "kind": answer.kind,
        "purpose": assignment.purpose,
        "label": answer.label(order),
        "strength": answer.graded,
        "display_order": order,
        "answer": as_stored(assignment, person, answer),
        "layout": sent.layout if sent.layout in LAYOUTS else "",
        "guideline_id": assignment.project.guideline_id,
        "active_ms": _believable(assignment, sent.active_ms),
        "created_at": timezone.now(),
    }


def _stored(values: dict[str, Any], assignment: Assignment, person: User) -> Judgment:
    judgment: Judgment = instance(Judgment, ["id", *values], [STORE.run(**values), *values.values()])
    if assignment.begun is not None:  # type: ignore[attr-defined]
        Draft.objects.filter(person=person, item=assignment.item_id).delete()
    return judgment


def _ended(now: datetime) -> dict[str, Any]:
    return {"submitted_at": now, "review": ReviewState.SUBMITTED}


def _believable(assignment: Assignment, active_ms: int | None) -> int | None:
    """Nobody worked longer on an item than they had it, whatever their clock says."""
    if active_ms is None or assignment.leased_at is None:
        return active_ms
    held = (timezone.now() - assignment.leased_at).total_seconds() * 1000
    return min(active_ms, max(0, round(held)))


def _keep(person: User, item: Item, answer: Answer, turn: int) -> None:
    kept = {"answer": answer.model_dump(exclude_defaults=True), "turn": turn}
    Draft.objects.update_or_create(person=person, item=item, defaults=kept)
