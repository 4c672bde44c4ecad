"""What the models are given: the turns before, each with the answer that the conversation went on with."""

from collections.abc import Sequence

from evaluation.models import Conversation, Reply, Turn
from labeling.intake import Message
from labeling.rag.prompting import with_contexts


def living_turns(conversation: Conversation, *, before: int | None = None) -> list[Turn]:
    """The turns as they stand, in order, each with its replies and their voices."""
    rows = Turn.objects.filter(conversation=conversation, replaced_at=None).order_by("number")
    if before is not None:
        rows = rows.filter(number__lt=before)
    return list(rows.prefetch_related("replies__voice"))


def carried(turn: Turn, *, left: int) -> Reply:
    """The answer that the conversation goes on with: the one that was chosen, else the one on the left."""
    replies = list(turn.replies.all())
    wanted = left if turn.carries is None else turn.carries
    return next((reply for reply in replies if reply.voice.index == wanted), replies[0])


def prompt_of(turn: Turn, *, before: Sequence[Turn] | None = None, bare: bool = False) -> list[Message]:
    """The messages up to and with what this turn asks, the same for both sides. `bare` leaves contexts out."""
    conversation = turn.conversation
    earlier = living_turns(conversation, before=turn.number) if before is None else before
    found: list[Message] = []
    if system := turn.settings["system"].strip():
        found.append({"role": "system", "content": system})
    for one in earlier:
        found = _with(found, one, bare=bare)
        found.append({"role": "assistant", "content": carried(one, left=conversation.left).said})
    return _with(found, turn, bare=bare)


def _with(found: list[Message], turn: Turn, *, bare: bool) -> list[Message]:
    asked: list[Message] = [*found, {"role": "user", "content": turn.text}]
    return asked if bare else with_contexts(asked, turn.contexts)
