"""A reward model: `python -m training.recipes.reward RUN_DIR`.

Rows of RUN_DIR/data/*.jsonl: {"prompt": [...], "chosen": [...], "rejected": [...], "margin": number or absent}. One
number a response, read at its last token; the loss is Bradley-Terry's, -log sigmoid(r_chosen - r_rejected - margin)
(Ouyang et al. 2203.02155; margin: Touvron et al. 2307.09288). At the end the held-out pairs are scored with what was
read back from disk: accuracy with its interval, how well confidence fits it, and the mean and spread of rewards, by
which final/reward.json lets others centre and scale them. Settings: training.specs.RewardSpec. Files and exit codes:
contract.py.
"""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

from training.recipes import contract
from training.specs import RewardSpec

if TYPE_CHECKING:
    from transformers import Trainer

    from training.recipes.tuning import Plan

BINS = 5
Z = 1.959963984540054  # of a 95 % interval


def train(run: contract.Run) -> None:
    """Carry out one run."""
    from training.recipes import tuning

    plan = tuning.prepare(run)
    run.stop_if_asked()
    tuning.carry_out(plan, trainer(plan), measure=measure)


def trainer(plan: Plan) -> Trainer:
    """TRL's RewardTrainer on the plan's tokens."""
    from trl import RewardConfig, RewardTrainer

    from training.recipes import tuning

    spec = plan.spec
    assert isinstance(spec, RewardSpec)
    config = RewardConfig(**tuning.arguments(plan), center_rewards_coefficient=spec.center or None)
    return tuning.build(plan, RewardTrainer, config)


def measure(plan: Plan) -> dict[str, Any]:
    """Score the training and held-out pairs with the saved model; writes final/reward.json with mean and spread."""
    from training.recipes.keeping import logits

    model, pairs = plan.after, (plan.held or plan.train).rows
    assert model is not None
    chosen = [score(model, row["chosen"]["ids"], logits) for row in pairs]
    rejected = [score(model, row["rejected"]["ids"], logits) for row in pairs]
    both = chosen + rejected
    mean = sum(both) / len(both)
    spread = math.sqrt(sum((value - mean) ** 2 for value in both) / len(both))
    facts = {"reward_mean": mean, "reward_std": spread, "n": len(both), "held_out": plan.held is not None}
    contract.write_whole(plan.run.path / "final" / "reward.json", json.dumps(facts, indent=2))
    return {"held_out": calibration(chosen, rejected) | facts} if plan.held else {"rewards": facts}


def score(model: Any, ids: list[int], logits: Any) -> float:
    """Return the reward of one sequence; alone, so that no padding is beside it."""
    import torch

    batch = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    return float(logits(model, batch)[0, 0])


def calibration(chosen: list[float], rejected: list[float]) -> dict[str, Any]:
    """Say how often the model agrees with people, and whether it is as sure as it is right.

    Its confidence in a pair is sigmoid(|difference|), from 0.5 to 1. `bins` holds, for equal parts of that range, how
    many pairs fall there, their mean confidence and the share on which model and people agree; `ece` is the mean gap
    between the two, weighted by pairs (Guo et al. 1706.04599). Accuracy comes with Wilson's 95 % interval; a tie
    counts half.
    """
    margins = [a - b for a, b in zip(chosen, rejected, strict=True)]
    n = len(margins)
    right = sum(1.0 if margin > 0 else 0.5 if margin == 0 else 0.0 for margin in margins)
    bins: list[list[tuple[float, float]]] = [[] for _ in range(BINS)]
    for margin in margins:
        sure = 1 / (1 + math.exp(-min(abs(margin), 700)))
        place = min(BINS - 1, int((sure - 0.5) * 2 * BINS))
        bins[place].append((sure, 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0))
    rows = [
        {
            "from": 0.5 + place / (2 * BINS),
            "n": len(found),
            "confidence": sum(sure for sure, _ in found) / len(found),
            "accuracy": sum(hit for _, hit in found) / len(found),
        }
        for place, found in enumerate(bins)
        if found
    ]
    low, high = wilson(right, n)
    return {
        "accuracy": right / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "pairs": n,
        "log_loss": sum(softplus(-margin) for margin in margins) / n,
        "ece": sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / n,
        "bins": rows,
    }


def softplus(value: float) -> float:
    """Return log(1 + exp(value)) without overflow."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def wilson(right: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (Wilson 1927)."""
    share, z2 = right / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "reward", train))
