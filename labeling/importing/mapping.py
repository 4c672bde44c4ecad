"""Rows of the formats that people have → item drafts. A row that does not fit is refused with the reason."""

from collections.abc import Callable
from typing import Any

from labeling.errors import RowRefused
from labeling.importing import (
    argilla,
    canonical,
    columns,
    haluquestqa,
    inspector,
    label_studio,
    oasst,
    pandalm,
    ragtruth,
    refchecker,
    transcripts,
    trl,
)
from labeling.importing.checks import MIN_RESPONSES, finished
from labeling.intake import ItemDraft
from labeling.pii import scrub_draft

__all__ = ["FORMATS", "MIN_RESPONSES", "recognise", "to_draft", "to_drafts"]

Row = dict[str, Any]

FORMATS = {
    "auto": "Recognise by the fields of each row",
    "items": "Prefloop items (prompt or messages, responses, verdicts)",
    "trl": "TRL and ShareGPT rows (preference, completion, with label, prompt only, dialogue)",
    "hh": "HH transcripts (chosen and rejected dialogues)",
    "pandalm": "PandaLM pairs (instruction, input, response1, response2), without their votes",
    "pandalm-votes": "PandaLM pairs with the votes of their annotators",
    "columns": "Spreadsheet rows (prompt, response_1, response_2, …)",
    "argilla": "Argilla records, version 1 and 2",
    "label-studio": "Label Studio tasks (JSON and JSON-MIN)",
    "oasst": "Open-Assistant message trees, or their messages one a row",
    "inspector": "InspectorRAGet reports, such as MTRAG (tasks, documents, rated answers)",
    "haluquestqa": "HaluQuestQA (two answers, error spans with reasons)",
    "ragtruth": "RAGTruth responses with error spans, with or without their source_info",
    "refchecker": "RefChecker answers with labelled claims",
}
ALLOWED = (
    "give prompt with responses, prompt with chosen and rejected, prompt with response_1 and response_2, "
    "instruction with response1 and response2, or a row of Argilla, Label Studio, Open-Assistant, HaluQuestQA, "
    "RAGTruth or RefChecker"
)
ONE: dict[str, Callable[[Row], ItemDraft]] = {
    "items": canonical.item,
    "trl": trl.any_type,
    "hh": transcripts.pair,
    "pandalm": pandalm.comparison,
    "pandalm-votes": pandalm.voted,
    "columns": columns.table,
    "argilla": argilla.record,
    "label-studio": label_studio.task,
    "inspector": inspector.review,
    "ragtruth": ragtruth.review,
    "refchecker": refchecker.review,
}
ANSWERED, UNANSWERED = ("completion", "messages", "conversations"), ("prompt", "text")


def to_draft(row: Any, *, format: str = "auto", task: str = "pairwise", scrub: bool = False) -> ItemDraft:
    """Turn one parsed row into its draft. Raises RowRefused with what is missing and what is allowed."""
    drafts = to_drafts(row, format=format, task=task, scrub=scrub)
    if len(drafts) != 1:
        raise RowRefused(f"the row holds {len(drafts)} items where one is wanted; import it as a file")
    return drafts[0]


def to_drafts(
    row: Any, *, format: str = "auto", task: str = "pairwise", scrub: bool = False
) -> list[ItemDraft]:
    """Turn one parsed row into drafts for a project with this task: one, or for a message tree one a prompt.

    `scrub` replaces personal data in all texts.

    Prompts of a tree that have too few or too many responses for the task are left out. Raises RowRefused with what
    is missing and what is allowed, also where nothing is left.
    """
    if not isinstance(row, dict):
        raise RowRefused(f"the row is a {type(row).__name__}; each row must be a JSON object")
    name = recognise(row, task=task) if format == "auto" else format
    if name == "oasst":
        return _tree(row, task, scrub)
    if name == "haluquestqa":
        drafts = haluquestqa.reviews(row) if task == "rag" else [haluquestqa.pair(row)]
        return [_finished(draft, task, scrub) for draft in drafts]
    return [_finished(ONE[name](row), task, scrub)]


def _finished(draft: ItemDraft, task: str, scrub: bool) -> ItemDraft:
    return finished(scrub_draft(draft) if scrub else draft, task=task)


def _tree(row: Row, task: str, scrub: bool) -> list[ItemDraft]:
    drafts, refusal = [], RowRefused("the tree has no assistant reply; there is nothing to judge")
    for draft in oasst.items(row):
        try:
            drafts.append(_finished(draft, task, scrub))
        except RowRefused as reason:
            refusal = reason
    if not drafts:
        raise RowRefused(f"no prompt of the tree can be judged: {refusal.sentence}")
    return drafts


def recognise(row: Row, *, task: str = "pairwise") -> str:
    """The format of a row, told from its fields. Raises RowRefused with the fields seen and what is allowed."""
    for name, fits in RULES:
        if fits(row):
            return name
    least = MIN_RESPONSES[task]
    if any(name in row for name in ANSWERED):
        return "trl"
    if columns.fits(row, least=max(1, least)):
        return "columns"
    if least < 2 and any(name in row for name in UNANSWERED):
        return "trl"
    if least == 0 and columns.fits(row, least=0):
        return "columns"
    fields = ", ".join(sorted(map(str, row)))[:200] or "none"
    raise RowRefused(f"the fields ({fields}) fit no known format; {ALLOWED}")


def _hh(row: Row) -> bool:
    return "prompt" not in row and transcripts.is_transcript(row.get("chosen"))


RULES: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("inspector", inspector.is_row),
    ("haluquestqa", haluquestqa.is_row),
    ("ragtruth", ragtruth.is_response),
    ("refchecker", refchecker.is_row),
    ("oasst", oasst.is_tree),
    ("label-studio", label_studio.is_task),
    ("argilla", argilla.is_record),
    ("items", lambda row: "responses" in row),
    ("pandalm-votes", pandalm.has_votes),
    ("pandalm", pandalm.is_comparison),
    ("hh", _hh),
    ("trl", lambda row: "chosen" in row or "rejected" in row),
    ("columns", columns.fits),
)
