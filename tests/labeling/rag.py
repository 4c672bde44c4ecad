"""A RAG project for tests: one answer about two chunks, the people of the world, and short verbs around it."""

from typing import Any

from labeling.intake import ContextDraft, ItemDraft, ResponseDraft
from labeling.models import Assignment, Item, Judgment, Project, Task, User
from labeling.queue import claim_next
from labeling.rag.answers import RagAnswer
from labeling.reading import read_answer
from tests import world

TEXT = "Basil needs six hours of sun. Water it daily. It was first grown on the Moon."
CHUNKS = ("Basil wants six hours of sun a day.", "Water basil when its soil is dry.")


def make(name: str = "Reviews", **fields: Any) -> Project:
    return world.make_project(name, task=Task.RAG, **fields)


def draft(number: int = 0, *, text: str = TEXT, chunks: tuple[str, ...] = CHUNKS, **fields: Any) -> ItemDraft:
    return ItemDraft(
        messages=[{"role": "user", "content": f"How do I keep basil, please? ({number})"}],
        responses=[ResponseDraft(text, origin="secret-model-a")],
        contexts=[ContextDraft(chunk, title=f"Page {n}", ref=f"doc-{n}") for n, chunk in enumerate(chunks)],
        **fields,
    )


def put(project: Project, *drafts: ItemDraft) -> list[Item]:
    return world.put(project, *(drafts or (draft(),)))


def span(words: str, category: str = "", *, text: str = TEXT, **fields: Any) -> dict[str, Any]:
    """A mark of these words of the text."""
    start = text.index(words)
    return {"start": start, "end": start + len(words), "category": category, **fields}


def answer(**values: Any) -> RagAnswer:
    read = read_answer({"verdict": "good", **values}, task=Task.RAG)
    assert isinstance(read, RagAnswer)
    return read


def review(project: Project, who: User, **values: Any) -> Judgment:
    """Let somebody review the next answer that they are given."""
    slot = claim_next(project=project, person=who)
    assert slot is not None
    return world.send(slot, who, answer(**values))


def claimed(project: Project, who: User) -> Assignment:
    slot = claim_next(project=project, person=who)
    assert slot is not None
    return slot
