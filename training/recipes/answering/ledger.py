"""What is asked and what was answered: requests.jsonl comes in, answers.jsonl grows by whole lines.

A request that has its line is never asked again, whoever killed the process and when; a torn last line was no answer.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.recipes import contract
from training.specs import AnswerJob

ANSWERS, REQUESTS = "answers.jsonl", "requests.jsonl"
KINDS = ("complete", "likelihood", "choose", "reward")
Answer = dict[str, Any]
Messages = list[dict[str, str]]


def diverged(target: str) -> contract.RecipeFailed:
    """What is said of a checkpoint that gives something that is no number."""
    return contract.RecipeFailed(
        f"checkpoint {target} gives log-probabilities that are not numbers: it diverged in training; "
        "train it again with a lower learning rate"
    )


class Impossible(Exception):
    """A request that can never work; the message becomes the error of its answer."""


@dataclass(frozen=True)
class Sampling:
    """How a completion is sampled; `temperature` 0 is greedy, `top_k` 0 is no limit."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """One request."""

    id: str
    target: str
    kind: str
    messages: Messages
    completion: str = ""
    labels: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)

    def answer(self, **given: Any) -> Answer:
        """Its answer: a line of answers.jsonl."""
        return {"id": self.id, "target": self.target, "kind": self.kind} | given


class Ledger:
    """The requests that are left, by target, and the file that answers go to."""

    def __init__(self, run: contract.Run, job: AnswerJob) -> None:
        self.run = run
        rows = read_requests(run.path / REQUESTS, names(job))
        answered = {row.get("id") for row in contract.read_lines(run.path / ANSWERS)}
        self.total = len(rows)
        self.left: dict[str, list[Wanted]] = defaultdict(list)
        for row in rows:
            if row.id not in answered:
                self.left[row.target].append(row)
        self.skipped = self.done = self.total - sum(map(len, self.left.values()))
        self.out = contract.open_for_append(run.path / ANSWERS)

    def write(self, answers: Sequence[Answer]) -> None:
        """Append answers in one write, and say how far the run is."""
        if not answers:
            return
        data = as_lines(answers)
        if os.write(self.out, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.done += len(answers)
        self.run.event("progress", self.done, done=self.done, total=self.total)

    def totals(self) -> dict[str, Any]:
        """What result.json tells about the answers, by target where it differs."""
        found: dict[str, dict[str, Any]] = {}
        for row in contract.read_lines(self.run.path / ANSWERS):
            one = found.setdefault(
                row["target"], {"answers": 0, "errors": 0, "truncated": 0, "tokens": 0, "cost": None}
            )
            one["answers"] += 1
            one["errors"] += bool(row.get("error"))
            one["truncated"] += bool(row.get("truncated"))
            one["tokens"] += row.get("tokens") or 0
            if row.get("cost") is not None:
                one["cost"] = (one["cost"] or 0) + row["cost"]
        sums = {name: sum(one[name] for one in found.values()) for name in ("errors", "truncated")}
        counts = {"answered": self.done - self.skipped, "skipped": self.skipped, "total": self.total}
        return counts | sums | {"targets": found}


def as_lines(answers: Sequence[Answer]) -> bytes:
    """Answers as lines of the file. What no database stores is replaced: NULs, and halves of pairs."""
    lines = [
        json.dumps(
            {
                name: value.replace("\0", "\ufffd") if isinstance(value, str) else contract.plain(value)
                for name, value in answer.items()
            },
            ensure_ascii=False,
        )
        for answer in answers
    ]
    return "".join(line + "\n" for line in lines).encode("utf-8", "replace")


def read_requests(path: Path, targets: set[str]) -> list[Wanted]:
    """Return the requests. Raises `RecipeFailed` when there is none, two share an id, or one is not whole."""
    rows = [_wanted(row, targets) for row in contract.read_lines(path)]
    if not rows:
        raise contract.RecipeFailed(f"{path} holds no request; write one JSON object a line before asking")
    if len({row.id for row in rows}) < len(rows):
        raise contract.RecipeFailed(f"{path.name} has two requests with one id; make the ids different")
    return rows


def _wanted(row: dict[str, Any], targets: set[str]) -> Wanted:
    name, kind = row.get("id"), row.get("kind")
    labels = tuple(row.get("labels", ()))
    if (
        not isinstance(name, str)
        or kind not in KINDS
        or not isinstance(row.get("messages"), list)
        or not row["messages"]
        or (kind == "choose" and not 1 < len(labels) == len(set(labels)))
    ):
        raise contract.RecipeFailed(
            f"request {name!r} is not complete; it needs id, target, kind ({', '.join(KINDS)}) and messages, and one "
            "that chooses at least two labels, all different"
        )
    if row.get("target") not in targets:
        raise contract.RecipeFailed(
            f"request {name!r} asks {row.get('target')!r}; the spec names {', '.join(sorted(targets))}; correct one"
        )
    sampling = dict(row.get("sampling") or {})
    sampling["stop"] = tuple(sampling.get("stop", ()))
    return Wanted(
        name, row["target"], kind, row["messages"], row.get("completion", ""), labels, Sampling(**sampling)
    )


def names(job: AnswerJob) -> set[str]:
    """The ids of those who are asked."""
    return {one.id for one in job.targets} | {one.id for one in job.endpoints}


def digest(value: object) -> str:
    """SHA-256 of a prompt as the model gets it: its token ids, or its messages where a service renders them."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
