"""Who gets what next. A slot is taken by compare-and-set, held by a token, and returned when its time has passed."""

import uuid
from datetime import timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from labeling.models import Assignment, Item, Project, User

LEASE_SALT = "labeling.queue.lease"
FREE = {"person": None, "token": None, "leased_at": None, "expires_at": None}


def claim_next(*, project: Project, person: User) -> Assignment | None:
    """Give this person the item they hold, or lease them the next one; None when nothing is left for them."""
    for _ in range(20):
        try:
            with transaction.atomic():
                _one_at_a_time(person)
                held = renew(project=project, person=person)
                if held is not None:
                    return held
                release_expired(project=project)
                slot = _next_free(project, person)
                if slot is None:
                    return None
                if _lease(slot, project, person):
                    return slot
        except IntegrityError:
            # The same person took another slot of this item in another tab: that lease is theirs to go on with.
            held = renew(project=project, person=person)
            if held is not None:
                return held
    return None


def lease_token(*, assignment_id: int, person: User) -> uuid.UUID:
    """The token of this person's lease of this slot. It cannot be guessed, and proves that the slot was theirs once
    even when the lease ran out and the row has forgotten them."""
    return uuid.UUID(
        bytes=salted_hmac(LEASE_SALT, f"{assignment_id}:{person.pk}", algorithm="sha256").digest()[:16]
    )


def renew(*, project: Project, person: User) -> Assignment | None:
    """The open lease of this person, if any, for as long again; also one that ran out but that nobody took."""
    held = _open_leases(project).filter(person=person).order_by("item_id").select_related("item").first()
    if held is None:
        return None
    held.project = project
    expires = timezone.now() + timedelta(seconds=project.lease_seconds)
    if not _open_leases(project).filter(pk=held.pk, token=held.token).update(expires_at=expires):
        return None
    held.expires_at = expires
    return held


def release_expired(*, project: Project | None = None) -> int:
    """Return to the queue every slot whose lease ran out. Returns how many."""
    leases = _open_leases(project) if project else _open_leases()
    return leases.filter(expires_at__lt=timezone.now()).update(**FREE)


def take_slot(*, assignment: Assignment, person: User) -> Assignment | None:
    """Lease any free slot of the same item, for a person whose lease ran out while they were answering."""
    slots = Assignment.objects.filter(item=assignment.item_id)
    if slots.filter(person=person).exists():
        return None
    for slot in slots.filter(person=None).order_by("slot"):
        if _lease(slot, assignment.project, person):
            return slot
    return None


def left_for(*, project: Project, person: User) -> int:
    """How many items this person may still get, at most: counted by indexes alone, however large the project."""
    free = Assignment.objects.filter(project=project, person=None).count()
    unseen = Item.objects.filter(project=project).count()
    unseen -= Assignment.objects.filter(project=project, person=person).count()
    return min(free, unseen)


def _one_at_a_time(person: User) -> None:
    """Until the transaction ends, other claims of this person wait: two tabs opened at once get one item."""
    if connection.features.has_select_for_update:  # SQLite's transactions take turns by themselves
        User.objects.select_for_update(no_key=True).filter(pk=person.pk).exists()


def _open_leases(project: Project | None = None) -> QuerySet[Assignment]:
    rows = Assignment.objects.filter(person__isnull=False, submitted_at=None, skipped_at=None)
    return rows.filter(project=project) if project else rows


def _next_free(project: Project, person: User) -> Assignment | None:
    """The first free slot of an item that this person has not had.

    Items are served in the order of their ids, so what follows the person's last item is looked at first: however
    much they have judged, the answer is one step away in the index. Only then are returned slots looked for.
    """
    mine = Assignment.objects.filter(project=project, person=person)
    last = mine.aggregate(last=Max("item_id"))["last"] or 0
    free = Assignment.objects.filter(project=project, person=None).order_by("item_id", "slot")
    free = free.select_related("item").select_for_update(skip_locked=True, of=("self",))
    ahead = free.filter(item_id__gt=last).first()
    return ahead or free.filter(~Exists(mine.filter(item=OuterRef("item")))).first()


def _lease(slot: Assignment, project: Project, person: User) -> bool:
    now = timezone.now()
    slot.project, slot.person, slot.leased_at = project, person, now
    slot.token = lease_token(assignment_id=slot.pk, person=person)
    slot.expires_at = now + timedelta(seconds=project.lease_seconds)
    taken = Assignment.objects.filter(pk=slot.pk, person=None).update(
        person=person, token=slot.token, leased_at=now, expires_at=slot.expires_at
    )
    return taken == 1
