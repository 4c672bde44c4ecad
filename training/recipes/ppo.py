"""Proximal policy optimisation (Schulman et al. 1707.06347): `python -m training.recipes.ppo RUN_DIR`.

Rows of RUN_DIR/data/*.jsonl: {"prompt": [...]}, a list of {role, content}; the model writes the answers itself, and the
reward model that spec.json names scores them. Each update samples answers (rl/rollouts.py), turns scores and KL from
the reference into a reward for each token, and learns from them several times over. Policy, values, reward model and
reference share one base (rl/roles.py). What every update of any such method does around this is in rl/driver.py.
Settings: training.specs.PpoSpec. Files and exit codes: contract.py.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from training.recipes import contract
from training.specs import PpoSpec

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.rl.driver import Session
    from training.recipes.rl.rollouts import Answers


def train(run: contract.Run) -> None:
    """Carry out one run."""
    from training.recipes.rl import driver

    driver.carry_out(run, learn)


def learn(session: Session, answers: Answers) -> dict[str, float]:
    """Learn from a rollout; returns what is shown of it, means over its minibatches."""
    answers, explained = with_advantages(session, answers)
    spec, seen, skipped = session.spec, [], 0
    assert isinstance(spec, PpoSpec)
    for _ in range(spec.ppo_epochs):
        for passes in session.minibatches(len(answers)):
            facts = learn_minibatch(session, [answers.take(places) for places in passes])
            skipped += facts is None
            seen += [facts] if facts is not None else []
    if not seen:
        raise contract.RecipeFailed(
            f"every minibatch of update {session.step} was skipped, because the policy moved beyond ratio_limit "
            f"{spec.ratio_limit:g}; lower learning_rate"
        )
    means = {name: fmean(facts[name] for facts in seen) for name in seen[0]}
    return means | {
        "ratio_max": max(facts["ratio_max"] for facts in seen),
        "first_ratio": seen[0]["ratio"],
        "explained_variance": explained,
        "skipped": float(skipped),
    }


def with_advantages(session: Session, answers: Answers) -> tuple[Answers, float]:
    """Return the answers with whitened advantages and returns, and how much of the returns the values explained."""
    from training.recipes.rl import driver
    from training.recipes.rl.objectives import explained_variance, gae, token_rewards, whiten

    spec = session.spec
    assert isinstance(spec, PpoSpec)
    assert answers.kl is not None
    assert answers.values is not None
    rewards = token_rewards(
        driver.shaped(session, answers), answers.kl, answers.real, session.coefficient.value
    )
    advantages, returns = gae(rewards, answers.values, answers.real, gamma=spec.gamma, lam=spec.lam)
    explained = explained_variance(answers.values, returns, answers.real)
    # Whitened over the whole rollout, not each minibatch: a token's advantage does not depend on its neighbours.
    whitened = whiten(advantages, answers.real)
    return replace(answers, advantages=whitened, returns=returns), explained


def learn_minibatch(session: Session, parts: list[Answers]) -> dict[str, float] | None:
    """Take one step of the optimizer on a minibatch in parts; None where the policy has moved too far to learn from it.

    Losses are divided by the tokens of the whole minibatch: parts of any size add up to the same gradient.
    """
    spec = session.spec
    assert isinstance(spec, PpoSpec)
    tokens = sum(part.real.sum() for part in parts)
    facts = [learn_part(session, part, tokens / part.real.sum()) for part in parts]
    shares = [float(part.real.sum() / tokens) for part in parts]
    means = {
        name: sum(share * fact[name] for share, fact in zip(shares, facts, strict=True)) for name in facts[0]
    }
    means["ratio_max"] = max(fact["ratio_max"] for fact in facts)
    if means["ratio"] > spec.ratio_limit:
        session.optimizer.zero_grad(set_to_none=True)
        return None
    return means | {"grad_norm": session.apply()}


def learn_part(session: Session, part: Answers, parts: Tensor) -> dict[str, float]:
    """Add the gradients of some answers; `parts` is how many times as many tokens the minibatch has."""
    from training.recipes.rl import probabilities
    from training.recipes.rl.objectives import masked_mean, policy_loss, value_loss
    from training.recipes.rl.rollouts import predicting

    spec, roles = session.spec, session.roles
    assert isinstance(spec, PpoSpec)
    assert roles.value is not None
    assert part.logp is not None
    assert part.advantages is not None
    assert part.values is not None
    assert part.returns is not None
    logp, entropy, states = probabilities.of_answers(
        roles.policy, part.ids, part.mask, part.real, spec.temperature, entropies=spec.entropy_weight > 0
    )
    policy = policy_loss(logp, part.logp, part.advantages, part.real, clip=spec.clip)
    spread = masked_mean(entropy, part.real)
    loss = policy.loss - spec.entropy_weight * spread
    if not roles.shared_states:  # the value adapter is switched on only once the policy's gradients are there
        (loss / parts).backward()
        states = predicting(roles.value, part)
    values = roles.value.scores(states)
    error, held = value_loss(values, part.values, part.returns, part.real, clip=spec.value_clip)
    rest = spec.value_weight * error + (loss if roles.shared_states else 0)
    (rest / parts).backward()
    return {
        "loss": loss.item() + spec.value_weight * error.item(),
        "policy_loss": policy.loss.item(),
        "value_loss": error.item(),
        "ratio": policy.ratio.item(),
        "ratio_max": policy.largest.item(),
        "clip_fraction": policy.clipped.item(),
        "value_clip_fraction": held.item(),
        "policy_moved": policy.moved.item(),
    }


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "ppo", train))
