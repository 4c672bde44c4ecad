"""The playground: talking to checkpoints and endpoints. The verbs, by the names that other modules call them."""

from evaluation.playground.leaving import delete_conversation, sweep
from evaluation.playground.outcomes import edit, to_queue, to_suite, vote
from evaluation.playground.serving import serve
from evaluation.playground.talking import again, ask, begin, change_message, reveal, stop

__all__ = [
    "again",
    "ask",
    "begin",
    "change_message",
    "delete_conversation",
    "edit",
    "reveal",
    "serve",
    "stop",
    "sweep",
    "to_queue",
    "to_suite",
    "vote",
]
