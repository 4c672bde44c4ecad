"""Whether people say the same when they are shown an item again, swapped."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from labeling.curation.votes import current_judgments
from labeling.judged import stored_ratings
from labeling.models import Judgment, Project, Purpose, Task, User
from labeling.values import BOTH_BAD, pairs_of


def repeated_by_person(
    project: Project, *, person: User | None = None, until: datetime | None = None
) -> dict[int, list[float]]:
    """For each person how alike every repeat was to the first answer, 0 to 1; of repeats before `until`.

    A comparison is alike or not. A ranking: the share of pairs of responses that are in the same order; ratings: the
    share that is at most one step away.
    """
    rows = current_judgments(project, Purpose.REPEAT)
    if person is not None:
        rows = rows.filter(person=person)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    again = list(rows.order_by("pk").defer("client_key"))
    first = _first(project, again)
    found: dict[int, list[float]] = defaultdict(list)
    for judgment in again:
        earlier = first.get((judgment.item_id, judgment.person_id))
        if earlier is not None:
            found[judgment.person_id].append(alike(project.task, earlier, judgment))
    return dict(found)


def alike(task: str, first: Judgment, again: Judgment) -> float:
    """How alike two answers of one person to one item are, from 0 to 1."""
    if task == Task.RANKING and BOTH_BAD not in (first.label, again.label):
        pairs = list(zip(pairs_of(first.label), pairs_of(again.label), strict=True))
        return sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0
    if task == Task.RATING:
        return _near(_ratings(first), _ratings(again))
    return float(first.label == again.label)


def _first(project: Project, again: list[Judgment]) -> dict[tuple[int, int], Judgment]:
    """The answers, as they stand, that were repeated."""
    wanted = {(judgment.item_id, judgment.person_id) for judgment in again}
    items = {item for item, _ in wanted}
    later = Judgment.objects.filter(item__in=items, purpose=Purpose.WORK).order_by("revision")
    return {(j.item_id, j.person_id): j for j in later if (j.item_id, j.person_id) in wanted}


def _ratings(judgment: Judgment) -> Mapping[str, list[int]]:
    return stored_ratings(judgment.answer.get("ratings", {}), judgment.display_order)


def _near(first: Mapping[str, list[int]], again: Mapping[str, list[int]]) -> float:
    steps: list[Any] = [
        abs(a - b) <= 1 for key in first if key in again for a, b in zip(first[key], again[key], strict=True)
    ]
    return sum(steps) / len(steps) if steps else 0.0
