"""How many numbers a model has and a run trains, exactly, from the model's shape and the spec alone."""

from __future__ import annotations

from training.shapes import ModelShape
from training.specs import PpoSpec, RewardSpec, RolloutSpec, TrainSpec

LOW_RANK = ("lora", "qlora")
# Inputs and outputs that PEFT's IA3 scales, by kind of model (peft/utils/constants.py): outputs of the first, inputs of
# the second.
IA3: dict[str, tuple[tuple[str, ...], str]] = {
    "gpt2": (("attn.c_attn",), "mlp.c_proj"),
    "gpt_neox": (("query_key_value",), "dense_4h_to_h"),
    "falcon": (("query_key_value",), "dense_4h_to_h"),
    "phi": (("q_proj", "v_proj"), "fc2"),
} | dict.fromkeys(
    ("gemma", "gemma2", "gemma3_text", "qwen2", "qwen3", "llama4"), (("q_proj", "v_proj"), "down_proj")
)
IA3_LLAMA = (("k_proj", "v_proj"), "down_proj")


def trainable_parameters(shape: ModelShape, spec: TrainSpec) -> int:
    """Return how many numbers are trained: exactly those that PEFT (or full training) makes trainable.

    PPO's values begin as a copy of the reward model, whose rank is taken to be the policy's.
    """
    own = _of_one_model(shape, spec)
    if not isinstance(spec, PpoSpec):
        return own
    other = own if spec.value == "adapter" else 0
    headless = _output_head(shape) if other and spec.adaptation == "full" else 0
    return own + other - headless + shape.hidden


def _of_one_model(shape: ModelShape, spec: TrainSpec) -> int:
    reward = isinstance(spec, RewardSpec)
    match spec.adaptation:
        case "full":
            return shape.parameters - _output_head(shape) + shape.hidden if reward else shape.parameters
        case "lora" | "qlora":
            ranks = sum(spec.lora_r * (layer.inputs + layer.outputs) for layer in shape.linears)
            adapted = ranks + (sum(layer.outputs for layer in shape.linears) if spec.dora else 0)
        case "prompt":
            adapted = spec.virtual_tokens * shape.hidden
        case "prefix":
            adapted = spec.virtual_tokens * shape.layers * 2 * shape.kv_width
        case "ia3":
            adapted = _scales(shape)
    return adapted + (shape.hidden if reward else 0)


def total_parameters(shape: ModelShape, spec: TrainSpec) -> int:
    """Return how many numbers are held while the model is trained: adapter, small head of a reward model, and, of
    methods with a reward model, every role."""
    if isinstance(spec, RewardSpec):
        base = shape.parameters - _output_head(shape)
        return base + (shape.hidden if spec.adaptation == "full" else trainable_parameters(shape, spec))
    trained = trainable_parameters(shape, spec)
    if isinstance(spec, RolloutSpec):
        judge = shape.parameters - _output_head(shape)
        if spec.adaptation == "full":
            return trained + shape.parameters + judge
        return shape.parameters + trained + _of_one_model(shape, spec)
    return shape.parameters + (0 if spec.adaptation == "full" else trained)


def _output_head(shape: ModelShape) -> int:
    return 0 if shape.tied else shape.head


def _scales(shape: ModelShape) -> int:
    outputs, inputs = IA3.get(shape.kind, IA3_LLAMA)
    scaled = sum(layer.outputs for layer in shape.linears if layer.name.endswith(outputs))
    return scaled + sum(layer.inputs for layer in shape.linears if layer.name.endswith(inputs))
