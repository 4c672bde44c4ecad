"""How the answers of a turn stand, and what may be told of them: nothing of who is who while that is hidden."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Prefetch, prefetch_related_objects
from django.utils import timezone

from evaluation.models import Conversation, Outcome, Reply, Serving, Turn
from evaluation.playground.prompts import PLACES, by_place, living_turns
from evaluation.playground.serving import live_text
from labeling.lifecycle import Status
from labeling.workers import worker_alive

SILENT = timedelta(seconds=15)
HIDDEN_FAULT = "This side could not answer. Show who is who to read why."
FINISHED = {"stop": "done", "length": "cut", "stopped": "stopped"}


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


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn with its answers, the left one first."""

    turn: Turn
    replies: list[ShownReply]
    outcomes: list[Outcome]
    tries: int
    is_last: bool

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
        good = all(reply.is_over and reply.state != "failed" for reply in self.replies)
        return self.is_last and len(self.replies) == 2 and good and not settled

    @property
    def can_vote(self) -> bool:
        """Whether there are two answers, each all that the model said in the length that was asked for, and no more."""
        whole = all(reply.state in ("done", "cut") and not reply.edited for reply in self.replies)
        return whole and len(self.replies) == 2 and self.vote is None


def shown_turns(conversation: Conversation) -> list[ShownTurn]:
    """The conversation as it stands. The number of queries does not grow with its turns."""
    turns, serving = living_turns(conversation), conversation.servings.first()
    outcomes = Outcome.objects.select_related("item__project", "suite", "voice")
    prefetch_related_objects(turns, Prefetch("outcomes", outcomes))
    tries = Counter(conversation.turns.order_by().values_list("number", flat=True))
    return [_shown_turn(turn, serving, tries[turn.number], turn is turns[-1]) for turn in turns]


def shown_turn(turn: Turn) -> ShownTurn:
    """One turn as it stands."""
    return _shown_turn(turn, turn.conversation.servings.first())


def _shown_turn(turn: Turn, serving: Serving | None, tries: int = 1, is_last: bool = False) -> ShownTurn:
    places = zip(PLACES, by_place(turn), strict=False)
    replies = [_shown(reply, place, turn, serving) for place, reply in places]
    return ShownTurn(turn, replies, list(turn.outcomes.all()), tries, is_last)


def _shown(reply: Reply, place: str, turn: Turn, serving: Serving | None) -> ShownReply:
    hidden = turn.conversation.is_hidden
    name = "" if hidden else reply.voice.name
    if reply.finished_at is None:
        text = "" if serving is None or serving.is_over else live_text(serving, reply.pk)
        state, words = standing(turn, serving, text)
        return ShownReply(place, name, state, words, text)
    state = "failed" if reply.error else FINISHED.get(reply.finish, "done")
    words = HIDDEN_FAULT if hidden and reply.error else reply.error
    told: dict[str, Any] = {} if hidden else {"tokens": reply.tokens, "ms": reply.ms}
    goes_on = reply.voice.index == turn.carries
    return ShownReply(place, name, state, words, reply.text, reply.edited, carries=goes_on, **told)


def standing(turn: Turn, serving: Serving | None, text: str) -> tuple[str, str]:
    """(state, words) of an answer that has not ended."""
    if serving is None or serving.is_over:
        why = "" if serving is None or turn.conversation.is_hidden else serving.error
        return "lost", f"{why or 'This turn was not answered.'} Ask it again."
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
