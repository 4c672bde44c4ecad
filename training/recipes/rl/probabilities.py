"""How probable the policy finds answers, a few tokens at a time: never a tensor of batch × tokens × vocabulary.

The head turns hidden states into logits in tiles of TILE numbers. Under gradients a tile is computed again in the
backward pass where the head learns, and where it does not its gradient is taken at once. Padding is left out before, so
that it costs nothing and cannot count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from training.recipes import contract

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from training.recipes.rl.roles import Role

TILE = 2**22  # logits at once: 16 MiB of float32
TOLERANCE = 1e-2  # of a logit, between the head here and the model's own


def of_answers(
    role: Role, ids: Tensor, mask: Tensor, real: Tensor, temperature: float, *, entropies: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (log-probabilities, entropies, hidden states that predict), of shapes [B, T], [B, T] and [B, T, hidden].

    `ids` and `mask` are [B, L], prompt and answer; `real` [B, T] marks the tokens of the answers, which are the last T
    columns. Both are in nats, at this temperature, and 0 where no token is; without `entropies` those are 0 everywhere.
    """
    width = real.shape[1]
    states = role.hidden(ids, mask)[:, -width - 1 : -1]
    logp, entropy = of_tokens(
        role.causal, states[real], ids[:, -width:][real], temperature, entropies=entropies
    )
    empty = logp.new_zeros(real.shape)
    return empty.masked_scatter(real, logp), empty.masked_scatter(real, entropy), states


def of_tokens(
    causal: PreTrainedModel, states: Tensor, tokens: Tensor, temperature: float, *, entropies: bool = True
) -> tuple[Tensor, Tensor]:
    """Return log-probability and entropy [N] at N places, from hidden states [N, hidden] and the tokens there [N].

    Without `entropies` the second is 0: who neither shows nor rewards them need not pay for them.
    """
    rows = max(1, TILE // causal.config.vocab_size)
    parts = []
    frozen = not causal.get_output_embeddings().weight.requires_grad
    for some, wanted in zip(states.split(rows), tokens.split(rows), strict=True):
        given = (causal, some, wanted, temperature, entropies)
        if not (torch.is_grad_enabled() and some.requires_grad) and frozen:
            parts.append(_tile(*given))
        elif frozen:
            parts.append(_AtOnce.apply(some, *given))
        else:
            parts.append(checkpoint(_tile, *given, use_reentrant=False))
    if not parts:
        return states.new_zeros(0), states.new_zeros(0)
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _tile(
    causal: PreTrainedModel, states: Tensor, tokens: Tensor, temperature: float, entropies: bool
) -> tuple[Tensor, Tensor]:
    logits = to_logits(causal, states) / temperature
    whole = logits.logsumexp(-1)
    logp = logits.gather(-1, tokens[:, None]).squeeze(-1) - whole
    if not entropies:
        return logp, torch.zeros_like(logp)
    # -sum p log p = log sum exp z - sum p z
    return logp, whole - ((logits - whole[:, None]).exp() * logits).sum(-1)


class _AtOnce(torch.autograd.Function):
    """A tile whose gradient by the hidden states is taken at once, while its logits are there: where the head is
    frozen, that is all that the backward pass needs, and the logits are neither kept nor computed again.

    Each place depends on its own hidden state only, so the gradient of the sum holds that of every place.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        causal: PreTrainedModel,
        _: Tensor,
        tokens: Tensor,
        temperature: float,
        entropies: bool,
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            own = states.detach().requires_grad_()
            logp, entropy = _tile(causal, own, tokens, temperature, entropies)
            found = list(torch.autograd.grad(logp.sum(), own, retain_graph=entropies))
            found += torch.autograd.grad(entropy.sum(), own) if entropies else []
        ctx.save_for_backward(*found)
        return logp.detach(), entropy.detach()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        made = ctx.saved_tensors[0] * grads[0][:, None].to(ctx.saved_tensors[0].dtype)
        for of_entropy in ctx.saved_tensors[1:]:
            made = made + of_entropy * grads[1][:, None].to(of_entropy.dtype)
        return made, None, None, None, None, None


def to_logits(causal: PreTrainedModel, states: Tensor) -> Tensor:
    """Return float32 logits of hidden states, with what some families do to them (Gemma 2, Cohere, Granite)."""
    config = causal.config
    logits: Tensor = causal.get_output_embeddings()(states).float()
    if (scale := getattr(config, "logit_scale", None)) is not None:
        logits = logits * scale
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        logits = logits / divisor
    if (cap := getattr(config, "final_logit_softcapping", None)) is not None:
        logits = torch.tanh(logits / cap) * cap
    return logits


@torch.no_grad()  # type: ignore[untyped-decorator]
def check_head(role: Role, ids: Tensor, mask: Tensor) -> None:
    """Raise `RecipeFailed` where the model's own logits are others than those computed here."""
    found = to_logits(role.causal, role.hidden(ids, mask)[:, -1])
    places = (mask.long().cumsum(1) - 1).clamp(min=0)
    own = role.causal(input_ids=ids, attention_mask=mask.long(), position_ids=places, use_cache=False).logits
    if not (own[:, -1].float() - found).abs().max().item() <= TOLERANCE * max(1.0, own.abs().max().item()):
        raise contract.RecipeFailed(
            f"models of the kind {role.causal.config.model_type} do something with their logits that is not "
            "known here; choose another base model, or report it"
        )
