"""A vLLM server that a run starts beside itself: started, waited for, asked, ended with all of its processes.

vLLM pins its own torch and transformers, so it has an environment of its own: PREFLOOP_VLLM is its command. The server
listens on the loopback address and ends with the run, however that ends. Its name tells it from another's server that
took the same port.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import httpx2 as httpx

from training.recipes import contract, leftovers
from training.recipes.answering.streaming import events
from training.specs import SpecRefused

COMMAND = "PREFLOOP_VLLM"
START_SECONDS, STOP_SECONDS, ANSWER_SECONDS, GONE_SECONDS = 900, 10, 3600, 60
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM allows, 0.31
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1"}  # GiB; else it takes what is free
NOT_PASSED_ON = ("VIRTUAL_ENV", "PYTHONPATH", "TORCHDYNAMO_DISABLE", "PREFLOOP_DIE_WITH_PARENT")


class ServerSilent(contract.RecipeFailed):
    """The server does not answer any more."""


class RequestRefused(contract.RecipeFailed):
    """The server answered with an error; `status` is that of HTTP."""

    def __init__(self, message: str, status: int, text: str) -> None:
        super().__init__(message)
        self.status, self.text = status, text


def command(setting: str) -> list[str]:
    """The command of vLLM. Raises `SpecRefused` without one; `setting` is what was set to vllm."""
    found = shlex.split(os.environ.get(COMMAND, ""))
    if not found or shutil.which(found[0]) is None:
        raise SpecRefused(
            f"{setting} was given as vllm, and {COMMAND} is {' '.join(found) or 'not set'}; set it to the "
            "command of vLLM in its own environment, or choose transformers"
        )
    return found


def rank(wanted: int) -> str:
    """The least rank of adapters that vLLM can be started with so that this one fits."""
    return str(next((allowed for allowed in RANKS if allowed >= wanted), RANKS[-1]))


@dataclass
class Server:
    """`vllm serve MODEL OPTIONS`; where it works, its log is FOLDER/log.txt."""

    run: contract.Run
    command: list[str]
    folder: Path
    model: str
    options: Sequence[str]
    cuda: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    connections: int = 100
    process: subprocess.Popen[bytes] | None = None
    address: str = ""
    name: str = field(default_factory=lambda: f"base-{uuid4().hex}")

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_connections=self.connections, max_keepalive_connections=self.connections)
        self.client = httpx.Client(trust_env=False, limits=limits)  # no proxy on the way

    def start(self) -> None:
        """Start it and wait until it answers. Raises `RecipeFailed` with its last words where it does not."""
        leftovers.end(self.run.path)
        self.folder.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        given = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        marked = leftovers.marked(self.run.path)
        began = time.monotonic()
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(*self.command, "serve", self.model, "--served-model-name", self.name),
                    *("--host", "127.0.0.1", "--port", str(port), *self.options),
                ],
                env={
                    **given,
                    **ENVIRONMENT,
                    **self.environment,
                    **marked,
                    **({} if self.cuda else CPU_ENVIRONMENT),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # who asks the run to stop does not mean the server: an update is ended first
                preexec_fn=die_with_parent,
            )
        try:
            self._wait(began)
        except contract.Stopped:
            self.close()
            raise
        self.run.event("serving", 0, seconds=round(time.monotonic() - began, 1), address=self.address)

    def _wait(self, began: float) -> None:
        while not self.is_up():
            self.run.stop_if_asked()
            if self.is_gone() or time.monotonic() - began > START_SECONDS:
                self.close()
                raise contract.RecipeFailed(f"vLLM did not start: {self.last_words()}")
            time.sleep(0.25)

    def close(self) -> None:
        """End it, with its own processes, and wait until they are gone."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        leftovers.end(self.run.path)
        process.wait()
        began = time.monotonic()
        while leftovers.beside(self.run.path) and time.monotonic() - began < GONE_SECONDS:
            time.sleep(0.05)

    def is_gone(self) -> bool:
        """Whether its process has ended."""
        return self.process is None or self.process.poll() is not None

    def is_up(self) -> bool:
        """Whether it answers, and is ours."""
        try:
            known = self.client.get(f"{self.address}/v1/models", timeout=5).json()["data"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return any(model["id"] == self.name for model in known)

    def is_well(self) -> bool:
        """Whether it says that its engine works."""
        try:
            return self.client.get(f"{self.address}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def post(self, place: str, body: dict[str, Any]) -> Any:
        """Ask it. Raises `ServerSilent` where no answer comes, `RequestRefused` where it is an error."""
        try:
            said = self.client.post(f"{self.address}{place}", json=body, timeout=ANSWER_SECONDS)
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed
            raise ServerSilent(
                f"vLLM does not answer any more ({type(error).__name__}): {self.last_words()}"
            ) from error
        if said.status_code != 200:
            words = f"vLLM refused {place} ({said.status_code}): {said.text[:300]}"
            raise RequestRefused(words, said.status_code, said.text)
        return said.json() if said.headers.get("content-type", "").startswith("application/json") else {}

    def stream(self, place: str, body: dict[str, Any], over: Event) -> Iterator[dict[str, Any]]:
        """Ask it, and yield what it says as it comes, until `over` is set. Raises as `post` does."""
        try:
            with self.client.stream(
                "POST", f"{self.address}{place}", json=body, timeout=ANSWER_SECONDS
            ) as said:
                if said.status_code != 200:
                    said.read()
                    words = f"vLLM refused {place} ({said.status_code}): {said.text[:300]}"
                    raise RequestRefused(words, said.status_code, said.text)
                yield from events(said.iter_lines(), over)
        except (httpx.HTTPError, RuntimeError) as error:
            raise ServerSilent(
                f"vLLM does not answer any more ({type(error).__name__}): {self.last_words()}"
            ) from error

    def last_words(self) -> str:
        """What its log says last about an error."""
        with suppress(OSError):
            lines = (self.folder / "log.txt").read_text(errors="replace").strip().splitlines()
            errors = [line for line in lines if "Error" in line] or lines
            if errors:
                return f"{errors[-1].strip()[:300]}. Its log is {self.folder.name}/log.txt"
        return "it said nothing"


def die_with_parent() -> None:
    """In the child: be killed when this process is, however it ends."""
    ctypes.CDLL(None).prctl(contract.PR_SET_PDEATHSIG, signal.SIGKILL)
