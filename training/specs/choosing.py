"""The training methods by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.specs.methods import DpoSpec, KtoSpec, RewardSpec, SftSpec, TrainSpec
from training.specs.parsing import SpecRefused, parse
from training.specs.rollouts import BestOfNSpec, PpoSpec, RlooSpec, RolloutSpec

ROLLOUTS: dict[str, type[RolloutSpec]] = {"ppo": PpoSpec, "rloo": RlooSpec, "best_of_n": BestOfNSpec}
METHODS: dict[str, type[TrainSpec]] = {
    "sft": SftSpec,
    "reward": RewardSpec,
    "dpo": DpoSpec,
    "kto": KtoSpec,
    **ROLLOUTS,
}


def parse_spec(method: str, values: Mapping[str, Any]) -> TrainSpec:
    """Return the spec of `method`; what is left out has its default.

    Raises `SpecRefused` with one sentence.
    """
    if method not in METHODS:
        raise SpecRefused(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    return parse(METHODS[method], values)
