"""Answers by transformers in this process: the base is loaded once, its adapters are put on and taken off.

Batches are of like length, the longest first, so that padding is small, and memory runs out at once or never; where it
does, half as many rows go at a time from then on.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from transformers import AutoModelForCausalLM

from training.recipes import contract
from training.recipes.answering import adapters, generating, judging
from training.recipes.answering.ledger import Answer, Impossible, Ledger, Wanted, diverged
from training.recipes.answering.tokens import Choice, Draft, Row, Texts, texts
from training.specs import AnswerJob, Asked

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    Model: TypeAlias = PreTrainedModel | PeftModel

SomeRow = TypeVar("SomeRow", bound=Row)
CANARIES = 8
NOT_LOADED = "its layers are not those of this base; choose the base that it was trained on"


class Local:
    """Answers everything that is left; `size` is how many rows go at a time."""

    def __init__(self, run: contract.Run, job: AnswerJob, ledger: Ledger) -> None:
        self.run, self.job, self.ledger, self.size = run, job, ledger, job.batch_size

    def answer(self) -> None:
        """Ask every checkpoint that has something left, one after the other."""
        for target in self.job.targets:
            if target.rewards and self.ledger.left[target.id]:
                self.run.stop_if_asked()
                judge = judging.load(self.job, target)
                rows = self._made(self.ledger.left[target.id], judge.row)
                judge.get_ready(rows)
                self._ask(target, rows, judge.rewards)
                del judge
        for target, model, words in self._loaded():
            self.run.event("loaded", checkpoint=target.id)
            wanted = self.ledger.left[target.id]
            scored = self._made([one for one in wanted if one.kind == "likelihood"], words.scored)
            choices = self._made([one for one in wanted if one.kind == "choose"], words.choice)
            drafts = self._made([one for one in wanted if one.kind == "complete"], words.draft)
            canary(self.run, target, model, [*scored, *choices, *drafts][:CANARIES])
            self._ask(target, scored, partial(likelihoods, model))
            self._ask(target, choices, partial(chosen, model))
            self._ask(target, drafts, partial(self._completed, model, words))

    def _made(self, wanted: list[Wanted], make: Callable[[Wanted], SomeRow]) -> list[SomeRow]:
        """Rows in tokens; what cannot be made is answered with why."""
        rows, refused = [], []
        for one in wanted:
            try:
                rows.append(make(one))
            except Impossible as why:
                refused.append(one.answer(error=str(why)))
        self.ledger.write(refused)
        return rows

    def _ask(
        self, target: Asked, rows: Sequence[SomeRow], work: Callable[[list[SomeRow]], list[Answer]]
    ) -> None:
        ordered = sorted(rows, key=lambda row: (-len(row.ids), row.wanted.id))
        at = 0
        while at < len(ordered):
            self.run.stop_if_asked()
            batch, began = ordered[at : at + self.size], time.monotonic()
            try:
                answers = work(batch)
            except FloatingPointError:
                raise diverged(target.id) from None
            except (RuntimeError, MemoryError) as error:
                if len(batch) == 1 or not contract.is_out_of_memory(error):
                    raise
                answers = []
            if not answers:  # outside of the except block, which holds on to what was computed
                self._halve(len(batch))
                continue
            spent = {"ms": generating.since(began)}
            self.ledger.write([spent | answer for answer in answers])  # one that was written has its own
            at += len(batch)

    def _halve(self, size: int) -> None:
        self.size = size // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        message = f"The machine ran out of memory with {size} rows at a time; it goes on with {self.size}."
        self.run.event("warning", message=message)

    def _completed(self, model: Model, words: Texts, batch: list[Draft]) -> list[Answer]:
        written = generating.write(model, batch, words, self.run.stop_if_asked)
        return [
            draft.wanted.answer(
                text=words.text(tokens, draft.wanted.sampling.stop),
                tokens=len(tokens),
                finish=why,
                ms=ms,
                **draft.facts,
            )
            for draft, (tokens, why, ms) in zip(batch, written, strict=True)
        ]

    def _loaded(self) -> Iterator[tuple[Asked, Model, Texts]]:
        """Yield the checkpoints with work left. The base is kept as long as nothing has changed its own weights."""
        base: PreTrainedModel | None = None
        of_base: Texts | None = None
        for target in self.job.targets:
            if target.rewards or not self.ledger.left[target.id]:
                continue
            self.run.stop_if_asked()
            if target.model:
                yield target, load(target.model), texts(target.model, None, self.job.max_length)
                continue
            of_base = of_base or texts(self.job.base, self.job.revision, self.job.max_length)
            base = load(self.job.base, self.job.revision) if base is None else base
            if target.adapter is None:
                yield target, base, of_base
                continue
            adapted = PeftModel.from_pretrained(base, target.adapter).eval()
            yield target, adapted, of_base
            base = taken_off(adapted)


def load(path: str, revision: str | None = None) -> PreTrainedModel:
    """Load a model for inference: float32 on the CPU, bfloat16 on CUDA."""
    cuda = torch.cuda.is_available()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        path, revision=revision or "main", dtype=torch.bfloat16 if cuda else torch.float32
    )
    return model.to("cuda" if cuda else "cpu").eval()


def taken_off(adapted: PeftModel) -> PreTrainedModel | None:
    """Return the base without its adapter; None where the adapter had weights of the base's own in it.

    PEFT (0.21) leaves those of modules_to_save in the model that `unload` returns.
    """
    config: PeftConfig = adapted.active_peft_config
    if config.is_prompt_learning:
        return adapted.get_base_model()
    if getattr(config, "modules_to_save", None) or getattr(config, "trainable_token_indices", None):
        return None
    return adapted.unload()


def likelihoods(model: Model, batch: list[Row]) -> list[Answer]:
    """Log-probability of each completion. Raises `FloatingPointError` where one is no number."""
    return [row.scored(total) for row, total in zip(batch, sums(model, batch), strict=True)]


def sums(model: Model, batch: list[Row]) -> list[float]:
    """Return one sum of completion log-probabilities a row, in nats, added in float64."""
    found = []
    for row, logs in zip(batch, log_probabilities(model, batch), strict=True):
        target = torch.tensor(row.ids[-row.tokens :], device=logs.device)
        found.append(logs.gather(-1, target[:, None]).double().sum().item())
    return found


def chosen(model: Model, batch: list[Choice]) -> list[Answer]:
    """Probability of each label. Labels that differ in their last token alone share one row: mostly, one a prompt."""
    rows, lasts = [], []
    for choice in batch:
        for begin, ends in choice.tails.items():
            rows.append(Row(choice.wanted, [*choice.ids, *begin, ends[0]], len(begin) + 1))
            lasts.append(ends)
    sums: dict[tuple[str, tuple[int, ...]], float] = {}
    for row, ends, logs in zip(rows, lasts, log_probabilities(model, rows), strict=True):
        begin = tuple(row.ids[-row.tokens : -1])
        before = sum(logs[at, token].item() for at, token in enumerate(begin))
        for last in ends:
            sums[row.wanted.id, (*begin, last)] = before + logs[-1, last].item()
    return [choice.weighed([sums[choice.wanted.id, label] for label in choice.labels]) for choice in batch]


@torch.no_grad()  # type: ignore[untyped-decorator]
def log_probabilities(model: Model, batch: list[Row]) -> Iterator[Tensor]:
    """Yield log-probabilities [tokens, vocabulary] of each row's completion, float32, from right-padded rows.

    No mask is given: what pads a row stands behind it, where none of its tokens looks, and attention without one is
    faster. Only the positions from the first completion on are projected to the vocabulary: [rows, positions,
    vocabulary] is what takes memory.
    """
    width = max(len(row.ids) for row in batch)
    first = min(len(row.ids) - row.tokens for row in batch) - 1  # predicts the earliest completion token
    ids = torch.tensor([row.ids + [0] * (width - len(row.ids)) for row in batch], device=model.device)
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=width - first).logits
    for at, row in enumerate(batch):
        end = len(row.ids)
        yield logits[at, end - row.tokens - 1 - first : end - 1 - first].float().log_softmax(-1)


def canary(run: contract.Run, target: Asked, model: Model, rows: Sequence[Row]) -> None:
    """Warn when an adapter changes no log-probability of the next token. Raises `RecipeFailed` where it is because its
    weights were not loaded, or are no numbers.
    """
    if target.adapter is None or not rows:
        return
    assert isinstance(model, PeftModel)
    difference = 0.0
    for row in rows:
        one = [Row(row.wanted, [*row.prompt, 0], 1)]
        (with_adapter,) = log_probabilities(model, one)
        with model.disable_adapter():
            (without,) = log_probabilities(model, one)
        if bool(with_adapter.isnan().any()):
            raise diverged(target.id)
        difference = max(difference, (with_adapter - without).nan_to_num().abs().max().item())
    is_loaded = not adapters.is_idle(get_peft_model_state_dict(model))
    adapters.check(run, target, difference, is_loaded=is_loaded, advice=NOT_LOADED)
