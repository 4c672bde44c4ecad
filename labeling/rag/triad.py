"""The RAG triad of one review: are the chunks about the question, does the answer rest on them, does it answer?

Derived where it can be: context relevance from the marks of the chunks, groundedness from the spans. Only whether the
question is answered is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labeling.rag.answers import Stretch, is_error


@dataclass(frozen=True, slots=True)
class Triad:
    """Shares from 0 to 1; None where nothing was said."""

    context_relevance: float | None
    groundedness: float | None
    answer_relevance: float | None


def triad(answer: Mapping[str, Any], length: int, stages: Mapping[str, str]) -> Triad:
    """The triad of a stored answer about a text of `length` characters.

    - context relevance: mean of the marked chunks, where relevant counts 1, partly 1/2 and not 0;
    - groundedness: share of the text's characters that no unsupported span holds. A span is unsupported where it has
      neither category nor chunk, or a category whose stage (`stages`: key → stage) is grounding or not known: a
      sentence in a wrong format may be true. Text without a mark counts as grounded, so a hasty reviewer makes it too
      high; nothing where the text is empty or spans were not asked;
    - answer relevance: yes 1, partly 1/2, no 0.
    """
    marks = [mark for mark in answer.get("relevance") or [] if mark is not None]
    addressed = answer.get("answers_question")
    return Triad(
        context_relevance=sum(marks) / (2 * len(marks)) if marks else None,
        groundedness=_groundedness(answer, length, stages),
        answer_relevance=None if addressed is None else addressed / 2,
    )


def _groundedness(answer: Mapping[str, Any], length: int, stages: Mapping[str, str]) -> float | None:
    if not length or "spans" in (answer.get("unasked") or []):
        return None
    lost = sum(end - start for start, end in unsupported(answer, stages))  # which never overlap
    return 1 - lost / length


def unsupported(answer: Mapping[str, Any], stages: Mapping[str, str]) -> list[Stretch]:
    """The stretches of the text that, as this answer marks it, nothing supports (see `triad`)."""
    spans = answer.get("spans") or []
    return [(span["start"], span["end"]) for span in spans if _is_unsupported(span, stages)]


def supported(answer: Mapping[str, Any]) -> list[Stretch]:
    """The stretches of the text that this answer links to a chunk that supports them."""
    return [(span["start"], span["end"]) for span in answer.get("spans") or [] if not is_error(span)]


def _is_unsupported(span: Mapping[str, Any], stages: Mapping[str, str]) -> bool:
    if category := span.get("category"):
        return stages.get(category, "grounding") == "grounding"
    return not span.get("chunks")
