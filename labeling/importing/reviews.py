"""Contexts of items and reviews of RAG answers in a file: read, and checked before they are stored."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from labeling.errors import Refused, RowRefused
from labeling.importing.fields import Row
from labeling.intake import ContextDraft, ItemDraft, VerdictDraft
from labeling.rag.answers import RagAnswer
from labeling.rag.contexts import checked_contexts

NAMES = ("contexts", "context", "passages", "chunks")
TEXTS = ("text", "content", "page_content")


def contexts_of(row: Row) -> list[ContextDraft]:
    """The contexts of a row: a list of texts, or of objects with text, title, ref and score; or one text."""
    name = next((name for name in NAMES if row.get(name)), None)
    given = row[name] if name else []
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list):
        raise RowRefused(f"{name} is a {type(given).__name__}; give a list of texts or of objects with text")
    return [_context(one, f"context {number}") for number, one in enumerate(listed, start=1)]


def refuse_contexts(contexts: Sequence[ContextDraft]) -> None:
    """Raise RowRefused where the contexts cannot be stored."""
    try:
        checked_contexts(contexts)
    except Refused as refusal:
        sentence = refusal.sentence.rstrip(".")
        raise RowRefused(sentence[0].lower() + sentence[1:]) from refusal


def checked_review(verdict: VerdictDraft, draft: ItemDraft) -> VerdictDraft:
    """A review that fits the item, without what says nothing. Its categories may be any: they are adopted.

    What the server fills in, the candidates that were shown, is kept: an export is read back as it was.
    """
    who = f"{verdict.person}'s review"
    try:
        answer = RagAnswer.model_validate(verdict.rag or {})
        answer.check(responses=len(draft.responses), attributes=())
        answer.check_against(text=draft.responses[0].text, chunks=len(draft.contexts))
        answer.check_missed(context.text for context in draft.contexts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the review"
        raise RowRefused(f"{who} cannot be read: {place}: {first['msg'].lower()}") from error
    except Refused as refusal:
        raise RowRefused(f"{who} does not fit: {refusal.sentence}") from refusal
    return replace(verdict, label="", rag=answer.model_dump(exclude_defaults=True))


def _context(value: Any, name: str) -> ContextDraft:
    if isinstance(value, str):
        return ContextDraft(value)
    given = value if isinstance(value, dict) else {}
    text = next((given[each] for each in TEXTS if isinstance(given.get(each), str)), None)
    if text is None:
        raise RowRefused(f"{name} is neither a text nor an object with a text")
    score = given.get("score")
    if score is not None and (type(score) not in (int, float) or not abs(score) <= sys.float_info.max):
        raise RowRefused(f"the score of {name} is {str(score)[:40]!r}; it must be a number or null")
    return ContextDraft(
        text,
        title=str(given.get("title") or ""),
        ref=str(given.get("ref") or given.get("document_id") or given.get("id") or ""),
        score=None if score is None else float(score),
    )
