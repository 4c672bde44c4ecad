"""Rollouts by a vLLM server that the run starts beside itself, and that is given the policy's adapter at every update.

vLLM pins its own torch and transformers, so it has an environment of its own: PREFLOOP_VLLM is its command. The server
listens on the loopback address, serves the base and at most two adapters, and ends with the run. The name of an adapter
holds the hash of its weights: vLLM keys what it caches on name and path, and would answer from an older adapter of the
same name. What it samples is checked each time: it says how probable it found every token, and the policy must agree.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file

from training.recipes import contract, servers

if TYPE_CHECKING:
    from training.recipes.adapting import Origin
    from training.recipes.rl.roles import Role
    from training.recipes.rl.rollouts import Answers
    from training.specs import RolloutSpec

AT_ONCE = 64  # requests under way
SHARE_OF_GPU = "0.3"  # what is left trains
APART = 0.05  # nats a token, mean: more than kernels differ by, less than another adapter does


@dataclass
class VllmSampler:
    """Answers prompts with a server; `answer` is that of `rollouts.Sampler`."""

    run: contract.Run
    role: Role
    spec: RolloutSpec
    ends: set[int]
    origin: Origin
    served: str = ""  # the adapter that the server has
    server: servers.Server | None = None
    told: list[list[float]] = field(default_factory=list)  # log-probabilities of the tokens sampled last

    def __post_init__(self) -> None:
        self.command = servers.command("sampler")

    @property
    def folder(self) -> Path:
        """Where the adapters are handed over."""
        return self.run.path / "serving"

    def answer(self, prompts: list[list[int]]) -> list[list[int]]:
        """Sample from the policy as it is now."""
        server = self.server or self.start()
        self.hand_over(server)
        asked = {
            "model": self.served,
            "max_tokens": self.spec.response_length,
            "temperature": self.spec.temperature,
            "top_p": 1.0,
            "top_k": -1,
            "stop_token_ids": sorted(self.ends),
            "logprobs": 0,
            "return_token_ids": True,
        }
        # One request a prompt, each with a seed of its own: vLLM gives one seed to every prompt of a request, and would
        # answer all copies of a prompt alike. The seeds come from torch's generator, which a resumed run goes on with.
        seeds = torch.randint(2**31, (len(prompts),)).tolist()
        bodies = [
            asked | {"prompt": prompt, "seed": seed} for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        with ThreadPoolExecutor(min(len(bodies), AT_ONCE)) as pool:
            said = list(pool.map(lambda body: server.post("/v1/completions", body)["choices"][0], bodies))
        answers = [choice["token_ids"] for choice in said]
        self.told = [choice["logprobs"]["token_logprobs"] for choice in said]
        if not all(answers):
            raise contract.RecipeFailed("vLLM gave an answer without a token; see serving/log.txt")
        return answers

    def check(self, answers: Answers) -> float:
        """Return by how many nats a token server and policy differ on the answers sampled last.

        Raises `RecipeFailed` where that is more than kernels differ by: then the server answers with other weights.
        """
        assert answers.logp is not None
        theirs = torch.zeros_like(answers.logp)
        for row, found in enumerate(self.told):
            theirs[row, : len(found)] = torch.tensor(found)
        apart = float(((theirs - answers.logp).abs() * answers.real).sum() / answers.real.sum())
        if not apart < APART / min(1.0, self.spec.temperature):
            raise contract.RecipeFailed(
                f"vLLM finds its own answers {apart:.3f} nats a token more or less probable than the policy does, "
                "so it does not answer with the policy's weights; choose the sampler transformers"
            )
        return apart

    def start(self) -> servers.Server:
        """Start the server and wait until it answers. Raises `RecipeFailed` with its last words where it does not."""
        cuda = torch.cuda.is_available()
        options = [
            *("--enforce-eager", "--max-model-len", str(self.spec.max_length)),
            *("--enable-lora", "--max-loras", "1", "--max-cpu-loras", "2", "--max-lora-rank", self._rank()),
            *("--logprobs-mode", "processed_logprobs", "--generation-config", "vllm"),
            *("--dtype", "bfloat16" if cuda else "float32"),
            *(("--gpu-memory-utilization", SHARE_OF_GPU) if cuda else ()),
            *(("--revision", self.origin.revision) if self.origin.revision else ()),
        ]
        self.server = servers.Server(
            self.run, self.command, self.folder, self.origin.root, options, cuda,
            {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"},
        )  # fmt: skip
        self.server.start()
        return self.server

    def hand_over(self, server: servers.Server) -> None:
        """Give the server the policy's adapter under a new name, and take the one before away."""
        net, adapter = self._policy()
        state = get_peft_model_state_dict(net, adapter_name=adapter)
        weights = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        building = self.folder / "building"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        save_file(weights, building / "adapter_model.safetensors", metadata={"format": "pt"})
        net.peft_config[adapter].save_pretrained(str(building))
        name = f"policy-{contract.content_hash(building)[:16]}"
        if name == self.served:
            return
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        building.rename(place)
        server.post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(place)})
        before, self.served = self.served, name
        if before:
            server.post("/v1/unload_lora_adapter", {"lora_name": before})
            shutil.rmtree(self.folder / before, ignore_errors=True)

    def close(self) -> None:
        """End the server, with its own processes, and remove what was handed over."""
        server, self.server, self.served = self.server, None, ""
        if server is not None:
            server.close()
        for place in self.folder.glob("policy-*"):
            shutil.rmtree(place, ignore_errors=True)

    def _policy(self) -> tuple[PeftModel, str]:
        """The model with the policy's adapter, and the adapter's name; the spec allows nothing else."""
        assert isinstance(self.role.net, PeftModel)
        assert self.role.adapter is not None
        return self.role.net, self.role.adapter

    def _rank(self) -> str:
        net, adapter = self._policy()
        return servers.rank(net.peft_config[adapter].r)
