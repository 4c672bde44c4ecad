"""Supervised fine-tuning: `python -m training.recipes.sft RUN_DIR`.

Rows of RUN_DIR/data/*.jsonl: {"prompt": [{role, content}, ...], "completion": [{role: "assistant",
content}]}; the loss is on the completion's tokens only, the end-of-turn token among them. Settings:
training.specs.SftSpec. Files and exit codes: contract.py.
"""

from __future__ import annotations

import sys

from training.recipes import contract


def train(run: contract.Run) -> None:
    """Carry out one run with TRL's SFTTrainer."""
    from trl import SFTConfig, SFTTrainer

    from training.recipes import tuning

    plan = tuning.prepare(run, answers=("completion",))
    run.stop_if_asked()
    config = SFTConfig(**tuning.arguments(plan), completion_only_loss=True, packing=False)
    trainer = SFTTrainer(args=config, **tuning.inputs(plan))
    tuning.carry_out(plan, trainer)


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "sft", train))
