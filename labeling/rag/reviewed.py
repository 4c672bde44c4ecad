"""A review in words, as the item page, a reviewer and an export read it: categories by what they are called now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labeling.models import ErrorCategory, Judgment, Project
from labeling.rag.answers import ADDRESSED, RELEVANCES, SEVERITIES, is_error
from labeling.rag.stages import stage_of
from labeling.rag.taxonomy import all_categories, current
from labeling.rag.triad import Triad, triad

BLAMED = {
    "retrieval": "retrieval: it trains the retriever",
    "generation": "generation: it trains the generator",
}


@dataclass(frozen=True, slots=True)
class Names:
    """What categories are called: key → name now, with the old one where it changed; and key → stage."""

    words: dict[str, str]
    stages: dict[str, str]


@dataclass(frozen=True, slots=True)
class SpanLine:
    """One mark: its number on the page, the text it holds, and what was said of it. `links` counts chunks from 1."""

    number: int
    start: int
    end: int
    text: str
    words: str
    is_error: bool
    severity: str
    links: list[int]
    note: str


@dataclass(frozen=True, slots=True)
class FailureLine:
    words: str
    severity: str
    note: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One review. `text` is the answer that it is of."""

    text: str
    relevance: list[str]
    spans: list[SpanLine]
    failures: list[FailureLine]
    addressed: str
    corrected: str
    missed: str
    missed_ref: str
    triad: Triad
    blamed: str
    candidates: int | None


def names_of(project: Project) -> Names:
    """What the categories of a project are called now, retired keys too."""
    found = {category.key: category for category in all_categories(project)}
    now = current(project)
    return Names(
        words={key: _name(category, now[key], found) for key, category in found.items()},
        stages={key: category.stage for key, category in found.items()},
    )


def reviewed(judgment: Judgment, *, text: str, names: Names) -> Reviewed:
    """The review that a judgment is, of this answer."""
    answer = judgment.answer
    spans = sorted(answer.get("spans") or [], key=lambda span: span["start"])
    return Reviewed(
        text=text,
        relevance=[RELEVANCES.get(grade, "") for grade in answer.get("relevance") or []],
        spans=[_span(number, span, text, names) for number, span in enumerate(spans, start=1)],
        failures=[_failure(failure, names) for failure in answer.get("failures") or []],
        addressed=ADDRESSED.get(answer.get("answers_question"), ""),
        corrected=answer.get("corrected", ""),
        missed=answer.get("missed", ""),
        missed_ref=answer.get("missed_ref", ""),
        triad=triad(answer, len(text), names.stages),
        blamed=BLAMED.get(stage_of(answer, names.stages) or "", ""),
        candidates=len(answer["shown"]) if "shown" in answer else None,
    )


def _span(number: int, span: Mapping[str, Any], text: str, names: Names) -> SpanLine:
    key, links = span.get("category") or "", span.get("chunks") or []
    plain = "Supported" if links else "No support"
    return SpanLine(
        number=number,
        start=span["start"],
        end=span["end"],
        text=text[span["start"] : span["end"]],
        words=names.words.get(key, key) if key else plain,
        is_error=is_error(span),
        severity=SEVERITIES.get(span.get("severity") or 0, ""),
        links=[position + 1 for position in links],
        note=span.get("note", ""),
    )


def _failure(failure: Mapping[str, Any], names: Names) -> FailureLine:
    key = failure["category"]
    severity = SEVERITIES.get(failure.get("severity") or 0, "")
    return FailureLine(names.words.get(key, key), severity, failure.get("note", ""))


def _name(category: ErrorCategory, now: list[str], found: Mapping[str, ErrorCategory]) -> str:
    if now == [category.key]:
        return category.name
    return f"{' or '.join(found[key].name for key in now)} (was {category.name})"
