"""Comparisons put to people with a say in the order: which of the two responses the first to judge an item sees first.

By itself the order of an item follows from a hash. Where many items make one question, as in a study of two models,
they are begun from either side alike; within an item the orders turn with its slots as everywhere.
"""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F

from labeling.allocation import set_overlap, set_priority
from labeling.errors import Refused
from labeling.intake import ItemDraft, add_items
from labeling.models import Assignment, Item, Project, Purpose, Task
from labeling.values import display_order


@transaction.atomic
def offer_pairs(
    *,
    project: Project,
    offers: Sequence[tuple[ItemDraft, int]],
    overlap: int,
    priority: int,
    source_kind: str,
) -> list[int]:
    """Store pairs that `overlap` people judge each, each with the position of the response that is shown first on the
    item's first slot. Returns the keys of the items, in the order of the offers.

    Slots that somebody has already stay as they are, so that repeating it is harmless. Raises Refused where the project
    asks something else than to compare two responses.
    """
    if project.task != Task.PAIRWISE:
        raise Refused(
            f"People in {project} are asked to {project.get_task_display().lower()}; pairs need a project in which "
            "they compare two responses."
        )
    add_items(project=project, drafts=[draft for draft, _ in offers], source_kind=source_kind)
    begins = [(draft.content_hash, begin) for draft, begin in offers]
    rows = Item.objects.filter(project=project, content_hash__in=[key for key, _ in begins]).order_by()
    keys = dict(rows.values_list("content_hash", "pk"))
    set_overlap(project=project, overlap=overlap, items=rows)
    turned = [keys[key] for key, begin in begins if _begins(project, key) != begin]
    free = Assignment.objects.filter(item__in=keys.values(), person=None, purpose=Purpose.WORK)
    free.exclude(item__in=turned).update(turn=F("slot"))
    free.filter(item__in=turned).update(turn=F("slot").bitxor(1))  # 2k and 2k + 1 are each other's reverse
    set_priority(project=project, items=rows, priority=priority)
    return [keys[key] for key, _ in begins]


def _begins(project: Project, item_hash: str) -> int:
    """The position that is shown first on turn 0."""
    return display_order(key=project.order_key, item_hash=item_hash, turn=0, responses=2)[0]
