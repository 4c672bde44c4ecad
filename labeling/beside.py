"""An answer that a person gives beside the queue: about an item that they brought in themselves, in the order in which
they saw its responses. It is a judgment like any other: counted, reviewed, exported, withdrawn."""

import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from labeling.annotating import Sent, submit
from labeling.errors import Refused
from labeling.models import Assignment, Item, Judgment, Project, Purpose, User
from labeling.queue import lease_token, seat_of
from labeling.values import Answer, display_order


def judge_beside(
    *,
    project: Project,
    item_id: int,
    person: User,
    answer: Answer,
    shown: list[int],
    client_key: uuid.UUID,
    layout: str = "",
) -> Judgment:
    """Store an answer to an item that was shown elsewhere, its stored responses in the order `shown`.

    Sent twice by one key, it is stored once. It takes a slot of the item that is free, or one beyond those that the
    item wants. Raises Refused where the person had the item before, the project is paused, or the answer does not fit.
    """
    earlier = Judgment.objects.filter(person=person, client_key=client_key).first()
    if earlier is not None:
        return earlier
    if project.paused_at:
        raise Refused(f"{project} is paused; an answer can be given when an owner resumes it.")
    with transaction.atomic():
        seat_of(project=project, person=person, lock=True)  # before the item, as whoever skips
        item = Item.objects.select_for_update(no_key=True).get(project=project, pk=item_id)
        if Assignment.objects.filter(item=item, person=person).exists():
            raise Refused(
                f"You were given this already, as item {item.pk} of {project}; what you did there stands."
            )
        slot = _slot(project, item, person, shown)
        assert slot.token is not None
        sent = Sent(token=slot.token, client_key=client_key, layout=layout)
        return submit(project=project, assignment_id=slot.pk, person=person, answer=answer, sent=sent)


def _slot(project: Project, item: Item, person: User, shown: list[int]) -> Assignment:
    """A slot in this person's name, of a turn that shows the responses in this order. A free one of that turn is best:
    then whoever takes the others sees them as evenly as before."""
    turn, now = _turn(project, item, shown), timezone.now()
    slots = Assignment.objects.filter(item=item, purpose=Purpose.WORK)
    free = slots.filter(person=None).order_by("slot")
    for slot in sorted(free, key=lambda one: one.turn % 2 != turn % 2):
        if Assignment.objects.filter(pk=slot.pk, person=None).update(person=person, turn=turn):
            break
    else:
        last = slots.aggregate(last=Max("slot"))["last"]
        place = 0 if last is None else last + 1
        slot = Assignment.objects.create(project=project, item=item, slot=place, turn=turn, person=person)
    slot.token = lease_token(assignment_id=slot.pk, person=person, turn=turn)
    slot.leased_at, slot.expires_at = now, now + timedelta(seconds=project.lease_seconds)
    slot.freed_at = now  # beside the queue: the person's place in it does not move
    slot.save(update_fields=["token", "leased_at", "expires_at", "freed_at"])
    return slot


def _turn(project: Project, item: Item, shown: list[int]) -> int:
    count = item.n_responses
    for turn in range(max(2 * count, 1)):
        order = display_order(key=project.order_key, item_hash=item.content_hash, turn=turn, responses=count)
        if order == shown:
            return turn
    raise Refused(f"The responses were shown in the order {shown}, which no turn of item {item.pk} gives.")
