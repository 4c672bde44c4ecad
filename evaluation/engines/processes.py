"""What the engines share that answer in a process of their own: `python -m training.recipes.answer FOLDER`."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings

from evaluation.engines.files import ANSWERS, Tail, prepare
from evaluation.engines.protocol import Answer, Interrupted, Limits, Request, Service, Target, Weights
from labeling.errors import Refused
from training.devices import gpus
from training.processes import BUSY, STOPPED, Stop, failure_words, killed_words, run_recipe
from training.registry import read_result

AT_A_TIME = 500  # answers that are taken
VERSION_SECONDS = 60
VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class ProcessEngine:
    """Runs the recipe, and hands on what it answers while it does."""

    name: ClassVar[str]

    def ask(
        self,
        *,
        requests: Iterable[Request],
        targets: Sequence[Target],
        folder: Path,
        limits: Limits,
        take: Callable[[Sequence[Answer]], None],
        watch: Callable[[int, int], None],
    ) -> None:
        """See evaluation.engines.protocol.Engine."""
        total = prepare(folder, requests, self.spec(targets, limits))
        tail = Tail(folder / ANSWERS)

        def hand_on() -> None:
            for answers in tail.new(AT_A_TIME):
                take(answers)

        def look() -> None:
            hand_on()
            watch(tail.seen, total)

        try:
            look()
        except Stop:
            raise Interrupted("") from None
        if not total or read_result(folder) is not None:
            return
        try:
            code = run_recipe("answer", folder, look)
        finally:
            hand_on()  # also what came while it was stopped, whoever stopped it
        if read_result(folder) is None:
            if code in (STOPPED, BUSY) or code < 0:
                raise Interrupted(killed_words(code))
            raise Refused(failure_words(folder, code))

    def spec(self, targets: Sequence[Target], limits: Limits) -> dict[str, Any]:
        """The spec.json of the process. Raises `Refused` about targets that are not this engine's."""
        raise NotImplementedError


class WeightsEngine(ProcessEngine):
    """Asks checkpoints on this machine, which share one base."""

    def spec(self, targets: Sequence[Target], limits: Limits) -> dict[str, Any]:
        """The spec.json for weights."""
        weights = [target for target in targets if isinstance(target, Weights)]
        places = {(target.base, target.revision) for target in weights}
        if len(weights) < len(targets) or len(places) != 1:
            raise Refused(
                f"The engine {self.name} asks checkpoints that share one base; ask {len(targets)} targets on "
                f"{len(places)} bases group by group, and services by the engine openai."
            )
        ((base, revision),) = places
        return {
            "method": "answer",
            "engine": self.name,
            "base": base,
            "revision": revision or None,
            "targets": [
                {
                    "id": target.id,
                    "adapter": target.adapter,
                    "model": target.model,
                    "content_hash": target.content_hash,
                    "rewards": target.rewards,
                }
                for target in weights
            ],
            "max_length": limits.max_length,
            "batch_size": limits.batch_size,
            "concurrency": limits.concurrency,
        }


def services(targets: Sequence[Target], name: str) -> list[Service]:
    """The targets, all of which are services. Raises `Refused`."""
    found = [target for target in targets if isinstance(target, Service)]
    if len(found) < len(targets) or not found:
        raise Refused(f"The engine {name} asks services alone; ask checkpoints by transformers or vllm.")
    return found


def dtype() -> str:
    """The type that weights are loaded in on this machine."""
    return "bfloat16" if gpus() else "float32"


@cache
def versions(python: str, *names: str) -> dict[str, str]:
    """Versions of packages in the environment of an interpreter, which are not imported; absent ones are left out."""
    command = [python or sys.executable, "-c", VERSIONS, *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=VERSION_SECONDS, check=True)
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    return found


def recipe_versions(*names: str) -> dict[str, str]:
    """Versions in the environment that recipes run in."""
    return versions(settings.PREFLOOP_RECIPE_PYTHON, *names)
