"""The playground: talking to checkpoints and endpoints. The verbs, by the names that other modules call them."""

from evaluation.playground.leaving import delete_conversation, sweep
from evaluation.playground.outcomes import edit, to_queue, to_suite, vote
from evaluation.playground.serving import serve
from evaluation.playground.talking import again, ask, begin, begin_anew, change_message, go_on, reveal, stop

__all__ = [
    "again",
    "ask",
    "begin",
    "begin_anew",
    "change_message",
    "delete_conversation",
    "edit",
    "go_on",
    "reveal",
    "serve",
    "stop",
    "sweep",
    "to_queue",
    "to_suite",
    "vote",
]
