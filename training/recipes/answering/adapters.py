"""Which adapters vLLM can serve, under which names, and how it is told of them; what is done about a silent one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.recipes import contract, servers
from training.specs import Asked
from training.weights import ADAPTER, ADAPTER_WEIGHTS, WeightsDamaged, read_header

if TYPE_CHECKING:
    from torch import Tensor

SAME = 1e-6  # nats: an engine that leaves an adapter out gives the very same numbers
AT_ONCE = 4  # adapters among the rows of one step; each costs memory
HASH = 16  # characters
# What adapter_config.json says → why vLLM 0.31 cannot serve it. It reads neither of the patterns, and would answer with
# another scale than the adapter was trained with.
UNKNOWN = {
    "use_dora": "DoRA",
    "modules_to_save": "whole layers of the base's own",
    "trainable_token_indices": "trained tokens",
    "rank_pattern": "ranks that differ between layers",
    "alpha_pattern": "scales that differ between layers",
    "lora_bias": "biases",
    "layer_replication": "repeated layers",
    "target_parameters": "adapted parameters that are no layers",
}
HEAD = "lm_head"
STARTS = ("pissa", "olora", "corda", "loftq", "eva")  # they change the base's weights


def refuse(targets: Sequence[Asked]) -> None:
    """Raise `RecipeFailed` about the first checkpoint that vLLM cannot serve."""
    for target in targets:
        what = "a reward model" if target.rewards else unserved(target)
        if what:
            raise contract.RecipeFailed(
                f"checkpoint {target.id} is {what}, which vLLM does not serve; choose the engine transformers"
                + ("" if target.rewards else ", or merge it into a model first")
            )


def unserved(target: Asked) -> str:
    """Why vLLM does not serve a checkpoint; empty where it does."""
    if target.adapter is None:
        return ""
    found = config(target.adapter)
    kind = found.get("peft_type")
    if kind != "LORA":
        return f"an adapter of the kind {kind}"
    for name, words in UNKNOWN.items():
        if found.get(name):
            return f"an adapter with {words}"
    if found.get("bias", "none") != "none":
        return "an adapter with biases"
    if str(found.get("init_lora_weights", "")).lower().startswith(STARTS):
        return f"an adapter that began as {found['init_lora_weights']}"
    if found.get("r", 0) > servers.RANKS[-1]:
        return f"an adapter of rank {found['r']}"
    if HEAD in layers(target.adapter):
        return "an adapter on the output head"
    return ""


def config(adapter: str) -> dict[str, Any]:
    """Return adapter_config.json. Raises `RecipeFailed`."""
    try:
        found: dict[str, Any] = json.loads((Path(adapter) / ADAPTER).read_text())
    except (OSError, ValueError) as error:
        raise contract.RecipeFailed(
            f"{adapter} has no {ADAPTER} that can be read ({error}); give the folder of an adapter"
        ) from error
    return found


def name(target: Asked) -> str:
    """The name an adapter is served under: other weights have another."""
    assert target.adapter is not None
    whole = target.content_hash or contract.content_hash(Path(target.adapter))
    return f"{target.id}-{whole[:HASH]}"


def options(targets: Sequence[Asked], names: Mapping[str, str], *, cuda: bool) -> list[str]:
    """What `vllm serve` is told of the adapters; nothing where there is none.

    It is told which layers they change: left to itself it also wraps the output head, and then 0.31 fails, or on a GPU
    may take the wrong adapter's head, when it gives log-probabilities of prompts to several adapters at once. On the
    CPU there is a free place behind the adapters: rows of the base are given what stands in the last place there
    (torch_ops/lora_ops.py takes "no adapter", -1, as an index), which must be nothing.
    """
    found = [target for target in targets if target.adapter is not None]
    if not found:
        return []
    modules = [json.dumps({"name": names[one.id], "path": one.adapter}) for one in found]
    rank = servers.rank(max(config(str(one.adapter)).get("r", 8) for one in found))
    kinds = sorted({kind for one in found for kind in layers(str(one.adapter))})
    count = len(found) if cuda else len(found) + 1
    at_once = min(AT_ONCE, count) if cuda else count
    return [
        *("--enable-lora", "--max-loras", str(at_once), "--max-cpu-loras", str(count)),
        *("--max-lora-rank", rank, "--lora-target-modules", *kinds, "--lora-modules", *modules),
    ]


def layers(adapter: str) -> set[str]:
    """The kinds of layers that an adapter changes, by the last part of their names."""
    try:
        names = read_header(Path(adapter) / ADAPTER_WEIGHTS)
    except WeightsDamaged as damage:
        raise contract.RecipeFailed(str(damage)) from None
    return {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in names if ".lora_" in name}


def check(run: contract.Run, target: Asked, difference: float, *, is_loaded: bool, advice: str) -> None:
    """Take down how far an adapter's next tokens are from the base's, in nats, and warn where they are the same.

    Raises `RecipeFailed` about one that was trained and is not known to be loaded: the base's numbers would stand under
    its name.
    """
    assert target.adapter is not None
    run.event("canary", checkpoint=target.id, difference=difference)
    if difference >= SAME:
        return
    does_something = not does_nothing(target.adapter)
    if does_something and not is_loaded:
        raise contract.RecipeFailed(
            f"adapter {target.id} silently answers as the base: its log-probabilities are the base's, though its "
            f"weights are not zero; {advice}"
        )
    why = "what it learned is too little to show" if does_something else "its weights are zero"
    message = f"The adapter gives the base model's log-probabilities: {why}."
    run.event("warning", checkpoint=target.id, message=message)


def does_nothing(adapter: str) -> bool:
    """Whether an adapter was never trained."""
    from safetensors.torch import load_file

    return is_idle(load_file(Path(adapter) / ADAPTER_WEIGHTS))


def is_idle(weights: Mapping[str, Tensor]) -> bool:
    """Whether in each layer of an adapter one of the two matrices is zero."""
    layers: dict[str, list[bool]] = {}
    for key, value in weights.items():
        if "lora_magnitude" in key:  # of DoRA, which begins as the base's own
            continue
        layer = key.replace("lora_embedding_", "lora_").replace("lora_A", "*").replace("lora_B", "*")
        layers.setdefault(layer, []).append(bool(value.any()))
    return not any(all(parts) for parts in layers.values())
