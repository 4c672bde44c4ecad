"""Answers from OpenAI-compatible addresses: /chat/completions, with patience for what services do.

A busy, failing or silent service is asked again, later each time; what a service calls wrong is an answer that says so;
a key that is not taken, or a model that is not there, ends the run. The key is read from the environment and is in no
file, event or message.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import httpx2 as httpx

from training.recipes import contract
from training.recipes.answering.calling import Caller, Pace, ServiceFailed
from training.recipes.answering.crew import Crew
from training.recipes.answering.ledger import Answer, Impossible, Ledger, Wanted, digest
from training.recipes.answering.said import Said
from training.specs import AnswerJob, Endpoint

GIVE_UP = 10  # requests one after another that failed after all tries: the service is down
TOP = 20
LABEL_TOKENS = 16
WHY_NOT = {
    "likelihood": "A service does not tell how probable a given text is after chat messages; ask for likelihoods of "
    "checkpoints only.",
    "reward": "A service is no reward model; choose a checkpoint that the reward method trained.",
}


class Services:
    """Asks every endpoint that has something left."""

    def __init__(self, run: contract.Run, job: AnswerJob, ledger: Ledger) -> None:
        self.run, self.job, self.ledger = run, job, ledger

    def answer(self) -> None:
        """Ask one endpoint after the other. Keys are looked for before any is asked."""
        services = [Service(endpoint, self.job) for endpoint in self.job.endpoints]
        for service in services:
            try:
                self._ask(service, self.ledger.left[service.endpoint.id])
            finally:
                service.caller.client.close()

    def _ask(self, service: Service, wanted: Sequence[Wanted]) -> None:
        lost: list[
            Answer
        ] = []  # failures that may be an outage: they become answers when another request succeeds
        crew = Crew(self.run, service.answer, wanted, self.job.concurrency, service.over)
        for finished in crew.finished():
            for _, found in finished:
                if isinstance(found, Exception):
                    raise found
            good = [found for _, found in finished if isinstance(found, dict) and not found.get("lost")]
            lost += [found for _, found in finished if isinstance(found, dict) and found.pop("lost", False)]
            if self.run.stopping:  # what waits for another try is ended, and no answer
                lost = []
            if good:
                self.ledger.write([*lost, *good])
                lost = []
            if len(lost) >= GIVE_UP:
                raise contract.RecipeFailed(
                    f"{len(lost)} requests to {service.endpoint.url} failed one after another, the last with: "
                    f"{lost[-1]['error']} What was answered is kept; start again when the service is back."
                )
        self.ledger.write(lost)


class Service:
    """One model behind an address."""

    def __init__(self, endpoint: Endpoint, job: AnswerJob) -> None:
        self.endpoint, self.over = endpoint, threading.Event()
        pace = Pace(endpoint.requests_per_minute)
        self.caller = Caller(
            place(endpoint.url), key(endpoint), pace, self.over, job.timeout, job.tries, job.concurrency
        )
        self.tells = True  # how probable tokens are
        self.length = "max_tokens"  # what the service calls it

    def answer(self, wanted: Wanted) -> Answer:
        """One answer. Raises `RecipeFailed` about what concerns every request."""
        known = {"prompt_hash": digest(wanted.messages)}
        try:
            if why := WHY_NOT.get(wanted.kind):
                raise Impossible(why)
            found = self._completed(wanted) if wanted.kind == "complete" else self._chosen(wanted)
        except Impossible as why:
            return wanted.answer(error=str(why), **known)
        except ServiceFailed as why:
            return wanted.answer(error=str(why), lost=True, **known)
        return found | known

    def _completed(self, wanted: Wanted) -> Answer:
        asked = wanted.sampling
        more: dict[str, Any] = {"seed": asked.seed, "temperature": asked.temperature, "top_p": asked.top_p}
        if asked.top_k:
            more["top_k"] = asked.top_k
        if asked.stop:
            more["stop"] = list(asked.stop)
        said, ms = self._post(wanted, asked.max_tokens, more)
        return wanted.answer(text=said.text, finish=said.finish, ms=ms, **self._used(said))

    def _chosen(self, wanted: Wanted) -> Answer:
        """By the probabilities of the first token where the service tells them, else by what it answers."""
        check_labels(wanted.labels)
        more: dict[str, Any] = {"seed": wanted.sampling.seed, "temperature": 0, "top_p": 1}
        if self.tells:
            more |= {"logprobs": True, "top_logprobs": TOP}
        said, ms = self._post(wanted, LABEL_TOKENS, more)
        text = said.text.strip()
        facts = {"text": text, "finish": said.finish, "ms": ms} | self._used(said)
        chances = weighed(wanted.labels, said.likeliest)
        if mass := sum(chances.values()):
            shares = {label: chance / mass for label, chance in chances.items()}
            return wanted.answer(probabilities=shares, mass=min(1.0, mass), **facts)
        if text not in wanted.labels:
            return wanted.answer(error=f"The service answered outside its labels: {text[:200]!r}.", **facts)
        return wanted.answer(probabilities={label: float(label == text) for label in wanted.labels}, **facts)

    def _post(self, wanted: Wanted, most: int, more: dict[str, Any]) -> tuple[Said, float]:
        """Ask, again without what this service turns out not to know."""
        body = {"model": self.endpoint.model, "messages": wanted.messages, self.length: most, "n": 1} | more
        try:
            return self.caller.post(body)
        except Impossible as why:
            if self.length in body and self.length == "max_tokens" and "max_completion_tokens" in str(why):
                self.length = "max_completion_tokens"  # OpenAI's reasoning models
            elif "logprobs" in body and "logprobs" in str(why):
                self.tells = False
                more = {name: value for name, value in more.items() if "logprobs" not in name}
            else:
                raise
            return self._post(wanted, most, more)

    def _used(self, said: Said) -> dict[str, Any]:
        """Tokens, and what they cost where that is known."""
        given, taken = said.tokens, said.prompt_tokens
        found: dict[str, Any] = {"tokens": given, "prompt_tokens": taken}
        prices = (self.endpoint.price_in, self.endpoint.price_out)
        if given is not None and taken is not None and prices != (None, None):
            found["cost"] = (taken * (prices[0] or 0) + given * (prices[1] or 0)) / 1e6
        return found


def weighed(labels: Sequence[str], likeliest: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Probability of each label by the likeliest first tokens: a token counts for the one label that begins with it."""
    found = dict.fromkeys(labels, 0.0)
    for token, logprob in likeliest:
        start = token.strip()
        fitting = [label for label in labels if start and label.startswith(start)]
        if len(fitting) == 1:
            found[fitting[0]] += math.exp(logprob)
    return found


def check_labels(labels: Sequence[str]) -> None:
    """Raise `Impossible` where one label begins with another."""
    for one in labels:
        for other in labels:
            if one != other and other.startswith(one):
                raise Impossible(
                    f"The label {other!r} begins with {one!r}, so that their probabilities cannot be told apart; "
                    "choose labels that begin differently."
                )


def place(url: str) -> str:
    """Where chat completions are: a host alone has them below /v1, a longer address as it is."""
    given = httpx.URL(url.rstrip("/").removesuffix("/chat/completions"))
    path = given.path.rstrip("/") or "/v1"
    return str(given.copy_with(path=f"{path}/chat/completions"))


def key(endpoint: Endpoint) -> str:
    """The endpoint's key; empty where it needs none. Raises `RecipeFailed` where its variable is not set."""
    if not endpoint.key_variable:
        return ""
    found = os.environ.get(endpoint.key_variable, "").strip()
    if not found:
        raise contract.RecipeFailed(
            f"{endpoint.key_variable}, which is to hold the key of {endpoint.url}, is not set where this runs; set it"
        )
    return found
