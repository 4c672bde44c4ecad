"""From a row of a version to the judgments, the people and the guidelines behind it."""

from dataclasses import dataclass
from typing import Any

from labeling.curation import rowfile
from labeling.curation.rows import Row
from labeling.curation.votes import REVIEW
from labeling.errors import Refused
from labeling.models import DatasetEntry, DatasetVersion, Guideline, Item, Judgment
from labeling.values import LABEL_WORDS
from labeling.wording import label_words


@dataclass(frozen=True, slots=True)
class Said:
    """One judgment behind a row, with its guidelines, and its answer in words."""

    judgment: Judgment
    words: str


@dataclass(frozen=True, slots=True)
class RowLineage:
    """A row as it was frozen, its item, and everything that people said for it."""

    row: Row
    item: Item
    said: list[Said]

    @property
    def guidelines(self) -> list[Guideline]:
        return list(dict.fromkeys(said.judgment.guideline for said in self.said if said.judgment.guideline))


def row_lineage(version: DatasetVersion, number: int) -> RowLineage:
    """Everything behind row `number` (from 0). Raises Refused where there is no such row or its file is damaged."""
    entries = DatasetEntry.objects.filter(version=version, row=number).select_related(
        "item", "judgment__person", "judgment__guideline", "judgment__project"
    )
    found = list(entries)
    if not found:
        raise Refused(f"{version} has rows 0 to {version.rows - 1:,}, and no row {number:,}.")
    try:
        row = next(rowfile.read(version.path, start=number))
    except (OSError, ValueError, StopIteration) as error:
        raise Refused(
            f"The rows of {version} cannot be read: {error}; restore them from a backup."
        ) from error
    judgments = [entry.judgment for entry in found if entry.judgment is not None]
    said = [Said(judgment, answer_words(judgment)) for judgment in judgments]
    return RowLineage(row, found[0].item, said)


def answer_words(judgment: Judgment) -> str:
    """The answer in a few words, in terms of the stored responses."""
    if judgment.kind == "pairwise":
        words = LABEL_WORDS.get(judgment.label, judgment.label)
        return f"{words} is better" if judgment.label in ("0", "1") else words
    if judgment.kind == "ranking" and judgment.label[:1].isdigit():
        return f"from best to worst: {label_words(judgment.kind, judgment.label)}"
    if judgment.kind == REVIEW:
        return _review_words(judgment.answer, judgment.label)
    return {
        "edit": "improved a response",
        "demonstration": "wrote the response",
        "rating": "rated the responses",
    }.get(judgment.kind, LABEL_WORDS.get(judgment.label, judgment.label))


def _review_words(review: dict[str, Any], label: str) -> str:
    words = f"called the answer {label}"
    if (review.get("corrected") or "").strip():
        words += ", and corrected it"
    if review.get("missed"):
        words += ", and gave the passage that should have been found"
        words += f" ({ref})" if (ref := review.get("missed_ref")) else ""
    return words
