"""An engine that needs no model, for tests: an answer is a function of who is asked, what, and the seed.

It is none of `ENGINES`; a test that wants it puts it there. It keeps its answers in the folder as the others do, so
that it never answers twice either.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

from evaluation.engines.files import ANSWERS, REQUESTS, Tail, prepare
from evaluation.engines.protocol import Answer, Interrupted, Limits, Request, Sampling, Target
from labeling.errors import Refused
from training.processes import Stop

WORDS = ("red", "green", "blue", "stone", "river", "paper", "lamp", "chair", "cloud", "bread")


class Died(Exception):
    """Stands for a kill: nothing is tidied up, and nobody is told."""


class FakeEngine:
    """`fails_after` and `dies_after` count answers given by this call; `garbled` ids are answered with an error."""

    name: ClassVar[str] = "fake"

    def __init__(
        self,
        *,
        fails_after: int | None = None,
        dies_after: int | None = None,
        garbled: Iterable[str] = (),
        at_a_time: int = 7,
    ) -> None:
        self.fails_after, self.dies_after, self.at_a_time = fails_after, dies_after, at_a_time
        self.garbled = set(garbled)
        self.asked = 0

    def ask(
        self,
        *,
        requests: Iterable[Request],
        targets: Sequence[Target],
        folder: Path,
        limits: Limits,
        take: Callable[[Sequence[Answer]], None],
        watch: Callable[[int, int], None],
    ) -> None:
        """See evaluation.engines.protocol.Engine."""
        prepare(folder, requests, {"engine": self.name})
        wanted = [request(line) for line in (folder / REQUESTS).read_text(encoding="utf-8").splitlines()]
        tail = Tail(folder / ANSWERS)
        before = [answer for answers in tail.new(self.at_a_time) for answer in answers]
        known = {answer.id for answer in before}
        if before:
            take(before)
        left = [one for one in wanted if one.id not in known]
        try:
            watch(len(known), len(wanted))
            for at in range(0, len(left), self.at_a_time):
                answers = [self._one(one) for one in left[at : at + self.at_a_time]]
                keep(folder, answers)
                take(answers)
                watch(len(known) + at + len(answers), len(wanted))
        except Stop:
            raise Interrupted("") from None

    def _one(self, request: Request) -> Answer:
        if self.asked == self.dies_after:
            raise Died
        if self.asked == self.fails_after:
            raise Refused("The fake engine was told to fail.")
        self.asked += 1
        if request.id in self.garbled:
            return Answer(
                request.id, request.target, request.kind, error="The fake engine was told to say nothing."
            )
        return self.answer(request)

    def answer(self, request: Request) -> Answer:
        """What is given for a request; to be changed by those who test with another."""
        return answer(request)

    def profile(self) -> dict[str, Any]:
        """What of this engine can change an answer."""
        return {"engine": self.name}


def answer(request: Request) -> Answer:
    """The answer to a request: numbers and words drawn from its hash."""
    sampling = request.sampling or Sampling()
    seed = sampling.seed if sampling.temperature else 0
    prompt = json.dumps(request.messages, sort_keys=True)
    bare = Answer(
        request.id,
        request.target,
        request.kind,
        prompt_tokens=len(prompt.split()),
        prompt_hash=hashlib.sha256(prompt.encode()).hexdigest(),
        ms=1.0,
    )
    match request.kind:
        case "complete":
            count = 1 + draw(request.target, prompt, seed) % 8
            words = [WORDS[draw(request.target, prompt, seed, at) % len(WORDS)] for at in range(count)]
            cut = words[: sampling.max_tokens]
            finish = "stop" if len(cut) == count else "length"
            return replace(bare, text=" ".join(cut), tokens=len(cut), finish=finish)
        case "likelihood":
            tokens = len(request.completion.split()) + 1
            logprob = -tokens * (1 + share(request.target, prompt, request.completion))
            return replace(bare, logprob=logprob, tokens=tokens, bytes=len(request.completion.encode()))
        case "choose":
            weights = {label: 0.05 + share(request.target, prompt, label, seed) for label in request.labels}
            total = sum(weights.values())
            return replace(
                bare, probabilities={one: weight / total for one, weight in weights.items()}, mass=0.9
            )
        case "reward":
            return replace(bare, reward=4 * share(request.target, prompt, request.completion) - 2)


def draw(*parts: object) -> int:
    """A number that hangs on all of the parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6])


def share(*parts: object) -> float:
    """A number from 0 to 1 that hangs on all of the parts."""
    return draw(*parts) / 2**48


def request(line: str) -> Request:
    """A line of requests.jsonl."""
    row = json.loads(line)
    sampling = row["sampling"]
    if sampling is not None:
        row["sampling"] = Sampling(**sampling | {"stop": tuple(sampling["stop"])})
    return Request(**row | {"labels": tuple(row["labels"])})


def keep(folder: Path, answers: Sequence[Answer]) -> None:
    """Append answers in one write."""
    with (folder / ANSWERS).open("a", encoding="utf-8") as out:
        out.write("".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in answers))
