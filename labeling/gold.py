"""Known answers: items by which people are checked unseen, and how each of them did.

An item with a known answer is no work any more: its free slots go, and come again when the mark is taken away.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from labeling.blind import stand_aside
from labeling.errors import Refused
from labeling.estimates import Estimate
from labeling.models import Assignment, Gold, Item, Project, Purpose, Resolution, User
from labeling.rag.answers import BAD, GOOD
from labeling.reviewlist import standing
from labeling.values import BOTH_BAD, TIE, pairs_of
from labeling.wording import read_label


@dataclass(frozen=True, slots=True)
class KnownResult:
    """How one person did on items with known answers. `passes` the project's rule or not; None, as is `share`, while
    they answered too few."""

    person_id: int
    answered: int
    right: int
    share: Estimate | None
    passes: bool | None


def mark_gold(*, project: Project, item_id: int, person: User, label: str, note: str = "") -> Gold:
    """Say what the right answer of an item is, in terms of the stored responses; a second time changes it.

    Who holds the item at this moment is checked by it. Who marks it is never given it. Raises Refused where the label
    does not fit, or the person has the item open themselves.
    """
    with transaction.atomic():
        item = _locked(project, item_id)
        read = read_label(project=project, responses=item.n_responses, text=label)
        slots = Assignment.objects.filter(item=item)
        mine = slots.filter(person=person)
        if mine.filter(submitted_at=None, skipped_at=None).exists():
            raise Refused("You have this item open to judge; judge or skip it first.")
        if not mine.exists():
            _aside(item, person)
        gold, _ = Gold.objects.update_or_create(
            item=item,
            defaults={"project": project, "label": read, "note": note.strip(), "created_by": person},
        )
        work = slots.filter(purpose=Purpose.WORK, submitted_at=None, skipped_at=None)
        work.filter(person=None).delete()
        work.update(purpose=Purpose.GOLD)
    return gold


def mark_resolved_gold(*, project: Project, item_id: int, person: User) -> Gold:
    """Make the newest settled answer of an item its known answer. Raises Refused where none was settled."""
    settled = Resolution.objects.filter(project=project, item=item_id).order_by("-revision").first()
    if settled is None:
        raise Refused("This item has not been settled; settle it, or choose its known answer yourself.")
    return mark_gold(
        project=project, item_id=item_id, person=person, label=settled.label, note=settled.comment
    )


def unmark_gold(*, project: Project, item_id: int) -> None:
    """Make an item work again: people who hold it judge it, and free slots are made for the judgments it still wants.

    What was answered while it was marked stays a check and is never counted as work.
    """
    with transaction.atomic():
        item = _locked(project, item_id)
        if not Gold.objects.filter(item=item).delete()[0]:
            return
        slots = Assignment.objects.filter(item=item)
        last = slots.filter(purpose=Purpose.WORK).aggregate(last=Max("slot"))["last"]
        live = slots.filter(purpose=Purpose.WORK, skipped_at=None)
        taken = list(live.values_list("turn", flat=True))
        held = slots.filter(purpose=Purpose.GOLD, submitted_at=None, skipped_at=None).order_by("pk")
        place = -1 if last is None else last
        for slot in held[: max(0, item.overlap - len(taken))]:
            place += 1
            held.filter(pk=slot.pk).update(purpose=Purpose.WORK, slot=place)
            taken.append(slot.turn)
        _make_slots(item, place + 1, taken)


def known_results(
    project: Project, *, person: User | None = None, until: datetime | None = None
) -> list[KnownResult]:
    """A line for everyone who answered items with known answers, or for one person; of answers before `until`."""
    rows = standing(Purpose.GOLD, item__gold__project=project)
    if person is not None:
        rows = rows.filter(person=person)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    given: dict[int, list[bool]] = defaultdict(list)
    for who, label, known in rows.order_by("person").values_list("person_id", "label", "item__gold__label"):
        given[who].append(is_right(label=label, known=known))
    return [_result(project, who, outcomes) for who, outcomes in given.items()]


def is_right(*, label: str, known: str) -> bool:
    """Whether an answer says what is known. A ranking is right where it contradicts no order of the known one; what
    the known one calls equal may stand in any order."""
    if label == known:
        return True
    if BOTH_BAD in (label, known) or {label, known} & {TIE, "0", "1", GOOD, BAD}:
        return False
    said = {(a, b): winner for a, b, winner in pairs_of(label)}
    return all(said.get((a, b)) == winner for a, b, winner in pairs_of(known) if winner != TIE)


def _result(project: Project, person_id: int, outcomes: list[bool]) -> KnownResult:
    from labeling.bias import gold_pass_share

    share = gold_pass_share(sum(outcomes), len(outcomes) - sum(outcomes))
    return KnownResult(
        person_id=person_id,
        answered=len(outcomes),
        right=sum(outcomes),
        share=share,
        passes=None if share is None else share.value >= project.gold_pass,
    )


def _locked(project: Project, item_id: int) -> Item:
    item = Item.objects.select_for_update(no_key=True).filter(project=project, pk=item_id).first()
    if item is None:
        raise Refused(f"There is no item {item_id} in this project; go back to the list.")
    return item


def _aside(item: Item, person: User) -> None:
    try:
        with transaction.atomic():
            stand_aside(item=item, person=person)
    except IntegrityError as error:
        raise Refused("You were given this item at this moment; judge or skip it first.") from error


def _make_slots(item: Item, start: int, taken: list[int]) -> None:
    """Free slots for the judgments that the item still wants, shown in the orders that are not taken yet."""
    turns = [turn for turn in range(item.overlap + len(taken)) if turn not in taken]
    wanted = max(0, item.overlap - len(taken))
    now = timezone.now()
    Assignment.objects.bulk_create(
        Assignment(
            project_id=item.project_id,
            item=item,
            slot=start + number,
            turn=turn,
            priority=item.priority,
            freed_at=now,
        )
        for number, turn in enumerate(turns[:wanted])
    )
