"""Supervised fine-tuning: `python -m training.recipes.sft RUN_DIR`.

Rows of RUN_DIR/data/*.jsonl: {"prompt": [{role, content}, ...], "completion": [{role: "assistant", content}]}, where
the loss is on the completion's tokens only unless the spec says otherwise, the end-of-turn token among them; or
{"text": "..."}, learned whole. Settings: training.specs.SftSpec. Files and exit codes: contract.py.
"""

from __future__ import annotations

import math
import sys
from statistics import mean, pstdev
from typing import TYPE_CHECKING, Any

from training.recipes import contract
from training.specs import SftSpec

if TYPE_CHECKING:
    from transformers import Trainer

    from training.recipes.tuning import Plan


def train(run: contract.Run) -> None:
    """Carry out one run."""
    from training.recipes import tuning

    plan = tuning.prepare(run)
    run.stop_if_asked()
    tuning.carry_out(plan, trainer(plan))


def trainer(plan: Plan) -> Trainer:
    """TRL's SFTTrainer on the plan's tokens."""
    from trl import SFTConfig, SFTTrainer

    from training.recipes import tuning

    return tuning.build(plan, SFTTrainer, SFTConfig(**tuning.arguments(plan) | packing(plan)))


def packing(plan: Plan) -> dict[str, Any]:
    """Return the arguments of packing: bins that hold the tokens of about `batch_size` rows, one bin at a time.

    So a packed step sees about as many rows as one that is not packed, and a run has as many steps; only the padding is
    gone. A bin holds the mean length times `batch_size`, and one standard deviation, without which rows of nearly one
    length would leave the last place empty. Rows stay whole: a bin holds at least the longest.
    """
    assert isinstance(plan.spec, SftSpec)
    if not plan.spec.packs:
        return {"packing": False}
    tokens = [
        len(row[name]["ids"]) for row in plan.train.rows for name in ("text", "completion") if name in row
    ]
    bin_size = max(max(tokens), math.ceil(plan.spec.batch_size * mean(tokens) + pstdev(tokens)))
    return {
        "packing": True,
        "packing_strategy": "bfd",
        "eval_packing": False,
        "max_length": bin_size,
        "per_device_train_batch_size": 1,
    }


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "sft", train))
