"""Dialogues written as one text, as in Anthropic's hh-rlhf: turns marked "\\n\\nHuman:" and "\\n\\nAssistant:"."""

import re
from typing import Any

from labeling.errors import RowRefused
from labeling.importing.fields import Row, field, parted, preference
from labeling.intake import ItemDraft, Message

TURN = re.compile(r"\n\nHuman:|\n\nAssistant:")
SPEAKERS = {"\n\nHuman:": "user", "\n\nAssistant:": "assistant"}


def is_transcript(value: Any) -> bool:
    return isinstance(value, str) and TURN.match(value) is not None


def pair(row: Row) -> ItemDraft:
    """A row with two dialogues, chosen and rejected, that differ in the last answer."""
    chosen, rejected = (dialogue(field(row, name), name) for name in ("chosen", "rejected"))
    return preference(row, *parted(chosen, rejected))


def dialogue(value: Any, name: str) -> list[Message]:
    """The messages of a transcript, white space around them removed."""
    if not is_transcript(value):
        raise RowRefused(f'{name} must begin with "\\n\\nHuman:" or "\\n\\nAssistant:"')
    turns, texts = TURN.findall(value), TURN.split(value)[1:]
    return [
        {"role": SPEAKERS[turn], "content": words.strip()} for turn, words in zip(turns, texts, strict=True)
    ]
