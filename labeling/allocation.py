"""How many people judge an item, which items come first, who takes part, and whether work goes on.

An item always has max(overlap, submitted + leased) live slots: what is wanted, or what was given out already. One with
a known answer wants none.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from labeling.errors import Refused
from labeling.models import Assignment, Gold, Item, Membership, Project, Purpose, Role, User
from labeling.queue import release_all

MOST_OVERLAP, MOST_PRIORITY = 20, 100
CHUNK, SPAN = 2000, 4

Chosen = QuerySet[Item] | Collection[Item] | None


@dataclass(frozen=True, slots=True)
class Change:
    """What another overlap did: items that want another number now, slots that were opened, free slots that went."""

    items: int
    opened: int
    withdrawn: int


@dataclass(slots=True)
class Places:
    """The live slots of one item: turns that are given out, free slots by their turn, and the next number."""

    taken: list[int] = field(default_factory=list)
    free: dict[int, int] = field(default_factory=dict)
    following: int = 0


def set_overlap(*, project: Project, overlap: int, items: Chosen = None, every: bool = False) -> Change:
    """Let `overlap` people judge each item, from now on: of the project, and every item that has the project's number
    so far; with `every` also items that were given a number of their own; or only the chosen items.

    More opens free slots, also on items that were done. Fewer takes free slots away, never one that is submitted;
    those who hold an item may finish it, and a lease that runs out beyond the number goes. Raises Refused outside of
    1 to 20.
    """
    if not 1 <= overlap <= MOST_OVERLAP:
        raise Refused(
            f"The overlap given is {overlap}; between 1 and {MOST_OVERLAP} people can judge an item."
        )
    with transaction.atomic():
        before = _lock(project)
        rows = _items(project, items)
        if items is None:
            rows = rows.exclude(overlap=0) if every else rows.filter(overlap=before.overlap)
            Project.objects.filter(pk=project.pk).update(overlap=overlap)
        priorities = _locked(rows.exclude(overlap=overlap))
        known = set(Gold.objects.filter(project=project).values_list("item_id", flat=True))
        opened, withdrawn = 0, 0
        for chunk in _chunks(list(priorities)):
            Item.objects.filter(pk__in=chunk).update(overlap=overlap)
            wanted = {item: 0 if item in known else overlap for item in chunk}
            more, fewer = _level(project, wanted, priorities)
            opened, withdrawn = opened + more, withdrawn + fewer
        if opened:
            begin_anew(project)
    project.refresh_from_db(fields=["overlap", "epoch"])
    return Change(items=len(priorities), opened=opened, withdrawn=withdrawn)


def set_priority(*, project: Project, items: QuerySet[Item] | Collection[Item], priority: int) -> int:
    """Let these items come before those of a lower priority, for everybody who has not had them. Returns how many
    items changed. Raises Refused outside of -100 to 100."""
    if abs(priority) > MOST_PRIORITY:
        raise Refused(
            f"The priority given is {priority}; choose one from -{MOST_PRIORITY} to {MOST_PRIORITY}, "
            "0 being the usual one."
        )
    with transaction.atomic():
        _lock(project)
        ids = list(_locked(_items(project, items).exclude(priority=priority)))
        for chunk in _chunks(ids):
            Item.objects.filter(pk__in=chunk).update(priority=priority)
            open_slots = Assignment.objects.filter(item__in=chunk, submitted_at=None, skipped_at=None)
            open_slots.filter(purpose=Purpose.WORK).update(priority=priority)
        if ids:
            begin_anew(project)
    project.refresh_from_db(fields=["epoch"])
    return len(ids)


def take_back(*, project: Project, items: QuerySet[Item] | Collection[Item]) -> int:
    """Give these items to nobody any more, whatever overlap the project gets: their free slots go, and those who hold
    one may finish it. What was said stays. Returns how many slots went; repeating it is harmless."""
    withdrawn = 0
    with transaction.atomic():
        _lock(project)
        priorities = _locked(_items(project, items))
        for chunk in _chunks(list(priorities)):
            Item.objects.filter(pk__in=chunk).update(overlap=0)
            withdrawn += _level(project, dict.fromkeys(chunk, 0), priorities)[1]
    return withdrawn


def pause(*, project: Project) -> None:
    """Give out no more items. Those who hold one may finish it. Pausing twice is pausing once."""
    Project.objects.filter(pk=project.pk, paused_at=None).update(paused_at=timezone.now())
    project.refresh_from_db(fields=["paused_at"])


def resume(*, project: Project) -> None:
    """Give out items again."""
    Project.objects.filter(pk=project.pk).update(paused_at=None)
    project.refresh_from_db(fields=["paused_at"])


def remove_member(*, project: Project, person: User) -> int:
    """Take a person off the project: their judgments stay, what they hold returns to the queue at once. Returns how
    many items that were. Raises Refused for the only owner, and for who is no member."""
    with transaction.atomic():
        _lock(project)
        members = Membership.objects.filter(project=project)
        mine = members.filter(user=person).first()
        if mine is None:
            raise Refused(f"{person} is not a member of {project}; reload the page to see who is.")
        if mine.role == Role.OWNER and members.filter(role=Role.OWNER).count() == 1:
            raise Refused(f"{person} is the only owner; give somebody else that role first.")
        mine.delete()
        return release_all(project=project, person=person)


def own_numbers(project: Project) -> int:
    """How many items have an overlap of their own, other than the project's."""
    return Item.objects.filter(project=project).exclude(overlap__in=(0, project.overlap)).count()


def _lock(project: Project) -> Project:
    """The project as it is now. Others who allocate in it wait until the transaction ends."""
    return Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _items(project: Project, items: Chosen) -> QuerySet[Item]:
    rows = Item.objects.filter(project=project)
    if items is None:
        return rows
    if isinstance(items, QuerySet):
        return rows.filter(pk__in=items.order_by().values_list("pk", flat=True))
    return rows.filter(pk__in=[item.pk for item in items])


def _locked(rows: QuerySet[Item]) -> dict[int, int]:
    """The priority of each, in the order of their ids. Who skips such an item, and numbers its slots too, waits."""
    rows = rows.order_by("pk").select_for_update(no_key=True, of=("self",))
    return dict(rows.values_list("pk", "priority"))


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def begin_anew(project: Project) -> None:
    """Let everybody's place in the queue start over: something better has come than what they passed."""
    Project.objects.filter(pk=project.pk).update(epoch=F("epoch") + 1)


def _level(project: Project, overlaps: dict[int, int], priorities: dict[int, int]) -> tuple[int, int]:
    """Open and withdraw free slots until each item has as many as it wants. Returns how many of each."""
    withdrawn = 0
    while True:
        missing: list[tuple[int, int, int, int]] = []
        surplus: list[int] = []
        for item, places in _places(project, list(overlaps)).items():
            wanted = max(0, overlaps[item] - len(places.taken))
            surplus += _surplus(places, wanted)
            turns = _turns(places, wanted - len(places.free))
            missing += [(item, places.following + n, turn, priorities[item]) for n, turn in enumerate(turns)]
        # A free slot that somebody takes at this moment stays theirs: look again which one goes instead.
        free = Assignment.objects.filter(pk__in=surplus, person=None)
        gone = free._raw_delete(free.db) if surplus else 0  # nothing refers to a free slot
        withdrawn += gone
        if gone == len(surplus):
            break
    _insert(project, missing)
    return len(missing), withdrawn


def _insert(project: Project, slots: list[tuple[int, int, int, int]]) -> None:
    """Free slots of (item, slot, turn, priority). Without the ORM, which takes ten times as long: those who write to
    the same SQLite would wait for half a minute."""
    columns = "project_id, purpose, skip_reason, review, item_id, slot, turn, priority"
    marks = "%s, %s, %s, %s, %s, %s, %s, %s"
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {Assignment._meta.db_table} ({columns}) VALUES ({marks})",  # noqa: S608
            [(project.pk, Purpose.WORK.value, "", "", *slot) for slot in slots],
        )


def _places(project: Project, items: Sequence[int]) -> dict[int, Places]:
    """The slots of these items, whose ids are in order. What lies close together is read as one span."""
    found = {item: Places() for item in items}
    slots = Assignment.objects.filter(project=project, purpose=Purpose.WORK)
    close = items[-1] - items[0] < SPAN * len(items)
    span = Q(item__gte=items[0], item__lte=items[-1])
    slots = slots.filter(span if close else Q(item__in=items))
    for item, pk, slot, turn, person, skipped in slots.values_list(
        "item_id", "pk", "slot", "turn", "person_id", "skipped_at"
    ):
        places = found.get(item)
        if places is None:
            continue
        places.following = max(places.following, slot + 1)
        if person is None:
            places.free[pk] = turn
        elif skipped is None:
            places.taken.append(turn)
    return found


def _surplus(places: Places, wanted: int) -> list[int]:
    """The free slots that go, so that `wanted` stay: those whose order is shown most already."""
    if len(places.free) <= wanted:
        return []
    left, shown = dict(places.free), Counter(places.taken)
    for _ in range(wanted):
        stays = min(left, key=lambda slot: (shown[left[slot]] >= shown[left[slot] ^ 1], left[slot]))
        shown[left.pop(stays)] += 1
    return list(left)


def _turns(places: Places, wanted: int) -> list[int]:
    """The turns of `wanted` more slots: first the reverse of orders that stand alone, then orders not shown yet."""
    if wanted <= 0:
        return []
    shown, found = Counter([*places.taken, *places.free.values()]), []
    for _ in range(wanted):
        alone = [turn ^ 1 for turn in shown if shown[turn ^ 1] < shown[turn]]
        turn = min(alone) if alone else next(turn for turn in count() if not shown[turn])
        shown[turn] += 1
        found.append(turn)
    return found
