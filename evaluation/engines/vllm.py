"""Answers by a vLLM server that the child process starts beside itself: the base and all its adapters at once."""

import shlex
import shutil
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings

from evaluation.engines.processes import WeightsEngine, dtype, recipe_versions

VERSION_SECONDS = 120


class VllmEngine(WeightsEngine):
    """Prompts are rendered by the tokenizer that trains, so its version counts too."""

    name: ClassVar[str] = "vllm"

    def profile(self) -> dict[str, Any]:
        """What of this engine can change an answer."""
        return {
            "engine": self.name,
            "dtype": dtype(),
            "vllm": vllm_version(settings.PREFLOOP_VLLM),
            "prefix_caching": True,
            "logprobs_mode": "raw_logprobs",
            "generation_config": "vllm",
            **recipe_versions("transformers"),
        }


@cache
def vllm_version(command: str) -> str:
    """The version that a command of vLLM starts: its environment's, else what it says itself; empty if neither."""
    words = shlex.split(command)
    program = shutil.which(words[0]) if words else None
    if program is None:
        return ""
    places = [str(place) for place in Path(program).parent.parent.glob("lib/python*/site-packages")]
    for found in distributions(name="vllm", path=places) if len(words) == 1 else ():
        return found.version
    try:
        done = subprocess.run(
            [*words, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()[-60:]
