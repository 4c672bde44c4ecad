"""Rollouts by a vLLM server that the run starts beside itself, and that is given the policy's adapter at every update.

vLLM pins its own torch and transformers, so it has an environment of its own: PREFLOOP_VLLM is its command. The server
listens on the loopback address, serves the base and at most two adapters, and ends with the run. The name of an adapter
holds the hash of its weights: vLLM keys what it caches on name and path, and would answer from an older adapter of the
same name. What it samples is checked each time: it says how probable it found every token, and the policy must agree.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx2 as httpx
import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file

from training.recipes import contract, leftovers
from training.specs import SpecRefused

if TYPE_CHECKING:
    from training.recipes.adapting import Origin
    from training.recipes.rl.roles import Role
    from training.recipes.rl.rollouts import Answers
    from training.specs import RolloutSpec

COMMAND = "PREFLOOP_VLLM"
AT_ONCE = 64  # requests under way
START_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 900, 10, 3600
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM allows, 0.31
SHARE_OF_GPU = "0.3"  # what is left trains
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1"}  # GiB; else it takes what is free
NOT_PASSED_ON = ("VIRTUAL_ENV", "PYTHONPATH", "TORCHDYNAMO_DISABLE", "PREFLOOP_DIE_WITH_PARENT")
APART = 0.05  # nats a token, mean: more than kernels differ by, less than another adapter does


@dataclass
class VllmSampler:
    """Answers prompts with a server; `answer` is that of `rollouts.Sampler`."""

    run: contract.Run
    role: Role
    spec: RolloutSpec
    ends: set[int]
    origin: Origin
    command: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    address: str = ""
    name: str = field(default_factory=lambda: f"base-{uuid4().hex}")  # tells our server from another's
    served: str = ""  # the adapter that the server has
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False))  # no proxy on the way
    told: list[list[float]] = field(default_factory=list)  # log-probabilities of the tokens sampled last

    def __post_init__(self) -> None:
        self.command = shlex.split(os.environ.get(COMMAND, ""))
        if not self.command or shutil.which(self.command[0]) is None:
            raise SpecRefused(
                f"sampler was given as vllm, and {COMMAND} is {' '.join(self.command) or 'not set'}; set it to the "
                "command of vLLM in its own environment, or choose transformers"
            )

    @property
    def folder(self) -> Path:
        """Where the adapters are handed over."""
        return self.run.path / "serving"

    def answer(self, prompts: list[list[int]]) -> list[list[int]]:
        """Sample from the policy as it is now."""
        if self.process is None:
            self.start()
        self.hand_over()
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
            said = list(pool.map(lambda body: self._post("/v1/completions", body)["choices"][0], bodies))
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

    def start(self) -> None:
        """Start the server and wait until it answers. Raises `RecipeFailed` with its last words where it does not."""
        leftovers.end(self.run.path)
        self.folder.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        cuda = torch.cuda.is_available()
        arguments = [
            *("serve", self.origin.root, "--served-model-name", self.name),
            *("--host", "127.0.0.1", "--port", str(port), "--enforce-eager"),
            *("--enable-lora", "--max-loras", "1", "--max-cpu-loras", "2", "--max-lora-rank", self._rank()),
            *("--max-model-len", str(self.spec.max_length), "--logprobs-mode", "processed_logprobs"),
            *("--dtype", "bfloat16" if cuda else "float32", "--generation-config", "vllm"),
            *(("--gpu-memory-utilization", SHARE_OF_GPU) if cuda else ()),
            *(("--revision", self.origin.revision) if self.origin.revision else ()),
        ]
        given = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        began = time.monotonic()
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *arguments],
                env=given | ENVIRONMENT | leftovers.marked(self.run.path) | ({} if cuda else CPU_ENVIRONMENT),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # who asks the run to stop does not mean the server: an update is ended first
                preexec_fn=die_with_parent,
            )
        while not self._is_up():
            self.run.stop_if_asked()
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                self.close()
                raise contract.RecipeFailed(f"vLLM did not start: {self._last_words()}")
            time.sleep(0.25)
        self.run.event("serving", 0, seconds=round(time.monotonic() - began, 1), address=self.address)

    def hand_over(self) -> None:
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
        self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(place)})
        before, self.served = self.served, name
        if before:
            self._post("/v1/unload_lora_adapter", {"lora_name": before})
            shutil.rmtree(self.folder / before, ignore_errors=True)

    def close(self) -> None:
        """End the server, with its own processes, and remove what was handed over."""
        process, self.process, self.served = self.process, None, ""
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            leftovers.end(self.run.path)
            process.wait()
        for place in self.folder.glob("policy-*"):
            shutil.rmtree(place, ignore_errors=True)

    def _policy(self) -> tuple[PeftModel, str]:
        """The model with the policy's adapter, and the adapter's name; the spec allows nothing else."""
        assert isinstance(self.role.net, PeftModel)
        assert self.role.adapter is not None
        return self.role.net, self.role.adapter

    def _rank(self) -> str:
        net, adapter = self._policy()
        rank = net.peft_config[adapter].r
        return str(next((allowed for allowed in RANKS if allowed >= rank), RANKS[-1]))

    def _is_up(self) -> bool:
        try:
            known = self.client.get(f"{self.address}/v1/models", timeout=5).json()["data"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return any(model["id"] == self.name for model in known)

    def _post(self, place: str, body: dict[str, Any]) -> Any:
        try:
            said = self.client.post(f"{self.address}{place}", json=body, timeout=ANSWER_SECONDS)
        except httpx.HTTPError as error:
            raise contract.RecipeFailed(
                f"vLLM does not answer any more ({type(error).__name__}): {self._last_words()}"
            ) from error
        if said.status_code != 200:
            raise contract.RecipeFailed(f"vLLM refused {place} ({said.status_code}): {said.text[:300]}")
        return said.json() if said.headers.get("content-type", "").startswith("application/json") else {}

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = (self.folder / "log.txt").read_text(errors="replace").strip().splitlines()
            errors = [line for line in lines if "Error" in line] or lines
            if errors:
                return f"{errors[-1].strip()[:300]}. Its log is serving/log.txt"
        return "it said nothing"


def die_with_parent() -> None:
    """In the child: be killed when this process is, however it ends."""
    ctypes.CDLL(None).prctl(contract.PR_SET_PDEATHSIG, signal.SIGKILL)
