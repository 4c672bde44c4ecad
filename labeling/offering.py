"""Comparisons put to people with a say in the order: which of the two responses the first to judge an item sees first.

By itself the order of an item follows from a hash. Where many items make one question, as in a study of two models,
they are begun from either side alike; within an item the orders turn with its slots as everywhere.
"""

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.db.models import F, QuerySet

from labeling.allocation import set_overlap, set_priority
from labeling.errors import Refused
from labeling.intake import ItemDraft, add_items
from labeling.models import Assignment, Item, Project, Purpose, Task
from labeling.values import display_order


@transaction.atomic
def offer_pairs(
    *,
    project: Project,
    drafts: Sequence[ItemDraft],
    begins: Mapping[str, int],
    overlap: int,
    priority: int,
    source_kind: str,
) -> dict[str, int]:
    """Store pairs that `overlap` people judge each; on an item's first slot the response at the position that `begins`
    names, by the item's content hash, is shown first. Returns the keys of the items by that hash.

    Slots that somebody has already stay as they are, so that repeating it is harmless. Raises Refused where the project
    asks something else than to compare two responses.
    """
    if project.task != Task.PAIRWISE:
        raise Refused(
            f"People in {project} are asked to {project.get_task_display().lower()}; pairs need a project in which "
            "they compare two responses."
        )
    add_items(project=project, drafts=drafts, source_kind=source_kind)
    rows = Item.objects.filter(project=project, content_hash__in=list(begins)).order_by()
    keys = dict(rows.values_list("content_hash", "pk"))
    set_overlap(project=project, overlap=overlap, items=rows)
    turned = [keys[key] for key, begin in begins.items() if _begins(project, key) != begin]
    free = Assignment.objects.filter(item__in=keys.values(), person=None, purpose=Purpose.WORK)
    _turn(free.exclude(item__in=turned), turned=False)
    _turn(free.filter(item__in=turned), turned=True)
    set_priority(project=project, items=rows, priority=priority)
    return keys


def _begins(project: Project, item_hash: str) -> int:
    """The position that is shown first on turn 0."""
    return display_order(key=project.order_key, item_hash=item_hash, turn=0, responses=2)[0]


def _turn(slots: QuerySet[Assignment], *, turned: bool) -> None:
    """Show the orders in their usual sequence, or each as its reverse: turns 2k and 2k + 1 are each other's."""
    if not turned:
        slots.update(turn=F("slot"))
        return
    even = [key for key, slot in slots.values_list("pk", "slot") if slot % 2 == 0]
    slots.exclude(pk__in=even).update(turn=F("slot") - 1)
    slots.filter(pk__in=even).update(turn=F("slot") + 1)
