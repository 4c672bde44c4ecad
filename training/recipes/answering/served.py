"""Answers by vLLM: one server for the base and all its adapters, one after it for each model of its own.

Prompts are rendered here, by the tokenizer that training uses, and sent as tokens with every sampling field. An adapter
is served under a name that holds the hash of its weights, because vLLM keys what it caches on name and path, and is
checked before it is asked: one that answers as the base does would be the base's numbers under its name.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from training.recipes import contract, servers
from training.recipes.answering import adapters, memory
from training.recipes.answering.crew import Crew
from training.recipes.answering.ledger import Answer, Impossible, Ledger, Wanted, diverged
from training.recipes.answering.tokens import Choice, Draft, Row, Texts, texts
from training.specs import AnswerJob, Asked

if TYPE_CHECKING:
    from training.recipes.servers import Server

CANARIES, TOP = 8, 20
NOT_SERVED = "choose the engine transformers, or merge it into a model first"
RESTARTS = 2
FAULT_SECONDS = 10  # in which a server that failed is gone, or well again
COMPLETIONS = "/v1/completions"
NO_NUMBER = "Out of range float values"  # vLLM fails to write them as JSON
GREEDY: dict[str, Any] = {
    "n": 1, "temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": 0, "presence_penalty": 0.0,
    "frequency_penalty": 0.0, "repetition_penalty": 1.0, "add_special_tokens": False, "max_tokens": 1,
}  # fmt: skip


class Served:
    """Answers everything that is left."""

    def __init__(self, run: contract.Run, job: AnswerJob, ledger: Ledger) -> None:
        self.run, self.job, self.ledger = run, job, ledger
        self.command = servers.command("engine")
        adapters.refuse(job.targets)

    def answer(self) -> None:
        """Start a server for each base that has something left, one after the other."""
        asked = [target for target in self.job.targets if self.ledger.left[target.id]]
        if sharing := [target for target in asked if target.model is None]:
            self._serve(self.job.base, self.job.revision, sharing)
        for target in asked:
            if target.model is not None:
                self._serve(target.model, None, [target])

    def _serve(self, root: str, revision: str | None, targets: Sequence[Asked]) -> None:
        cuda, free = memory.has_cuda(), memory.free()
        words = texts(root, revision, self.job.max_length)
        longest = min(words.limit + 1, words.learned)
        ends = {target.id: adapters.name(target) for target in targets if target.adapter is not None}
        server = servers.Server(
            self.run,
            self.command,
            self.run.path / "serving",
            root,
            options(words, revision, targets, ends, cuda=cuda),
            cuda,
            connections=self.job.concurrency,
        )
        names = {target.id: ends.get(target.id, server.name) for target in targets}
        rows = self._rows(targets, words, Texts(words.tokenizer, words.ends, longest - 1))
        try:
            server.start()
            self._check(server, targets, names, rows)
            Round(self.run, self.ledger, server, names, words).carry_out(rows, self.job.concurrency)
        finally:
            server.close()
            memory.wait_until_back(self.run, free)

    def _rows(self, targets: Sequence[Asked], words: Texts, scoring: Texts) -> list[Row]:
        """Everything in tokens. To score a row a server must write one more, which is not looked at."""
        make: dict[str, Callable[[Wanted], Row]] = {
            "complete": words.draft, "likelihood": scoring.scored, "choose": scoring.choice
        }  # fmt: skip
        rows, refused = [], []
        for target in targets:
            for one in self.ledger.left[target.id]:
                try:
                    rows.append(make[one.kind](one))
                except Impossible as why:
                    refused.append(one.answer(error=str(why)))
        self.ledger.write(refused)
        return rows

    def _check(
        self, server: Server, targets: Sequence[Asked], names: dict[str, str], rows: Sequence[Row]
    ) -> None:
        """Compare each adapter's next token with the base's. Raises `RecipeFailed` about one that is not there."""
        for target in targets:
            prompts = [row.prompt for row in rows if row.wanted.target == target.id][:CANARIES]
            if target.adapter is None or not prompts:
                continue
            self.run.stop_if_asked()
            of_base = [next_tokens(server, server.name, ids) for ids in prompts]
            try:
                own = [next_tokens(server, names[target.id], ids) for ids in prompts]
            except FloatingPointError:
                raise diverged(target.id) from None
            difference = max(apart(one, other) for one, other in zip(of_base, own, strict=True))
            adapters.check(self.run, target, difference, is_loaded=False, advice=NOT_SERVED)


def options(
    words: Texts, revision: str | None, targets: Sequence[Asked], ends: Mapping[str, str], *, cuda: bool
) -> list[str]:
    """What `vllm serve` is told of the model and its adapters; `ends` are the names of the latter."""
    return [
        *("--max-model-len", str(min(words.limit + 1, words.learned)), "--generation-config", "vllm"),
        *("--logprobs-mode", "raw_logprobs", "--max-logprobs", str(TOP)),
        *("--dtype", "bfloat16" if cuda else "float32"),
        *(() if cuda else ("--enforce-eager",)),
        *(("--revision", revision) if revision else ()),
        *adapters.options(targets, ends, cuda=cuda),
    ]


class Round:
    """Everything that one server is asked, over its faults."""

    def __init__(
        self, run: contract.Run, ledger: Ledger, server: Server, names: dict[str, str], words: Texts
    ) -> None:
        self.run, self.ledger, self.server, self.names, self.words = run, ledger, server, names, words
        self.deaths = 0

    def carry_out(self, rows: Sequence[Row], size: int) -> None:
        """Ask, and where the server fails, again with half as many at a time. Raises `RecipeFailed`."""
        while rows:
            answered, failed = self._ask(rows, size)
            rows = [row for row in rows if row.wanted.id not in answered]
            if not failed:
                continue
            if self._has_died():
                self._again()
            elif size == 1:
                row, why = failed[0]
                if not isinstance(why, servers.RequestRefused):
                    raise why
                self.ledger.write([row.wanted.answer(error=f"vLLM could not answer this: {told(why)}.")])
                rows = [other for other in rows if other is not row]
            size = max(1, size // 2)

    def _ask(self, rows: Sequence[Row], size: int) -> tuple[set[str], list[tuple[Row, Exception]]]:
        answered: set[str] = set()
        failed: list[tuple[Row, Exception]] = []
        crew = Crew(self.run, self._one, rows, size)
        for finished in crew.finished():
            good = [found for _, found in finished if isinstance(found, dict)]
            self.ledger.write(good)
            answered |= {found["id"] for found in good}
            for row, found in finished:
                if isinstance(found, (servers.ServerSilent, servers.RequestRefused)):
                    failed.append((row, found))
                    crew.halt()
                elif isinstance(found, FloatingPointError):
                    raise diverged(row.wanted.target)
                elif isinstance(found, Exception):
                    raise found
        return answered, failed

    def _has_died(self) -> bool:
        """Whether the server is gone, or is ended here because it does not come back to itself."""
        began = time.monotonic()
        while time.monotonic() - began < FAULT_SECONDS:
            self.run.stop_if_asked()
            if self.server.is_gone():
                return True
            if self.server.is_well():
                return False
            time.sleep(0.1)
        self.server.close()
        return True

    def _again(self) -> None:
        self.deaths += 1
        words = self.server.last_words()
        self.server.close()
        if self.deaths > RESTARTS:
            raise contract.RecipeFailed(f"vLLM died {self.deaths} times, the last time with: {words}")
        message = "vLLM died and was started again, with half as many requests at a time."
        self.run.event("warning", message=message, last_words=words)
        self.server.start()

    def _one(self, row: Row) -> Answer:
        began = time.monotonic()
        try:
            answer = self._asked(row)
        except servers.RequestRefused as refusal:
            if refusal.status != 400:
                raise
            return row.wanted.answer(error=f"vLLM does not take this request: {told(refusal)}.", **row.facts)
        return answer | {"ms": round(1000 * (time.monotonic() - began), 1)}

    def _asked(self, row: Row) -> Answer:
        name = self.names[row.wanted.target]
        if isinstance(row, Draft):
            return self._completed(name, row)
        if isinstance(row, Choice):
            return row.weighed(self._labels(name, row))
        return row.scored(sum(scored(self.server, name, row.ids, row.tokens)))

    def _completed(self, name: str, draft: Draft) -> Answer:
        asked = draft.wanted.sampling
        body = GREEDY | {
            "model": name, "prompt": draft.ids, "max_tokens": draft.most, "temperature": asked.temperature,
            "top_p": asked.top_p, "top_k": asked.top_k, "seed": asked.seed, "stop": list(asked.stop),
            "stop_token_ids": self.words.ends, "return_token_ids": True,
        }  # fmt: skip
        said = self.server.post(COMPLETIONS, body)["choices"][0]
        tokens, finish = said["token_ids"], said["finish_reason"]
        text = self.words.text(tokens, asked.stop)
        return draft.wanted.answer(text=text, tokens=len(tokens), finish=finish, **draft.facts)

    def _labels(self, name: str, choice: Choice) -> list[float]:
        """Log-probability of each label: of single tokens in one request, else one of each."""
        if all(len(label) == 1 for label in choice.labels):
            tokens = [label[0] for label in choice.labels]
            body = {"model": name, "prompt": choice.ids, "logprobs": 1, "logprob_token_ids": tokens}
            found = top(self.server.post(COMPLETIONS, GREEDY | body | {"return_tokens_as_token_ids": True}))
            if all(f"token_id:{token}" in found for token in tokens):
                return [found[f"token_id:{token}"] for token in tokens]
        return [sum(scored(self.server, name, [*choice.ids, *label], len(label))) for label in choice.labels]


def scored(server: Server, name: str, ids: list[int], count: int) -> list[float]:
    """Log-probability of each of the last `count` tokens of a row."""
    body = GREEDY | {"model": name, "prompt": ids, "prompt_logprobs": 0}
    found = server.post(COMPLETIONS, body)["choices"][0]["prompt_logprobs"]
    return [found[at][str(ids[at])]["logprob"] for at in range(len(ids) - count, len(ids))]


def next_tokens(server: Server, name: str, ids: list[int]) -> dict[str, float]:
    """The likeliest next tokens with their log-probabilities. Raises `FloatingPointError` where they are no numbers."""
    body = {"model": name, "prompt": ids, "logprobs": TOP, "return_tokens_as_token_ids": True}
    try:
        found = top(server.post(COMPLETIONS, GREEDY | body))
    except servers.RequestRefused as refusal:
        if NO_NUMBER in refusal.text:
            raise FloatingPointError from None
        raise
    if not all(math.isfinite(value) for value in found.values()):
        raise FloatingPointError
    return found


def top(said: dict[str, Any]) -> dict[str, float]:
    """The log-probabilities that stand beside the first token of an answer."""
    found: dict[str, float] = said["choices"][0]["logprobs"]["top_logprobs"][0]
    return found


def apart(one: dict[str, float], other: dict[str, float]) -> float:
    """The largest difference between two tables of log-probabilities; one that is in one table alone is far off."""
    return max(
        (abs(one.get(token, -100.0) - other.get(token, -100.0)) for token in {*one, *other}), default=0.0
    )


def told(refusal: servers.RequestRefused) -> str:
    """What the server says is wrong, without a full stop."""
    try:
        said = json.loads(refusal.text)
        words = said["error"]["message"] if "error" in said else said["message"]
    except (ValueError, KeyError, TypeError):
        words = refusal.text
    return " ".join(str(words).split())[:300].rstrip(".") or f"status {refusal.status}"
