"""Direct preference optimisation (Rafailov et al. 2305.18290): `python -m training.recipes.dpo RUN_DIR`.

Rows of RUN_DIR/data/*.jsonl: {"prompt": [...], "chosen": [...], "rejected": [...]}, each a list of {role,
content}. The reference is what training starts from: the base with the new adapter off; a frozen copy of the
adapter that is gone on with; or, in full training, the same directory loaded a second time. So the first loss
is known exactly, and a run whose first loss differs is stopped (it found a wrong reference). Settings:
training.specs.DpoSpec. Files and exit codes: contract.py.
"""

from __future__ import annotations

import math
import sys

from training.recipes import contract
from training.specs import DpoSpec


def train(run: contract.Run) -> None:
    """Carry out one run with TRL's DPOTrainer."""
    from trl import DPOConfig, DPOTrainer

    from training.recipes import tuning

    plan = tuning.prepare(run, answers=("chosen", "rejected"))
    spec = plan.spec
    assert isinstance(spec, DpoSpec)
    run.stop_if_asked()
    config = DPOConfig(**tuning.arguments(plan), beta=spec.beta, loss_type=[spec.loss_type])
    trainer = DPOTrainer(args=config, **tuning.inputs(plan))
    tuning.carry_out(plan, trainer, first_loss=first_loss(spec))


def first_loss(spec: DpoSpec) -> float:
    """Return the loss, in nats or the loss's own unit, at a margin of zero: what policy = reference gives."""
    match spec.loss_type:
        case "hinge":
            return 1.0
        case "ipo":
            return (1 / (2 * spec.beta)) ** 2
        case _:
            return math.log(2)


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "dpo", train))
