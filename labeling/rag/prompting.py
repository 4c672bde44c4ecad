"""How a prompt holds retrieved chunks: one way, for datasets and for evaluation runs. And what it asks without them."""

from collections.abc import Sequence

Message = dict[str, str]
OPENING = "Answer from these passages. Say so where they do not hold the answer."
BEGINNING, QUESTION = f"{OPENING}\n\n[1] ", "\n\nQuestion: "
MOST_READINGS = 8


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
    copied[last]["content"] = f"{OPENING}\n\n{passages}{QUESTION}{question}"
    return copied


def holds_chunks(messages: Sequence[Message]) -> bool:
    """Whether `with_contexts` wrote chunks into these messages."""
    return any(_has_chunks(message) for message in messages)


def question_of(messages: Sequence[Message]) -> list[Message]:
    """What was asked: the messages without the chunks that `with_contexts` wrote into them."""
    return readings(messages)[0] if holds_chunks(messages) else list(messages)


def readings(messages: Sequence[Message]) -> list[list[Message]]:
    """Every question that may have been asked, the shortest first: what stands before a question may stand in a chunk,
    or in the question itself, as well."""
    found = [(message, _questions(message)) for message in messages]
    count = max((len(questions) for _, questions in found), default=0)
    return [
        [
            {**message, "content": questions[min(number, len(questions) - 1)]}
            for message, questions in found
            if questions
        ]
        for number in range(max(count, 1))
    ]


def _has_chunks(message: Message) -> bool:
    return message["role"] == "user" and message["content"].startswith(BEGINNING)


def _questions(message: Message) -> list[str]:
    """The questions of one message; none where it is of nothing but chunks."""
    if not _has_chunks(message):
        return [message["content"]]
    parts = message["content"].split(QUESTION)[-MOST_READINGS - 1 :]
    return [QUESTION.join(parts[start:]) for start in range(len(parts) - 1, 0, -1)]
