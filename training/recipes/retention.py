"""Forgetting: how well the model still knows texts that it knew before, measured before and after training.

The measure is perplexity over all tokens of the retention texts, exp(sum of -log p / tokens). Its drift is the ratio
after / before, with a percentile bootstrap over texts (Efron 1979), because tokens of one text are not independent.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from training.recipes import contract

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from training.recipes.tuning import Plan

LONGEST, RESAMPLES = 256, 2000
SEED = 20261121  # of the resampling, so that the same texts give the same interval


def look_before(plan: Plan, model: PreTrainedModel | PeftModel) -> None:
    """Score the texts with what training starts from, and keep that as an event; once a run."""
    texts = read_texts(plan)
    if texts and before(plan) is None:
        plan.run.event("retention", 0, scores=score(plan, model, texts))


def before(plan: Plan) -> list[list[float]] | None:
    """Return what was kept by `look_before`, also by a process that was killed since."""
    for event in contract.read_lines(plan.run.path / "events.jsonl"):
        if event.get("type") == "retention":
            return list(event["values"]["scores"])
    return None


def look_after(plan: Plan) -> dict[str, Any]:
    """Return {"retention": facts} of a finished run; empty where it has no retention texts."""
    texts, first = read_texts(plan), before(plan)
    if not texts or first is None:
        return {}
    assert plan.after is not None
    return {"retention": drift(first, score(plan, plan.after, texts))}


def read_texts(plan: Plan) -> list[str]:
    """Return the retention texts; none for a reward model, which has no perplexity."""
    name = plan.job.data.retention
    if name is None or plan.spec.method == "reward":
        return []
    with (plan.run.path / name).open(encoding="utf-8") as file:
        return [str(json.loads(line)["text"]) for line in file if line.strip()]


@torch.no_grad()  # type: ignore[untyped-decorator]
def score(plan: Plan, model: PreTrainedModel | PeftModel, texts: list[str]) -> list[list[float]]:
    """Return [sum of -log p in nats, predicted tokens] of each text, of its first 256 tokens, dropout off."""
    from training.recipes.keeping import logits

    limit = min(LONGEST, getattr(model.config, "max_position_embeddings", LONGEST) or LONGEST)
    training = model.training
    found = []
    for text in texts:
        plan.run.stop_if_asked()
        ids = torch.tensor([plan.tokenizer(text)["input_ids"][:limit]])
        if ids.shape[1] < 2:
            found.append([0.0, 0.0])
            continue
        out = logits(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        chosen = out[:-1].log_softmax(-1).gather(-1, ids[0, 1:, None])
        found.append([-chosen.double().sum().item(), float(ids.shape[1] - 1)])
    model.train(training)
    return found


def drift(first: list[list[float]], second: list[list[float]]) -> dict[str, Any]:
    """Return perplexity before and after, and their ratio with a 95 % interval; above 1 the model has forgotten.

    Both lists have [nats, tokens] of the same texts. With fewer than two texts the interval is null.
    """
    a, b = np.array(first), np.array(second)
    tokens = a[:, 1]
    total = tokens.sum()
    facts: dict[str, Any] = {
        "texts": len(first),
        "tokens": int(total),
        "before": math.exp(a[:, 0].sum() / total),
        "after": math.exp(b[:, 0].sum() / total),
        "ratio": math.exp((b[:, 0] - a[:, 0]).sum() / total),
        "low": None,
        "high": None,
    }
    if len(first) > 1:
        picks = np.random.default_rng(SEED).integers(0, len(first), size=(RESAMPLES, len(first)))
        ratios = (b[:, 0] - a[:, 0])[picks].sum(1) / np.maximum(tokens[picks].sum(1), 1)
        low, high = np.exp(np.quantile(ratios, [0.025, 0.975]))
        facts |= {"low": float(low), "high": float(high)}
    return facts
