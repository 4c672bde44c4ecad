"""REINFORCE with a leave-one-out baseline (Ahmadian et al. 2402.14740): `python -m training.recipes.rloo RUN_DIR`.

Several answers to each prompt; each is compared with the mean of the others, so that no values are learned. The whole
answer is one action: its reward is the score less the KL of all its tokens, its probability the product of theirs. As
in PPO the ratio is clipped, because the first minibatch of an update moves the policy under the later ones. TRL 1.16's
trainer is not used: it takes a reward model as a model of its own, and so holds the base twice. Everything else as in
ppo.py. Settings: training.specs.RlooSpec.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from training.recipes import contract

if TYPE_CHECKING:
    from training.recipes.rl.driver import Session
    from training.recipes.rl.rollouts import Answers


def train(run: contract.Run) -> None:
    """Carry out one run."""
    from training.recipes.rl import driver

    driver.carry_out(run, learn)


def learn(session: Session, answers: Answers) -> dict[str, float]:
    """Learn from a rollout once; returns what is shown of it, means over its minibatches."""
    from training.recipes.rl import driver
    from training.recipes.rl.objectives import leave_one_out

    assert answers.kl is not None
    rewards = driver.shaped(session, answers) - session.coefficient.value * answers.kl.sum(1)
    answers = replace(answers, advantages=leave_one_out(rewards, session.spec.samples))
    seen = []
    for passes in session.minibatches(len(answers)):
        count = sum(len(places) for places in passes)
        facts = [learn_part(session, answers.take(places), len(places) / count) for places in passes]
        means = {name: sum(fact[name] for fact in facts) for name in facts[0]}
        seen.append(means | {"grad_norm": session.apply()})
    return {name: fmean(facts[name] for facts in seen) for name in seen[0]} | {
        "first_ratio": seen[0]["ratio"]
    }


def learn_part(session: Session, part: Answers, share: float) -> dict[str, float]:
    """Add the gradients of some answers, which are `share` of the minibatch; returns their part of what is shown."""
    from training.recipes.rl import probabilities
    from training.recipes.rl.objectives import CLIP, policy_loss

    assert part.logp is not None
    assert part.advantages is not None
    logp, _, _ = probabilities.of_answers(
        session.roles.policy, part.ids, part.mask, part.real, session.spec.temperature
    )
    whole = part.real[:, :1] | True  # one action an answer
    policy = policy_loss(
        logp.sum(1, keepdim=True),
        part.logp.sum(1, keepdim=True),
        part.advantages[:, None],
        whole,
        clip=CLIP,
    )
    (policy.loss * share).backward()
    facts = {"loss": policy.loss, "ratio": policy.ratio, "clip_fraction": policy.clipped}
    return {name: value.item() * share for name, value in facts.items()}


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "rloo", train))
