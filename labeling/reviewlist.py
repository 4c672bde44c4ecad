"""The list of answers that reviewers work through: filtered, in the order of time, a page at a time.

Pages are found by the place of their first row, not by counting, and what a filter cannot find by an index is looked
for among the next LOOKED_AT answers only: a page costs about the same with a thousand answers and with a million.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, F, Max, Min, OuterRef, Q, QuerySet

from labeling.annotating import SKIP_REASONS
from labeling.blind import READING, hidden_items
from labeling.itemlist import walk
from labeling.models import Assignment, Judgment, Project, Purpose, Review, ReviewState, Seat, User
from labeling.wording import COMPARED, label_words, took_words

PER_PAGE = 50
LOOKED_AT = 2_000
MOST_FOUND = 500
MOST_COUNTED = 1_000
SKIPPED, ALL = "skipped", "all"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers, in which order. `differs` says whether people differ on the item; `skip` names a reason and
    matters for skipped items only. `place` is where a page begins, `back` whether it ends there instead."""

    state: str = ReviewState.SUBMITTED
    person: int | None = None
    differs: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    skip: str = ""
    q: str = ""
    newest: bool = False
    place: Place | None = None
    back: bool = False


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """One answer of the list. `words` is empty where the reader may still be given the item (`hidden`); `holder` is
    who has it in review."""

    assignment_id: int
    item_id: int
    preview: str
    person: str
    at: datetime
    state: str
    state_words: str
    words: str
    judgment_id: int | None
    took: str
    differs: bool
    hidden: bool
    own: bool
    holder: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines, and where the pages before and after begin; None where there is none. `cut` says that the search
    stopped before the end: the next page goes on from there. `too_many` that more prompts hold the words than are
    looked through."""

    lines: list[AnswerLine]
    before: str | None
    after: str | None
    cut: bool
    too_many: bool


def answers(*, project: Project, wanted: Wanted, reader: User | None) -> Page:
    """A page of answers, without reading any text of an item but its preview."""
    items, too_many = _found(project, wanted.q)
    found = [_one_kind(project, replace(wanted, state=state), items) for state in _states(wanted)]
    forward = wanted.newest == wanted.back
    rows = sorted((row for rows, _ in found for row in rows), reverse=not forward)
    stops = [stop for _, stop in found if stop is not None]
    stop = (min(stops) if forward else max(stops)) if stops else None
    if stop is not None:  # beyond it not every kind of answer was looked at
        rows = [row for row in rows if (row <= stop if forward else row >= stop)]
    shown = rows[:PER_PAGE]
    onward = shown[-1] if len(rows) > PER_PAGE else stop
    backward = None if wanted.place is None else shown[0] if shown else _beside(wanted.place, forward)
    cut = onward is not None and onward == stop
    if wanted.back:
        shown.reverse()
        onward, backward = backward, onward
    lines = _lines(project, [key for _, key in shown], reader)
    return Page(lines, _text(backward), _text(onward), cut=cut, too_many=too_many)


def counts(project: Project) -> dict[str, str]:
    """How many answers are in each state, up to "1,000+"."""
    found = {}
    for state in (*ReviewState.values, SKIPPED):
        n = _base(project, Wanted(state=state))[: MOST_COUNTED + 1].count()
        found[state] = f"{MOST_COUNTED:,}+" if n > MOST_COUNTED else f"{n:,}"
    return found


def judging_people(project: Project) -> list[tuple[int, str]]:
    """Whoever has judged something in the project: (id, name), by name."""
    given = Judgment.objects.filter(project=project, person=OuterRef("pk"))
    return list(User.objects.filter(Exists(given)).order_by("username").values_list("pk", "username"))


def read_place(text: str) -> Place | None:
    """The inverse of what `Page.after` holds; None for anything else."""
    micros, _, key = text.partition("-")
    if not (micros.isdecimal() and key.isdecimal() and len(micros) < 18 and len(key) < 19):
        return None
    return BEGINNING + timedelta(microseconds=int(micros)), int(key)


def differing(items: Iterable[int]) -> set[int]:
    """Those of these items on which the current answers are not all the same."""
    rows = standing(item__in=set(items), kind__in=COMPARED).order_by().values("item_id")
    spread = rows.annotate(least=Min("label"), most=Max("label")).filter(least__lt=F("most"))
    return set(spread.values_list("item_id", flat=True))


def standing(purpose: Purpose = Purpose.WORK, **where: Any) -> QuerySet[Judgment]:
    """What `curation.current_judgments` gives, of whatever project. Where that names the project, SQLite walks through
    all its judgments, although those of some items can be looked up."""
    later = Judgment.objects.filter(assignment=OuterRef("assignment"), revision__gt=OuterRef("revision"))
    rows = Judgment.objects.filter(~Exists(later), purpose=purpose, **where)
    return rows.exclude(assignment__review=ReviewState.RETURNED)


def _states(wanted: Wanted) -> Sequence[str]:
    return ReviewState.values if wanted.state == ALL else [wanted.state]


def _found(project: Project, q: str) -> tuple[list[int] | None, bool]:
    """The items whose prompt holds these words, or which have this number; None where nothing is searched for."""
    if not q:
        return None, False
    match = Q(preview__icontains=q)
    if q.isdecimal() and len(q) < 19:
        match |= Q(pk=int(q))
    keys = walk(project).filter(match).order_by("pk").values_list("pk", flat=True)[: MOST_FOUND + 1]
    return list(keys)[:MOST_FOUND], len(keys) > MOST_FOUND


def _base(project: Project, wanted: Wanted) -> QuerySet[Assignment]:
    rows = Assignment.objects.filter(project=project, purpose=Purpose.WORK)
    if wanted.state != SKIPPED:
        return rows.filter(submitted_at__isnull=False, review=wanted.state)
    people = list(Seat.objects.filter(project=project).values_list("person", flat=True))
    rows = rows.filter(person__in=people, submitted_at=None, skipped_at__isnull=False)
    return rows.filter(skip_reason=wanted.skip) if wanted.skip else rows.exclude(skip_reason=READING)


def _one_kind(project: Project, wanted: Wanted, items: list[int] | None) -> tuple[list[Place], Place | None]:
    """(time, key) of up to a page and one more of the answers in one state, and where the search stopped short."""
    at = "skipped_at" if wanted.state == SKIPPED else "submitted_at"
    forward = wanted.newest == wanted.back
    rows = _base(project, wanted)
    bounds = {
        "person": wanted.person,
        f"{at}__gte": wanted.since,
        f"{at}__lt": wanted.until,
        "item__in": items,
    }
    rows = rows.filter(**{name: value for name, value in bounds.items() if value is not None})
    if wanted.place is not None:
        then, key = wanted.place
        rows = rows.filter(**{f"{at}__{'gte' if forward else 'lte'}": then})
        rows = rows.exclude(**{at: then, f"pk__{'lte' if forward else 'gte'}": key})
    rows = rows.order_by(at, "pk") if forward else rows.order_by(f"-{at}", "-pk")
    if wanted.differs is None:
        return list(rows.values_list(at, "pk")[: PER_PAGE + 1]), None
    seen = list(rows.values_list(at, "pk", "item_id")[:LOOKED_AT])
    differ = differing(item for _, _, item in seen)
    kept = [(when, key) for when, key, item in seen if (item in differ) == wanted.differs]
    stopped = seen[-1][:2] if len(seen) == LOOKED_AT and len(kept) <= PER_PAGE else None
    return kept[: PER_PAGE + 1], stopped


def _lines(project: Project, keys: list[int], reader: User | None) -> list[AnswerLine]:
    rows = Assignment.objects.filter(pk__in=keys).select_related("person", "item")
    by_key = {row.pk: row for row in rows.defer("item__messages", "item__extra")}
    slots = [by_key[key] for key in keys]
    items = {slot.item_id for slot in slots}
    hidden = hidden_items(project=project, person=reader, items=items)
    differ = differing(items)
    newest = {
        judgment.assignment_id: judgment
        for judgment in Judgment.objects.filter(assignment__in=keys).order_by("revision").defer("answer")
    }
    held = Review.objects.filter(assignment__in=keys, state=ReviewState.IN_REVIEW).order_by("pk")
    holders = dict(held.values_list("assignment_id", "reviewer__username"))
    return [
        _line(slot, newest.get(slot.pk), differ, slot.item_id in hidden, reader, holders.get(slot.pk, ""))
        for slot in slots
    ]


def _line(
    slot: Assignment,
    judgment: Judgment | None,
    differ: set[int],
    hidden: bool,
    reader: User | None,
    holder: str,
) -> AnswerLine:
    words = "" if judgment is None else label_words(judgment.kind, judgment.label, judgment.strength)
    when = slot.submitted_at or slot.skipped_at
    assert when is not None
    assert slot.person is not None
    return AnswerLine(
        assignment_id=slot.pk,
        item_id=slot.item_id,
        preview=slot.item.preview,
        person=slot.person.username,
        at=when,
        state=slot.review or SKIPPED,
        state_words=slot.get_review_display() or SKIP_REASONS.get(slot.skip_reason, slot.skip_reason),
        words="" if hidden else words,
        judgment_id=judgment.pk if judgment else None,
        took=took_words(judgment.active_ms if judgment else None),
        differs=slot.item_id in differ and not hidden,
        hidden=hidden,
        own=reader is not None and slot.person_id == reader.pk,
        holder=holder if slot.review == ReviewState.IN_REVIEW else "",
    )


def _beside(place: Place, forward: bool) -> Place:
    """The place from which the way back includes the answer that stands here."""
    return place[0], place[1] + (1 if forward else -1)


def _text(place: Place | None) -> str | None:
    return None if place is None else f"{(place[0] - BEGINNING) // timedelta(microseconds=1)}-{place[1]}"
