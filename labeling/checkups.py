"""Items mixed into a person's queue unseen: some with a known answer, some that they judged before, now swapped."""

import hmac

from django.db.models import Exists, OuterRef, QuerySet

from labeling.compiled import Select, param
from labeling.models import Assignment, Gold, Project, Purpose, Seat, Task, User

LOOKED_AT = 100
COMPARABLE = (Task.PAIRWISE, Task.RANKING, Task.RATING, Task.RAG)


def due(*, project: Project, person: User, seat: Seat, ahead: int = 0) -> Assignment | None:
    """A slot made for this person where a known answer or a repeat is due after what they have done; usually None.

    Whether one is due is a keyed hash of the person and of how many items they have had: nobody can foresee it, and a
    reload does not change it.
    """
    had = seat.judged + seat.skipped + ahead
    if chance(project, "gold", person, had) < project.gold_share:
        slot = _gold(project, person, had)
        if slot is not None:
            return slot
    if seat.judged > project.repeat_after and chance(project, "repeat", person, had) < project.repeat_share:
        return _repeat(project, person, had)
    return None


def chance(project: Project, what: str, person: User, number: int) -> float:
    """A number from 0 to 1, the same whenever it is asked for again."""
    text = f"{what}:{person.pk}:{number}".encode()
    return int.from_bytes(hmac.digest(project.order_key.encode(), text, "sha256")[:7]) / 2**56


def _gold(project: Project, person: User, had: int) -> Assignment | None:
    found = NEVER_SEEN.first(project=project.pk, person=person.pk)
    if found is None:
        return None
    turn = int(chance(project, "turn", person, had) * 2)
    (item,) = found
    return Assignment.objects.create(project=project, item_id=item, slot=0, turn=turn, purpose=Purpose.GOLD)


def _repeat(project: Project, person: User, had: int) -> Assignment | None:
    """One of the person's own items, at least `repeat_after` items ago, shown in the reverse order."""
    if project.task not in COMPARABLE:
        return None
    again = Assignment.objects.filter(item=OuterRef("item"), person=person, purpose=Purpose.REPEAT)
    own = Assignment.objects.filter(project=project, person=person, submitted_at__isnull=False)
    own = own.filter(~Exists(again), purpose=Purpose.WORK).order_by("-submitted_at")
    candidates = own.values_list("item_id", "turn")[project.repeat_after : project.repeat_after + LOOKED_AT]
    if not candidates:
        return None
    item, turn = candidates[int(chance(project, "which", person, had) * len(candidates))]
    return Assignment.objects.create(
        project=project, item_id=item, slot=0, turn=turn ^ 1, purpose=Purpose.REPEAT
    )


def _never_seen() -> QuerySet[Gold, tuple[int]]:
    seen = Assignment.objects.filter(item=OuterRef("item"), person=param("person", Assignment))
    rows = Gold.objects.filter(~Exists(seen), project=param("project", Gold))
    return rows.order_by("pk").values_list("item_id")[:1]


NEVER_SEEN = Select(_never_seen)
