"""Answers of several models to one prompt → items, in groups that the project's kind of task takes."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from evaluation.prompts import Prompt
from labeling.errors import Refused, RowRefused
from labeling.importing.checks import MAX_RESPONSES, MIN_RESPONSES, finished
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft
from labeling.models import Task

ONCE, EVERY, TOGETHER, ALONE = "once", "every", "together", "alone"
GROUPINGS = {
    ONCE: "Pairs, each answer in one of them",
    EVERY: "Every pair of answers to a prompt",
    TOGETHER: "All answers to a prompt together",
    ALONE: "Each answer by itself",
}
ORIGIN_LENGTH, SOURCE_KIND = 120, "generated"


@dataclass(frozen=True, slots=True)
class Made:
    """One answer: its text, who gave it (the number of the target), and how, in words that a program can read."""

    text: str
    target: int
    origin: str


@dataclass(slots=True)
class Tally:
    """What became of the answers. `dropped` prompts had too few different ones; `reasons` says of refused items why."""

    answers: int = 0
    empty: int = 0
    same: int = 0
    cut: int = 0
    dropped: int = 0
    drafts: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def groupings_of(task: str) -> list[str]:
    """How answers may be grouped for a kind of task, the usual way first."""
    if task == Task.RAG:
        return [ALONE]
    if task == Task.PAIRWISE:
        return [ONCE, EVERY]
    return [TOGETHER, ONCE, EVERY] if MIN_RESPONSES[task] == 2 else [TOGETHER]


def check_grouping(*, task: str, grouping: str, answers: int) -> None:
    """Raises Refused where so many answers to a prompt cannot be grouped like that."""
    allowed = groupings_of(task)
    if grouping not in allowed:
        raise Refused(
            f"Items of this project are grouped as {' or '.join(allowed)}, not as {grouping[:40]!r}."
        )
    least = least_of(task, grouping)
    if answers < least:
        raise Refused(
            f"Each prompt would get {answers} answer; an item needs {least} different ones. Ask for more samples, "
            "another temperature or another model."
        )
    if grouping == TOGETHER and answers > MAX_RESPONSES:
        raise Refused(
            f"Each prompt would get {answers} answers; an item has up to {MAX_RESPONSES}. Ask for fewer."
        )


def least_of(task: str, grouping: str) -> int:
    """How many different answers a prompt needs."""
    return max(1, MIN_RESPONSES[task]) if grouping in (TOGETHER, ALONE) else 2


def items_of(answers: int, grouping: str) -> int:
    """How many items so many different answers to one prompt give."""
    return {ONCE: answers // 2, EVERY: answers * (answers - 1) // 2, TOGETHER: 1, ALONE: answers}[grouping]


def drafts_of(
    prompt: Prompt, answers: Sequence[Made], *, task: str, grouping: str, source: str, tally: Tally
) -> list[ItemDraft]:
    """The items of one prompt. Answers of the same text are one, named after the first that gave it. A function of
    nothing but what is given, so that storing the items again changes nothing."""
    different = _different(answers, tally)
    if len(different) < least_of(task, grouping):
        tally.dropped += 1
        return []
    found = []
    for group in _groups(different, grouping):
        draft = ItemDraft(
            messages=prompt.messages,
            responses=[ResponseDraft(made.text, made.origin) for made in group],
            source_ref=source,
            licence=prompt.licence,
            synthetic=True,
            extra={"prompt_from": prompt.source},
            contexts=[ContextDraft(**each) for each in prompt.contexts],
        )
        try:
            found.append(finished(draft, task=task))
        except RowRefused as refusal:
            tally.reasons[refusal.sentence] = tally.reasons.get(refusal.sentence, 0) + 1
    tally.drafts += len(found)
    return found


def origin_of(name: str, content_hash: str, **sampling: float) -> str:
    """Who gave an answer and how, as in "dpo-3#1a2b3c4d;t=0.7;p=1;k=0;n=256;s=1"."""
    how = "".join(
        f";{key}={value if isinstance(value, int) else f'{value:g}'}" for key, value in sampling.items()
    )
    return f"{name[: ORIGIN_LENGTH - 9 - len(how)]}#{content_hash[:8]}{how}"


def _different(answers: Sequence[Made], tally: Tally) -> list[Made]:
    found: dict[str, Made] = {}
    for made in answers:
        text = made.text.strip()
        tally.answers += 1
        tally.empty += not text
        tally.same += text in found
        if text:
            found.setdefault(text, made)
    return list(found.values())


def _groups(answers: list[Made], grouping: str) -> Iterator[Sequence[Made]]:
    """Pairs that use each answer once are of two models wherever that is possible: the list is sorted by model, and its
    first half meets its second one. Which of several samples meet is drawn by their texts."""
    if grouping == TOGETHER:
        yield answers
    elif grouping == ALONE:
        yield from ([made] for made in answers)
    elif grouping == EVERY:
        yield from combinations(answers, 2)
    else:
        drawn = sorted(answers, key=lambda made: (made.target, hashlib.sha256(made.text.encode()).digest()))
        half = len(drawn) // 2
        yield from zip(drawn[:half], drawn[-half:], strict=True)
