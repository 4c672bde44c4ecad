"""A model behind an OpenAI-compatible address, heard as it writes: /chat/completions with stream."""

from __future__ import annotations

from threading import Event
from types import TracebackType
from typing import Any

from training.recipes.answering.calling import Caller, Pace
from training.recipes.answering.ledger import Impossible, Wanted
from training.recipes.answering.said import Said
from training.recipes.answering.services import key, place
from training.recipes.answering.streaming import as_it_comes, events
from training.recipes.answering.talking import Show, Writing
from training.specs import ChatJob, Endpoint

CONNECTIONS = 4


class Elsewhere:
    """One endpoint. Its key is looked for when it is asked: without one, the other side can still answer."""

    def __init__(self, endpoint: Endpoint, job: ChatJob) -> None:
        self.endpoint, self.job = endpoint, job
        self.pace, self.over = Pace(endpoint.requests_per_minute), Event()
        self.caller: Caller | None = None
        self.length = "max_tokens"  # what the service calls it
        self.counts = True  # whether it tells tokens while it streams

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.over.set()
        if self.caller is not None:
            self.caller.client.close()

    def write(self, wanted: Wanted, show: Show) -> Writing:
        """See talking.Voice. It is asked again without what this service turns out not to know."""
        if self.caller is None:
            url, secret = place(self.endpoint.url), key(self.endpoint)
            self.caller = Caller(
                url, secret, self.pace, self.over, self.job.timeout, self.job.tries, CONNECTIONS
            )
        try:
            return (yield from self._written(self.caller, wanted, show))
        except Impossible as why:
            if self.length == "max_tokens" and "max_completion_tokens" in str(why):
                self.length = "max_completion_tokens"  # OpenAI's reasoning models
            elif self.counts and "stream_options" in str(why):
                self.counts = False
            else:
                raise
        return (yield from self.write(wanted, show))

    def _written(self, caller: Caller, wanted: Wanted, show: Show) -> Writing:
        asked = wanted.sampling
        body: dict[str, Any] = {
            "model": self.endpoint.model, "messages": wanted.messages, self.length: asked.max_tokens, "n": 1,
            "seed": asked.seed, "temperature": asked.temperature, "top_p": asked.top_p, "stream": True,
        }  # fmt: skip
        if self.counts:
            body["stream_options"] = {"include_usage": True}
        parts: list[str] = []
        last = Said()
        show(lambda: "".join(parts))
        for said in as_it_comes(lambda over: caller.stream(body, lambda lines: events(lines, over))):
            yield said is not None
            if said is not None:
                parts.append(said.text)
                last = said.after(last)
        return wanted.answer(
            text="".join(parts), finish=last.finish, tokens=last.tokens, prompt_tokens=last.prompt_tokens
        )
