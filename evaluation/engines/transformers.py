"""Answers by transformers in a child process, on CPU or GPU: needs nothing but what trains, takes every adapter."""

from typing import Any, ClassVar

from evaluation.engines.processes import WeightsEngine, dtype, recipe_versions


class TransformersEngine(WeightsEngine):
    """The base is loaded once, its adapters are put on and taken off; the only one that asks reward models."""

    name: ClassVar[str] = "transformers"

    def profile(self) -> dict[str, Any]:
        """What of this engine can change an answer."""
        return {"engine": self.name, "dtype": dtype(), **recipe_versions("transformers", "peft", "torch")}
