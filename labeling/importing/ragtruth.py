"""Rows of RAGTruth: responses with error spans, and, where its source_info rows come along, prompts and contexts.

The two files refer to each other by source_id: give them one after another in a file, or together in an archive.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeGuard

from labeling.errors import RowRefused
from labeling.importing.fields import Row, licence, optional, reference, text
from labeling.importing.quotes import Quote, placed
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft

KINDS = {
    "evident conflict": "evident_conflict",
    "subtle conflict": "subtle_conflict",
    "evident baseless info": "evident_baseless",
    "subtle baseless info": "subtle_baseless",
    "evident introduction of baseless information": "evident_baseless",
    "subtle introduction of baseless information": "subtle_baseless",
}
SOURCE = {"source_id", "source_info", "task_type", "source", "prompt"}
PASSAGE = re.compile(r"(?:^|\n)\s*passage\s+(\d+)\s*:", re.IGNORECASE)
PERSON, MOST_HELD = "ragtruth", 100_000
Numbered = tuple[int, Any | RowRefused]


def is_response(row: Row) -> bool:
    return "source_id" in row and "response" in row and isinstance(row.get("labels"), list)


def is_source(row: Any) -> TypeGuard[Row]:
    return isinstance(row, dict) and {"source_id", "source_info"} <= row.keys() <= SOURCE


def review(row: Row) -> ItemDraft:
    """A response with its marks as a review, and the contexts of its source where the row has them."""
    answer, source = text(row, "response"), row.get("source")
    if not isinstance(row.get("labels"), list):
        raise RowRefused("labels is missing; give the list of spans, which may be empty")
    found = placed(answer, [_quote(label) for label in row["labels"]])
    known = source if isinstance(source, dict) else {}
    kept: dict[str, Any] = {name: row[name] for name in ("quality", "split", "temperature") if name in row}
    kept |= {"task_type": known["task_type"]} if isinstance(known.get("task_type"), str) else {}
    return ItemDraft(
        messages=[{"role": "user", "content": _prompt(row, known)}],
        responses=[ResponseDraft(answer, origin=optional(row, "model"))],
        source_ref=reference("ragtruth", row.get("id")),
        licence=licence(row),
        extra={**kept, **found.extra},
        verdicts=[found.review(person=PERSON, good=not row["labels"])],
        contexts=_contexts(known.get("source_info")),
    )


def _contexts(info: Any) -> list[ContextDraft]:
    """The contexts of the three shapes: a text to sum up, a question with numbered passages, a business as data."""
    if isinstance(info, str):
        return [ContextDraft(info)] if info.strip() else []
    if not isinstance(info, dict):
        return []
    if isinstance(info.get("passages"), str):
        return _passages(info["passages"])
    return _business(info)


def joined(rows: Iterator[Numbered]) -> Iterator[Numbered]:
    """The same rows, but responses wait for the sources of the file and take theirs with them; sources are no rows of
    their own. Where nothing of RAGTruth is in the file, nothing waits."""
    sources: dict[str, Row] = {}
    waiting: list[tuple[int, Row]] = []
    for number, row in rows:
        if is_source(row):
            sources[str(row["source_id"])] = row
        elif isinstance(row, dict) and is_response(row) and len(waiting) < MOST_HELD:
            known = sources.get(str(row["source_id"]))
            if known is None:
                waiting.append((number, row))
            else:
                yield number, {**row, "source": known}
        else:
            yield number, row
    for number, row in waiting:
        known = sources.get(str(row["source_id"]))
        yield number, row if known is None else {**row, "source": known}


def _quote(label: Any) -> Quote:
    given = label if isinstance(label, dict) else {}
    kind = str(given.get("label_type") or "").strip().casefold()
    if kind not in KINDS:
        raise RowRefused(f"label_type is {kind[:40]!r}; use {', '.join(sorted(KINDS))}")
    start, end, words = given.get("start"), given.get("end"), given.get("text")
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(words, str):
        raise RowRefused("a label needs start, end and text")
    return Quote(words, KINDS[kind], note=str(given.get("meta") or ""), at=(start, end))


def _prompt(row: Row, source: Row) -> str:
    info = source.get("source_info")
    question = info.get("question") if isinstance(info, dict) else None
    for given in (question, source.get("prompt"), row.get("prompt")):
        if isinstance(given, str) and given.strip():
            return given
    return f"(The prompt of source {row.get('source_id', '')} did not come with this response.)"


def _passages(whole: str) -> list[ContextDraft]:
    starts = list(PASSAGE.finditer(whole))
    if not starts:
        return [ContextDraft(whole)] if whole.strip() else []
    ends = [match.start() for match in starts[1:]] + [len(whole)]
    parts = [(match[1], whole[match.end() : end].strip()) for match, end in zip(starts, ends, strict=True)]
    return [ContextDraft(part, title=f"Passage {number}") for number, part in parts if part]


def _business(info: Row) -> list[ContextDraft]:
    """What is known of a business as one context, and each review as one."""
    rest = {name: value for name, value in info.items() if name != "review_info"}
    found = [ContextDraft(json.dumps(rest, ensure_ascii=False, indent=1), title=str(info.get("name") or ""))]
    given = info.get("review_info")
    for number, review in enumerate(given if isinstance(given, list) else [], start=1):
        words = review.get("review_text") if isinstance(review, dict) else None
        if isinstance(words, str) and words.strip():
            found.append(ContextDraft(words, title=f"Review {number}"))
    return found
