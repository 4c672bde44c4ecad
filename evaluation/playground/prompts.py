"""What the models are given: the turns before, each with the answer that the conversation went on with."""

from evaluation.models import Conversation, Reply, Turn
from labeling.intake import Message
from labeling.rag.prompting import with_contexts

PLACES = ("left", "right")


def living_turns(conversation: Conversation) -> list[Turn]:
    """The turns as they stand, in order, each with its replies and their voices."""
    rows = conversation.turns.filter(replaced_at=None).order_by("number")
    return list(rows.prefetch_related("replies__voice"))


def by_place(turn: Turn) -> list[Reply]:
    """The answers as they stand, the left one first."""
    return sorted(turn.replies.all(), key=lambda reply: reply.voice.index != turn.conversation.left)


def carried(turn: Turn) -> Reply:
    """The answer that the conversation goes on with: the one that was chosen, else the one on the left."""
    left, *_ = replies = by_place(turn)
    return next((reply for reply in replies if reply.voice.index == turn.carries), left)


def prompt_of(turn: Turn, *, bare: bool = False) -> list[Message]:
    """The messages up to and with what this turn asks, the same for both sides. `bare` leaves contexts out."""
    found: list[Message] = []
    if system := turn.settings["system"].strip():
        found.append({"role": "system", "content": system})
    for one in living_turns(turn.conversation):
        if one.number < turn.number:
            found = _with(found, one, bare=bare)
            found.append({"role": "assistant", "content": carried(one).said})
    return _with(found, turn, bare=bare)


def _with(found: list[Message], turn: Turn, *, bare: bool) -> list[Message]:
    asked: list[Message] = [*found, {"role": "user", "content": turn.text}]
    return asked if bare else with_contexts(asked, turn.contexts)
