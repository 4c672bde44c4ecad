"""How a prompt holds retrieved chunks: one way, for datasets and for evaluation runs."""

from collections.abc import Sequence

Message = dict[str, str]
OPENING = "Answer from these passages. Say so where they do not hold the answer."


def with_contexts(messages: Sequence[Message], contexts: Sequence[str]) -> list[Message]:
    """The messages with the chunks numbered from 1 before the last user message's question, everything else as it
    was; without chunks the same messages. Nothing is changed in place."""
    copied = [dict(message) for message in messages]
    if not contexts:
        return copied
    last = max((n for n, message in enumerate(copied) if message["role"] == "user"), default=None)
    passages = "\n\n".join(f"[{number}] {text.strip()}" for number, text in enumerate(contexts, start=1))
    if last is None:
        return [*copied, {"role": "user", "content": f"{OPENING}\n\n{passages}"}]
    question = copied[last]["content"]
    copied[last]["content"] = f"{OPENING}\n\n{passages}\n\nQuestion: {question}"
    return copied
