"""Rows of HaluQuestQA: a question, a human's and a model's answer, error spans of an expert with reasons, and which
answer is better. Cells hold Python lists, one entry a span."""

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from labeling.errors import RowRefused
from labeling.importing.fields import Row, licence, reference, text
from labeling.importing.quotes import Quote, placed
from labeling.intake import ItemDraft, ResponseDraft, VerdictDraft

ASPECTS = {
    "factuality": "factuality",
    "irrelevance": "irrelevance",
    "incomplete_ans": "incomplete_passage",
    "reference_example": "unhelpful_reference",
}
MISCONCEPTION = "ques_misconception"
ASKED = ("question_text", "ans1_text", "ans2_text", "ans_preference")
WRITERS = {"human_answer": "human", "model_answer": "model"}


class Mark(NamedTuple):
    """What the expert said of words of an answer or, as a misconception, of the question. `where` is answer1, answer2,
    question1 and so on; an example that helps is no error."""

    aspect: str
    where: str
    quote: str
    note: str
    is_error: bool


def is_row(row: Row) -> bool:
    return all(name in row for name in ASKED) and ("ans1_label" in row or "factuality_span" in row)


def pair(row: Row) -> ItemDraft:
    """Both answers, to be compared, with the expert's preference."""
    label = str(_preferred(row) - 1)
    return ItemDraft(
        messages=[{"role": "user", "content": text(row, "question_text")}],
        responses=[_response(row, 1), _response(row, 2)],
        source_ref=reference("haluquestqa", row.get("source_file")),
        licence=licence(row),
        extra=_extra(row),
        verdicts=[VerdictDraft(_person(row), "pairwise", label=label, rationale=_reason(row))],
    )


def reviews(row: Row) -> list[ItemDraft]:
    """Each answer alone, with the expert's spans as a review. The preferred answer is called good."""
    return [_review(row, number) for number in (1, 2)]


def _review(row: Row, number: int) -> ItemDraft:
    answer, question = _response(row, number), text(row, "question_text")
    marks = list(_marks(row))
    quotes = [
        Quote(mark.quote, ASPECTS[mark.aspect], mark.note)
        for mark in marks
        if mark.where == f"answer{number}" and mark.is_error and mark.aspect in ASPECTS
    ]
    found = placed(answer.text, quotes)
    good = _preferred(row) == number
    return ItemDraft(
        messages=[{"role": "user", "content": question}],
        responses=[answer],
        source_ref=reference("haluquestqa", f"{row.get('source_file', '')}#{number}"),
        licence=licence(row),
        extra={**_extra(row), **found.extra, **_praise(marks, number)},
        verdicts=[found.review(person=_person(row), good=good, rationale=_reason(row))],
    )


def _marks(row: Row) -> Iterator[Mark]:
    """All marks, factuality first: where two hold the same words, the graver one is kept as the span."""
    for aspect in (*ASPECTS, MISCONCEPTION):
        quotes = _listed(row, f"{aspect}_span")
        labels, reasons = _listed(row, f"{aspect}_label"), _listed(row, f"{aspect}_reason")
        if not len(quotes) == len(labels) == len(reasons):
            raise RowRefused(
                f"{aspect}_span has {len(quotes)} entries, its label {len(labels)} and its reason {len(reasons)}; "
                "give one of each a span"
            )
        helpful = _listed(row, "reference_example_helpful") if aspect == "reference_example" else []
        for place, (quote, label, reason) in enumerate(zip(quotes, labels, reasons, strict=True)):
            praised = place < len(helpful) and helpful[place] is True
            yield Mark(aspect, str(label), str(quote), str(reason or ""), not praised)


def _listed(row: Row, name: str) -> list[Any]:
    """A cell with a Python list; an empty one is none."""
    cell = row.get(name) or "[]"
    try:
        found = cell if isinstance(cell, list) else ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        found = None
    if not isinstance(found, list):
        raise RowRefused(f"{name} is {str(cell)[:60]!r}; it must be a list as Python writes it")
    return found


def _praise(marks: list[Mark], number: int) -> dict[str, Any]:
    """What is no error of this answer: examples that help, and misconceptions in the question."""
    helpful = [mark.quote for mark in marks if mark.where == f"answer{number}" and not mark.is_error]
    asked = [{"text": mark.quote, "note": mark.note} for mark in marks if mark.aspect == MISCONCEPTION]
    found = {"helpful_references": helpful, "question_misconceptions": asked}
    return {name: value for name, value in found.items() if value}


def _preferred(row: Row) -> int:
    given = text(row, "ans_preference").strip().casefold()
    if given not in ("answer 1", "answer 2"):
        raise RowRefused(f"ans_preference is {given[:40]!r}; it must be Answer 1 or Answer 2")
    return int(given[-1])


def _response(row: Row, number: int) -> ResponseDraft:
    written = str(row.get(f"ans{number}_label") or "")
    return ResponseDraft(text(row, f"ans{number}_text"), origin=WRITERS.get(written, written)[:120])


def _person(row: Row) -> str:
    return str(row.get("annotator") or "haluquestqa")


def _reason(row: Row) -> str:
    return str(row.get("ans_preference_reason") or "")


def _extra(row: Row) -> dict[str, Any]:
    return {"category": row["category"]} if isinstance(row.get("category"), str) else {}
