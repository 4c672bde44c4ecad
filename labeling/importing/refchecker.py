"""Rows of RefChecker: an answer cut into claims of subject, relation and object: supported, contradicted or neither.

Claims are put by a model, not quoted: few stand in the answer word by word. Those that do become spans.
"""

from collections import Counter
from typing import Any

from labeling.errors import RowRefused
from labeling.importing.fields import Row, licence, optional, reference, text
from labeling.importing.quotes import Quote, placed
from labeling.intake import ItemDraft, ResponseDraft

CLAIMS = "response_kg"
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
    supported = f"{counts['Entailment']} of {len(read)} claims are supported."
    return ItemDraft(
        messages=[{"role": "user", "content": _prompt(row)}],
        responses=[ResponseDraft(answer, origin=optional(row, "model"))],
        source_ref=reference("refchecker", row.get("id")),
        licence=licence(row),
        extra={"claims": dict(counts), **found.extra},
        verdicts=[found.review(person=PERSON, good=not wrong, rationale=supported)],
    )


def _field(row: Row) -> str | None:
    """The field that holds the claims; it is called after the model that put them."""
    return next((name for name in row if isinstance(name, str) and name.endswith(CLAIMS)), None)


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
