"""Sampling from a model, a batch at a time: what `generate` does, for rollouts alone, which ask less and want it fast.

Room for keys and values is set aside once, so that a step writes its own and copies none; answers that have ended leave
the batch; and each answer has random numbers of its own, drawn before, so that what is sampled for one prompt does not
depend on when others end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from training.recipes.rl.probabilities import to_logits

if TYPE_CHECKING:
    from training.recipes.rl.roles import Role

CROWDED = 0.75  # share of a batch still at work below which the others are taken out of it


class Room(DynamicLayer):
    """Keys and values of a layer in memory that was set aside at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.used = room, 0

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new tokens [batch, heads, tokens, size]; returns those of all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            shape = [*key_states.shape[:2], self.room]
            self.all_keys = key_states.new_empty(*shape, key_states.shape[-1])
            self.all_values = value_states.new_empty(*shape, value_states.shape[-1])
        before, self.used = self.used, self.used + key_states.shape[-2]
        self.all_keys[:, :, before : self.used] = key_states
        self.all_values[:, :, before : self.used] = value_states
        return self._seen()

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch."""
        self.all_keys, self.all_values = self.all_keys[indices], self.all_values[indices]
        self._seen()

    def _seen(self) -> tuple[Tensor, Tensor]:
        self.keys, self.values = self.all_keys[:, :, : self.used], self.all_values[:, :, : self.used]
        return self.keys, self.values


@torch.no_grad()  # type: ignore[untyped-decorator]
def sample(
    role: Role, ids: Tensor, mask: Tensor, *, length: int, ends: Tensor, temperature: float | None
) -> Tensor:
    """Return up to `length` tokens [B, length] behind prompts [B, P] that are padded on the left; `mask` tells where.

    Without a temperature each is the likeliest one. What stands behind a token of `ends` means nothing.
    """
    causal = role.causal
    decoder = getattr(causal, causal.base_model_prefix)
    count, width = ids.shape
    draws = None if temperature is None else torch.rand(count, length, device=ids.device)
    found = ids.new_zeros(count, length)
    cache = Cache(layers=[Room(width + length) for _ in range(causal.config.num_hidden_layers)])
    real = torch.cat([mask, mask.new_ones(count, length)], 1)
    rows = torch.arange(count, device=ids.device)
    over = torch.zeros(count, dtype=torch.bool, device=ids.device)
    places, fed = (mask.long().cumsum(1) - 1).clamp(min=0), ids
    role.switch_on()
    for step in range(length):
        with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=ids.device.type == "cuda"):
            out = decoder(
                input_ids=fed,
                attention_mask=real[:, : width + step].long(),
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
            )
        logits = to_logits(causal, out.last_hidden_state[:, -1])
        if draws is None or temperature is None:
            token = logits.argmax(-1)
        else:
            token = drawn(logits / temperature, draws[rows, step])
        found[rows, step] = token
        over |= torch.isin(token, ends)
        places, fed = places[:, -1:] + 1, token[:, None]
        left = len(rows) - int(over.sum())
        if not left:
            break
        if left < CROWDED * len(rows):
            kept = (~over).nonzero().squeeze(1)
            cache.batch_select_indices(kept)
            rows, over, real, places, fed = (part[kept] for part in (rows, over, real, places, fed))
    return found


def drawn(logits: Tensor, draws: Tensor) -> Tensor:
    """Return a token [B] for logits [B, V] and uniform numbers [B], by the inverse of the distribution.

    Sums are taken in float64: in float32 the tail of a large vocabulary would be lost.
    """
    reached = logits.softmax(-1).cumsum(-1, dtype=torch.float64)
    wanted = draws.double()[:, None] * reached[:, -1:]
    found = torch.searchsorted(reached, wanted, right=True).squeeze(1)
    return found.clamp(max=logits.shape[-1] - 1)
