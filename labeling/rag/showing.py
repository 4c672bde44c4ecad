"""What a reviewer of a RAG answer is shown beside it: chunks, categories, and on the second pass candidates."""

from dataclasses import dataclass
from typing import Any

from labeling.errors import Refused
from labeling.models import Assignment, Chunk, Item, Project, Purpose, Response, ShownCandidates, Task, User
from labeling.rag.answers import Candidate, RagAnswer
from labeling.rag.candidates import candidates_of
from labeling.rag.taxonomy import categories_of
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
    """A category that may be chosen now, of a span or of the whole answer."""

    key: str
    name: str
    words: str
    scope: str
    stage: str


def review_parts(assignment: Assignment, person: User) -> dict[str, Any]:
    """What a Task holds for a review beyond the answer itself; nothing for other kinds."""
    if assignment.project.task != Task.RAG:
        return {}
    return {
        "chunks": chunks_of(assignment.item),
        "categories": shown_categories(assignment.project),
        "candidates": [Candidate(**span) for span in _shown(assignment, person) or []],
    }


def chunks_of(item: Item) -> list[ShownChunk]:
    """The chunks of an item in retrieved order."""
    rows = Chunk.objects.filter(item=item).order_by("position").values_list("position", "title", "text")
    return [ShownChunk(*row) for row in rows]


def shown_categories(project: Project) -> list[ShownCategory]:
    """The living categories as a page or a call gives them."""
    return [ShownCategory(c.key, c.name, c.words, c.scope, c.stage) for c in categories_of(project)]


def asked_of_people(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """A stored answer or draft without what only the server writes."""
    return answer and {name: value for name, value in answer.items() if name not in FOR_SERVERS}


def refuse_unfitting(assignment: Assignment, answer: Answer) -> None:
    """Raise Refused where a review does not fit the answer, the chunks and the categories of the item as they are."""
    if not isinstance(answer, RagAnswer):
        return
    if answer.shown or answer.unasked:
        raise Refused("The fields shown and unasked are written by the server; leave them out.")
    item, living = assignment.item_id, categories_of(assignment.project)
    text = Response.objects.filter(item=item).values_list("text", flat=True).first() or ""
    answer.check_against(
        text=text,
        chunks=Chunk.objects.filter(item=item).count(),
        span_keys={category.key for category in living if category.scope == "span"},
        answer_keys={category.key for category in living if category.scope == "answer"},
    )


def as_stored(assignment: Assignment, person: User, answer: Answer) -> dict[str, Any]:
    """The fields of an answer as they are kept: with a review, the candidates that this person was shown."""
    kept = answer.model_dump(exclude_defaults=True)
    if isinstance(answer, RagAnswer) and (spans := _stored(assignment.item_id, person)) is not None:
        kept["shown"] = spans
    return kept


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
