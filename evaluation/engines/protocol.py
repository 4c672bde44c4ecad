"""What every engine offers: log-probabilities of given texts, by any number of checkpoints of one base."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from training.models import Checkpoint


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A completion whose log-probability after a prompt ({role, content} messages) is wanted."""

    id: str
    messages: list[dict[str, str]]
    completion: str


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """`logprob` in nats, summed over `tokens` tokens of the completion with its end-of-turn token."""

    id: str
    checkpoint: int
    logprob: float
    tokens: int


class Interrupted(Exception):
    """The engine was stopped before it was done; called again, it goes on. Its message says which fault stopped it."""


class Engine(Protocol):
    """`score` keeps what it has in `folder`, so that called again it does only what is missing.

    `watch` is called now and then with (done, total); it raises training.processes.Stop to have the engine stop.
    Raises Interrupted when it was stopped, and labeling.errors.Refused with a sentence when it cannot do it.
    """

    def score(
        self,
        *,
        requests: Sequence[ScoreRequest],
        checkpoints: Sequence[Checkpoint],
        folder: Path,
        watch: Callable[[int, int], None],
    ) -> Iterable[ScoreAnswer]: ...
