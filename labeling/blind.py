"""Who may read what others said of an item: nobody who may still be given it to judge."""

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from labeling.access import BY_ROLE
from labeling.errors import Refused
from labeling.models import Assignment, Gold, Item, Membership, Project, Purpose, User

READING = "reviewing"
STILL_YOURS = (
    "You may still be given item {item} to judge, so the answers of others are hidden from you. "
    "Judge it first, or choose to read it without judging."
)


def annotates(*, project: Project, person: User | None) -> bool:
    """Whether this person is ever given items of the project. The shell's operator (None) is not."""
    if person is None or person.is_superuser:
        return person is not None
    role = Membership.objects.filter(project=project, user=person).values_list("role", flat=True).first()
    return role is not None and BY_ROLE[role].annotate


def hidden_items(*, project: Project, person: User | None, items: Collection[int]) -> set[int]:
    """Those of these items that this person holds, or never had and may still be given: to judge, or as one with a
    known answer."""
    wanted = set(items)
    if not wanted or not annotates(project=project, person=person):
        return set()
    mine: set[int] = set()
    held: set[int] = set()
    waiting: set[int] = set()
    slots = Assignment.objects.filter(item__in=wanted)
    for item, holder, purpose, submitted, skipped in slots.values_list(
        "item_id", "person_id", "purpose", "submitted_at", "skipped_at"
    ):
        is_open = submitted is None and skipped is None
        if person is not None and holder == person.pk:
            mine.add(item)
            held |= {item} if is_open else set()
        elif is_open and purpose == Purpose.WORK:
            waiting.add(item)
    known = set(Gold.objects.filter(item__in=wanted).values_list("item_id", flat=True))
    return held | ((waiting | known) - mine)


def refuse_hidden(*, project: Project, person: User, item_id: int) -> None:
    """Raise Refused where this person may not read yet what others said of the item."""
    if hidden_items(project=project, person=person, items=[item_id]):
        raise Refused(STILL_YOURS.format(item=item_id))


def read_without_judging(*, project: Project, item_id: int, person: User) -> None:
    """Take this person off an item for good: they are never given it, and may read what others say of it.

    Repeating it is harmless. Raises Refused where they hold the item at this moment.
    """
    with transaction.atomic():
        # People who skip the item or change its overlap number its slots too: they take turns.
        item = Item.objects.select_for_update(no_key=True).filter(project=project, pk=item_id).first()
        if item is None:
            raise Refused(f"There is no item {item_id} in this project; go back to the list.")
        mine = Assignment.objects.filter(item=item, person=person)
        if mine.filter(submitted_at=None, skipped_at=None).exists():
            raise Refused("You have this item open to judge; judge or skip it first.")
        if mine.exists():
            return
        try:
            stand_aside(item=item, person=person)
        except IntegrityError as error:
            raise Refused("You were given this item at this moment; judge or skip it first.") from error


def stand_aside(*, item: Item, person: User) -> None:
    """An ended slot beyond those that the item wants, which keeps it from this person. Needs the lock of the item."""
    last = Assignment.objects.filter(item=item, purpose=Purpose.WORK).aggregate(last=Max("slot"))["last"]
    Assignment.objects.create(
        project_id=item.project_id,
        item=item,
        slot=0 if last is None else last + 1,
        person=person,
        skipped_at=timezone.now(),
        skip_reason=READING,
    )
