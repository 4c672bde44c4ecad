"""TRL's trainers on rows whose tokens are made already, in batches of rows of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import Trainer

MEGA = 50  # batches that are sorted together: enough for little padding, few enough for a random order


class LikeLengths(Sampler[int]):
    """Rows in an order in which each batch holds rows of like length.

    Rows are shuffled, sorted by length within every 50 batches, cut into batches, and the batches shuffled. The batch
    with the longest row comes first in the first epoch: memory runs out at once or never. The order is a function of
    seed and epoch alone, so that a resumed run sees the same.
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        size, generator = self.batch_size, torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        tail = order[len(order) - len(order) % size :]  # an incomplete batch stays last
        order = order[: len(order) - len(tail)]
        batches = []
        for at in range(0, len(order), MEGA * size):
            alike = sorted(order[at : at + MEGA * size], key=lambda row: -self.lengths[row])
            batches += [alike[start : start + size] for start in range(0, len(alike), size)]
        batches = [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]
        if self.epoch == 0 and batches:
            longest = max(range(len(batches)), key=lambda place: self.lengths[batches[place][0]])
            batches.insert(0, batches.pop(longest))
        for batch in [*batches, tail]:
            yield from batch


class Prepared(Trainer):
    """Mixed in before a trainer of TRL 1.16: its data are tokens, its batches of like length if asked."""

    sorts = False

    def _prepare_dataset(
        self, dataset: Dataset, tokenizer: Any, args: Any, *rest: Any, **options: Any
    ) -> Dataset:
        if "prompt_ids" not in dataset.column_names:  # SFT and reward accept tokens as they are
            return super()._prepare_dataset(dataset, tokenizer, args, *rest, **options)
        if "completion_ids" in dataset.column_names and self.calculate_KL:
            return with_mismatched(dataset, args.per_device_train_batch_size)
        return dataset

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int] | None:
        data = self.train_dataset if train_dataset is None else train_dataset
        if not self.sorts:
            return super()._get_train_sampler(data)
        return LikeLengths(lengths(data), batch_size=self._train_batch_size, seed=self.args.seed)


def with_mismatched(dataset: Dataset, batch_size: int) -> Dataset:
    """Add KL_completion_ids: the completion of the row before, round within each batch (2402.01306, section 4.1)."""
    completions = dataset["completion_ids"][:]
    turned: list[list[int]] = []
    for at in range(0, len(completions), batch_size):
        batch = completions[at : at + batch_size]
        turned += [batch[-1], *batch[:-1]]
    return dataset.add_column("KL_completion_ids", turned)


def lengths(dataset: Dataset) -> list[int]:
    """Return the tokens of each row, of its longer answer where it has two."""
    names = [name for name in ("input_ids", "chosen_ids", "rejected_ids") if name in dataset.column_names]
    answers = [[len(ids) for ids in dataset[name][:]] for name in names]
    prompts = [len(ids) for ids in dataset["prompt_ids"][:]] if "prompt_ids" in dataset.column_names else None
    longest = [max(row) for row in zip(*answers, strict=True)]
    return longest if prompts is None else [a + b for a, b in zip(longest, prompts, strict=True)]
