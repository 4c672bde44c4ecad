"""Completions by transformers, a batch at a time: each answer by its own sampling, random numbers, stops and length.

Our own loop for models that take keys and values as all decoders do: answers that ended leave the batch, and what is
sampled for one does not depend on the others. Prompt and prefix tuning, and models that are made otherwise, have
transformers' `generate`, one by one.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import Cache, DynamicCache, GenerationConfig, StoppingCriteriaList

from training.recipes import segments
from training.recipes.rl.rollouts import left_padded
from training.recipes.rl.sampling import CROWDED, Room, drawn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from training.recipes.answering.tokens import Draft, Texts

NEEDED = {"position_ids", "past_key_values", "logits_to_keep"}
Written = tuple[list[int], str, float]


def at_once(net: PreTrainedModel | PeftModel) -> bool:
    """Whether many rows are completed at once: the model takes what our loop gives it."""
    causal = net.get_base_model() if isinstance(net, PeftModel) else net
    learned = isinstance(net, PeftModel) and net.active_peft_config.is_prompt_learning
    return not learned and set(inspect.signature(causal.forward).parameters) >= NEEDED


def write(
    net: PreTrainedModel | PeftModel, drafts: list[Draft], texts: Texts, pause: Callable[[], None]
) -> list[Written]:
    """Return (tokens, why it ended, ms) for each draft: "stop" or "length", and the milliseconds from the start of its
    batch until it ended. `pause` is called before every token.

    Raises `FloatingPointError` where the model gives something that is no number.
    """
    with torch.no_grad():
        if at_once(net):
            return Loop(net, drafts, texts).carry_out(pause)
        return [_plainly(net, draft, texts, pause) for draft in drafts]


class Loop:
    """One batch on its way. `rows` are the places in the batch of those that are still written."""

    def __init__(self, net: PreTrainedModel | PeftModel, drafts: list[Draft], texts: Texts) -> None:
        self.began = time.monotonic()
        self.net, self.drafts, self.texts = net, drafts, texts
        device = net.device
        self.fed, mask = left_padded([draft.ids for draft in drafts], texts.ends[0], device)
        self.most = max(draft.most for draft in drafts)
        self.width = self.fed.shape[1]
        self.real = torch.cat([mask, mask.new_ones(len(drafts), self.most)], 1).long()
        self.places = (mask.long().cumsum(1) - 1).clamp(min=0)
        self.rows = list(range(len(drafts)))
        self.found: list[list[int]] = [[] for _ in drafts]
        self.ended = [""] * len(drafts)
        self.took = [0.0] * len(drafts)
        self.taste = Taste(drafts, self.most, device)
        causal = net.get_base_model() if isinstance(net, PeftModel) else net
        if segments.sees_everything(causal):
            layers = causal.config.get_text_config().num_hidden_layers
            self.cache = Cache(layers=[Room(self.width + self.most) for _ in range(layers)])
        else:
            self.cache = DynamicCache(config=causal.config)

    def carry_out(self, pause: Callable[[], None]) -> list[Written]:
        """Write token after token until all have ended."""
        for _ in self.steps():
            pause()
        return self.written()

    def written(self) -> list[Written]:
        return list(zip(self.found, self.ended, self.took, strict=True))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def steps(self) -> Iterator[None]:
        """Write a token a step, for each that has not ended; gives way before every step."""
        for step in range(self.most):
            yield
            logits = self.net(
                input_ids=self.fed, attention_mask=self.real[:, : self.width + step], position_ids=self.places,
                past_key_values=self.cache, use_cache=True, logits_to_keep=1,
            ).logits[:, -1].float()  # fmt: skip
            if step == 0 and bool(logits.isnan().any()):
                raise FloatingPointError
            token = self.taste.pick(logits, self.rows, step)
            self._note(token.tolist())
            self.places, self.fed = self.places[:, -1:] + 1, token[:, None]
            kept = [at for at, row in enumerate(self.rows) if not self.ended[row]]
            if not kept:
                break
            if len(kept) < CROWDED * len(self.rows):
                self._keep(kept)

    def _note(self, tokens: list[int]) -> None:
        took = since(self.began)
        for row, token in zip(self.rows, tokens, strict=True):
            if self.ended[row]:
                continue
            found, draft = self.found[row], self.drafts[row]
            found.append(token)
            stop = draft.wanted.sampling.stop
            if token in self.texts.ends or (stop and self.texts.stops(found, stop)):
                self.ended[row] = "stop"
            elif len(found) == draft.most:
                self.ended[row] = "length"
            self.took[row] = took

    def _keep(self, kept: list[int]) -> None:
        chosen = torch.tensor(kept, device=self.fed.device)
        self.cache.batch_select_indices(chosen)
        self.fed, self.places, self.real = self.fed[chosen], self.places[chosen], self.real[chosen]
        self.rows = [self.rows[at] for at in kept]


class Taste:
    """How each row of a batch picks its tokens; its random numbers are drawn before, from a generator of its own."""

    def __init__(self, drafts: list[Draft], most: int, device: torch.device) -> None:
        asked = [draft.wanted.sampling for draft in drafts]
        self.temperature = torch.tensor([one.temperature for one in asked], device=device)
        self.top_k = torch.tensor([one.top_k for one in asked], device=device)
        self.top_p = torch.tensor([one.top_p for one in asked], device=device)
        self.draws = torch.stack(
            [torch.rand(most, generator=torch.Generator().manual_seed(one.seed)) for one in asked]
        ).to(device)
        self.samples = any(one.temperature > 0 for one in asked)
        self.filters = any(one.top_k > 0 or one.top_p < 1 for one in asked)

    def pick(self, logits: Tensor, rows: list[int], step: int) -> Tensor:
        """Return a token [B] for logits [B, V] of these rows."""
        likeliest = logits.argmax(-1)
        if not self.samples:
            return likeliest
        at = torch.tensor(rows, device=logits.device)
        heat = self.temperature[at]
        scaled = logits / heat.clamp(min=1e-4)[:, None]
        if self.filters:
            scaled = filtered(scaled, self.top_k[at], self.top_p[at])
        return torch.where(heat > 0, drawn(scaled, self.draws[at, step]), likeliest)


def filtered(logits: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Return logits [B, V] without all but the `top_k` [B] likeliest tokens (0: all), and of those without all but the
    fewest that reach `top_p` [B] (Holtzman et al. 1904.09751); the likeliest is always kept.
    """
    ordered, places = logits.sort(-1, descending=True)
    ranks = torch.arange(logits.shape[-1], device=logits.device)
    most = torch.where(top_k > 0, top_k, logits.shape[-1])[:, None]
    ordered = ordered.masked_fill(ranks >= most, -torch.inf)
    chances = ordered.softmax(-1)
    before = chances.cumsum(-1) - chances
    ordered = ordered.masked_fill((before >= top_p[:, None]) & (ranks > 0), -torch.inf)
    return torch.full_like(logits, -torch.inf).scatter(-1, places, ordered)


def _plainly(
    net: PreTrainedModel | PeftModel, draft: Draft, texts: Texts, pause: Callable[[], None]
) -> Written:
    """One answer by `generate`."""
    began, asked = time.monotonic(), draft.wanted.sampling
    how: dict[str, Any] = {"do_sample": asked.temperature > 0, "num_beams": 1, "repetition_penalty": 1.0}
    if asked.temperature > 0:
        how |= {"temperature": asked.temperature, "top_k": asked.top_k, "top_p": asked.top_p}
    config = GenerationConfig(
        **how, max_new_tokens=draft.most, eos_token_id=texts.ends, pad_token_id=texts.ends[0],
        stop_strings=list(asked.stop) or None,
    )  # fmt: skip

    def not_over(ids: Tensor, *_: Any, **__: Any) -> Tensor:
        pause()
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

    torch.manual_seed(asked.seed)
    ids = torch.tensor([draft.ids], device=net.device)
    out = net.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config,
        stopping_criteria=StoppingCriteriaList([not_over]), tokenizer=texts.tokenizer,
    )  # fmt: skip
    tokens: list[int] = out[0, ids.shape[1] :].tolist()
    ended = tokens[-1:] and (tokens[-1] in texts.ends or (asked.stop and texts.stops(tokens, asked.stop)))
    return tokens, "stop" if ended else "length", since(began)


def since(began: float) -> float:
    """Milliseconds since a reading of the monotonic clock."""
    return round(1000 * (time.monotonic() - began), 1)
