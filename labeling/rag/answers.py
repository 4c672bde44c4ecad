"""The answer to a RAG review: what is said of the chunks, of spans of the answer, and of the answer as a whole.

Offsets count code points of the raw text of the response, [start, end), whatever a page makes of it. Chunks are named
by their stored positions, from 0: they are shown in the order in which they were retrieved.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from labeling.errors import Refused
from labeling.values import LONGEST_TEXT, Answer, Attribute

MOST_CHUNKS, LONGEST_CHUNK, LONGEST_TITLE = 200, 100_000, 500
MOST_SPANS, MOST_FAILURES, LONGEST_NOTE = 500, 50, 2_000
GOOD, BAD = "good", "bad"
SEVERITIES = {1: "minor", 2: "major", 3: "critical"}
RELEVANCES = {2: "relevant", 1: "partly relevant", 0: "not relevant"}
ADDRESSED = {2: "yes", 1: "partly", 0: "no"}
Severity = Annotated[int, Field(ge=1, le=3)]
Grade = Annotated[int, Field(ge=0, le=2)]
Asked = Literal["relevance", "spans", "answers_question"]
Stretch = tuple[int, int]
Trimmed = Annotated[str, StringConstraints(strip_whitespace=True)]
LINE_END = re.compile(r"\r\n|\r|\n")


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(Part):
    """A stretch of the answer: an error of a category, or, without a category, a supported statement. `chunks` are
    those that it rests on (a conflict may name the chunk that it contradicts); none means no support."""

    start: int = Field(description="first character, counted from 0 in the raw text")
    end: int = Field(description="one after the last character")
    category: str = Field(
        default="", max_length=40, description="key of the category, or empty: a supported statement"
    )
    severity: Severity | None = Field(default=None, description="1 minor, 2 major, 3 critical")
    chunks: list[int] = Field(
        default_factory=list, max_length=MOST_CHUNKS, description="positions of the supporting chunks, from 0"
    )
    note: str = Field(default="", max_length=LONGEST_NOTE, description="why, in words")


class Failure(Part):
    """An error of the whole answer."""

    category: str = Field(min_length=1, max_length=40, description="key of the category")
    severity: Severity | None = Field(default=None, description="1 minor, 2 major, 3 critical")
    note: str = Field(default="", max_length=LONGEST_NOTE, description="why, in words")


class Candidate(Part):
    """A span that was proposed to the second reviewer, and where it came from: "marked" by a first review, or
    "lexical", a sentence that a comparison of words finds in no chunk, or turned round."""

    start: int
    end: int
    source: Literal["marked", "lexical"]


class RagAnswer(Answer):
    """Whether the answer is good or bad, with what was found on the way.

    `unasked` names what an imported judgment was never asked; `shown` the candidates that the person saw, which the
    server fills in: neither is taken from a page or a call.
    """

    kind = "rag"

    verdict: Literal["good", "bad"] = Field(description="good or bad")
    answers_question: Grade | None = Field(default=None, description="2 yes, 1 partly, 0 no")
    relevance: list[Grade | None] = Field(
        default_factory=list,
        max_length=MOST_CHUNKS,
        description="one per chunk: 2 relevant, 1 partly, 0 not, null (or left out at the end) not marked",
    )
    spans: list[Span] = Field(default_factory=list, max_length=MOST_SPANS)
    failures: list[Failure] = Field(default_factory=list, max_length=MOST_FAILURES)
    corrected: str = Field(
        default="", max_length=LONGEST_TEXT, description="the answer as it should be, or empty"
    )
    missed: Trimmed = Field(
        default="", max_length=LONGEST_CHUNK, description="the passage that should have been found, or empty"
    )
    missed_ref: Trimmed = Field(
        default="", max_length=LONGEST_TITLE, description="where that passage stands: a document, a page"
    )
    unasked: list[Asked] = Field(default_factory=list)
    shown: list[Candidate] = Field(default_factory=list)

    def label(self, order: Sequence[int]) -> str:
        return self.verdict

    def check(self, *, responses: int, attributes: Sequence[Attribute]) -> None:
        if responses != 1:
            raise Refused(f"The item has {responses} responses; a review is of one answer.")

    def check_against(
        self,
        *,
        text: str,
        chunks: int,
        span_keys: Collection[str] | None = None,
        answer_keys: Collection[str] | None = None,
    ) -> None:
        """Raise Refused where the answer does not fit the text, the number of chunks or the categories that may be
        chosen; without these any category will do."""
        if len(self.relevance) > chunks:
            raise Refused(
                f"Relevance was given for {len(self.relevance)} chunks, and the item has {chunks}; "
                "give one value, or null, for each."
            )
        for number, span in enumerate(self.spans, start=1):
            _check_span(number, span, len(text), chunks, span_keys)
        _refuse_overlaps(self.spans)
        for failure in self.failures:
            if answer_keys is not None and failure.category not in answer_keys:
                raise Refused(_unknown(failure.category, "the whole answer", answer_keys))
        named = [failure.category for failure in self.failures]
        twice = next((key for key in named if named.count(key) > 1), None)
        if twice:
            raise Refused(f"The answer is said to be {twice!r} twice; once is enough.")
        if self.missed_ref and not self.missed:
            raise Refused(
                "Where the passage stands that should have been found was said, and not the passage; copy its "
                "text too, or leave both empty."
            )
        if self.corrected and same_text(self.corrected, text):
            raise Refused("The corrected answer is the answer as it was; change it, or leave it empty.")
        if self.verdict == BAD and not self.has_reason:
            raise Refused(
                "The answer is called bad without a reason; mark a span, choose what is wrong with the whole "
                "answer, correct it, give the passage that should have been found, or say why in words."
            )

    def check_missed(self, chunks: Iterable[str]) -> None:
        """Raise Refused where the passage that should have been found is one of these, which were."""
        if not self.missed:
            return
        found = next((n for n, text in enumerate(chunks, start=1) if same_text(text, self.missed)), None)
        if found:
            raise Refused(
                f"The passage that should have been found is chunk {found}; mark that chunk as relevant instead."
            )

    @property
    def has_reason(self) -> bool:
        """Whether something says what is wrong: an error, a correction, a missed passage or words."""
        flagged = any(span.category or not span.chunks for span in self.spans)
        written = self.corrected.strip() or self.missed or self.rationale.strip()
        return flagged or bool(self.failures or written)


def same_text(one: str, other: str) -> bool:
    """Whether two texts differ in line ends and outer white space at most: forms and browsers change these."""
    return LINE_END.sub("\n", one).strip() == LINE_END.sub("\n", other).strip()


def in_line_ends_of(text: str, written: str) -> str:
    """What was written about a text, with the line ends that the text has most of."""
    ends = Counter(LINE_END.findall(text))
    return LINE_END.sub(max(("\n", "\r\n", "\r"), key=lambda end: ends[end]), written)


def is_error(span: Mapping[str, Any]) -> bool:
    """Whether a stored span says that something is wrong: it has a category, or no chunk that supports it."""
    return bool(span.get("category") or not span.get("chunks"))


def errors_in(spans: Iterable[Mapping[str, Any]] | None) -> list[Stretch]:
    """The stretches of those of these stored spans that are errors."""
    return [(span["start"], span["end"]) for span in spans or () if is_error(span)]


def _check_span(number: int, span: Span, length: int, chunks: int, keys: Collection[str] | None) -> None:
    place = f"Span {number} is from {span.start} to {span.end}"
    if span.start >= span.end:
        raise Refused(f"{place}, which holds nothing; the end must be after the start.")
    if span.start < 0 or span.end > length:
        raise Refused(f"{place}, and the answer has {length:,} characters; stay between 0 and {length}.")
    if span.category and keys is not None and span.category not in keys:
        raise Refused(_unknown(span.category, f"span {number}", keys))
    outside = next((chunk for chunk in span.chunks if not 0 <= chunk < chunks), None)
    if outside is not None:
        allowed = f"link to 0 to {chunks - 1}" if chunks else "link to none"
        raise Refused(f"Span {number} is linked to chunk {outside}, and the item has {chunks}; {allowed}.")
    if len(set(span.chunks)) < len(span.chunks):
        raise Refused(f"Span {number} is linked to the same chunk twice; once is enough.")


def _refuse_overlaps(spans: Sequence[Span]) -> None:
    ordered = sorted(enumerate(spans, start=1), key=lambda pair: (pair[1].start, pair[1].end))
    for (a, first), (b, second) in pairwise(ordered):
        if second.start < first.end:
            raise Refused(
                f"Spans {a} ({first.start} to {first.end}) and {b} ({second.start} to {second.end}) overlap; "
                "one stretch of text has one mark."
            )


def _unknown(key: str, where: str, keys: Collection[str]) -> str:
    allowed = ", ".join(sorted(keys)) or "none: the project has no such category"
    return f"The category given for {where} is {key!r}; choose one of {allowed}."
