"""Rejection sampling (RAFT, Dong et al. 2304.06767): `python -m training.recipes.best_of_n RUN_DIR`.

Several answers to each prompt are sampled and scored, and the best one is learned as a demonstration: the mean negative
log-likelihood of its tokens. Nothing pushes bad answers away, so it moves slowly and breaks little. Everything else as
in ppo.py. Settings: training.specs.BestOfNSpec.
"""

from __future__ import annotations

import sys
from statistics import fmean
from typing import TYPE_CHECKING

from training.recipes import contract

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.rl.driver import Session
    from training.recipes.rl.rollouts import Answers


def train(run: contract.Run) -> None:
    """Carry out one run."""
    from training.recipes.rl import driver

    driver.carry_out(run, learn)


def learn(session: Session, answers: Answers) -> dict[str, float]:
    """Learn the best answer to each prompt once; returns what is shown, means over the minibatches."""
    from training.recipes.rl import driver

    scores = driver.shaped(session, answers).view(-1, session.spec.samples)
    best = scores.argmax(1)
    first = best.new_tensor(range(len(best))) * session.spec.samples
    kept = answers.take(first + best)
    seen = []
    for passes in session.minibatches(len(kept)):
        parts = [kept.take(places) for places in passes]
        tokens = sum(part.real.sum() for part in parts)
        loss = sum(learn_part(session, part, tokens) for part in parts)
        seen.append({"loss": float(loss), "grad_norm": session.apply()})
    return {name: fmean(facts[name] for facts in seen) for name in seen[0]} | {
        "reward_best": scores.max(1).values.mean().item()
    }


def learn_part(session: Session, part: Answers, tokens: Tensor | int) -> float:
    """Add the gradients of some answers of a minibatch with so many tokens; returns their part of its loss."""
    from training.recipes.rl import probabilities

    logp, _, _ = probabilities.of_answers(
        session.roles.policy, part.ids, part.mask, part.real, session.spec.temperature
    )
    loss = -logp.sum() / tokens
    loss.backward()
    return loss.item()


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "best_of_n", train))
