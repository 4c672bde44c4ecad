"""What a person is shown of an item: never more than they may know of it."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from labeling.models import Assignment, Draft, Response, Review, ReviewState, User
from labeling.rag.answers import Candidate
from labeling.rag.showing import ShownCategory, ShownChunk, review_parts
from labeling.values import display_order

VERDICTS = ("first", "second")


@dataclass(frozen=True, slots=True)
class ShownResponse:
    """A response as an annotator may see it: its place on the screen and its text, nothing of its origin."""

    number: int
    verdict: str
    text: str
    same_as: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Task:
    """All that an annotator's page or API call receives about an item.

    `revises` is the revision that an answer would replace, where this person answered before; `comment` what a
    reviewer who sent it back asks for. Chunks, candidates and categories belong to reviews of RAG answers; candidates
    are proposed only to whoever reviews second, where the project has two passes.
    """

    kind: str
    assignment_id: int
    token: uuid.UUID
    client_key: uuid.UUID
    messages: list[dict[str, str]]
    responses: list[ShownResponse]
    draft: dict[str, Any] | None
    expires_at: Any
    revises: int | None = None
    comment: str = ""
    chunks: list[ShownChunk] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    categories: list[ShownCategory] = field(default_factory=list)


def show(*, assignment: Assignment, person: User) -> Task:
    """What this person sees of the item they hold, or of the one they judged and have opened again."""
    item, project = assignment.item, assignment.project
    texts = getattr(item, "texts", None)  # a claim has read them already
    if texts is None:
        texts = list(Response.objects.filter(item=item).order_by("position").values_list("text", flat=True))
    order = shown_order(assignment, assignment.turn)
    assert assignment.token is not None
    shown = [texts[position] for position in order]
    revises, draft, comment = None, _draft(assignment, person), ""
    if assignment.submitted_at is not None:
        last = assignment.judgments.order_by("-revision").first()
        assert last is not None
        revises, draft, comment = last.revision, draft or last.answer, _asked(assignment)
    return Task(
        kind=project.task,
        assignment_id=assignment.pk,
        token=assignment.token,
        client_key=uuid.uuid4(),
        messages=item.messages,
        responses=shown_responses(shown),
        expires_at=assignment.expires_at,
        revises=revises,
        comment=comment,
        **review_parts(assignment, person, draft),
    )


def shown_responses(texts: list[str]) -> list[ShownResponse]:
    """These texts in the places in which they are shown; each says which others are the same."""
    return [
        ShownResponse(
            number=place + 1,
            verdict=VERDICTS[place] if len(texts) == 2 else "",
            text=text,
            same_as=[n + 1 for n, other in enumerate(texts) if n != place and other == text],
        )
        for place, text in enumerate(texts)
    ]


def shown_order(assignment: Assignment, turn: int) -> list[int]:
    """The positions of the stored responses as this slot shows them on this turn."""
    return display_order(
        key=assignment.project.order_key,
        item_hash=assignment.item.content_hash,
        turn=turn,
        responses=assignment.item.n_responses,
    )


def _draft(assignment: Assignment, person: User) -> dict[str, Any] | None:
    if getattr(assignment, "begun", 0) is None:
        return None  # the claim looked already
    found: dict[str, Any] | None = (
        Draft.objects.filter(person=person, item=assignment.item_id, turn=assignment.turn)
        .values_list("answer", flat=True)
        .first()
    )
    return found


def _asked(assignment: Assignment) -> str:
    last = Review.objects.filter(assignment=assignment).order_by("-pk").first()
    return last.comment if last and last.state == ReviewState.RETURNED else ""
