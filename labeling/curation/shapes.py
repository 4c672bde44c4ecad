"""The columns that trainers expect: TRL 1.16's, as lists of messages or as plain texts."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from labeling.curation.payload import Message
from labeling.curation.recipe import PAIRED
from labeling.curation.rows import Row

STYLES = {
    "conversational": "Lists of messages; the trainer applies the model's chat template",
    "explicit": "Plain texts; the trainer takes them as they are",
}
FROM = {  # shape → the kinds of version that can be given in it
    "preference": PAIRED,
    "reward": ("reward",),
    "sft": ("sft", *PAIRED),
    "text": ("text",),
    "unpaired": ("unpaired",),
    "prompts": ("prompts", "sft", "unpaired", *PAIRED),
    "retriever": ("retriever",),
}
COLUMNS = {
    "preference": ("prompt", "chosen", "rejected"),
    "reward": ("prompt", "chosen", "rejected", "margin"),
    "sft": ("prompt", "completion"),
    "text": ("text",),
    "unpaired": ("prompt", "completion", "label"),
    "prompts": ("prompt",),
    "retriever": ("query", "positives", "negatives"),
}
TRAINERS = {
    "preference": "DPOTrainer, RewardTrainer",
    "reward": "RewardTrainer",
    "sft": "SFTTrainer",
    "text": "SFTTrainer",
    "unpaired": "KTOTrainer",
    "prompts": "PPO",
    "retriever": "Trainers of retrievers and rerankers",
}


def shapes_of(kind: str) -> list[str]:
    """The shapes that a version of this kind can be given in, its own first."""
    return sorted((shape for shape, kinds in FROM.items() if kind in kinds), key=lambda shape: shape != kind)


def shaped(rows: Iterable[Row], *, shape: str, style: str) -> Iterator[Row]:
    """The rows in the columns of a trainer.

    What several rows of a prompt have in common (a response chosen over several others, the prompt itself) comes once:
    rows lie by prompt, so that takes the memory of one prompt.
    """
    text = _message if style == "conversational" else _plain
    once = shape in ("sft", "prompts")
    prompt, seen = "", set[str]()
    for row in rows:
        made = {name: _value(row, name, text, style) for name in COLUMNS[shape]}
        if once:
            if row["prompt_hash"] != prompt:
                prompt, seen = row["prompt_hash"], set()
            key = json.dumps(made)
            if key in seen:
                continue
            seen.add(key)
        yield made


def _value(row: Row, name: str, text: Callable[[str], Any], style: str) -> Any:
    if name == "prompt":
        return row["prompt"] if style == "conversational" else prompt_as_text(row["prompt"])
    if name == "completion" and name not in row:
        return text(row["chosen"])
    return text(row[name]) if name in ("chosen", "rejected", "completion") else row[name]


def _message(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def _plain(text: str) -> str:
    return text


def prompt_as_text(prompt: list[Message]) -> str:
    """A single message as it is; several as paragraphs that begin with who speaks, the last an open "assistant:"."""
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n\n".join([*(f"{turn['role']}: {turn['content']}" for turn in prompt), "assistant:"])


def arrow_schema(shape: str, style: str) -> Any:
    """The Parquet columns of a shape."""
    import pyarrow as pa

    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    own = {"text": pa.string(), "margin": pa.float64(), "label": pa.bool_(), "query": pa.string()}
    own |= dict.fromkeys(("positives", "negatives"), pa.list_(pa.string()))
    texts = messages if style == "conversational" else pa.string()
    return pa.schema([(name, own.get(name, texts)) for name in COLUMNS[shape]])
