"""Attention of packed rows, row by row: each costs the square of its own length, and no row sees another.

transformers' SDPA takes a packed bin as one long row under a mask, which costs the square of the bin's length (a bin of
eight rows eight times as much), and keeps fast kernels from being used, which take no mask. Here every row of a bin is
a causal call of its own. Without a packed bin (held-out loss, samples) it is transformers' SDPA as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "prefloop_segments"
PLAIN = "full_attention"  # of a layer that sees everything before it, in a config's layer_types
APART = 0.1  # what rounding may change of a logit, as a share of what seeing the other row would


def use_segments(model: PreTrainedModel) -> bool:
    """Have a model attend row by row where it can; says whether it does.

    Not where layers see a window only, where the model runs other kernels than SDPA, or where a probe of two rows in
    one bin does not give the logits of the two alone: then the model does not hand the rows' ends to its layers.
    """
    config = model.config
    before = config._attn_implementation
    if before != "sdpa" or not sees_everything(model):
        return False
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, mask)
    model.set_attn_implementation(NAME)
    if not keeps_apart(model):
        model.set_attn_implementation(before)
        return False
    return True


def sees_everything(model: PreTrainedModel) -> bool:
    """Whether every layer attends to all tokens before: no windows, no other kinds of layers."""
    kinds = set(getattr(model.config, "layer_types", None) or [PLAIN])
    return kinds == {PLAIN} and not getattr(model.config, "sliding_window", None)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """SDPA for [1, heads, tokens, size] with rows' ends in cu_seq_lens_q, else transformers' own; returns
    [batch, tokens, heads, size].
    """
    ends = options.get("cu_seq_lens_q")
    if ends is None or attention_mask is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    if not hasattr(ends, "lengths"):  # once a batch and not a layer: on a GPU it waits for everything before
        ends.lengths = ends.diff().tolist()
    # split, not slices: the gradient of a slice is a whole tensor of zeros for each row
    rows = zip(*(part.split(ends.lengths, dim=2) for part in (query, key, value)), strict=True)
    parts = [sdpa_attention_forward(module, q, k, v, None, **options)[0] for q, k, v in rows]
    return torch.cat(parts, dim=1), None


def mask(*, batch_size: int, attention_mask: torch.Tensor | None, **options: Any) -> torch.Tensor | None:
    """No mask for a packed bin, whose one row has no padding and may not be taken as causal throughout."""
    if batch_size == 1 and attention_mask is None and not options.get("allow_is_causal_skip", True):
        return None
    found: torch.Tensor | None = sdpa_mask(batch_size=batch_size, attention_mask=attention_mask, **options)
    return found


@torch.no_grad()  # type: ignore[untyped-decorator]
def keeps_apart(model: PreTrainedModel) -> bool:
    """Whether two short rows in one bin have the logits that they have alone; the hidden states of one that scores."""
    scores = model.get_output_embeddings() is None
    asked = getattr(model, model.base_model_prefix) if scores else model
    rows = [torch.tensor([[1, 2, 3, 4]]), torch.tensor([[4, 3, 2]])]
    positions, told = bounds([4, 3], model.device)

    def answer(ids: torch.Tensor, **options: Any) -> torch.Tensor:
        out = asked(input_ids=ids.to(model.device), use_cache=False, **options)
        found: torch.Tensor = out.last_hidden_state if scores else out.logits
        return found.float()

    training = model.training
    model.eval()
    alone = torch.cat([answer(row) for row in rows], dim=1)
    together = torch.cat(rows, dim=1)
    apart = (answer(together, position_ids=positions, **told) - alone).abs().max()
    seen = (answer(together, position_ids=positions) - alone).abs().max()
    model.train(training)
    return bool(apart < APART * seen)


def bounds(lengths: Sequence[int], device: torch.device) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return positions [1, N] of rows of these lengths in one bin, and what tells a model where each ends."""
    ends = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)
    positions = torch.cat([torch.arange(length, device=device) for length in lengths])[None]
    longest = max(lengths)
    told = {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}
    return positions, told
