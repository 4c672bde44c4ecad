"""A person's hold of a slot: found, ended, replaced, and taken again where its time ran out meanwhile."""

import uuid
from typing import Any

from django.db.models import Max
from django.utils import timezone

from labeling import slots
from labeling.errors import Refused, StaleLease
from labeling.models import Assignment, Item, Project, Purpose, User
from labeling.queue import take_slot, turn_shown


def slot_of(project: Project, person: User, assignment_id: int) -> Assignment:
    """A slot of the project, as `slots.by_id` reads it. Raises Refused where there is none."""
    found = slots.by_id(project, person, assignment_id)
    if found is None:
        raise Refused("There is no such item in this project; reload the page to get the next one.")
    return found


def refuse_late(assignment: Assignment, person: User, token: uuid.UUID, *, revises: int | None = None) -> int:
    """Refuse those who judged the item already, and those to whom it was never given; the others' turn."""
    same = Assignment.objects.filter(item=assignment.item_id, person=person, purpose=assignment.purpose)
    if revises is None and same.filter(submitted_at__isnull=False).exists():
        raise StaleLease("You have already judged this item; your first answer stands.")
    turn = turn_shown(assignment=assignment, person=person, token=token)
    if turn is None:
        raise Refused("This item was never open in your name; reload the page to get one that is.")
    return turn


def close(assignment: Assignment, person: User, token: uuid.UUID, **end: Any) -> Assignment | None:
    """End the lease if it is still this person's; after an expiry, any free slot of the item will do."""
    mine = Assignment.objects.filter(pk=assignment.pk, token=token, person=person)
    if mine.filter(submitted_at=None, skipped_at=None).update(**end):
        return assignment
    return retake(assignment, person, token, **end)


def retake(assignment: Assignment, person: User, token: uuid.UUID, **end: Any) -> Assignment | None:
    """End a free slot of the item in the name of a person who held one until their time ran out."""
    if turn_shown(assignment=assignment, person=person, token=token) is None:
        return None
    retaken = take_slot(assignment=assignment, person=person)
    if retaken and Assignment.objects.filter(pk=retaken.pk, submitted_at=None, skipped_at=None).update(**end):
        retaken.item, retaken.project = assignment.item, assignment.project
        retaken.begun = assignment.begun  # type: ignore[attr-defined]
        return retaken
    return None


def replace(skipped: Assignment, item: Item) -> None:
    """Open another slot, shown in the same order, where the item still wants one."""
    slots = Assignment.objects.filter(item=item, purpose=Purpose.WORK)
    if skipped.purpose != Purpose.WORK or slots.filter(skipped_at=None).count() >= item.overlap:
        return
    last = slots.aggregate(last=Max("slot"))["last"]
    Assignment.objects.create(
        project_id=skipped.project_id,
        item=item,
        slot=last + 1,
        turn=skipped.turn,
        priority=item.priority,
        freed_at=timezone.now(),
    )
