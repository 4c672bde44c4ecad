"""What every engine offers: answers, log-probabilities, choices among labels and rewards, by any number of targets.

An engine is asked for all of a run's requests at once, so that it can batch them, load a base once for all its
adapters, and free its memory before the next engine starts. What it answered is on disk before anybody is told, so a
run that was stopped or killed asks only for what is missing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["complete", "likelihood", "choose", "reward"]
Messages: TypeAlias = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is sampled. Every field is sent: engines have defaults of their own.

    `temperature` 0 is greedy. `top_k` 0 is no limit. `seed` is that of the request, so that a repeat is equal.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that one target is asked for; `id` is unique in a folder.

    `complete` asks for a completion of `messages`; `likelihood` for the log-probability of `completion` after them;
    `choose` for the probability of each of `labels` as the next words; `reward` for a reward model's score of
    `completion`.
    """

    id: str
    target: str
    kind: Kind
    messages: Messages
    completion: str = ""
    labels: tuple[str, ...] = ()
    sampling: Sampling | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """A checkpoint here: a base, an adapter on it, or a model of its own. `base` is what an adapter sits on."""

    id: str
    base: str
    revision: str = ""
    adapter: str | None = None
    model: str | None = None
    content_hash: str = ""
    rewards: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A model behind an OpenAI-compatible address. Prices are per million tokens; `key_variable` names the environment
    variable that holds the key, which is never stored."""

    id: str
    url: str
    model: str
    key_variable: str = ""
    requests_per_minute: int | None = None
    price_in: float | None = None
    price_out: float | None = None


Target: TypeAlias = Weights | Service


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target gave for a request. Which fields are filled depends on the kind; `error` says why there is nothing.

    `logprob` in nats, summed over `tokens` tokens of the completion, its end-of-turn token included; `bytes` is the
    length of the completion in UTF-8. `probabilities` sum to 1 over the labels; `mass` is how much of the target's
    whole probability lies on them. `ms` are milliseconds from the start of the batch, or of the request, until
    this answer ended; `cost` is in the currency of the prices.
    """

    id: str
    target: str
    kind: Kind
    text: str = ""
    tokens: int | None = None
    prompt_tokens: int | None = None
    prompt_hash: str = ""
    finish: str = ""
    ms: float | None = None
    cost: float | None = None
    logprob: float | None = None
    bytes: int | None = None
    truncated: bool = False
    probabilities: Mapping[str, float] = field(default_factory=dict)
    mass: float | None = None
    reward: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How an engine may use the machine. `batch_size` is of transformers, `concurrency` of servers; `timeout` (seconds)
    and `tries` are of one request to a service."""

    max_length: int = 2048
    batch_size: int = 16
    concurrency: int = 32
    timeout: float = 120
    tries: int = 6


class Interrupted(Exception):
    """The engine was stopped before it was done; asked again, it goes on. Its message says which fault stopped it."""


class Engine(Protocol):
    """Asks targets, which share one base or are services.

    `take` is given answers as they come, in any order; after an interruption some may come again. `watch` is called now
    and then with (answered, total); it raises training.processes.Stop to have the engine stop. What is in `folder` from
    before is not asked again. Raises Interrupted when it was stopped, and labeling.errors.Refused with a sentence when
    it cannot do it at all.
    """

    name: ClassVar[str]

    def ask(
        self,
        *,
        requests: Iterable[Request],
        targets: Sequence[Target],
        folder: Path,
        limits: Limits,
        take: Callable[[Sequence[Answer]], None],
        watch: Callable[[int, int], None],
    ) -> None: ...

    def profile(self) -> dict[str, Any]:
        """What of this engine can change an answer (its name, versions, numbers); part of the key of what is cached."""
        ...
