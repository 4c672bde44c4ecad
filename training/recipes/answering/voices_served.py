"""Checkpoints of one base, answering from a vLLM server that stays up while the conversation does."""

from __future__ import annotations

from types import TracebackType

from training.recipes import contract, servers
from training.recipes.answering import adapters, memory
from training.recipes.answering.ledger import Impossible, Wanted
from training.recipes.answering.served import COMPLETIONS, GREEDY, NO_NUMBER, options, told
from training.recipes.answering.streaming import as_it_comes
from training.recipes.answering.talking import Show, Writing
from training.recipes.answering.tokens import texts
from training.specs import ChatJob


class ServedVoices:
    """The base and all adapters of a conversation at one server."""

    def __init__(self, run: contract.Run, job: ChatJob) -> None:
        adapters.refuse(job.targets)
        roots = {target.root for target in job.targets}
        if len(roots) > 1:
            raise contract.RecipeFailed(
                f"vLLM serves one base with its adapters, and this conversation is with {len(roots)} bases; begin "
                "another one with the engine transformers"
            )
        self.run = run
        ((root, revision),) = roots
        cuda, self.free = memory.has_cuda(), memory.free()
        self.words = texts(root, revision, job.max_length)
        ends = {target.id: adapters.name(target) for target in job.targets if target.adapter is not None}
        told_to = options(self.words, revision, job.targets, ends, cuda=cuda)
        self.server = servers.Server(
            run, servers.command("engine"), run.path / "serving", root, told_to, cuda
        )
        self.names = {target.id: ends.get(target.id, self.server.name) for target in job.targets}

    def __enter__(self) -> ServedVoices:
        self.server.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.server.close()
        memory.wait_until_back(self.run, self.free)

    def write(self, wanted: Wanted, show: Show) -> Writing:
        """See talking.Voice."""
        draft, asked = self.words.draft(wanted), wanted.sampling
        body = GREEDY | {
            "model": self.names[wanted.target], "prompt": draft.ids, "max_tokens": draft.most,
            "temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k, "seed": asked.seed,
            "stop": list(asked.stop), "stop_token_ids": self.words.ends, "return_token_ids": True, "stream": True,
        }  # fmt: skip
        tokens: list[int] = []
        finish = ""

        def so_far() -> str:
            return self.words.text(tokens, asked.stop)

        show(so_far)
        try:
            for event in as_it_comes(lambda over: self.server.stream(COMPLETIONS, body, over)):
                yield event is not None
                event = event or {}
                for choice in event.get("choices") or []:
                    tokens.extend(choice.get("token_ids") or [])
                    finish = choice.get("finish_reason") or finish
        except servers.RequestRefused as refusal:
            if NO_NUMBER in refusal.text:
                raise FloatingPointError from None
            raise Impossible(f"vLLM does not take this request: {told(refusal)}.") from None
        return wanted.answer(text=so_far(), tokens=len(tokens), finish=finish or "stop", **draft.facts)
