"""Contexts of items and reviews of RAG answers in a file: read, and checked before they are stored."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from labeling.errors import Refused, RowRefused
from labeling.importing.fields import Row
from labeling.intake import ContextDraft, ItemDraft, VerdictDraft
from labeling.rag.answers import RagAnswer
from labeling.rag.contexts import checked_contexts

NAMES = ("contexts", "context", "passages", "chunks")


def contexts_of(row: Row) -> list[ContextDraft]:
    """The contexts of a row: a list of texts, or of objects with text, title, ref and score; or one text."""
    name = next((name for name in NAMES if row.get(name)), None)
    given = row[name] if name else []
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list):
        raise RowRefused(f"{name} is a {type(given).__name__}; give a list of texts or of objects with text")
    return [_context(one, f"context {number}") for number, one in enumerate(listed, start=1)]


def refuse_contexts(draft: ItemDraft) -> None:
    """Raise RowRefused where the contexts cannot be stored."""
    try:
        checked_contexts(draft.contexts)
    except Refused as refusal:
        sentence = refusal.sentence
        raise RowRefused(sentence[0].lower() + sentence[1:]) from refusal


def checked_review(verdict: VerdictDraft, draft: ItemDraft) -> VerdictDraft:
    """A review that fits the item, without what says nothing. Its categories may be any: they are adopted.

    What the server fills in, the candidates that were shown, is kept: an export is read back as it was.
    """
    who = f"{verdict.person}'s review"
    if len(draft.responses) != 1:
        raise RowRefused(f"{who} is of one answer, but the item has {len(draft.responses)}")
    try:
        answer = RagAnswer.model_validate(verdict.rag or {})
        answer.check_against(text=draft.responses[0].text, chunks=len(draft.contexts))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the review"
        raise RowRefused(f"{who} cannot be read: {place}: {first['msg'].lower()}") from error
    except Refused as refusal:
        raise RowRefused(f"{who} does not fit: {refusal.sentence}") from refusal
    return replace(verdict, label="", rag=answer.model_dump(exclude_defaults=True))


def texts_in(draft: ItemDraft) -> Iterator[str]:
    """All texts of contexts and reviews, for the check of what a database takes."""
    for context in draft.contexts:
        yield from (context.text, context.title, context.ref)
    for verdict in draft.verdicts:
        yield from _within(verdict.rag)


def _context(value: Any, name: str) -> ContextDraft:
    if isinstance(value, str):
        return ContextDraft(value)
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise RowRefused(f"{name} is neither a text nor an object with a text")
    score = value.get("score")
    if score is not None and (
        isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score)
    ):
        raise RowRefused(f"the score of {name} is {score!r}; it must be a number or null")
    return ContextDraft(
        value["text"],
        title=str(value.get("title") or ""),
        ref=str(value.get("ref") or value.get("document_id") or value.get("id") or ""),
        score=None if score is None else float(score),
    )


def _within(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _within(part)
    elif isinstance(value, list):
        for part in value:
            yield from _within(part)
