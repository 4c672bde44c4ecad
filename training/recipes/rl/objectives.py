"""The formulas of reinforcement learning on answers, as plain functions of tensors.

Symbols: B answers in a batch, T the tokens of the longest one. `mask` [B, T] is true at the tokens that were sampled,
the end-of-sequence token among them, and false behind them. What stands where it is false never counts: no function
reads it. Log-probabilities are in nats.

Sources: PPO, Schulman et al. 1707.06347; GAE, Schulman et al. 1506.02438; fine-tuning from preferences, Ziegler et al.
1909.08593; InstructGPT, Ouyang et al. 2203.02155; what implementations do, Huang et al. 2403.17031 ("N+ details");
estimators of KL, Schulman, "Approximating KL Divergence" (2020); RLOO, Kool et al. 2019, Ahmadian et al. 2402.14740.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Estimator = Literal["k1", "k2", "k3"]
EPSILON, CLIP = 1e-8, 0.2


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the real tokens of a batch, a scalar; 0 where there is none."""
    return values.masked_fill(~mask, 0).sum() / mask.sum().clamp(min=1)


def kl_estimate(logp: Tensor, reference: Tensor, kind: Estimator) -> Tensor:
    """Return an estimate of KL(policy || reference) at each sampled token, in nats, shaped as its input.

    With d = log p - log p_ref of the token that the policy sampled. k1 = d: unbiased, may be negative. k2 = d² / 2:
    biased, small variance. k3 = exp(-d) - 1 + d: unbiased and never negative.
    """
    d = logp - reference
    match kind:
        case "k1":
            return d
        case "k2":
            return d.square() / 2
        case "k3":
            return torch.expm1(-d) + d


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, coefficient: float) -> Tensor:
    """Return the reward of each token [B, T]: minus `coefficient` times its KL, and on the last real one the score too.

    The score [B] belongs to the whole answer, which is there only once its last token is (Ziegler et al.).
    """
    rewards = (-coefficient * kl).masked_fill(~mask, 0)
    last = mask.sum(1) - 1
    rows = torch.arange(len(scores), device=scores.device)
    return rewards.index_put((rows, last), scores.to(rewards.dtype), accumulate=True)


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Return (advantages, returns), each [B, T] and 0 where there is no token, by generalised advantage estimation.

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = delta_t + gamma lam A_{t+1}, with V and A zero behind the last token:
    an answer ends there, whether the policy ended it or its length did. Returns are A + V, the targets of the values.
    """
    rewards, values = rewards.masked_fill(~mask, 0), values.masked_fill(~mask, 0)
    advantages = torch.zeros_like(rewards)
    following = next_value = torch.zeros_like(rewards[:, 0])
    for at in range(rewards.shape[1] - 1, -1, -1):
        delta = rewards[:, at] + gamma * next_value - values[:, at]
        following = (delta + gamma * lam * following).masked_fill(~mask[:, at], 0)
        advantages[:, at], next_value = following, values[:, at]
    return advantages, advantages + values


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Return values with mean 0 and variance 1 over the real tokens, 0 elsewhere; the variance is the unbiased one.

    Of a single token, or of tokens that are all alike, only the mean is taken away.
    """
    mean = masked_mean(values, mask)
    variance = (values - mean).square().masked_fill(~mask, 0).sum() / (mask.sum() - 1).clamp(min=1)
    return ((values - mean) * torch.rsqrt(variance + EPSILON)).masked_fill(~mask, 0)


@dataclass(frozen=True)
class PolicyLoss:
    """The clipped surrogate of a minibatch, and what is watched of it: scalars over its real tokens."""

    loss: Tensor
    ratio: Tensor  # mean of p / p_old
    largest: Tensor  # largest of it
    clipped: Tensor  # share of tokens at which the clipped term is the one that counts
    moved: Tensor  # KL(old || new) by k3, in nats


def policy_loss(logp: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, *, clip: float) -> PolicyLoss:
    """Return -E[min(w A, clip(w, 1 - clip, 1 + clip) A)] with w = p / p_old at each token (1707.06347, equation 7)."""
    ratio = torch.exp((logp - old).masked_fill(~mask, 0))
    free, bound = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    loss = masked_mean(torch.maximum(free, bound), mask)
    with torch.no_grad():
        moved = torch.expm1(logp - old) - (logp - old)
        return PolicyLoss(
            loss,
            masked_mean(ratio, mask),
            ratio.masked_fill(~mask, 0).max(),
            masked_mean((bound > free).float(), mask),
            masked_mean(moved, mask),
        )


def value_loss(
    values: Tensor, old: Tensor, returns: Tensor, mask: Tensor, *, clip: float
) -> tuple[Tensor, Tensor]:
    """Return (half the mean of the larger of two squared errors, share of tokens where the clipped one counted).

    Values that moved further than `clip` from those of the rollout are held there (N+ details, from OpenAI baselines).
    """
    held = torch.clamp(values, old - clip, old + clip)
    free, bound = (values - returns).square(), (held - returns).square()
    loss = masked_mean(torch.maximum(free, bound), mask) / 2
    return loss, masked_mean((bound > free).float().detach(), mask)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """Return 1 - Var(returns - values) / Var(returns) over the real tokens; NaN where returns are all alike."""
    real, wanted = values[mask].double(), returns[mask].double()
    spread = wanted.var(unbiased=False).item()
    return 1 - (wanted - real).var(unbiased=False).item() / spread if spread > 0 else math.nan


def leave_one_out(scores: Tensor, n: int) -> Tensor:
    """Return each score minus the mean of the other n - 1 answers to its prompt; [B] in groups of n, one a prompt."""
    groups = scores.view(-1, n)
    return ((groups * n - groups.sum(1, keepdim=True)) / (n - 1)).view(-1)


@dataclass
class KlCoefficient:
    """The weight of the KL penalty: fixed, or moved towards a target as Ziegler et al. do (section 2.2).

    e = clip(KL / target - 1, -0.2, 0.2) and coefficient *= 1 + e n / horizon, n being the answers of the step. Only
    `value` changes, so it is all that a checkpoint needs.
    """

    value: float
    target: float | None = None  # nats of a whole answer; None: fixed
    horizon: int = 10_000

    def update(self, kl: float, answers: int) -> None:
        """Learn from the mean KL of a step's answers, in nats of a whole answer."""
        if self.target is not None:
            error = min(max(kl / self.target - 1, -0.2), 0.2)
            self.value *= 1 + error * answers / self.horizon


@dataclass
class RunningMoments:
    """Mean and variance of all scores so far (Chan, Golub, LeVeque 1979), to scale rewards by."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = field(default=0.0)  # sum of squared distances from the mean

    def update(self, scores: Tensor) -> None:
        """Take in the scores of a batch, [B]."""
        n, mean = len(scores), scores.double().mean().item()
        squares = (scores.double() - mean).square().sum().item()
        delta, count = mean - self.mean, self.count + n
        self.squares += squares + delta * delta * self.count * n / count
        self.mean += delta * n / count
        self.count = count

    @property
    def std(self) -> float:
        """The standard deviation, the unbiased one; 1 as long as nothing can be said of it."""
        spread = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0
        return spread if spread > EPSILON else 1.0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}
