"""Answers from OpenAI-compatible addresses, asked by a child process that has patience for them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from evaluation.engines.processes import ProcessEngine, services
from evaluation.engines.protocol import Limits, Target


class OpenAIEngine(ProcessEngine):
    """Asks services. Which version of a model answers is theirs to change: the profile cannot tell."""

    name: ClassVar[str] = "openai"

    def spec(self, targets: Sequence[Target], limits: Limits) -> dict[str, Any]:
        """The spec.json for services; the name of the variable that holds a key, never the key."""
        return {
            "method": "answer",
            "engine": self.name,
            "endpoints": [asdict(service) for service in services(targets, self.name)],
            "concurrency": limits.concurrency,
            "timeout": limits.timeout,
            "tries": limits.tries,
        }

    def profile(self) -> dict[str, Any]:
        """What of this engine can change an answer."""
        return {"engine": self.name}
