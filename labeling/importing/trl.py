"""The dataset types of TRL, plain and conversational, with explicit and implicit prompts; ShareGPT rows alike."""

from typing import Any

from labeling.errors import RowRefused
from labeling.importing.fields import (
    Row,
    answered,
    completion,
    field,
    licence,
    messages,
    optional,
    parted,
    preference,
)
from labeling.importing.transcripts import dialogue, is_transcript
from labeling.intake import ItemDraft, Message, ResponseDraft

PROMPTS = ("prompt", "conversations", "messages")
NO_PROMPT = "prompt is missing; give it, or chosen and rejected as lists of messages that share it"
TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def any_type(row: Row) -> ItemDraft:
    """A row of any of TRL's types, told from its fields."""
    if "chosen" in row or "rejected" in row:
        return preferred(row)
    if "prompt" in row and ("completion" in row or "label" in row):
        prompt = messages(row["prompt"], "prompt")
        return _single(row, prompt, completion(field(row, "completion"), "completion"))
    if "prompt" in row:
        return _single(row, messages(row["prompt"], "prompt"), None)
    for name in ("messages", "conversations"):
        if name in row:
            return _dialogue(row, messages(row[name], name), name)
    return _document(row)


def preferred(row: Row) -> ItemDraft:
    """A preference row: chosen and rejected, with a prompt of their own or one that both begin with."""
    chosen, rejected = _answer(row, "chosen"), _answer(row, "rejected")
    # Sets with whole dialogues as chosen often carry one of them as `messages` too: that is no prompt.
    name = next((name for name in PROMPTS if name in row and (name == "prompt" or _short(chosen))), None)
    if name is None:
        return preference(row, *_implicit(chosen, rejected))
    prompt = messages(field(row, name), name)
    texts = [_after(prompt, chosen, "chosen"), _after(prompt, rejected, "rejected")]
    return preference(row, prompt, texts)


def _answer(row: Row, name: str) -> Any:
    value = field(row, name)
    return [value] if isinstance(value, dict) else value


def _short(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and len(value) == 1)


def _after(prompt: list[Message], value: Any, name: str) -> str:
    """The answer alone, also where it repeats the whole dialogue before it."""
    if isinstance(value, list) and len(value) > 1:
        before, last = answered(messages(value, name), name)
        if before[-len(prompt) :] == prompt:
            return last
    return completion(value, name)


def _implicit(chosen: Any, rejected: Any) -> tuple[list[Message], list[str]]:
    if isinstance(chosen, list) and isinstance(rejected, list):
        return parted(messages(chosen, "chosen"), messages(rejected, "rejected"))
    if not isinstance(chosen, str) or not isinstance(rejected, str):
        raise RowRefused(NO_PROMPT)
    shared = _shared(chosen, rejected)
    if not chosen[:shared].strip():
        raise RowRefused(NO_PROMPT)
    prompt: list[Message] = [{"role": "user", "content": chosen[:shared].rstrip()}]
    return prompt, [chosen[shared:].lstrip(), rejected[shared:].lstrip()]


def _shared(first: str, second: str) -> int:
    """Up to where two texts are the same, cut back to the end of a word."""
    end = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    if end is None:
        return 0  # one is the beginning of the other: nothing says where the prompt ends
    while end and not first[end - 1].isspace():
        end -= 1
    return end


def _dialogue(row: Row, found: list[Message], name: str) -> ItemDraft:
    """A whole dialogue. One that ends with the user is a prompt without responses."""
    if found[-1]["role"] != "assistant":
        return _single(row, found, None)
    return _single(row, *answered(found, name))


def _document(row: Row) -> ItemDraft:
    """Language modelling text: a transcript gives prompt and answer; any other text is a prompt to be answered."""
    value = field(row, "text")
    if is_transcript(value):
        return _dialogue(row, dialogue(value, "text"), "text")
    return _single(row, messages(value, "text"), None)


def _single(row: Row, prompt: list[Message], answer: str | None) -> ItemDraft:
    return ItemDraft(
        messages=prompt,
        responses=[] if answer is None else [ResponseDraft(answer, origin=optional(row, "origin", "model"))],
        source_ref=optional(row, "source", "source_ref"),
        licence=licence(row, row.get("metadata")),
        extra={} if row.get("label") is None else {"imported_label": _truth(row["label"])},
    )


def _truth(value: Any) -> bool:
    """Whether a completion without a counterpart was wanted."""
    found = TRUTHS.get(str(value).lower())
    if found is None:
        raise RowRefused(f"label is {value!r}; it must be true or false")
    return found
