"""Rows of RefChecker: an answer cut into claims of subject, relation and object: supported, contradicted or neither.

Claims are put by a model, not quoted: few stand in the answer word by word. Those that do become spans.
"""

import re
from collections import Counter
from typing import Any

from labeling.errors import RowRefused
from labeling.importing.fields import Row, licence, reference, text
from labeling.importing.quotes import Quote, placed
from labeling.intake import ItemDraft, ResponseDraft, VerdictDraft
from labeling.rag.answers import BAD, GOOD

CLAIMS = re.compile(r".*response_kg$")
LABELS = {"Entailment": "", "Contradiction": "evident_conflict", "Neutral": "evident_baseless"}
PERSON = "refchecker"


def is_row(row: Row) -> bool:
    return "response" in row and _field(row) is not None


def review(row: Row) -> ItemDraft:
    """The answer with its wrong claims marked where their words are found, and how many claims are supported."""
    answer, name = text(row, "response"), _field(row)
    claims = row[name] if name is not None else None
    if not isinstance(claims, list):
        raise RowRefused("the claims are missing; give a list such as claude2_response_kg")
    read = [_claim(claim, number) for number, claim in enumerate(claims, start=1)]
    wrong = [Quote(words, LABELS[label], note=f"claim: {words}") for words, label in read if LABELS[label]]
    found = placed(answer, wrong)
    counts = Counter(label for _, label in read)
    rag: dict[str, Any] = {
        "verdict": BAD if wrong else GOOD,
        "spans": found.spans,
        "failures": found.failures,
        "rationale": f"{counts['Entailment']} of {len(read)} claims are supported.",
        "unasked": ["relevance", "answers_question"],
    }
    identity = row.get("id")
    return ItemDraft(
        messages=[{"role": "user", "content": _prompt(row)}],
        responses=[ResponseDraft(answer, origin=str(row.get("model") or "")[:120])],
        source_ref=reference("refchecker", identity),
        licence=licence(row),
        extra={"claims": dict(counts), **found.extra},
        verdicts=[VerdictDraft(person=PERSON, kind="rag", rag={k: v for k, v in rag.items() if v})],
    )


def _field(row: Row) -> str | None:
    """The field that holds the claims; it is called after the model that put them."""
    return next((name for name in row if isinstance(name, str) and CLAIMS.fullmatch(name)), None)


def _claim(value: Any, number: int) -> tuple[str, str]:
    given = value if isinstance(value, dict) else {}
    triplet, label = given.get("triplet"), given.get("human_label")
    if not isinstance(triplet, list) or not all(isinstance(part, str) for part in triplet):
        raise RowRefused(f"claim {number} has no triplet of texts")
    if not isinstance(label, str) or label not in LABELS:
        raise RowRefused(f"human_label of claim {number} is {label!r}; use {', '.join(LABELS)}")
    return " ".join(" ".join(triplet).split()), label


def _prompt(row: Row) -> str:
    for name in ("prompt", "question"):
        if isinstance(row.get(name), str) and row[name].strip():
            return str(row[name])
    return f"(The question {row.get('id', '')} did not come with this answer.)"
