"""What a model is made of, from its configuration and the shapes of its tensors; no ML library is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from training.weights import Tensor, WeightsDamaged, read_config, read_tensors

EMBEDDINGS = (
    "embed_tokens",
    "wte",
    "wpe",
    "embed_in",
    "word_embeddings",
    "embed_positions",
    "position_embeddings",
)
HEADS = ("lm_head", "embed_out", "output", "score", "classifier")
BUFFERS = (".attn.bias", ".masked_bias", ".inv_freq")  # stored by old versions, and no parameters
TRANSPOSED = ("gpt2", "openai-gpt")  # Conv1D keeps its matrix as (in, out)
TIED = (
    "gpt2",
    "openai-gpt",
    "gemma",
    "gemma2",
    "gemma3_text",
    "smollm3",
)  # where the configuration does not say
# model_type: (biases on q, k, v; norms of hidden size in a layer; norms of q and k by head)
LLAMA_LIKE = {
    "llama": (False, 2, False),
    "mistral": (False, 2, False),
    "smollm3": (False, 2, False),
    "granite": (False, 2, False),
    "gemma": (False, 2, False),
    "gemma2": (False, 4, False),
    "qwen2": (True, 2, False),
    "qwen3": (False, 2, True),
}


class Linear(NamedTuple):
    """A linear layer: y = W x with W of shape (outputs, inputs)."""

    name: str
    outputs: int
    inputs: int

    @property
    def size(self) -> int:
        """Numbers in its matrix."""
        return self.outputs * self.inputs


@dataclass(frozen=True)
class ModelShape:
    """A causal language model in numbers."""

    kind: str
    hidden: int
    mlp: int
    layers: int
    vocabulary: int
    heads: int
    head_dim: int
    kv_width: int  # all keys of one token in one layer
    tied: bool  # the output head is the embedding matrix
    linears: tuple[Linear, ...]  # what adapters attach to: no embedding, no output head
    other: int  # parameters outside `linears`, the output head among them where it is not tied

    @property
    def linear_parameters(self) -> int:
        """Parameters of the linear layers, without their biases."""
        return sum(linear.size for linear in self.linears)

    @property
    def head(self) -> int:
        """Numbers in the matrix that turns hidden states into logits, tied or not."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters; a tied head counts once."""
        return self.linear_parameters + self.other


def shape_of(path: Path) -> ModelShape:
    """Return the shape of a saved model. Raises `WeightsDamaged` where it cannot be told."""
    config = read_config(path)
    if "quantization_config" in config:  # packed matrices have shapes of their own
        return shape_from_config(config)
    return shape_from_tensors(config, read_tensors(path))


def shape_from_tensors(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> ModelShape:
    """Return the shape of a model from its tensors; the configuration says what they cannot: heads and ties.

    Linear layers are the two-dimensional `.weight`s but embeddings, output head and the experts and routers of a
    mixture, which transformers 5 keeps as plain parameters: what PEFT's "all-linear" finds.
    """
    sizes = _sizes(config)
    linears, other = [], 0
    for name, tensor in tensors.items():
        role = _role(name, tensor, sizes)
        if role == "linear":
            rows, columns = tensor.shape if sizes["kind"] not in TRANSPOSED else tensor.shape[::-1]
            linears.append(Linear(name.removesuffix(".weight"), rows, columns))
        elif role == "other" or (role == "head" and not sizes["tied"]):
            other += tensor.size
    untied = any(_role(name, tensor, sizes) == "head" for name, tensor in tensors.items())
    return ModelShape(**sizes | {"tied": sizes["tied"] or not untied}, linears=tuple(linears), other=other)


def _role(name: str, tensor: Tensor, sizes: Mapping[str, Any]) -> str:
    module, _, leaf = name.rpartition(".")
    last = module.rpartition(".")[2]
    if name.endswith(BUFFERS) and (len(tensor.shape) != 1 or name.endswith(BUFFERS[1:])):
        return "buffer"
    if leaf != "weight" or len(tensor.shape) != 2:
        return "other"
    if last in HEADS and (module in HEADS or tensor.shape[0] == sizes["vocabulary"]):
        return "head"
    if last in EMBEDDINGS or ".experts." in name or last in ("router", "shared_expert_gate"):
        return "other"
    if last == "gate" and tensor.shape[0] < sizes["head_dim"]:  # the router of a mixture: one row an expert
        return "other"
    return "linear"


def shape_from_config(config: Mapping[str, Any]) -> ModelShape:
    """Return the shape of a model of the Llama family that is known by its configuration only.

    Raises `WeightsDamaged` for another family, of which only the weights tell the shape.
    """
    sizes = _sizes(config)
    if sizes["kind"] not in LLAMA_LIKE:
        raise WeightsDamaged(
            f"the shape of a {sizes['kind']} model cannot be told from its configuration; download its weights, or "
            f"choose one of {', '.join(LLAMA_LIKE)}"
        )
    biased, norms, head_norms = LLAMA_LIKE[sizes["kind"]]
    biased = bool(config.get("attention_bias", biased))
    hidden, mlp, kv = sizes["hidden"], sizes["mlp"], sizes["kv_width"]
    queries = sizes["heads"] * sizes["head_dim"]
    layer = [
        ("self_attn.q_proj", queries, hidden),
        ("self_attn.k_proj", kv, hidden),
        ("self_attn.v_proj", kv, hidden),
        ("self_attn.o_proj", hidden, queries),
        ("mlp.gate_proj", mlp, hidden),
        ("mlp.up_proj", mlp, hidden),
        ("mlp.down_proj", hidden, mlp),
    ]
    linears = tuple(
        Linear(f"model.layers.{number}.{name}", outputs, inputs)
        for number in range(sizes["layers"])
        for name, outputs, inputs in layer
    )
    small = norms * hidden + 2 * sizes["head_dim"] * head_norms
    if biased:
        small += queries + 2 * kv + (hidden if sizes["kind"] in ("llama", "granite", "smollm3") else 0)
    matrices = 1 if sizes["tied"] else 2
    other = matrices * sizes["vocabulary"] * hidden + sizes["layers"] * small + hidden
    return ModelShape(**sizes, linears=linears, other=other)


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of a model, under the names of `ModelShape`; GPT-2's words are known too."""
    kind = str(config["model_type"])
    text = config["text_config"] if isinstance(config.get("text_config"), Mapping) else config
    try:
        hidden = int(text.get("hidden_size") or text["n_embd"])
        layers = int(text.get("num_hidden_layers") or text["n_layer"])
        heads = int(text.get("num_attention_heads") or text["n_head"])
        vocabulary = int(text["vocab_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsDamaged(
            f"config.json of this {kind} model says no {error}; choose a decoder such as Llama, Qwen or GPT-2"
        ) from None
    head_dim = int(text.get("head_dim") or hidden // heads)
    return {
        "kind": str(text.get("model_type", kind)),
        "hidden": hidden,
        "mlp": int(text.get("intermediate_size") or text.get("n_inner") or 4 * hidden),
        "layers": layers,
        "vocabulary": vocabulary,
        "heads": heads,
        "head_dim": head_dim,
        "kv_width": head_dim * int(text.get("num_key_value_heads") or heads),
        "tied": bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", kind in TIED))),
    }
