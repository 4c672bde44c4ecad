"""The current answers of a project in columns, and what each says of every two responses."""

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any

from django.db.models import F, Max, Min, QuerySet
from django.db.models.functions import Length

from labeling.models import Item, Judgment, Project, Response, Task
from labeling.reviewlist import standing
from labeling.values import BOTH_BAD, pairs_of

if TYPE_CHECKING:
    import numpy as np

    Ints = np.ndarray[Any, np.dtype[np.int64]]

A_WINS, B_WINS, EQUAL, BAD = range(4)
MEANS = {"0": A_WINS, "1": B_WINS, "tie": EQUAL, BOTH_BAD: BAD}
COMPARING = (Task.PAIRWISE, Task.RANKING, Task.RATING)
REVIEWED = ("relevance", "spans", "answers_question", "unasked")
Relation = tuple[int, int, int]


@dataclass(slots=True)
class Judged:
    """One entry an answer, in the order of the items. `rated` maps an attribute to one value for each stored response;
    `reviewed` has the marks of a review of a RAG answer.

    `prompts` numbers the prompt of each item; `lengths` has the characters of its responses.
    """

    item: "array[int]" = field(default_factory=lambda: array("q"))
    person: "array[int]" = field(default_factory=lambda: array("q"))
    label: list[str] = field(default_factory=list)
    strength: list[int | None] = field(default_factory=list)
    order: list[tuple[int, ...]] = field(default_factory=list)
    rated: list[dict[str, list[int]]] = field(default_factory=list)
    reviewed: list[dict[str, Any]] = field(default_factory=list)
    prompts: dict[Any, Any] = field(default_factory=dict)
    lengths: dict[int, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True, slots=True)
class Relations:
    """What answers say of pairs of responses, one entry a pair: the answer's place, the pair's number, A_WINS and so
    on, and whether the first of the two was shown earlier and is longer (1, 0, or -1: not known, or as long)."""

    answer: "Ints"
    unit: "Ints"
    said: "Ints"
    earlier: "Ints"
    longer: "Ints"


def read_judged(
    project: Project, *, items: Collection[int] | None = None, until: datetime | None = None
) -> Judged:
    """Read the current answers of a project, or those on these items, given before `until`; of texts the lengths only.
    Other tasks than COMPARING and reviews of RAG answers have people and items only."""
    found = Judged()
    rows = _rows(project, items)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    columns = ["item_id", "person_id", "label", "strength", "display_order"]
    columns += ["answer__ratings"] if project.task == Task.RATING else []
    columns += [f"answer__{name}" for name in REVIEWED] if project.task == Task.RAG else []
    alike: dict[Any, Any] = {}
    for item, person, label, strength, order, *marks in rows.values_list(*columns).iterator(chunk_size=2000):
        found.item.append(item)
        found.person.append(person)
        found.label.append(alike.setdefault(label, label))
        found.strength.append(strength)
        shown = tuple(order)
        found.order.append(alike.setdefault(shown, shown))
        if project.task == Task.RAG:
            found.reviewed.append(dict(zip(REVIEWED, marks, strict=True)))
        else:
            found.rated.extend(stored_ratings(values or {}, shown) for values in marks)
    if len(found):
        _read_items(found, project, set(found.item))
    return found


def _rows(project: Project, items: Collection[int] | None) -> QuerySet[Judgment]:
    rows = standing(kind=project.task)
    if items is not None:
        return rows.filter(item__in=items).order_by("item_id", "person_id")
    ends = Item.objects.filter(project=project).aggregate(first=Min("pk"), last=Max("pk"))
    # Compared by an expression: SQLite then reads in the order of the items, which is nearly that of the rows.
    rows = rows.alias(owner=F("project_id") + 0).filter(owner=project.pk)
    rows = rows.filter(item__gte=ends["first"] or 0, item__lte=ends["last"] or 0)
    return rows.order_by("item_id", "person_id")


def _read_items(found: Judged, project: Project, items: set[int]) -> None:
    """The prompt and the lengths of these items, read as one span: those of a project lie close together."""
    first, last = min(items), max(items)
    numbers: dict[str, int] = {}
    prompts = Item.objects.filter(pk__gte=first, pk__lte=last).order_by("pk").values_list("pk", "prompt_hash")
    for key, prompt in prompts.iterator(chunk_size=2000):
        if key in items:
            found.prompts[key] = numbers.setdefault(prompt, len(numbers))
    if project.task not in (*COMPARING, Task.RAG):
        return
    rows = Response.objects.filter(item__gte=first, item__lte=last).order_by("item_id", "position")
    lengths = rows.annotate(length=Length("text")).values_list("item_id", "length")
    for item, length in lengths.iterator(chunk_size=2000):
        if item in items:
            found.lengths.setdefault(item, []).append(length)


def relations(judged: Judged) -> Relations:
    """Every pair of responses that an answer puts in an order, or calls equal or bad."""
    import numpy as np

    columns = [array("q") for _ in range(5)]
    units: dict[Relation, int] = {}
    known: dict[str, list[tuple[int, int, str]]] = {}
    for place, item in enumerate(judged.item):
        order, lengths = judged.order[place], judged.lengths.get(item, [])
        shown = {position: number for number, position in enumerate(order)}
        for a, b, said in _said(judged, place, len(lengths), known):
            unit = units.setdefault((item, a, b), len(units))
            earlier = int(shown[a] < shown[b]) if shown else -1
            longer = -1 if lengths[a] == lengths[b] else int(lengths[a] > lengths[b])
            for column, value in zip(columns, (place, unit, said, earlier, longer), strict=True):
                column.append(value)
    return Relations(*(np.array(column, dtype=np.int64) for column in columns))


def ranks_of(label: str) -> list[int] | None:
    """The rank of each stored response in a ranking's label, 1 for the best; None where all are bad."""
    if label == BOTH_BAD:
        return None
    groups = [[int(position) for position in group.split("=")] for group in label.split(">")]
    ranks = {position: rank for rank, group in enumerate(groups, start=1) for position in group}
    return [ranks[position] for position in sorted(ranks)]


def _said(
    judged: Judged, place: int, responses: int, known: dict[str, list[tuple[int, int, str]]]
) -> Iterator[Relation]:
    if judged.rated:
        yield from _by_mean(judged.rated[place], responses)
        return
    label = judged.label[place]
    if label == BOTH_BAD:
        yield from ((a, b, BAD) for a, b in combinations(range(responses), 2))
        return
    if label not in known:
        known[label] = pairs_of(label)
    yield from ((a, b, MEANS[winner]) for a, b, winner in known[label])


def _by_mean(rated: Mapping[str, list[int]], responses: int) -> Iterator[Relation]:
    """Ratings as an order: by the sum over all attributes."""
    sums = (
        [sum(values[position] for values in rated.values()) for position in range(responses)] if rated else []
    )
    for a, b in combinations(range(len(sums)), 2):
        yield a, b, EQUAL if sums[a] == sums[b] else A_WINS if sums[a] > sums[b] else B_WINS


def stored_ratings(ratings: Mapping[str, list[int | None]], order: Sequence[int]) -> dict[str, list[int]]:
    """Ratings as they were given, shown in this order, by stored position. An attribute of which one is missing is left
    out."""
    found = {}
    for key, values in ratings.items():
        stored = list(values)
        for place, position in enumerate(order):
            stored[position] = values[place]
        whole = [value for value in stored if value is not None]
        if len(whole) == len(stored):
            found[key] = whole
    return found
