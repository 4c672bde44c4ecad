"""Direct preference optimisation (Rafailov et al. 2305.18290): `python -m training.recipes.dpo RUN_DIR`.

Rows of RUN_DIR/data/*.jsonl: {"prompt": [...], "chosen": [...], "rejected": [...]}, each a list of {role, content}.
The reference is what training starts from: the base with the new adapter off; a frozen copy of the adapter that is
gone on with; or, in full training, the same directory loaded a second time. Its log-probabilities are computed once,
before the first step, unless the spec says otherwise. So the first loss is known exactly, and a run whose first loss
differs is stopped (it found a wrong reference). Under prompt and prefix tuning policy and reference differ from the
start, because vectors are put before the prompt, and the first loss is not known. Settings: training.specs.DpoSpec.
Files and exit codes: contract.py.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from training.recipes import contract
from training.specs import DpoSpec

if TYPE_CHECKING:
    from transformers import Trainer

    from training.recipes.tuning import Plan


def train(run: contract.Run) -> None:
    """Carry out one run."""
    from training.recipes import tuning

    plan = tuning.prepare(run)
    assert isinstance(plan.spec, DpoSpec)
    run.stop_if_asked()
    tuning.carry_out(plan, trainer(plan), first_loss=first_loss(plan.spec))


def trainer(plan: Plan) -> Trainer:
    """TRL's DPOTrainer on the plan's tokens."""
    from trl import DPOConfig, DPOTrainer

    from training.recipes import tuning

    spec = plan.spec
    assert isinstance(spec, DpoSpec)
    config = DPOConfig(
        **tuning.arguments(plan),
        beta=spec.beta,
        loss_type=[spec.loss_type],
        label_smoothing=spec.label_smoothing,
        precompute_ref_log_probs=spec.precompute_reference,
    )
    return tuning.build(plan, DPOTrainer, config)


def first_loss(spec: DpoSpec) -> float | None:
    """Return the loss, in nats or the loss's own unit, at a margin of zero: what policy = reference gives.

    None where policy and reference differ before training.
    """
    if spec.adaptation in ("prompt", "prefix"):
        return None
    match spec.loss_type:
        case "hinge":
            return 1.0
        case "ipo":
            return (1 / (2 * spec.beta)) ** 2
        case _:
            return math.log(2)


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "dpo", train))
