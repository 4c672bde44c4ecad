"""Supervised fine-tuning: `python -m training.recipes.sft RUN_DIR`.

Rows of RUN_DIR/data/*.jsonl: {"prompt": [{role, content}, ...], "completion": [{role: "assistant", content}]}, where
the loss is on the completion's tokens only unless the spec says otherwise, the end-of-turn token among them; or
{"text": "..."}, learned whole. Settings: training.specs.SftSpec. Files and exit codes: contract.py.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, insort
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
    from training.recipes.segments import use_segments

    assert isinstance(plan.spec, SftSpec)
    if plan.spec.packs:
        use_segments(plan.bare)
    return tuning.build(plan, SFTTrainer, SFTConfig(**tuning.arguments(plan) | packing(plan)))


def packing(plan: Plan) -> dict[str, Any]:
    """Return the arguments of packing: bins that hold the tokens of about `batch_size` rows, one bin at a time.

    So a packed step sees about as many rows as one that is not packed, and a run has as many steps; only the padding is
    gone. Rows stay whole.
    """
    assert isinstance(plan.spec, SftSpec)
    if not plan.spec.packs:
        return {"packing": False}
    tokens = [
        len(row[name]["ids"]) for row in plan.train.rows for name in ("text", "completion") if name in row
    ]
    return {
        "packing": True,
        "packing_strategy": "bfd",
        "eval_packing": False,
        "max_length": bin_size(tokens, plan.spec.batch_size),
        "per_device_train_batch_size": 1,
    }


def bin_size(tokens: list[int], batch_size: int) -> int:
    """Return the size of bins that take rows of these lengths in as many steps as batches would, to a hundredth."""
    steps = math.ceil(len(tokens) / batch_size)
    size = max(max(tokens), math.ceil(sum(tokens) / steps))
    while bins(tokens, size) > steps:
        size = math.ceil(size * 1.01)
    return size


def bins(tokens: list[int], size: int) -> int:
    """Return how many bins of a size the rows need by best fit, longest first, which is how TRL fills them."""
    free: list[int] = []  # of each bin, in order
    for length in sorted(tokens, reverse=True):
        at = bisect_left(free, length)
        insort(free, (free.pop(at) if at < len(free) else size) - length)
    return len(free)


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "sft", train))
