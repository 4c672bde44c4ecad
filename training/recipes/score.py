"""Score completions by their log-probability: `python -m training.recipes.score RUN_DIR`.

RUN_DIR/spec.json: training.specs.ScoreJob. RUN_DIR/requests.jsonl: {"id", "messages": [...], "completion":
"text"}. Appends to RUN_DIR/scores.jsonl {"id", "checkpoint", "logprob", "tokens", "truncated"}: `logprob` is
the sum, in nats, of the log-probabilities of the completion's `tokens` tokens after the rendered prompt, the
end-of-turn token included, so an empty completion has one token. A row above max_length loses the start of
its prompt; when the completion alone is too long, its end; either way truncated is true. What is in
scores.jsonl is not scored again, so a stopped run goes on where it was.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from training.recipes import contract
from training.specs import Scored, ScoreJob, SpecRefused, parse

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Model: TypeAlias = PreTrainedModel | PeftModel


@dataclass(frozen=True)
class Request:
    """One row in tokens: the last `tokens` ids are the completion."""

    id: str
    ids: list[int]
    tokens: int
    truncated: bool


def work(run: contract.Run) -> None:
    """Score every request with every checkpoint and write result.json."""
    from transformers import AutoTokenizer

    job = parse(ScoreJob, run.spec)
    check_checkpoints(job)
    began = time.monotonic()
    rows = read_requests(run.path / "requests.jsonl")
    done = {(row.get("id"), row.get("checkpoint")) for row in contract.read_lines(run.path / "scores.jsonl")}
    left = {c.id: [row for row in rows if (row["id"], c.id) not in done] for c in job.checkpoints}
    total = len(rows) * len(job.checkpoints)
    skipped = total - sum(len(rows) for rows in left.values())
    run.event("start", rows=len(rows), checkpoints=len(job.checkpoints), total=total, skipped=skipped)
    tokenizers = {
        root: AutoTokenizer.from_pretrained(root) for root in {c.model or job.base for c in job.checkpoints}
    }
    count = skipped
    out = contract.open_for_append(run.path / "scores.jsonl")
    for checkpoint, model in loaded(run, job, left):
        ends = end_ids(tokenizers[checkpoint.model or job.base], model)
        encoded = [
            encode(tokenizers[checkpoint.model or job.base], ends, row, job.max_length)
            for row in left[checkpoint.id]
        ]
        canary(run, checkpoint, model, encoded[: job.batch_size])
        for batch in batches(encoded, job.batch_size):
            run.stop_if_asked()
            write_scores(out, checkpoint.id, batch, log_probabilities(model, batch))
            count += len(batch)
            run.event("progress", count, done=count, total=total)
    cut = sum(bool(row.get("truncated")) for row in contract.read_lines(run.path / "scores.jsonl"))
    seconds = round(time.monotonic() - began, 1)
    run.event("end", count, seconds=seconds)
    run.finish(
        status="succeeded", scored=count - skipped, skipped=skipped, total=total, truncated=cut,
        requests=len(rows), checkpoints=len(job.checkpoints), seconds=seconds, environment=contract.environment(),
    )  # fmt: skip


def check_checkpoints(job: ScoreJob) -> None:
    """Refuse doubled ids, missing directories, and a checkpoint that is both an adapter and a model."""
    names = [c.id for c in job.checkpoints]
    if len(set(names)) < len(names):
        raise SpecRefused(f"checkpoint ids {names} are not all different; give each its own")
    for c in job.checkpoints:
        if c.adapter and c.model:
            raise SpecRefused(
                f"checkpoint {c.id} has both adapter and model; give one, or neither for the base"
            )
        for path in (c.adapter, c.model):
            if path and not Path(path).is_dir():
                raise SpecRefused(
                    f"checkpoint {c.id} is at {path}, which is not a directory; correct the path"
                )


def read_requests(path: Path) -> list[dict[str, Any]]:
    """Return the requests. Raises `RecipeFailed` when there is none, or two share an id."""
    rows = contract.read_lines(path)
    if not rows:
        raise contract.RecipeFailed(f"{path} holds no request; write one JSON object a line before scoring")
    for row in rows:
        if not (
            isinstance(row.get("id"), str) and isinstance(row.get("completion"), str) and row.get("messages")
        ):
            raise contract.RecipeFailed(
                f"request {row.get('id')!r} is not complete; it needs id and completion (text) and messages (a list)"
            )
    if len({row["id"] for row in rows}) < len(rows):
        raise contract.RecipeFailed(f"{path.name} has two requests with one id; make the ids different")
    return rows


def loaded(run: contract.Run, job: ScoreJob, left: dict[str, list[Any]]) -> Iterator[tuple[Scored, Model]]:
    """Yield (checkpoint, model) for checkpoints with work left: the base is loaded once, adapters are put on
    and taken off.
    """
    from peft import PeftModel

    base: PreTrainedModel | None = None
    for checkpoint in job.checkpoints:
        if not left[checkpoint.id]:
            continue
        run.stop_if_asked()
        if checkpoint.model:
            yield checkpoint, load(checkpoint.model)
            continue
        base = load(job.base) if base is None else base
        if checkpoint.adapter is None:
            yield checkpoint, base
            continue
        adapted = PeftModel.from_pretrained(base, checkpoint.adapter).eval()
        yield checkpoint, adapted
        base = adapted.unload()


def load(path: str) -> PreTrainedModel:
    """Load a model for inference: float32 on the CPU, bfloat16 on CUDA."""
    import torch
    from transformers import AutoModelForCausalLM

    cuda = torch.cuda.is_available()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.bfloat16 if cuda else torch.float32
    )
    return model.to("cuda" if cuda else "cpu").eval()


def end_ids(tokenizer: PreTrainedTokenizerBase, model: Model) -> list[int]:
    """Return the tokens that end a turn: the tokenizer's end of sequence first, then those that generation
    stops at.
    """
    listed = model.generation_config.eos_token_id if model.generation_config else None
    stops = listed if isinstance(listed, list) else [listed]
    return [token for token in dict.fromkeys([tokenizer.eos_token_id, *stops]) if token is not None]


def encode(tokenizer: PreTrainedTokenizerBase, ends: list[int], row: dict[str, Any], limit: int) -> Request:
    """Render and tokenise a request.

    The completion starts where the prompt's tokens end and stops at its end-of-turn token.
    """
    turn = {"role": "assistant", "content": row["completion"]}
    prompt = rendered(tokenizer, row["messages"], add_generation_prompt=True)
    whole = rendered(tokenizer, [*row["messages"], turn])
    start = next(
        (i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b),
        min(len(prompt), len(whole)),
    )
    prompt, completion = whole[:start], whole[start:]
    while completion and completion[-1] not in ends and any(token in ends for token in completion):
        completion.pop()  # what a template writes after the end of the turn is not the model's to say
    if not completion or completion[-1] not in ends:
        completion += ends[:1]
    truncated = len(prompt) + len(completion) > limit
    completion = completion[: limit - 1]
    prompt = prompt[-(limit - len(completion)) :]
    return Request(row["id"], prompt + completion, len(completion), truncated)


def rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], **options: Any) -> list[int]:
    """Return the token ids of chat messages."""
    return list(
        tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]
    )


def batches(requests: list[Request], size: int) -> Iterator[list[Request]]:
    """Yield batches of like length, the longest first: padding is small, and memory runs out at once or
    never.
    """
    ordered = sorted(requests, key=lambda request: (-len(request.ids), request.id))
    for at in range(0, len(ordered), size):
        yield ordered[at : at + size]


def log_probabilities(model: Model, batch: list[Request]) -> list[float]:
    """Return one sum of completion log-probabilities a request, in nats, computed in float32 from right-
    padded rows.

    Only the positions from the first completion on are projected to the vocabulary: [rows, positions,
    vocabulary] is what takes memory.
    """
    import torch

    width = max(len(r.ids) for r in batch)
    first = (
        min(len(r.ids) - r.tokens for r in batch) - 1
    )  # the position that predicts the earliest completion token
    ids = torch.tensor([r.ids + [0] * (width - len(r.ids)) for r in batch], device=model.device)
    mask = torch.tensor([[1] * len(r.ids) + [0] * (width - len(r.ids)) for r in batch], device=model.device)
    with torch.no_grad():
        logits = model(
            input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=width - first
        ).logits
    sums = []
    for row, request in enumerate(batch):
        end = len(request.ids)
        here = logits[row, end - request.tokens - 1 - first : end - 1 - first].float()
        chosen = here.log_softmax(-1).gather(-1, ids[row, end - request.tokens : end, None])
        sums.append(chosen.double().sum().item())
    return sums


def canary(run: contract.Run, checkpoint: Scored, model: Model, requests: list[Request]) -> None:
    """Warn when an adapter changes no log-probability of the first requests: then it was not loaded, or was
    never trained.
    """
    if checkpoint.adapter is None:
        return
    with_adapter = log_probabilities(model, requests)
    with model.disable_adapter():
        without = log_probabilities(model, requests)
    difference = max(abs(a - b) for a, b in zip(with_adapter, without, strict=True))
    if difference < 1e-6:
        message = (
            f"Adapter {checkpoint.id} gives the base model's log-probabilities: it silently does nothing."
        )
        run.event("warning", checkpoint=checkpoint.id, message=message)
    run.event("canary", checkpoint=checkpoint.id, difference=difference)


def write_scores(out: int, checkpoint: str, batch: list[Request], sums: list[float]) -> None:
    """Append one line a request, a whole batch in one write."""
    if not all(math.isfinite(value) for value in sums):
        raise contract.RecipeFailed(
            f"checkpoint {checkpoint} gives log-probabilities that are not numbers: it diverged in training; "
            "train it again with a lower learning rate"
        )
    lines = [
        {"id": r.id, "checkpoint": checkpoint, "logprob": value, "tokens": r.tokens, "truncated": r.truncated}
        for r, value in zip(batch, sums, strict=True)
    ]
    os.write(out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "score", work))
