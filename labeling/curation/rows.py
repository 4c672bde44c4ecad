"""Decided judgments and texts → the rows of a kind."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from django.db.models import TextField
from django.db.models.functions import Cast

from labeling.compiled import among
from labeling.curation.pairing import Decision
from labeling.curation.recipe import PAIRED, Recipe
from labeling.curation.votes import WRITING, Vote
from labeling.models import Item, Judgment, Response
from labeling.values import BOTH_BAD, TIE

Row = dict[str, Any]
Message = dict[str, str]
CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
NOTHING: dict[int, str] = {}
EDITED = {"chosen": 1, "rejected": 0, TIE: 0, BOTH_BAD: 0}


class Source(NamedTuple):
    """What the rows of an item are made of: its payload, and what was written, by judgment."""

    prompt: list[Message]
    texts: Sequence[str]
    written: Mapping[int, str]


@dataclass(slots=True)
class Decided:
    """One item, its votes, and what they decide."""

    item_id: int
    votes: list[Vote]
    pairs: list[Decision]


@dataclass(slots=True)
class Made:
    """A row, the judgments behind it, its item, and its prompt where the row itself does not tell it apart."""

    row: Row
    votes: list[Vote]
    item_id: int = 0
    prompt: Sequence[Message] = ()

    @property
    def prompt_text(self) -> str:
        return prompt_text(self.row.get("prompt", self.prompt))


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
    return orjson.dumps([row.get("prompt"), texts_of(row), row.get("label")])


def texts_of(row: Row) -> list[str]:
    """The texts that a person or a model wrote in answer, of whatever kind the row is."""
    if "chosen" in row:
        return [row["chosen"], row["rejected"]]
    return [row[name] for name in ("completion", "text") if name in row]


def prompt_text(prompt: Sequence[Message]) -> str:
    return "\n".join(message["content"] for message in prompt)


def read_sources(found: Sequence[Decided]) -> dict[int, Source]:
    """The payload of these items, and of their judgments what people wrote."""
    items = list({item.item_id for item in found})
    judgments = [vote.judgment_id for item in found for vote in item.votes if vote.kind in WRITING]
    texts: dict[int, list[str]] = {}
    rows = among(Response.objects.order_by("item_id", "position"), "labeling_response.item_id", items)
    for item_id, text in rows.values_list("item_id", "text").iterator():
        if item_id in texts:
            texts[item_id].append(text)
        else:
            texts[item_id] = [text]
    written: dict[int, dict[int, str]] = {}
    answers = Judgment.objects.filter(pk__in=judgments) if judgments else Judgment.objects.none()
    for item_id, judgment, answer in answers.values_list("item_id", "pk", "answer"):
        written.setdefault(item_id, {})[judgment] = answer["text"]
    prompts = among(Item.objects.order_by(), "labeling_item.id", items)
    whole = Cast("messages", TextField())  # read as text, a quarter of the time of the field's own reading
    return {
        item_id: Source(orjson.loads(messages), texts.get(item_id, ()), written.get(item_id, NOTHING))
        for item_id, messages in prompts.values_list("pk", whole).iterator()
    }


def _pairs(item: Decided, source: Source, recipe: Recipe) -> Iterator[Made | str]:
    compared = _compared(item)
    for vote in item.votes if len(compared) < len(item.votes) else ():
        if vote.kind == "edit":
            row = _pair(
                source, source.written[vote.judgment_id], source.texts[int(vote.label)], EDITED, 1.0, 1.0
            )
            yield _with_margin(row, recipe, None, [vote])
    for pair in item.pairs:
        chosen, rejected = source.texts[pair.chosen], source.texts[pair.rejected]
        if pair.outcome == "better":
            row = _pair(source, chosen, rejected, pair.votes, pair.soft_label, pair.confidence)
            yield _with_margin(row, recipe, pair.margin, compared)
        elif pair.outcome == TIE and recipe.ties == "both":
            for one, two in ((chosen, rejected), (rejected, chosen)):
                yield Made(_pair(source, one, two, pair.votes, 0.5, pair.confidence), compared)
        else:
            yield pair.outcome


def _pair(
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


def _with_margin(row: Row, recipe: Recipe, margin: float | None, votes: list[Vote]) -> Made | str:
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
            yield _completion(source, source.written[vote.judgment_id], origin, 1.0, recipe, [vote])
    if compared := _compared(item):
        lost = {pair.rejected for pair in item.pairs if pair.outcome == "better"}
        won = {pair.chosen for pair in item.pairs if pair.outcome == "better"} - lost
        equal = {side for pair in item.pairs if pair.outcome == TIE for side in (pair.chosen, pair.rejected)}
        if len(won - equal) == 1:
            (best,) = won - equal
            sure = min(
                pair.confidence for pair in item.pairs if pair.outcome == "better" and pair.chosen == best
            )
            yield _completion(source, source.texts[best], "best", sure, recipe, compared)
        elif item.pairs:
            outcomes = {pair.outcome for pair in item.pairs}
            yield outcomes.pop() if len(outcomes) == 1 and "better" not in outcomes else "no_best"


def _completion(
    source: Source, text: str, origin: str, confidence: float, recipe: Recipe, votes: list[Vote]
) -> Made:
    known = {"origin": origin, "confidence": confidence}
    if recipe.kind == "text":
        whole = "\n\n".join([*(message["content"] for message in source.prompt), text])
        return Made({"text": whole, **known}, votes, prompt=source.prompt)
    return Made({"prompt": source.prompt, "completion": text, **known}, votes)


def _single(item: Decided, source: Source, recipe: Recipe) -> Iterator[Made | str]:
    """Each response once: good where it wins more than it loses, and what people wrote; its opposite otherwise."""
    for vote in item.votes:
        if vote.kind in WRITING:
            yield Made(_labelled(source, source.written[vote.judgment_id], 1.0, good=True), [vote])
        if vote.kind == "edit":
            yield Made(_labelled(source, source.texts[int(vote.label)], 1.0, good=False), [vote])
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
            yield Made(_labelled(source, source.texts[position], sure[position], good=good), compared)
        else:
            yield "undecided"


def _labelled(source: Source, text: str, confidence: float, *, good: bool) -> Row:
    return {"prompt": source.prompt, "completion": text, "label": good, "confidence": confidence}
