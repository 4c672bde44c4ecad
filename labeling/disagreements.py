"""Items on which people differ, found from their judgments alone, in the order of the items' numbers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, Max, Min, OuterRef, QuerySet

from labeling.blind import hidden_items
from labeling.models import Item, Judgment, Project, Purpose, Resolution, User
from labeling.reviewlist import standing
from labeling.wording import COMPARED, label_words

PER_PAGE = 50
LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Said:
    """One answer to an item, in words, and who gave it."""

    words: str
    people: list[str]


@dataclass(frozen=True, slots=True)
class DisagreementLine:
    """An item on which people differ, and each answer with those who gave it.

    `said` is empty where the reader may still be given the item (`hidden`); `settled` is the settled answer in words,
    or empty.
    """

    item_id: int
    preview: str
    said: list[Said]
    settled: str
    settled_by: str
    hidden: bool


@dataclass(frozen=True, slots=True)
class DisagreementPage:
    """Some lines, and the item before or after which the neighbouring pages lie; None where there is none. `cut` says
    that the search stopped after LOOKED_AT items: the next page goes on from there."""

    lines: list[DisagreementLine]
    before: int | None
    after: int | None
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which disagreements: settled or not, with an answer of this person, with the last answer in this time."""

    settled: bool | None = False
    person: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str = ""
    after: int | None = None
    before: int | None = None


def disagreements(*, project: Project, sought: Sought, reader: User | None) -> DisagreementPage:
    """A page of items on which the current answers are not all the same. Comparisons and rankings only: other tasks
    have no one answer to differ on."""
    ends = _ends(project, sought)
    if ends is None:
        return DisagreementPage([], None, None, cut=False)
    back = sought.before is not None
    start = sought.before if sought.before is not None else sought.after
    rows = _matching(project, sought)
    if back and start is not None:
        stop = max(start - LOOKED_AT, ends[0])
        rows = rows.filter(item_id__lt=start, item_id__gte=stop)
    else:
        first = ends[0] if start is None else start + 1
        stop = min(first + LOOKED_AT, ends[1])
        rows = rows.filter(item_id__gte=first, item_id__lte=stop)
    found = list(
        rows.order_by("-item_id" if back else "item_id").values_list("item_id", flat=True)[: PER_PAGE + 1]
    )
    shown = found[:PER_PAGE]
    cut = len(found) <= PER_PAGE and stop not in ends
    onward = shown[-1] if len(found) > PER_PAGE else stop if cut else None
    backward = shown[0] if shown and start is not None else None
    if back:
        shown.reverse()
        onward, backward = backward, onward
    return DisagreementPage(_lines(shown, reader, project), backward, onward, cut)


def next_disagreement(*, project: Project, after: int) -> int | None:
    """The next item on which people differ and which nobody has settled; None where none is near."""
    near = _matching(project, Sought()).filter(item_id__gt=after, item_id__lte=after + LOOKED_AT)
    return next(iter(near.order_by("item_id").values_list("item_id", flat=True)[:1]), None)


def _ends(project: Project, sought: Sought) -> tuple[int, int] | None:
    """The first and the last item that may match; None where there is none."""
    ends = Item.objects.filter(project=project).aggregate(first=Min("pk"), last=Max("pk"))
    if sought.settled:
        settled = Resolution.objects.filter(project=project)
        ends = settled.aggregate(first=Min("item_id"), last=Max("item_id"))
    return None if ends["first"] is None else (ends["first"], ends["last"])


def _matching(project: Project, sought: Sought) -> QuerySet[Judgment, Any]:
    """Items by their judgments. The project is compared by an expression: without statistics, SQLite would go by its
    index, read all judgments and sort them, instead of walking through those of one item after the other."""
    rows = standing(kind__in=COMPARED).alias(owner=F("project_id") + 0).filter(owner=project.pk)
    if sought.settled is not None:
        settled = Exists(Resolution.objects.filter(item=OuterRef("item")))
        rows = rows.filter(settled if sought.settled else ~settled)
    if sought.person is not None:
        theirs = Judgment.objects.filter(item=OuterRef("item"), person=sought.person, purpose=Purpose.WORK)
        rows = rows.filter(Exists(theirs))
    if sought.q:
        rows = rows.filter(item__preview__icontains=sought.q)
    found = (
        rows.order_by()
        .values("item_id")
        .annotate(least=Min("label"), most=Max("label"), last=Max("created_at"))
    )
    found = found.filter(least__lt=F("most"))
    if sought.since is not None:
        found = found.filter(last__gte=sought.since)
    if sought.until is not None:
        found = found.filter(last__lt=sought.until)
    return found


def _lines(keys: list[int], reader: User | None, project: Project) -> list[DisagreementLine]:
    hidden = hidden_items(project=project, person=reader, items=keys)
    previews = dict(Item.objects.filter(pk__in=keys).values_list("pk", "preview"))
    settled = {
        r.item_id: r
        for r in Resolution.objects.filter(item__in=keys).order_by("revision").select_related("person")
    }
    said: dict[int, dict[str, list[str]]] = {key: {} for key in keys}
    given = standing(item__in=keys).order_by("person__username")
    for item, who, kind, label in given.values_list("item_id", "person__username", "kind", "label"):
        said[item].setdefault(label_words(kind, label), []).append(who)
    return [
        DisagreementLine(
            item_id=key,
            preview=previews[key],
            said=[] if key in hidden else _grouped(said[key]),
            settled=label_words(project.task, settled[key].label) if key in settled else "",
            settled_by=settled[key].person.username if key in settled else "",
            hidden=key in hidden,
        )
        for key in keys
    ]


def _grouped(said: dict[str, list[str]]) -> list[Said]:
    """The answer that most people gave first."""
    return sorted((Said(words, people) for words, people in said.items()), key=lambda one: -len(one.people))
