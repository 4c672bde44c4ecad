"""Rows of PandaLM's test set: an instruction, two models' responses, and what each annotator said of them."""

from dataclasses import replace

from labeling.errors import RowRefused
from labeling.importing.fields import Row, licence, optional, reference, text
from labeling.intake import ItemDraft, ResponseDraft, VerdictDraft
from labeling.values import TIE

VOTES = {0: TIE, 1: "0", 2: "1"}
ANNOTATORS = ("annotator1", "annotator2", "annotator3")


def is_comparison(row: Row) -> bool:
    return "instruction" in row and "response1" in row and "response2" in row


def has_votes(row: Row) -> bool:
    return is_comparison(row) and any(name in row for name in ANNOTATORS)


def comparison(row: Row) -> ItemDraft:
    """The pair alone, to be judged here."""
    instruction, context = text(row, "instruction"), text({**row, "input": row.get("input") or ""}, "input")
    origins = [*optional(row, "cmp_key").split("_"), "", ""][:2]
    return ItemDraft(
        messages=[{"role": "user", "content": f"{instruction}\n\n{context}".strip()}],
        responses=[
            ResponseDraft(text(row, name), origin=origin)
            for name, origin in zip(("response1", "response2"), origins, strict=True)
        ],
        source_ref=reference("pandalm", row.get("idx")),
        licence=licence(row),
    )


def voted(row: Row) -> ItemDraft:
    """The pair with the votes of PandaLM's annotators."""
    verdicts = [
        VerdictDraft(person=f"pandalm-{name}", kind="pairwise", label=_vote(row[name], name))
        for name in ANNOTATORS
        if row.get(name) is not None
    ]
    return replace(comparison(row), verdicts=verdicts)


def _vote(value: object, name: str) -> str:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if not isinstance(number, int) or number not in VOTES:
        raise RowRefused(f"{name} is {value!r}; it must be 0 for a tie, or 1 or 2 for the better response")
    return VOTES[number]
