"""Decided judgments and texts → the rows of a kind."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from labeling.curation.pairing import Decision
from labeling.curation.payload import Message, Source
from labeling.curation.recipe import PAIRED, Recipe
from labeling.curation.reviews import Verdict
from labeling.curation.votes import WRITING, Vote
from labeling.rag.prompting import question_of
from labeling.values import BOTH_BAD, TIE

Row = dict[str, Any]
CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
EDITED = {"chosen": 1, "rejected": 0, TIE: 0, BOTH_BAD: 0}


@dataclass(slots=True)
class Decided:
    """One item, its votes, and what they decide: of pairs of responses, or of the one answer that was reviewed."""

    item_id: int
    votes: list[Vote]
    pairs: list[Decision]
    verdict: Verdict | None = None


@dataclass(slots=True)
class Made:
    """A row, the judgments behind it, its item, and what was asked: its prompt without what was retrieved for it."""

    row: Row
    votes: list[Vote]
    item_id: int = 0
    asked: Sequence[Message] = ()

    @property
    def asked_text(self) -> str:
        """What is compared with the prompts of evaluation: the question, whose chunks other prompts may hold too."""
        return prompt_text(question_of(self.asked or self.row.get("prompt", ())))


def rows_of(item: Decided, source: Source, recipe: Recipe) -> Iterator[Made | str]:
    """The rows of an item without their split, or the reason why a part of it gives none."""
    kind = recipe.kind
    if kind in PAIRED:
        return _pairs(item, source, recipe)
    if kind == "unpaired":
        return _single(item, source, recipe)
    if kind == "prompts":
        return iter([Made({"prompt": source.prompt}, item.votes)])
    return _completions(item, source, recipe)


def canonical(row: Row) -> bytes:
    """The row as a line that its hash is over."""
    return orjson.dumps(row, option=CANONICAL)


def key_of(row: Row) -> str:
    """An order of rows, and their identity, that depends on nothing but their texts."""
    return hashlib.sha256(canonical(row)).hexdigest()


def identity(row: Row) -> bytes:
    """What makes two rows the same to a trainer: prompt, texts and label."""
    if "query" in row:
        return orjson.dumps([row["query"], row["positives"], row["negatives"]])
    return orjson.dumps([row.get("prompt"), texts_of(row), row.get("label")])


def texts_of(row: Row) -> list[str]:
    """The texts that a person or a model wrote in answer, of whatever kind the row is; a retriever's are its chunks."""
    if "chosen" in row:
        return [row["chosen"], row["rejected"]]
    if "query" in row:
        return [*row["positives"], *row["negatives"]]
    return [row[name] for name in ("completion", "text") if name in row]


def read_first(row: Row) -> str:
    """What a trainer reads before the texts: the whole prompt, or the query of a retriever."""
    query: str | None = row.get("query")
    return prompt_text(row.get("prompt", ())) if query is None else query


def prompt_text(prompt: Sequence[Message]) -> str:
    return "\n".join(message["content"] for message in prompt)


def _pairs(item: Decided, source: Source, recipe: Recipe) -> Iterator[Made | str]:
    compared = _compared(item)
    for vote in item.votes if len(compared) < len(item.votes) else ():
        if vote.kind == "edit":
            row = pair_row(
                source, source.written[vote.judgment_id], source.texts[int(vote.label)], EDITED, 1.0, 1.0
            )
            yield with_margin(row, recipe, None, [vote])
    for pair in item.pairs:
        chosen, rejected = source.texts[pair.chosen], source.texts[pair.rejected]
        if pair.outcome == "better":
            row = pair_row(source, chosen, rejected, pair.votes, pair.soft_label, pair.confidence)
            yield with_margin(row, recipe, pair.margin, compared)
        elif pair.outcome == TIE and recipe.ties == "both":
            for one, two in ((chosen, rejected), (rejected, chosen)):
                yield Made(pair_row(source, one, two, pair.votes, 0.5, pair.confidence), compared)
        else:
            yield pair.outcome


def pair_row(
    source: Source, chosen: str, rejected: str, votes: dict[str, int], soft_label: float, confidence: float
) -> Row:
    return {
        "prompt": source.prompt,
        "chosen": chosen,
        "rejected": rejected,
        "soft_label": soft_label,
        "confidence": confidence,
        "votes": votes,
    }


def with_margin(row: Row, recipe: Recipe, margin: float | None, votes: list[Vote]) -> Made | str:
    if recipe.kind == "preference":
        return Made(row, votes)
    return "no_strength" if margin is None else Made({**row, "margin": margin}, votes)


def _compared(item: Decided) -> list[Vote]:
    if len(item.votes) == 1 and item.votes[0].kind not in WRITING:
        return item.votes
    return [vote for vote in item.votes if vote.kind not in WRITING]


def _completions(item: Decided, source: Source, recipe: Recipe) -> Iterator[Made | str]:
    """What people wrote, and the response that is better than every other one."""
    for vote in item.votes:
        if vote.kind in WRITING:
            origin = "demonstration" if vote.kind == "demonstration" else "edit"
            yield completion_row(source, source.written[vote.judgment_id], origin, 1.0, recipe, [vote])
    if compared := _compared(item):
        lost = {pair.rejected for pair in item.pairs if pair.outcome == "better"}
        won = {pair.chosen for pair in item.pairs if pair.outcome == "better"} - lost
        equal = {side for pair in item.pairs if pair.outcome == TIE for side in (pair.chosen, pair.rejected)}
        if len(won - equal) == 1:
            (best,) = won - equal
            sure = min(
                pair.confidence for pair in item.pairs if pair.outcome == "better" and pair.chosen == best
            )
            yield completion_row(source, source.texts[best], "best", sure, recipe, compared)
        elif item.pairs:
            outcomes = {pair.outcome for pair in item.pairs}
            yield outcomes.pop() if len(outcomes) == 1 and "better" not in outcomes else "no_best"


def completion_row(
    source: Source, text: str, origin: str, confidence: float, recipe: Recipe, votes: list[Vote]
) -> Made:
    known = {"origin": origin, "confidence": confidence}
    if recipe.kind == "text":
        whole = "\n\n".join([*(message["content"] for message in source.prompt), text])
        return Made({"text": whole, **known}, votes)
    return Made({"prompt": source.prompt, "completion": text, **known}, votes)


def _single(item: Decided, source: Source, recipe: Recipe) -> Iterator[Made | str]:
    """Each response once: good where it wins more than it loses, and what people wrote; its opposite otherwise."""
    for vote in item.votes:
        if vote.kind in WRITING:
            yield Made(labelled(source, source.written[vote.judgment_id], 1.0, good=True), [vote])
        if vote.kind == "edit":
            yield Made(labelled(source, source.texts[int(vote.label)], 1.0, good=False), [vote])
    score: Counter[int] = Counter()
    sure: dict[int, float] = {}  # of each response the least sure pair that it is in
    for pair in item.pairs:
        sides: tuple[int, ...] = (pair.chosen, pair.rejected)
        if pair.outcome == "better":
            score[pair.chosen] += 1
            score[pair.rejected] -= 1
        elif pair.outcome == TIE and recipe.ties == "unpaired":
            score.update(sides)
        elif pair.outcome == BOTH_BAD and recipe.both_bad == "unpaired":
            sides = tuple(range(len(source.texts)))
            score.subtract(sides)
        else:
            yield pair.outcome
            continue
        sure |= {side: min(sure.get(side, 1.0), pair.confidence) for side in sides}
    compared = _compared(item)
    for position in sorted(sure):
        if score[position]:
            good = score[position] > 0
            yield Made(labelled(source, source.texts[position], sure[position], good=good), compared)
        else:
            yield "undecided"


def labelled(source: Source, text: str, confidence: float, *, good: bool) -> Row:
    return {"prompt": source.prompt, "completion": text, "label": good, "confidence": confidence}
