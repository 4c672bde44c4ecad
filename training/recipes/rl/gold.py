"""Is the reward being gamed? Greedy answers to held-out prompts, policy against reference, by two judges.

The proxy is the reward model that the policy learns from; gold is a second one that only watches. Where the proxy's win
rate goes on rising and gold's falls, the policy learns what is wrong with the proxy (Gao et al. 2210.10760).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.recipes.reward import wilson
from training.recipes.rl import rollouts

if TYPE_CHECKING:
    from training.recipes.rl.driver import Session
    from training.recipes.rl.roles import Role


@dataclass
class Held:
    """Held-out prompts, and the scores [n] of the reference's answers to them by each judge."""

    prompts: list[list[int]]
    judges: dict[str, Role]
    reference: dict[str, Tensor]


def begin(session: Session) -> Held | None:
    """Answer the held-out prompts as the reference does; None where there are none. The same at every start."""
    plan, spec, roles = session.plan, session.spec, session.roles
    if plan.held is None or not spec.held_prompts:
        return None
    prompts = [row["query"]["ids"] for row in plan.held.rows[: spec.held_prompts]]
    judges = {"": roles.reward} | ({"gold_": roles.gold} if roles.gold is not None else {})
    return Held(prompts, judges, judged(session, roles.reference, prompts, judges))


@torch.no_grad()  # type: ignore[untyped-decorator]
def judged(
    session: Session, who: Role, prompts: list[list[int]], judges: dict[str, Role]
) -> dict[str, Tensor]:
    """Return each judge's scores [n] of greedy answers to prompts."""
    plan, pad = session.plan, session.plan.tokenizer.pad_token_id or 0
    sampler = rollouts.LocalSampler(who, session.spec, plan.encoder.ends, pad, greedy=True)
    answers = rollouts.together(prompts, sampler.answer(prompts), plan.encoder.ends, pad, who.causal.device)
    parts = [
        answers.take(places)
        for places in torch.arange(len(answers), device=answers.ids.device).split(session.spec.batch_size)
    ]
    return {
        name: torch.cat([rollouts.judged(judge, part, session.tail) for part in parts])
        for name, judge in judges.items()
    }


def check(session: Session, held: Held) -> dict[str, float]:
    """Return win rates over the reference with 95 % intervals, ties half, and mean scores, for each judge."""
    scores = judged(session, session.roles.policy, held.prompts, held.judges)
    facts: dict[str, float] = {"prompts": float(len(held.prompts))}
    for name, mine in scores.items():
        theirs = held.reference[name]
        wins = ((mine > theirs).sum() + 0.5 * (mine == theirs).sum()).item()
        low, high = wilson(wins, len(held.prompts))
        facts |= {
            f"{name}win_rate": wins / len(held.prompts),
            f"{name}win_rate_low": low,
            f"{name}win_rate_high": high,
            f"{name}held_reward": mine.mean().item(),
        }
    return facts
