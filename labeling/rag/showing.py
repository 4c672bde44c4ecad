"""What a reviewer of a RAG answer is shown beside it: chunks, categories, and on the second pass candidates."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import Any

from labeling.errors import Refused
from labeling.models import (
    Assignment,
    Chunk,
    Draft,
    Item,
    Judgment,
    Project,
    Purpose,
    Response,
    ShownCandidates,
    Task,
    User,
)
from labeling.rag.answers import Candidate, RagAnswer, in_line_ends_of
from labeling.rag.candidates import candidates_of
from labeling.rag.carried import as_called_now, keys_in
from labeling.rag.taxonomy import all_categories
from labeling.values import Answer

FOR_SERVERS = ("unasked", "shown")


@dataclass(frozen=True, slots=True)
class ShownChunk:
    """A retrieved chunk: its stored position, from 0, which is its place on the page."""

    position: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownCategory:
    """A category that may be chosen, of a span or of the whole answer. One that is not `offered` any more is there
    because the answer given so far carries it."""

    key: str
    name: str
    words: str
    scope: str
    stage: str
    offered: bool = True


def review_parts(assignment: Assignment, person: User, draft: dict[str, Any] | None) -> dict[str, Any]:
    """The draft as a Task holds it, and with it what a Task of a review has beyond the answer itself."""
    if assignment.project.task != Task.RAG:
        return {"draft": draft}
    given = as_called_now(assignment.project, asked_of_people(draft))
    return {
        "draft": given,
        "chunks": chunks_of(assignment.item),
        "categories": shown_categories(assignment.project, carried=keys_in(given)),
        "candidates": [Candidate(**span) for span in _shown(assignment, person) or []],
    }


def chunks_of(item: Item) -> list[ShownChunk]:
    """The chunks of an item in retrieved order."""
    rows = Chunk.objects.filter(item=item).order_by("position").values_list("position", "title", "text")
    return [ShownChunk(*row) for row in rows]


def shown_categories(project: Project, carried: Collection[str] = ()) -> list[ShownCategory]:
    """The living categories as a page or a call gives them; after them the retired ones that an answer carries."""
    found = [
        ShownCategory(c.key, c.name, c.words, c.scope, c.stage, offered=c.retired_at is None)
        for c in all_categories(project)
        if c.retired_at is None or c.key in carried
    ]
    return sorted(found, key=lambda category: not category.offered)


def asked_of_people(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """A stored answer or draft without what only the server writes."""
    return answer and {name: value for name, value in answer.items() if name not in FOR_SERVERS}


def refuse_unfitting(assignment: Assignment, person: User, answer: Answer) -> None:
    """Raise Refused where a review does not fit the answer, the chunks and the categories of the item as they are.
    A retired category may stay where this person's answer or draft has carried it."""
    if not isinstance(answer, RagAnswer):
        return
    if answer.shown or answer.unasked:
        raise Refused("The fields shown and unasked are written by the server; leave them out.")
    item, known = assignment.item_id, all_categories(assignment.project)
    gone = {category.key for category in known if category.retired_at} & keys_in(answer.model_dump())
    kept = gone & _carried(assignment, person) if gone else gone
    allowed = [category for category in known if category.retired_at is None or category.key in kept]
    answer.check_against(
        text=_text(item),
        chunks=Chunk.objects.filter(item=item).count(),
        span_keys={category.key for category in allowed if category.scope == "span"},
        answer_keys={category.key for category in allowed if category.scope == "answer"},
    )
    if answer.missed:
        answer.check_missed(chunk.text for chunk in chunks_of(assignment.item))


def as_stored(assignment: Assignment, person: User, answer: Answer) -> dict[str, Any]:
    """The fields of an answer as they are kept: with a review, the candidates that this person was shown, and the
    correction in the line ends of the answer."""
    kept = answer.model_dump(exclude_defaults=True)
    if not isinstance(answer, RagAnswer):
        return kept
    if answer.corrected:
        kept["corrected"] = in_line_ends_of(_text(assignment.item_id), answer.corrected)
    if (spans := _stored(assignment.item_id, person)) is not None:
        kept["shown"] = spans
    return kept


def _text(item: int) -> str:
    return Response.objects.filter(item=item).values_list("text", flat=True).first() or ""


def _carried(assignment: Assignment, person: User) -> set[str]:
    """The categories that this person has given the item before."""
    drafts = Draft.objects.filter(person=person, item=assignment.item_id)
    given = Judgment.objects.filter(person=person, assignment=assignment)
    answers = chain(drafts.values_list("answer", flat=True), given.values_list("answer", flat=True))
    return {key for answer in answers for key in keys_in(answer)}


def _shown(assignment: Assignment, person: User) -> list[dict[str, Any]] | None:
    """The candidates for this person, kept when they are first worked out. None on the first pass.

    The turn tells the pass: a slot that opens in place of a skipped one keeps its turn. Who was shown candidates once
    is shown the same again, also where the item comes back as a repeat.
    """
    known = _stored(assignment.item_id, person)
    second = assignment.project.two_pass and assignment.purpose == Purpose.WORK and assignment.turn > 0
    if known is not None or not second:
        return known
    spans = [candidate.model_dump() for candidate in candidates_of(assignment.item, person)]
    row = ShownCandidates(item=assignment.item, person=person, spans=spans)
    ShownCandidates.objects.bulk_create([row], ignore_conflicts=True)
    return _stored(assignment.item_id, person)


def _stored(item: int, person: User) -> list[dict[str, Any]] | None:
    rows = ShownCandidates.objects.filter(item=item, person=person)
    found: list[dict[str, Any]] | None = rows.values_list("spans", flat=True).first()
    return found
