"""Kahneman-Tversky optimisation (Ethayarajh et al. 2402.01306): `python -m training.recipes.kto RUN_DIR`.

Rows of RUN_DIR/data/*.jsonl: {"prompt": [...], "completion": [...], "label": true or false}; no pairs are needed, so
flags of good and bad answers will do. The reference is what training starts from, as in DPO, and at the start every
implied reward is zero: the first loss is half the mean weight of the batch's rows. Settings: training.specs.KtoSpec.
Files and exit codes: contract.py.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from training.recipes import contract
from training.specs import KtoSpec

if TYPE_CHECKING:
    from transformers import Trainer

    from training.recipes.tuning import Plan


def train(run: contract.Run) -> None:
    """Carry out one run."""
    from training.recipes import tuning

    plan = tuning.prepare(run)
    assert isinstance(plan.spec, KtoSpec)
    run.stop_if_asked()
    tuning.carry_out(plan, trainer(plan), first_loss=first_loss(plan.spec))


def trainer(plan: Plan) -> Trainer:
    """TRL's KTOTrainer on the plan's tokens."""
    from trl import KTOConfig, KTOTrainer

    from training.recipes import tuning

    spec = plan.spec
    assert isinstance(spec, KtoSpec)
    config = KTOConfig(
        **tuning.arguments(plan),
        beta=spec.beta,
        desirable_weight=spec.desirable_weight,
        undesirable_weight=spec.undesirable_weight,
        precompute_ref_log_probs=spec.precompute_reference,
    )
    return tuning.build(plan, KTOTrainer, config)


def first_loss(spec: KtoSpec) -> float | None:
    """Return the loss where every implied reward is zero: weight / 2; None where it depends on the batch."""
    if spec.adaptation in ("prompt", "prefix") or spec.desirable_weight != spec.undesirable_weight:
        return None
    return spec.desirable_weight / 2


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "kto", train))
