"""Rollouts: prompts in, sampled answers out, with everything that is computed of them once.

Prompts are padded on the left and answers on the right, so that all answers of a group begin in the same column. Who
samples is behind `Sampler`: transformers here, vLLM in serving.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from transformers import GenerationConfig

from training.recipes import contract, segments
from training.recipes.rl import probabilities, sampling
from training.recipes.rl.objectives import kl_estimate

if TYPE_CHECKING:
    from training.recipes.rl.roles import Role, Roles
    from training.recipes.rows import Encoder
    from training.specs import RolloutSpec


@dataclass(frozen=True)
class Answers:
    """B prompts with their answers: ids and mask [B, P + T]; `real` [B, T] marks the answers' tokens, ends included.

    The other fields come later: log-probabilities, KL, values, advantages and returns [B, T], and scores [B] as the
    reward model gave them.
    """

    ids: Tensor
    mask: Tensor
    real: Tensor
    ended: Tensor  # [B], whether the answer ended by itself
    logp: Tensor | None = None
    entropy: Tensor | None = None
    kl: Tensor | None = None
    values: Tensor | None = None
    scores: Tensor | None = None
    advantages: Tensor | None = None
    returns: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: Tensor) -> Answers:
        """Some of the answers, without the columns that are padding in all of them."""
        of = {name: value[places] for name, value in vars(self).items() if value is not None}
        longest = max(1, int(of["real"].sum(1).max()))
        prompts = of["ids"].shape[1] - of["real"].shape[1]
        first = int(of["mask"][:, :prompts].any(0).long().argmax()) if prompts else 0
        cut = {name: value[:, :longest] if value.dim() == 2 else value for name, value in of.items()}
        for name in ("ids", "mask"):
            cut[name] = of[name][:, first : prompts + longest]
        return Answers(**cut)


class Sampler(Protocol):
    """Who answers prompts."""

    def answer(self, prompts: list[list[int]]) -> list[list[int]]:
        """Return an answer's tokens for each prompt, up to the first end-of-sequence token or the length allowed."""
        ...

    def check(self, answers: Answers) -> float | None:
        """Return how far its own log-probabilities are from the policy's, in nats a token; None where it tells none."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class LocalSampler:
    """The policy itself, its adapter switched on: our own loop, or transformers' `generate`.

    `generate` where the cache is to be static, or where a layer does not attend to everything before it.
    """

    def __init__(
        self, role: Role, spec: RolloutSpec, ends: set[int], pad: int, *, greedy: bool = False
    ) -> None:
        self.role, self.ends, self.pad, self.group = role, ends, pad, spec.sampled_at_once
        self.length, self.temperature = spec.response_length, None if greedy else spec.temperature
        self.own = spec.cache == "dynamic" and segments.sees_everything(role.causal)
        # top_k 0 and top_p 1: answers come from the distribution whose probabilities are learned from
        how = {} if greedy else {"temperature": spec.temperature, "top_k": 0, "top_p": 1.0}
        self.config = GenerationConfig(
            do_sample=not greedy,
            **how,
            max_new_tokens=spec.response_length,
            eos_token_id=sorted(ends),
            pad_token_id=pad,
            cache_implementation=None if spec.cache == "dynamic" else "static",
        )

    def answer(self, prompts: list[list[int]]) -> list[list[int]]:
        """Sample in groups of prompts of like length."""
        order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place]))
        found: dict[int, list[int]] = {}
        for at in range(0, len(order), self.group):
            places = order[at : at + self.group]
            ids, mask = left_padded([prompts[place] for place in places], self.pad, self.role.causal.device)
            rows = (self._sampled if self.own else self._generated)(ids, mask)
            for place, row in zip(places, rows, strict=True):
                found[place] = up_to_end(row, self.ends)
        return [found[place] for place in range(len(prompts))]

    def _sampled(self, ids: Tensor, mask: Tensor) -> list[list[int]]:
        ends = torch.tensor(sorted(self.ends), device=ids.device)
        tokens: list[list[int]] = sampling.sample(
            self.role, ids, mask, length=self.length, ends=ends, temperature=self.temperature
        ).tolist()
        return tokens

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _generated(self, ids: Tensor, mask: Tensor) -> list[list[int]]:
        self.role.switch_on()
        out = self.role.causal.generate(
            input_ids=ids, attention_mask=mask.long(), generation_config=self.config
        )
        tokens: list[list[int]] = out[:, ids.shape[1] :].tolist()
        return tokens

    def check(self, answers: Answers) -> float | None:
        """It is the policy that samples: there is nothing to compare."""
        return None

    def close(self) -> None:
        """Nothing is held."""


def up_to_end(tokens: list[int], ends: set[int]) -> list[int]:
    """Return tokens up to the first that ends an answer, itself included."""
    at = next((place for place, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tokens[: at + 1]


def left_padded(rows: list[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ids and mask [B, longest], padded on the left."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in rows], device=device)
    return ids, mask


def together(
    prompts: list[list[int]], answers: list[list[int]], ends: set[int], pad: int, device: torch.device
) -> Answers:
    """Return prompts and their answers as one batch."""
    ids, mask = left_padded(prompts, pad, device)
    width = max(len(answer) for answer in answers)
    real = torch.tensor([[True] * len(a) + [False] * (width - len(a)) for a in answers], device=device)
    given = torch.tensor([a + [pad] * (width - len(a)) for a in answers], device=device)
    ended = torch.tensor([a[-1] in ends for a in answers], device=device)
    return Answers(torch.cat([ids, given], 1), torch.cat([mask, real], 1), real, ended)


@torch.no_grad()  # type: ignore[untyped-decorator]
def looked_at(answers: Answers, roles: Roles, spec: RolloutSpec, tail: list[int]) -> Answers:
    """Return the answers with log-probabilities, entropies, KL from the reference, values and scores.

    All of them as the policy is now, in groups without gradients.
    """
    group = spec.sampled_at_once
    parts = []
    for places in torch.arange(len(answers), device=answers.ids.device).split(group):
        parts.append((places, _look(answers.take(places), roles, spec, tail)))
    wide = answers.real.shape
    made: dict[str, Tensor] = {}
    for places, part in parts:
        for name in ("logp", "entropy", "kl", "values", "scores"):
            value = getattr(part, name)
            if value is not None:
                shape = wide if value.dim() == 2 else wide[:1]
                whole = made.setdefault(name, value.new_zeros(shape))
                if value.dim() == 2:
                    whole[places, : value.shape[1]] = value
                else:
                    whole[places] = value
    return replace(answers, **made)


def _look(part: Answers, roles: Roles, spec: RolloutSpec, tail: list[int]) -> Answers:
    logp, entropy, states = probabilities.of_answers(
        roles.policy, part.ids, part.mask, part.real, spec.temperature
    )
    values = None
    if roles.value is not None:
        own = states if roles.shared_states else predicting(roles.value, part)
        values = roles.value.scores(own).masked_fill(~part.real, 0)
    reference, _, _ = probabilities.of_answers(
        roles.reference, part.ids, part.mask, part.real, spec.temperature
    )
    kl = kl_estimate(logp, reference, spec.kl_estimator).masked_fill(~part.real, 0)
    return replace(
        part, logp=logp, entropy=entropy, kl=kl, values=values, scores=judged(roles.reward, part, tail)
    )


def predicting(role: Role, part: Answers) -> Tensor:
    """Return the hidden states [B, T, hidden] of a role before each token of the answers."""
    return role.hidden(part.ids, part.mask)[:, -part.real.shape[1] - 1 : -1]


def judged(role: Role, part: Answers, tail: list[int]) -> Tensor:
    """Return the reward model's score of each answer [B], read at its last token.

    `tail` is what the chat template writes behind an answer's end (a line break, with many): a reward model learned to
    read its score there. Behind an answer that did not end it is not written.
    """
    ids, mask, places = part.ids, part.mask, part.real.sum(1) - 1 + part.ids.shape[1] - part.real.shape[1]
    if tail:
        more = ids.new_zeros(len(ids), len(tail))
        ids, mask = torch.cat([ids, more], 1), torch.cat([mask, torch.zeros_like(more, dtype=torch.bool)], 1)
        rows = part.ended.nonzero().squeeze(1)
        for token in tail:
            places = places + part.ended
            ids[rows, places[rows]], mask[rows, places[rows]] = token, True
    states = role.hidden(ids, mask)
    return role.scores(states[torch.arange(len(ids), device=ids.device), places])


def template_tail(encoder: Encoder) -> list[int]:
    """Return the tokens that the chat template writes behind the end of an answer; none where it writes no end."""
    given = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    whole = encoder.render(given)
    last = max((place for place, token in enumerate(whole) if token in encoder.ends), default=len(whole) - 1)
    return whole[last + 1 :]


def check_scores(answers: Answers, earlier: list[float]) -> None:
    """Raise `RecipeFailed` where the reward model says nothing: no number, or the same of every answer.

    `earlier` has the spreads of the scores of the updates before, the newest last.
    """
    assert answers.scores is not None
    if not bool(answers.scores.isfinite().all()):
        raise contract.RecipeFailed(
            "the reward model gave a score that is not a number; look at its run, and train another one"
        )
    spreads = [*earlier[-2:], answers.scores.std().item() if len(answers) > 1 else 1.0]
    if len(spreads) == 3 and max(spreads) < 1e-6:
        raise contract.RecipeFailed(
            "the reward model gave every answer of three rollouts the same score, so there is nothing to learn from; "
            "look at its held-out accuracy, and train another one"
        )
