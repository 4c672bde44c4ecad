"""Checkpoints in this process, ready to answer: a base is loaded once, and its adapters lie on it side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import torch
from peft import PeftModel

from training.recipes import contract
from training.recipes.answering import adapters, generating
from training.recipes.answering.ledger import Answer, Wanted
from training.recipes.answering.local import load
from training.recipes.answering.talking import Pause, Show
from training.recipes.answering.tokens import Texts, texts
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

    @contextmanager
    def _taken(self, target: ChatTarget) -> Iterator[Model]:
        """The model with the adapter of this checkpoint, or without any."""
        if target.id in self.own:
            yield self.own[target.id]
            return
        net = self.shared[target.root]
        if not isinstance(net, PeftModel):
            yield net
        elif target.adapter is None:
            with net.disable_adapter():
                yield net
        else:
            net.set_adapter(name(target))
            yield net

    def write(self, wanted: Wanted, show: Show, pause: Pause) -> Answer:
        """See talking.Voice. Models that our loop does not know are shown when they have ended."""
        target = self.targets[wanted.target]
        words, stop = self.words[target.root], wanted.sampling.stop
        draft = words.draft(wanted)
        with self._taken(target) as net, torch.no_grad():
            if generating.at_once(net):
                loop = generating.Loop(net, [draft], words)
                show(lambda: words.text(loop.found[0], stop))
                ((tokens, why),) = loop.carry_out(pause)
            else:
                ((tokens, why),) = generating.write(net, [draft], words, pause)
        return wanted.answer(text=words.text(tokens, stop), tokens=len(tokens), finish=why, **draft.facts)


def name(target: ChatTarget) -> str:
    return f"voice-{target.id}"


def lies_beside_others(adapter: str) -> bool:
    """Whether an adapter leaves the base as it is, so that others, and the base alone, can be asked on the same one."""
    found = adapters.config(adapter)
    changes = ("modules_to_save", "trainable_token_indices", "layer_replication", "target_parameters")
    begins = str(found.get("init_lora_weights", "")).lower().startswith(adapters.STARTS)
    return found.get("peft_type") == "LORA" and not begins and not any(found.get(one) for one in changes)
