"""Who gets what next. A slot is taken by compare-and-set, held by a token, and returned when its time has passed.

Nothing is reserved for anybody who is not there: work is pulled. A person may hold two items, the one on the screen and
the one that is shown next.
"""

import uuid
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from labeling import checkups, slots
from labeling.models import Assignment, Deferral, Item, Project, Purpose, ReviewState, Seat, User

LEASE_SALT = "labeling.queue.lease"
FREE = {"person": None, "token": None, "leased_at": None, "expires_at": None}
MOST_COUNTED = 1000
TURNS = 200
UNSEEN_YET = timedelta(minutes=1)
LOOK_AGAIN = timedelta(seconds=5)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class TakenMeanwhile(Exception):
    """The slot that was found went to somebody else before it was leased."""


def claim_next(*, project: Project, person: User, besides: Collection[int] = ()) -> Assignment | None:
    """Give this person the item they hold, or lease them the next one; None when nothing is left for them.

    Items in `besides` (ids of assignments that they hold on the screen) are not given again. Why there is nothing
    says `why_nothing`.
    """
    for _ in range(20):
        with suppress(IntegrityError, TakenMeanwhile), transaction.atomic():
            seat = seat_of(project=project, person=person, lock=True)
            return claim_at(seat, project=project, person=person, besides=besides)
    return None


def claim_at(
    seat: Seat, *, project: Project, person: User, besides: Collection[int] = (), holds: bool = True
) -> Assignment | None:
    """What `claim_next` does, inside a transaction that has locked this person's seat. `holds` says that they may
    hold an item already.

    Raises TakenMeanwhile, or IntegrityError where it was this person in another tab: roll back, and try again.
    """
    held = _returned(project, person, seat, besides)
    if held is None and holds:
        held = _held(project, person, besides)
    slot = None
    if held is None and not project.paused_at and not _over_cap(project, seat, len(besides)):
        slot = checkups.due(project=project, person=person, seat=seat, ahead=len(besides))
        slot = slot or _in_order(project, person, seat)
        if slot is None and release_expired(project=project):
            slot = _in_order(project, person, seat)
    if slot is not None and not _lease(slot, project, person):
        raise TakenMeanwhile
    return held or slot


def why_nothing(*, project: Project, person: User) -> str:
    """The sentence for a person who got nothing."""
    if project.paused_at:
        return "This project is paused. Work goes on when an owner resumes it."
    if _over_cap(project, seat_of(project=project, person=person), 0):
        return f"You have judged all you may today: {project.daily_cap}, the most that this project allows in a day."
    if project.two_pass and _not_had(project, person).exists():
        return "What is left for you are second passes. Each comes once its first review is in; look again in a while."
    return ""


def seat_of(*, project: Project, person: User, lock: bool = False) -> Seat:
    """The person's place in the queue, made at first use. Locked, until the transaction ends, other claims of this
    person wait: two tabs opened at once get one item."""
    found = slots.seat(project, person, lock=lock)
    if found is None:
        Seat.objects.bulk_create([Seat(project=project, person=person)], ignore_conflicts=True)
        found = slots.seat(project, person, lock=lock)
    assert found is not None
    return found


def lease_token(*, assignment_id: int, person: User, turn: int) -> uuid.UUID:
    """The token of this person's lease of this slot, shown on this turn. It cannot be guessed, and proves that the
    slot was theirs, and what they saw, even when the lease ran out and the row has forgotten them."""
    text = f"{assignment_id}:{person.pk}:{turn}"
    return uuid.UUID(bytes=salted_hmac(LEASE_SALT, text, algorithm="sha256").digest()[:16])


def turn_shown(*, assignment: Assignment, person: User, token: uuid.UUID) -> int | None:
    """The turn on which this person saw this slot's item, told from their token; None when it was never theirs."""
    candidates = [assignment.turn, *range(TURNS)]
    found = (
        t for t in candidates if token == lease_token(assignment_id=assignment.pk, person=person, turn=t)
    )
    return next(found, None)


def heartbeat(*, project: Project, assignment_id: int, person: User, token: uuid.UUID) -> bool:
    """The page is still open: hold the slot for as long again. False when it is not this person's any more."""
    expires = timezone.now() + timedelta(seconds=project.lease_seconds)
    mine = _open_leases(project).filter(pk=assignment_id, person=person, token=token)
    if mine.update(expires_at=expires):
        return True
    return Assignment.objects.filter(  # their own submitted answer, opened again
        pk=assignment_id, project=project, person=person, submitted_at__isnull=False
    ).exists()


def release_expired(*, project: Project | None = None) -> int:
    """Return to the queue every slot whose lease ran out. Returns how many."""
    leases = _open_leases(project) if project else _open_leases()
    return _give_back(leases.filter(expires_at__lt=timezone.now()))


def release_all(*, project: Project, person: User) -> int:
    """Return to the queue whatever this person holds: they left. Returns how many slots."""
    return _give_back(_open_leases(project).filter(person=person))


def take_slot(*, assignment: Assignment, person: User) -> Assignment | None:
    """Lease any free slot of the same item, for a person whose lease ran out while they were answering."""
    siblings = Assignment.objects.filter(item=assignment.item_id, purpose=assignment.purpose)
    if siblings.filter(person=person).exists():
        return None
    for slot in siblings.filter(person=None).order_by("slot"):
        if _lease(slot, assignment.project, person):
            return slot
    return None


def postpone(*, project: Project, assignment_id: int, person: User, token: uuid.UUID) -> bool:
    """Put an item to the end of this person's own queue; its slot is free for others meanwhile. False when it was not
    theirs (any more)."""
    with transaction.atomic():
        mine = _open_leases(project).filter(pk=assignment_id, person=person, token=token)
        item = mine.values_list("item", flat=True).first()
        if item is None or not _give_back(mine):
            return False
        Deferral.objects.update_or_create(
            person=person, item_id=item, defaults={"project": project, "created_at": timezone.now()}
        )
    return True


def left_for(*, project: Project, person: User) -> int:
    """How many items this person may still get, at most, counted up to MOST_COUNTED: the cost does not grow with the
    project."""
    free = Assignment.objects.filter(project=project, person=None)[:MOST_COUNTED].count()
    if free == MOST_COUNTED:
        return free
    return _not_had(project, person).values("item").distinct().count()


def _not_had(project: Project, person: User) -> QuerySet[Assignment]:
    """The free slots of items that this person never had."""
    had = Assignment.objects.filter(item=OuterRef("item"), person=person)
    return Assignment.objects.filter(~Exists(had), project=project, person=None)


def _returned(project: Project, person: User, seat: Seat, besides: Collection[int]) -> Assignment | None:
    """An answer of this person that a reviewer sent back, the oldest first."""
    if not seat.returned:
        return None
    rows = Assignment.objects.filter(project=project, person=person, review=ReviewState.RETURNED)
    return rows.exclude(pk__in=besides).order_by("submitted_at").select_related("item", "project").first()


def _held(project: Project, person: User, besides: Collection[int]) -> Assignment | None:
    """The oldest open lease of this person, for as long again; also one that ran out but that nobody took."""
    for slot in slots.read(slots.HELD, project, person):
        if slot.pk not in besides:
            slot.expires_at = timezone.now() + timedelta(seconds=project.lease_seconds)
            if slots.RENEW.run(id=slot.pk, token=slot.token, expires_at=slot.expires_at):
                return slot
    return None


def _over_cap(project: Project, seat: Seat, held: int) -> bool:
    today = seat.judged_today if seat.day == timezone.localdate() else 0
    return project.daily_cap is not None and today + held >= project.daily_cap


def _open_leases(project: Project | None = None) -> QuerySet[Assignment]:
    rows = Assignment.objects.filter(person__isnull=False, submitted_at=None, skipped_at=None)
    return rows.filter(project=project) if project else rows


def _give_back(leases: QuerySet[Assignment]) -> int:
    """Free these leased slots. One that its item does not want any more, because the overlap was lowered, goes; so do
    known answers and repeats, which were made for one person. The items are locked: their overlap may be changing."""
    with transaction.atomic():
        items = set(leases.values_list("item_id", flat=True))
        if not items:
            return 0
        rows = Item.objects.select_for_update(no_key=True).filter(pk__in=items).order_by("pk")
        locked = set(rows.values_list("pk", flat=True))
        crowded, now, count = _crowded(locked), timezone.now(), 0
        for pk, item, purpose, token in leases.values_list("pk", "item_id", "purpose", "token"):
            slot = Assignment.objects.filter(pk=pk, token=token, submitted_at=None, skipped_at=None)
            if item not in locked:
                continue  # it ran out a moment ago: the next sweep has it
            if purpose != Purpose.WORK:
                count += slot.delete()[0]
            elif crowded.get(item, 0) > 0:
                gone = slot.delete()[0]
                crowded[item] -= gone
                count += gone
            else:
                count += slot.update(**FREE, freed_at=now)
        return count


def _crowded(items: Collection[int]) -> dict[int, int]:
    """How many live slots each item has beyond its overlap."""
    found: dict[int, int] = {}
    wanted = dict(Item.objects.filter(pk__in=items).values_list("pk", "overlap"))
    live = Assignment.objects.filter(item__in=items, purpose=Purpose.WORK, skipped_at=None)
    for item in live.values_list("item_id", flat=True):
        found[item] = found.get(item, -wanted[item]) + 1
    return found


def _in_order(project: Project, person: User, seat: Seat) -> Assignment | None:
    """The first free slot, by priority and then by id, of an item that this person neither had nor put off.

    What follows the person's last item is one step away in the index, however much they have judged. Slots that came
    back since then are looked for every few seconds, by the time at which they came. Only when neither is left is
    everything searched.
    """
    ahead = _ahead(project, person, seat)
    if ahead is not None and seat.freed_seen and seat.freed_seen > timezone.now() - UNSEEN_YET - LOOK_AGAIN:
        return _met(ahead)
    seen = seat.freed_seen or BEGINNING
    freed = slots.first(slots.FREED, project, person, freed_at=seen)
    # What came before this one, or is there now, will never fit; what is being freed at this moment may still appear.
    until = timezone.now() if freed is None or freed.freed_at is None else freed.freed_at
    slots.REMEMBER.run(id=seat.pk, freed_seen=max(seen, until - UNSEEN_YET))
    if ahead is not None and (freed is None or freed.pk == ahead.pk or freed.priority < ahead.priority):
        return _met(ahead)
    return freed or slots.first(slots.ANY, project, person) or slots.first(slots.PUT_OFF, project, person)


def _met(slot: Assignment) -> Assignment:
    """A slot that is met in order moves the person's place on, also where it came back some time ago."""
    slot.freed_at = None
    return slot


def _ahead(project: Project, person: User, seat: Seat) -> Assignment | None:
    if seat.cursor_priority is None or seat.epoch != project.epoch:
        return slots.first(slots.ANY, project, person)
    place = {"priority": seat.cursor_priority, "item": seat.cursor_item}
    return slots.first(slots.SAME, project, person, **place) or slots.first(
        slots.BELOW, project, person, **place
    )


def _lease(slot: Assignment, project: Project, person: User) -> bool:
    """Take the slot if it still is free. Who has a draft of the item sees it in the order in which they began."""
    now = timezone.now()
    begun = getattr(slot, "begun", None)
    slot.turn = slot.turn if begun is None else begun
    slot.project, slot.person, slot.leased_at = project, person, now
    slot.token = lease_token(assignment_id=slot.pk, person=person, turn=slot.turn)
    slot.expires_at = now + timedelta(seconds=project.lease_seconds)
    return bool(
        slots.LEASE.run(
            id=slot.pk,
            person=person.pk,
            token=slot.token,
            turn=slot.turn,
            leased_at=now,
            expires_at=slot.expires_at,
            freed_at=slot.freed_at,
        )
    )
