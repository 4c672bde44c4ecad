"""Checkpoints in this process, ready to answer: a base is loaded once, and its adapters lie on it side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import torch
from peft import PeftModel

from training.recipes import contract
from training.recipes.answering import adapters, generating
from training.recipes.answering.ledger import Wanted
from training.recipes.answering.local import load
from training.recipes.answering.streaming import by_steps
from training.recipes.answering.talking import Show, Writing
from training.recipes.answering.tokens import Draft, Texts, texts
from training.specs import ChatJob, ChatTarget

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    Model: TypeAlias = PreTrainedModel | PeftModel

Root: TypeAlias = tuple[str, str | None]


class LocalVoices:
    """Everyone of a conversation that this process has the weights of."""

    def __init__(self, run: contract.Run, job: ChatJob) -> None:
        self.targets = {target.id: target for target in job.targets}
        self.words: dict[Root, Texts] = {}
        self.shared: dict[Root, Model] = {}
        self.own: dict[str, Model] = {}
        self.at_work: dict[Root, str] = {}  # by root, whose adapter is
        for target in job.targets:
            run.stop_if_asked()
            if target.root not in self.words:
                self.words[target.root] = texts(*target.root, job.max_length)
            self._load(target)

    def _load(self, target: ChatTarget) -> None:
        root = target.root
        if target.adapter and not lies_beside_others(target.adapter):
            self.own[target.id] = PeftModel.from_pretrained(load(*root), target.adapter).eval()
            return
        base = self.shared[root] = self.shared.get(root) or load(*root)
        if target.adapter is None:
            return
        if isinstance(base, PeftModel):
            base.load_adapter(target.adapter, adapter_name=name(target), torch_device=str(base.device))
        else:
            adapted = PeftModel.from_pretrained(base, target.adapter, adapter_name=name(target))
            self.shared[root] = adapted.eval()

    def _taken(self, target: ChatTarget) -> Model:
        """The model, with the adapter of this checkpoint at work in it, or without any."""
        if target.id in self.own:
            return self.own[target.id]
        net = self.shared[target.root]
        if isinstance(net, PeftModel) and self.at_work.get(target.root) != target.id:
            if target.adapter is None:
                net.base_model.disable_adapter_layers()
            else:
                net.base_model.enable_adapter_layers()
                net.set_adapter(name(target))
            self.at_work[target.root] = target.id
        return net

    def write(self, wanted: Wanted, show: Show) -> Writing:
        """See talking.Voice. Models that our loop does not know are shown when they have ended."""
        target = self.targets[wanted.target]
        words, stop = self.words[target.root], wanted.sampling.stop
        draft, net = words.draft(wanted), self._taken(target)
        if generating.at_once(net):
            loop = generating.Loop(net, [draft], words)
            show(lambda: words.text(loop.found[0], stop))
            for _ in loop.steps():
                yield True
                self._taken(target)  # others have been here
            written = loop.written()
        else:
            written = yield from by_steps(partial(self._plainly, target, draft, words))
        ((tokens, why, _),) = written
        return wanted.answer(text=words.text(tokens, stop), tokens=len(tokens), finish=why, **draft.facts)

    def _plainly(
        self, target: ChatTarget, draft: Draft, words: Texts, pause: Callable[[], None]
    ) -> list[generating.Written]:
        """By `generate`, which draws from the random numbers of the whole process."""
        devices = range(torch.cuda.device_count())

        def rest() -> None:
            with torch.random.fork_rng(devices):
                pause()
            self._taken(target)

        return generating.write(self._taken(target), [draft], words, rest)


def name(target: ChatTarget) -> str:
    return f"voice-{target.id}"


def lies_beside_others(adapter: str) -> bool:
    """Whether an adapter leaves the base as it is, so that others, and the base alone, can be asked on the same one."""
    found = adapters.config(adapter)
    changes = ("modules_to_save", "trainable_token_indices", "layer_replication", "target_parameters")
    begins = str(found.get("init_lora_weights", "")).lower().startswith(adapters.STARTS)
    return found.get("peft_type") == "LORA" and not begins and not any(found.get(one) for one in changes)
