"""How the answers of a turn stand, and what may be told of them: nothing of who is who while that is hidden."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from evaluation.models import Conversation, Outcome, Reply, Serving, Turn, Voice
from evaluation.playground.prompts import carried, living_turns
from evaluation.playground.serving import is_live, live_text, serving_of
from labeling.lifecycle import Status
from labeling.workers import worker_alive

SILENT = timedelta(seconds=15)
HIDDEN_FAULT = "This side could not answer. Show who is who to read why."
FINISHED = {"stop": "done", "length": "cut", "stopped": "stopped"}
PLACES = ("left", "right")


@dataclass(frozen=True, slots=True)
class ShownReply:
    """One answer as a page or the API may show it. `name` is empty while who is who is hidden.

    `state`: waiting, loading, writing, lost (nobody is at work on it), done, cut, stopped, failed; `words` says more.
    """

    place: str
    name: str
    state: str
    words: str = ""
    text: str = ""
    edited: str = ""
    tokens: int | None = None
    ms: float | None = None
    carries: bool = False

    @property
    def is_over(self) -> bool:
        return self.state not in ("waiting", "loading", "writing", "lost")

    @property
    def is_good(self) -> bool:
        """Whether it is all that the model would have said, up to the length that was asked for."""
        return self.state in ("done", "cut")


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn with its answers, the left one first."""

    turn: Turn
    replies: list[ShownReply]
    outcomes: list[Outcome] = field(default_factory=list)
    tries: int = 1
    is_last: bool = False

    @property
    def is_over(self) -> bool:
        return all(reply.is_over for reply in self.replies)

    @property
    def is_lost(self) -> bool:
        return any(reply.state == "lost" for reply in self.replies)

    @property
    def is_live(self) -> bool:
        """Whether it is worth looking again in a moment."""
        return not self.is_over and not self.is_lost

    @property
    def vote(self) -> Outcome | None:
        return next((one for one in self.outcomes if one.kind == Outcome.Kind.VOTE), None)

    @property
    def can_carry(self) -> bool:
        """Whether it is open with which of two answers the conversation goes on."""
        settled = self.vote is not None and self.vote.verdict in PLACES
        return (
            self.is_last and self.is_over and len(self.replies) == 2 and not settled and not self.has_failed
        )

    @property
    def has_failed(self) -> bool:
        return any(reply.state == "failed" for reply in self.replies)

    @property
    def can_vote(self) -> bool:
        return len(self.replies) == 2 and self.vote is None and all(one.is_good for one in self.replies)


def shown_turns(conversation: Conversation) -> list[ShownTurn]:
    """The conversation as it stands. The number of queries does not grow with its turns."""
    turns = living_turns(conversation)
    serving = serving_of(conversation)
    tries: dict[int, int] = {}
    for number in Turn.objects.filter(conversation=conversation).values_list("number", flat=True):
        tries[number] = tries.get(number, 0) + 1
    outcomes: dict[int, list[Outcome]] = {}
    for outcome in Outcome.objects.filter(turn__in=[turn.pk for turn in turns]).select_related(
        "item__project", "suite", "voice", "judgment"
    ):
        outcomes.setdefault(outcome.turn_id, []).append(outcome)
    return [
        ShownTurn(
            turn=turn,
            replies=_replies(turn, conversation, serving),
            outcomes=outcomes.get(turn.pk, []),
            tries=tries[turn.number],
            is_last=turn is turns[-1],
        )
        for turn in turns
    ]


def shown_turn(turn: Turn) -> ShownTurn:
    """One turn as it stands."""
    conversation = turn.conversation
    outcomes = list(turn.outcomes.select_related("item__project", "suite", "voice", "judgment"))
    return ShownTurn(turn, _replies(turn, conversation, serving_of(conversation)), outcomes)


def _replies(turn: Turn, conversation: Conversation, serving: Serving | None) -> list[ShownReply]:
    replies = list(turn.replies.all())
    replies.sort(key=lambda reply: reply.voice.index != conversation.left)
    goes_on = carried(turn, left=conversation.left) if turn.carries is not None else None
    return [
        _shown(reply, place, conversation, turn, serving, reply == goes_on)
        for place, reply in zip(PLACES, replies, strict=False)
    ]


def _shown(
    reply: Reply,
    place: str,
    conversation: Conversation,
    turn: Turn,
    serving: Serving | None,
    carries: bool,
) -> ShownReply:
    hidden = conversation.is_hidden
    name = "" if hidden else reply.voice.name
    if reply.finished_at is None:
        text = live_text(serving, reply.pk) if serving is not None and is_live(serving) else ""
        state, words = standing(turn, serving, text)
        if hidden and state == "lost":
            words = "This turn was not answered. Ask it again."
        return ShownReply(place, name, state, words, text)
    state = "failed" if reply.error else FINISHED.get(reply.finish, "done")
    words = (HIDDEN_FAULT if hidden else reply.error) if reply.error else ""
    told: dict[str, Any] = {} if hidden else {"tokens": reply.tokens, "ms": reply.ms}
    return ShownReply(place, name, state, words, reply.text, reply.edited, carries=carries, **told)


def standing(turn: Turn, serving: Serving | None, text: str) -> tuple[str, str]:
    """(state, words) of an answer that has not ended."""
    if serving is None or not is_live(serving):
        why = serving.error if serving is not None else ""
        return "lost", f"{why} Ask it again.".strip() if why else "This turn was not answered. Ask it again."
    if serving.status == Status.QUEUED:
        if not worker_alive():
            return "waiting", "No worker is running; the answer comes when one starts."
        waits = serving.waiting
        return "waiting", f"It {waits}." if waits else "Waiting for a worker to take it up."
    if serving.heartbeat_at is not None and timezone.now() - serving.heartbeat_at > SILENT:
        return "waiting", "The worker fell silent. In a moment another one takes this up, from its beginning."
    if turn.stopped_at is not None:
        return "writing", "Stopping."
    if text:
        return "writing", ""
    return ("loading", "Loading the models.") if serving.status == Status.STARTING else ("writing", "")


def find_place(turn: Turn, place: str) -> Reply | None:
    """The answer that stands in a place."""
    left = turn.conversation.left
    if place not in PLACES:
        return None
    index = left if place == PLACES[0] else 1 - left
    return turn.replies.select_related("voice").filter(voice__index=index).first()


def names_in_words(voices: Sequence[Voice]) -> str:
    """Who answers, in the order in which they were chosen, which tells nothing of where they stand."""
    return " and ".join(voice.name for voice in voices)
