"""One item with all that was said of it, side by side, as a reviewer reads it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from labeling.blind import hidden_items
from labeling.models import (
    Gold,
    Item,
    Judgment,
    Project,
    Purpose,
    Resolution,
    Response,
    Review,
    ReviewState,
    Task,
    User,
)
from labeling.rag.reviewed import Reviewed, names_of, reviewed
from labeling.rag.showing import ShownChunk, chunks_of
from labeling.reviewing import HELD
from labeling.reviewlist import differing
from labeling.wording import label_words, letter, rated, took_words


@dataclass(frozen=True, slots=True)
class Shown:
    """A stored response: its letter, its text, and who wrote it unless that is hidden from the reader."""

    letter: str
    text: str
    origin: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a review, or an earlier answer: who, what in words, and when."""

    who: str
    words: str
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Side:
    """One person's answer with everything that is known of how it was made. `does` are the steps that this reader may
    take; `blocked` says why there are none."""

    assignment_id: int
    judgment_id: int
    person: str
    purpose: str
    tone: str
    words: str
    rows: list[dict[str, Any]]
    text: str
    edited: str
    rationale: str
    order: str
    layout: str
    took: str
    at: datetime
    guideline: int | None
    revision: int
    state: str
    state_words: str
    steps: list[Step]
    does: tuple[str, ...]
    blocked: str
    review: Reviewed | None = None


@dataclass(frozen=True, slots=True)
class Sides:
    """An item as a reader may see it. While it is `hidden` from them there are no answers, origins or known answer."""

    item: Item
    responses: list[Shown]
    hidden: bool
    chunks: list[ShownChunk] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)
    checks: list[Side] = field(default_factory=list)
    settled: list[Resolution] = field(default_factory=list)
    settled_words: str = ""
    gold: Gold | None = None
    gold_words: str = ""
    differ: bool = False


def sides_of(*, project: Project, item: Item, reader: User | None) -> Sides:
    """All that this reader may know of the item."""
    hidden = bool(hidden_items(project=project, person=reader, items=[item.pk]))
    texts = Response.objects.filter(item=item).order_by("position")
    responses = [Shown(letter(r.position), r.text, "" if hidden else r.origin) for r in texts]
    chunks = chunks_of(item) if project.task == Task.RAG else []
    if hidden:
        return Sides(item, responses, hidden=True, chunks=chunks)
    rows = Judgment.objects.filter(item=item).select_related("person", "guideline", "assignment")
    text = responses[0].text if responses else ""
    found = _sides(project, rows.order_by("assignment", "revision"), reader, text)
    work = sorted(
        (side for side in found if side.purpose == Purpose.WORK), key=lambda side: (side.words, side.person)
    )
    settled = list(Resolution.objects.filter(item=item).order_by("-revision").select_related("person"))
    gold = Gold.objects.filter(item=item).select_related("created_by").first()
    return Sides(
        item,
        responses,
        hidden=False,
        chunks=chunks,
        sides=work,
        checks=[side for side in found if side.purpose != Purpose.WORK],
        settled=settled,
        settled_words=label_words(project.task, settled[0].label) if settled else "",
        gold=gold,
        gold_words=label_words(project.task, gold.label) if gold else "",
        differ=bool(differing([item.pk])),
    )


def _sides(project: Project, rows: Iterable[Judgment], reader: User | None, text: str) -> list[Side]:
    by_slot: dict[int, list[Judgment]] = defaultdict(list)
    for judgment in rows:
        by_slot[judgment.assignment_id].append(judgment)
    steps: dict[int, list[Review]] = defaultdict(list)
    reviews = Review.objects.filter(assignment__in=by_slot).select_related("reviewer").order_by("pk")
    for review in reviews:
        steps[review.assignment_id].append(review)
    sides = [_side(project, given, steps[slot], reader) for slot, given in by_slot.items()]
    if project.task != Task.RAG:
        return sides
    names = names_of(project)
    pairs = zip(sides, by_slot.values(), strict=True)
    return [replace(side, review=reviewed(given[-1], text=text, names=names)) for side, given in pairs]


def _side(project: Project, given: list[Judgment], reviews: list[Review], reader: User | None) -> Side:
    last = given[-1]
    slot = last.assignment
    does, blocked = _may(slot.purpose, slot.review, last, reviews, reader)
    answer = last.answer
    return Side(
        assignment_id=slot.pk,
        judgment_id=last.pk,
        person=last.person.username,
        purpose=last.purpose,
        tone=last.label if last.kind in (Task.PAIRWISE, Task.RAG) else "",
        words=label_words(last.kind, last.label, last.strength),
        rows=rated(answer, last.display_order, project.attributes),
        text=answer.get("text", ""),
        edited=letter(int(last.label)) if last.kind == Task.EDIT else "",
        rationale=answer.get("rationale", ""),
        order=", ".join(letter(position) for position in last.display_order),
        layout=last.layout,
        took=took_words(last.active_ms),
        at=last.created_at,
        guideline=last.guideline.number if last.guideline else None,
        revision=last.revision,
        state=slot.review,
        state_words=slot.get_review_display(),
        steps=_steps(given, reviews),
        does=does,
        blocked=blocked,
    )


def _steps(given: list[Judgment], reviews: list[Review]) -> list[Step]:
    """What happened before the answer as it stands, in the order of time."""
    found = [
        Step(j.person.username, f"answered: {label_words(j.kind, j.label, j.strength)}", "", j.created_at)
        for j in given[:-1]
    ]
    words = {
        ReviewState.IN_REVIEW: "took it up",
        ReviewState.ACCEPTED: "accepted it",
        ReviewState.RETURNED: "returned it",
        ReviewState.SUBMITTED: "took the review back",
    }
    found += [
        Step(r.reviewer.username, words[ReviewState(r.state)], r.comment, r.created_at) for r in reviews
    ]
    return sorted(found, key=lambda step: step.at)


def _may(
    purpose: str, state: str, judgment: Judgment, reviews: list[Review], reader: User | None
) -> tuple[tuple[str, ...], str]:
    """The steps open to this reader, and if there are none, why. The verbs decide; this only spares a refusal."""
    if purpose != Purpose.WORK:
        return (), "given to check the person, and not reviewed"
    if reader is None or judgment.person_id == reader.pk:
        return (), "your own answer"
    last = reviews[-1] if reviews else None
    others = last is not None and last.reviewer_id != reader.pk and last.created_at > timezone.now() - HELD
    if state == ReviewState.IN_REVIEW and last is not None and others:
        return (), f"in review by {last.reviewer.username}"
    if state == ReviewState.SUBMITTED:
        return ("accept", "return", "take_up"), ""
    if state == ReviewState.IN_REVIEW:
        return ("accept", "return", "take_back"), ""
    return ("take_back",), ""
