"""Reward models: loaded as they were trained, and asked for the score of a whole conversation."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel

from training.recipes import adapting, contract, keeping
from training.recipes.answering.ledger import Answer, Wanted
from training.recipes.answering.tokens import Row, Texts, rendered, texts
from training.specs import AnswerJob, Asked, RewardSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class Judge:
    """A reward model. `get_ready` is called with all rows before the first is asked."""

    net: PreTrainedModel | PeftModel
    texts: Texts

    def row(self, wanted: Wanted) -> Row:
        """A conversation as the reward model learned to read it: whole, with what ends its last turn.

        Above the limit it loses its start.
        """
        turn = {"role": "assistant", "content": wanted.completion}
        ids = rendered(self.texts.tokenizer, [*wanted.messages, turn])
        start = len(rendered(self.texts.tokenizer, wanted.messages, add_generation_prompt=True))
        if not any(token in self.texts.ends for token in ids[start:]):
            ids.append(self.texts.ends[0])
        cut = ids[-self.texts.limit :]
        return Row(wanted, cut, max(1, min(len(ids) - start, len(cut))), len(cut) < len(ids))

    def get_ready(self, rows: Sequence[Row]) -> None:
        """Choose a padding token that no row contains: the score is read at the last token that is not padding."""
        used = {token for row in rows for token in row.ids}
        adapting.padding(self.texts.tokenizer, RewardSpec(), used)
        self.net.config.pad_token_id = self.texts.tokenizer.pad_token_id
        base = self.net.get_base_model() if isinstance(self.net, PeftModel) else self.net
        base.config.pad_token_id = self.texts.tokenizer.pad_token_id

    def rewards(self, batch: list[Row]) -> list[Answer]:
        """The score of each conversation. Raises `FloatingPointError`."""
        width, pad = max(len(row.ids) for row in batch), self.texts.tokenizer.pad_token_id
        ids = [row.ids + [pad] * (width - len(row.ids)) for row in batch]
        mask = [[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in batch]
        inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        scores = keeping.logits(self.net, inputs)[:, 0].tolist()
        if not all(math.isfinite(score) for score in scores):
            raise FloatingPointError
        return [
            row.wanted.answer(reward=score, tokens=row.tokens, truncated=row.truncated, **row.facts)
            for row, score in zip(batch, scores, strict=True)
        ]


def load(job: AnswerJob, target: Asked) -> Judge:
    """Load a reward model: an adapter with its head on the base, or a model of its own. Raises `RecipeFailed`."""
    refusal = contract.RecipeFailed(
        f"{target.id} is not a reward model; choose a checkpoint that the reward method trained"
    )
    if target.adapter is None:
        if target.model is None:
            raise refusal
        config = json.loads((Path(target.model) / "config.json").read_text())
        if not any(
            str(kind).endswith("ForSequenceClassification") for kind in config.get("architectures") or []
        ):
            raise refusal
        net: Any = adapting.load_model(target.model, RewardSpec(adaptation="full"))
        words = texts(target.model, None, job.max_length)
    else:
        config = json.loads((Path(target.adapter) / adapting.ADAPTER).read_text())
        if config.get("task_type") != "SEQ_CLS":
            raise refusal
        base = adapting.load_model(job.base, RewardSpec(), job.revision)
        net = PeftModel.from_pretrained(base, target.adapter)
        words = texts(job.base, job.revision, job.max_length)
    return Judge(net.to("cuda" if torch.cuda.is_available() else "cpu").eval(), words)
