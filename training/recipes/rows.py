"""Rows of text → rows of tokens, with what is learned marked, and every row that is lost or cut counted.

One way of making tokens for every method; the report before launch and the trainers see the same ones. A prompt and
its answer are rendered together by the chat template; the answer begins where the tokens of the prompt alone end. Plain
text is tokenised as it is, with an end-of-sequence token behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.recipes import contract
from training.specs import ROLLOUTS, RewardSpec, RolloutSpec, SftSpec, SpecRefused, TrainSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = dict[str, Any]
ANSWERS = {
    "sft": ("completion",),
    "reward": ("chosen", "rejected"),
    "dpo": ("chosen", "rejected"),
    "kto": ("completion",),
} | dict.fromkeys(ROLLOUTS, ())
EXTRA = {"reward": ("margin",), "kto": ("label",)}
SEQUENCES = ("text", "completion", "chosen", "rejected", "query")  # what a row can hold in tokens


@dataclass
class Encoded:
    """Rows in tokens, and what became of those that came in.

    `rows` hold {"ids": list[int], "start": int} for each answer under its name: the tokens of prompt and answer, and
    where the answer begins; plain text is one answer "text" that begins at 0, a prompt without an answer one "query" of
    which nothing is learned. `lengths` has the tokens of the longest answer of every row that came in, in their order.
    """

    rows: list[Row] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    dropped: int = 0
    cut: int = 0
    split: int = 0
    doubled_start: int = 0  # rendered conversations that begin twice
    mended_start: int = 0  # plain texts that began twice, and do not any more
    added_end: int = 0
    diverging: int = 0
    repeated: int = 0  # prompts that were there already

    @property
    def counts(self) -> dict[str, int]:
        """Rows that are trained on, dropped, cut and split."""
        return {"rows": len(self.rows), "dropped": self.dropped, "truncated": self.cut, "split": self.split}


class Encoder:
    """Makes tokens of the rows of one method."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: set[int], spec: TrainSpec) -> None:
        self.tokenizer, self.ends, self.spec = tokenizer, ends, spec
        self.answers = ANSWERS[spec.method]

    def encode(self, rows: Iterable[Row]) -> Encoded:
        """Encode rows in their order. Raises `RecipeFailed` when none is left."""
        made, count = Encoded(), 0
        self._seen: set[tuple[int, ...]] = set()
        for row in rows:
            count += 1
            if "text" in row:
                self._text(row, made)
            elif not self.answers:
                self._query(row, made)
            else:
                self._answers(row, made)
        if not made.rows:
            room = (
                f"leaves room for response_length {self.spec.response_length} within"
                if isinstance(self.spec, RolloutSpec)
                else "fits"
            )
            raise contract.RecipeFailed(
                f"none of the {count} rows {room} max_length {self.spec.max_length}; raise max_length or add rows"
            )
        return made

    def _answers(self, row: Row, made: Encoded) -> None:
        prompt = self.render(row["prompt"], add_generation_prompt=True)
        wholes = [self.render(row["prompt"] + row[name]) for name in self.answers]
        start = min(common_prefix(prompt, whole) for whole in wholes)
        made.diverging += start < len(prompt)
        sequences = [self._ended(whole, start, made) for whole in wholes]
        longest = max(len(ids) for ids in sequences)
        made.lengths.append(longest)
        limit = self.spec.max_length
        if longest > limit:
            if self.spec.overlong == "split":
                raise SpecRefused(
                    "overlong was given as 'split' and these rows are conversations, of which one part says nothing "
                    "without the other; choose drop or cut"
                )
            if self.spec.overlong == "drop" or start >= limit:
                made.dropped += 1
                return
            made.cut += 1
        kept: Row = {name: row[name] for name in EXTRA.get(self.spec.method, ()) if name in row}
        for name, ids in zip(self.answers, sequences, strict=True):
            kept[name] = {"ids": ids[:limit], "start": start}
        kept["prompt"] = row["prompt"]
        made.rows.append(kept)

    def _query(self, row: Row, made: Encoded) -> None:
        """A prompt that the model will answer itself: it must leave room for the answer, and counts once."""
        ids = self.render(row["prompt"], add_generation_prompt=True)
        if tuple(ids) in self._seen:
            made.repeated += 1
            return
        self._seen.add(tuple(ids))
        begin = self.tokenizer.bos_token_id
        made.doubled_start += begin is not None and ids[:2] == [begin, begin]
        made.lengths.append(len(ids))
        if len(ids) > self.spec.room:
            made.dropped += 1
            return
        made.rows.append({"query": {"ids": ids, "start": len(ids)}, "prompt": row["prompt"]})

    def _ended(self, ids: list[int], start: int, made: Encoded) -> list[int]:
        """A template that never writes the end of a turn gets it, or the model would never learn to stop."""
        begin = self.tokenizer.bos_token_id
        if begin is not None and ids[:2] == [begin, begin]:
            made.doubled_start += 1
        if not any(token in self.ends for token in ids[start:]):
            made.added_end += 1
            return [*ids, self.tokenizer.eos_token_id]
        return ids

    def _text(self, row: Row, made: Encoded) -> None:
        ids = list(self.tokenizer(row["text"])["input_ids"])
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        if begin is not None and ids[:2] == [begin, begin]:
            made.mended_start += 1
            ids = ids[1:]
        if not ids or ids[-1] != end:
            ids.append(end)
        made.lengths.append(len(ids))
        limit = self.spec.max_length
        if len(ids) > limit:
            if self.spec.overlong == "drop":
                made.dropped += 1
                return
            made.cut += self.spec.overlong == "cut"
            made.split += self.spec.overlong == "split"
        stop = len(ids) if self.spec.overlong == "split" else min(len(ids), limit)
        for at in range(0, stop, limit):
            piece = ids[at : at + limit]
            if len(piece) > 1:  # a single token predicts nothing
                made.rows.append({"text": {"ids": piece, "start": 0}})

    def render(self, messages: list[Row], **options: Any) -> list[int]:
        """Return the token ids of rendered messages; the template itself writes the special tokens."""
        if not self.tokenizer.chat_template:
            raise SpecRefused(
                "the base model has no chat template and these rows are conversations; "
                "choose an instruction-tuned base model, add a template, or train on plain text"
            )
        rendered = self.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
        return list(rendered["input_ids"])


def common_prefix(first: list[int], second: list[int]) -> int:
    """Return how many tokens two sequences share from their start."""
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))


def read_rows(path: Path, spec: TrainSpec) -> list[Row]:
    """Read JSONL rows of the method's columns. Raises `RecipeFailed` with the line that is wrong."""
    if not path.exists():
        raise contract.RecipeFailed(f"{path} does not exist; write the dataset there before starting the run")
    answers, extra, rows = ANSWERS[spec.method], EXTRA.get(spec.method, ()), []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            row = json.loads(line)
            if isinstance(spec, SftSpec) and isinstance(row.get("text"), str):
                rows.append({"text": row["text"]})
                continue
            for name in ("prompt", *answers):
                if not isinstance(row.get(name), list) or not row[name]:
                    raise contract.RecipeFailed(
                        f"{path.name} line {number} has no {name}; it must be a list of messages"
                    )
            if spec.method == "kto" and not isinstance(row.get("label"), bool):
                raise contract.RecipeFailed(
                    f"{path.name} line {number} has no label; it must be true or false"
                )
            rows.append({name: row[name] for name in ("prompt", *answers, *extra) if name in row})
    if len({"text" in row for row in rows}) > 1:
        raise contract.RecipeFailed(f"{path.name} mixes plain texts and conversations; give one kind")
    return rows


def supervised_from(row: Row, name: str, spec: TrainSpec) -> int:
    """Return the first token of an answer that is learned; the very first of a sequence is never predicted."""
    whole = isinstance(spec, SftSpec) and spec.loss_on == "everything"
    return 0 if whole else int(row[name]["start"])


def columns(encoded: Encoded, spec: TrainSpec) -> list[Row]:
    """Return rows in the columns of TRL 1.16's trainers, tokens made already.

    sft: input_ids, labels (-100 where nothing is learned); reward: chosen_ids, rejected_ids, margin; dpo: prompt_ids,
    chosen_ids, rejected_ids; kto: prompt_ids, completion_ids, label.
    """
    return [_columns(row, spec) for row in encoded.rows]


def _columns(row: Row, spec: TrainSpec) -> Row:
    names = [name for name in ("text", "completion", "chosen", "rejected") if name in row]
    if spec.method == "sft":
        (name,) = names
        ids, start = row[name]["ids"], supervised_from(row, name, spec)
        return {"input_ids": ids, "labels": [-100] * start + ids[start:]}
    if spec.method == "reward":
        given: Row = {f"{name}_ids": row[name]["ids"] for name in names}
        if isinstance(spec, RewardSpec) and spec.use_margin:
            given["margin"] = float(row.get("margin") or 0.0)
        return given
    start = row[names[0]]["start"]
    made: Row = {"prompt_ids": row[names[0]]["ids"][:start]}
    made |= {f"{name}_ids": row[name]["ids"][start:] for name in names}
    if spec.method == "kto":
        made["label"] = row["label"]
    return made
