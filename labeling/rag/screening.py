"""A review of a RAG answer as its page shows it, with the answer as far as it was given."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from labeling.rag.answers import ADDRESSED, LONGEST_CHUNK, LONGEST_TITLE, RELEVANCES, SEVERITIES, Candidate
from labeling.rag.carried import objects
from labeling.rag.showing import ShownCategory, ShownChunk

WHOLE, PAGE = 8_000, 200_000  # characters of a chunk, and of all chunks, that a page carries from the start
OPENING = 280
_EMPTY_LINES = re.compile(r"\n(?:[^\S\n]*\n){2,}")


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk with its number on the page, the name of its field, and its mark so far. What is not `whole` is fetched
    when it is opened."""

    position: int
    title: str
    text: str
    grade: int | None
    whole: bool

    @property
    def number(self) -> int:
        return self.position + 1

    @property
    def name(self) -> str:
        return f"relevance.{self.position}"

    @property
    def opening(self) -> str:
        """How it begins, in one line."""
        return " ".join(self.text[:OPENING].split())


@dataclass(frozen=True, slots=True)
class Choice:
    """A category, and for those of the whole answer whether it was chosen, how severe, and why."""

    key: str
    name: str
    words: str
    stage: str
    offered: bool
    chosen: bool
    severity: int | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewScreen:
    """`text` is the answer as it is stored: all offsets are of it. `spans` are as given so far."""

    text: str
    chunks: list[ChunkRow]
    span_choices: list[Choice]
    answer_choices: list[Choice]
    candidates: list[Candidate]
    spans: list[dict[str, Any]]
    verdict: str
    answers_question: int | None
    corrected: str
    missed: str
    missed_ref: str

    longest_missed: ClassVar = LONGEST_CHUNK
    longest_ref: ClassVar = LONGEST_TITLE
    grades: ClassVar = RELEVANCES
    severities: ClassVar = SEVERITIES
    addressed: ClassVar = ADDRESSED

    @property
    def spans_json(self) -> str:
        return json.dumps(self.spans)

    @property
    def stages_json(self) -> str:
        """Key → stage of the categories of spans: what lowers groundedness is said by its stage."""
        return json.dumps({choice.key: choice.stage for choice in self.span_choices})

    @property
    def candidates_json(self) -> str:
        return json.dumps([candidate.model_dump() for candidate in self.candidates])


def readable(text: str) -> str:
    """A chunk as people read it: cut out of a page, it may begin with, or hold, dozens of empty lines; one is shown."""
    return _EMPTY_LINES.sub("\n\n", text).strip("\r\n")


def review_screen(
    *,
    text: str,
    chunks: list[ShownChunk],
    categories: list[ShownCategory],
    candidates: list[Candidate],
    given: Mapping[str, Any],
) -> ReviewScreen:
    """The page's review; what of `given` makes no sense is left out, so that a page never fails on a draft."""
    marks = given.get("relevance") or []
    failures = {str(failure.get("category")): failure for failure in objects(given.get("failures"))}
    return ReviewScreen(
        text=text,
        chunks=list(_rows(chunks, marks)),
        span_choices=[_choice(category, {}) for category in categories if category.scope == "span"],
        answer_choices=[_choice(category, failures) for category in categories if category.scope == "answer"],
        candidates=candidates,
        spans=[span for span in objects(given.get("spans")) if _is_within(span, len(text))],
        verdict=str(given.get("verdict") or ""),
        answers_question=_grade(given.get("answers_question")),
        corrected=str(given.get("corrected") or ""),
        missed=str(given.get("missed") or ""),
        missed_ref=str(given.get("missed_ref") or ""),
    )


def _rows(chunks: list[ShownChunk], marks: list[Any]) -> Iterator[ChunkRow]:
    room = PAGE
    for chunk in chunks:
        grade = _grade(marks[chunk.position]) if chunk.position < len(marks) else None
        whole = len(chunk.text) <= min(WHOLE, room)
        room -= len(chunk.text) if whole else 0
        yield ChunkRow(chunk.position, chunk.title, chunk.text, grade, whole)


def _choice(category: ShownCategory, chosen: Mapping[Any, Mapping[str, Any]]) -> Choice:
    found = chosen.get(category.key, {})
    return Choice(
        key=category.key,
        name=category.name,
        words=category.words,
        stage=category.stage,
        offered=category.offered,
        chosen=bool(found),
        severity=_grade(found.get("severity")),
        note=str(found.get("note") or ""),
    )


def _is_within(span: Mapping[str, Any], length: int) -> bool:
    start, end = span.get("start"), span.get("end")
    return isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= length


def _grade(value: Any) -> int | None:
    """A mark of 0 to 3, however it was sent."""
    text = str(value)
    return int(text) if text in ("0", "1", "2", "3") else None
