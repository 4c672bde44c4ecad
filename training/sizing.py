"""What a run will train and hold, told before it starts from the shape of its base and its spec alone.

Symbols: h hidden size, m MLP size, kv width of all keys, L layers, V vocabulary, r rank, T tokens in one forward pass,
c bytes of a number (4 float32, 2 bfloat16). Formulas hold for the Llama family; other decoders come close. Where each
comes from and how well it meets measurements is in training/DECISIONS.md, 27 to 31.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from training.counting import LOW_RANK, total_parameters, trainable_parameters
from training.shapes import Linear, ModelShape
from training.specs import DpoSpec, KtoSpec, RewardSpec, RolloutSpec, SftSpec, TrainSpec

Device = Literal["cpu", "cuda"]

MIB, GIB = 2**20, 2**30
ADAM = 2  # moments that AdamW keeps of each number
FLOAT, HALF = 4, 2  # bytes
TILE_TOKENS, TILE_WORDS = 4096, 32768  # TRL 1.16 folds the output head over tiles of this size
CPU_TILES = 8.25  # tiles that its backward pass in plain torch holds at once: trl/kernels/chunked_logprob.py
ROLLOUT_TILE, ROLLOUT_TILES = (
    2**22,
    5,
)  # logits at once in recipes/rl/probabilities.py, and copies of them; measured
BLOCK, BLOCK_OF_BLOCKS = 64, 256  # weights that share a scale, and scales that share one (bitsandbytes NF4)
CODES = (16 + 256) * FLOAT  # the tables of values that each matrix in 4 bits brings along
PROCESS = 48 * MIB  # what libraries take for themselves once training begins on the CPU; measured
CONTEXT = 1.4 * GIB  # CUDA context and kernels: Unsloth's calibration
ALLOCATOR = 0.05  # of what tensors hold, lost to rounding on CUDA
MMAP_LIMIT = 32 * MIB  # glibc returns larger blocks at once (DEFAULT_MMAP_THRESHOLD_MAX)
# Of smaller blocks that come and go, the share that glibc keeps beside them; measured, DECISIONS 29. LoRA adds outputs
# of its own to those of each layer, and checkpointing computes each layer twice: holes between blocks that stay. More
# of them where lengths change from batch to batch, as those of pairs do; SFT packs its rows to one length.
KEPT, KEPT_LORA, KEPT_UNEVEN, KEPT_RECOMPUTED = 0.3, 0.65, 0.8, 1.0
# Bytes that one token leaves behind in one layer, as multiples of (h, m, kv, r). Fitted to what autograd saves (hooks,
# six to nine Llama shapes, at most 0.2 % off; prefix 3 %); on CUDA LoRA's under autocast.
LEFT = {
    ("full", "cpu"): (32, 16, 8, 0),
    ("full", "cuda"): (20, 8, 4, 0),
    ("lora", "cpu"): (24, 16, 8, 28),
    ("lora", "cuda"): (16, 8, 4, 14),
    ("qlora", "cpu"): (28, 14, 8, 14),
    ("qlora", "cuda"): (16, 8, 4, 14),
    ("prompt", "cpu"): (16, 12, 8, 0),
    ("prompt", "cuda"): (12, 6, 4, 0),
    ("prefix", "cpu"): (24, 12, 8, 0),  # its mask makes attention copy keys and values for every head
    ("prefix", "cuda"): (16, 6, 4, 0),
    ("ia3", "cpu"): (16, 16, 16, 0),
    ("ia3", "cuda"): (12, 10, 8, 0),
}


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes by term at the fullest moment of a training step."""

    weights: int
    quantization: (
        int  # scales and tables of weights in 4 bits, and the matrix that is unpacked while it is used
    )
    gradients: int
    optimizer: int
    activations: int
    logits: int  # the output head at work: tiles of logits, and its gradient in full training
    reference: int  # frozen models beside the one that learns, and the adapter of a reward model
    overhead: int  # libraries and allocator
    in_turn: int  # held by two of the terms above at different times, so counted once
    checkpointing: bool  # activations are recomputed
    device: Device

    @property
    def terms(self) -> dict[str, int]:
        """The terms by name, in the order in which they are shown."""
        names = ("weights", "quantization", "gradients", "optimizer", "activations", "logits", "reference")
        return {name: getattr(self, name) for name in (*names, "overhead")}

    @property
    def total(self) -> int:
        """Bytes that the device must have."""
        return sum(self.terms.values()) - self.in_turn

    @property
    def measurable(self) -> int:
        """Bytes that `training.recipes.memory.Meter` sees: on CUDA without context and allocator."""
        return self.total - (self.overhead if self.device == "cuda" else 0)


def longest_batch(spec: TrainSpec, longest_row: int | None = None, mean_row: float | None = None) -> int:
    """Return the tokens of the largest forward pass; `longest_row` and `mean_row` in tokens, where known, tighten it.

    A packed bin holds about `batch_size` rows of the mean length, and at least the longest; DPO and reward models pass
    chosen and rejected together; where the rows are prompts, the longest answer comes behind.
    """
    row = spec.room if longest_row is None else min(longest_row, spec.room)
    if isinstance(spec, RolloutSpec):
        row += spec.response_length
    if isinstance(spec, SftSpec) and spec.packs and mean_row is not None:
        return max(row, round(spec.batch_size * min(mean_row, row)))
    return _rows(spec) * row


def _rows(spec: TrainSpec) -> int:
    return spec.batch_size * (2 if isinstance(spec, (DpoSpec, RewardSpec)) else 1)


def memory(
    shape: ModelShape,
    spec: TrainSpec,
    *,
    device: Device,
    longest: int | None = None,
    available: int | None = None,
) -> MemoryEstimate:
    """Return what a training step holds at most; `longest` are the tokens of the largest forward pass.

    With gradient_checkpointing auto, activations are recomputed only where the step would not fit `available` bytes.
    """
    tokens = longest if longest is not None else longest_batch(spec)
    if spec.gradient_checkpointing == "on":
        return _estimate(shape, spec, device, tokens, checkpointing=True)
    plain = _estimate(shape, spec, device, tokens, checkpointing=False)
    fits = available is None or plain.total <= available
    if spec.gradient_checkpointing == "off" or spec.adaptation == "prefix" or fits:
        return plain
    return _estimate(shape, spec, device, tokens, checkpointing=True)


def _estimate(
    shape: ModelShape, spec: TrainSpec, device: Device, tokens: int, *, checkpointing: bool
) -> MemoryEstimate:
    full, cuda = spec.adaptation == "full", device == "cuda"
    trained = trainable_parameters(shape, spec)
    weights, quantization = _weights(shape, spec, cuda=cuda)
    gradients = trained * FLOAT  # what learns is float32, on 4-bit weights too: recipes/adapting.py
    if spec.adaptation == "prompt":
        tokens += _rows(spec) * spec.virtual_tokens
    activations, layer = _activations(shape, spec, tokens, cuda=cuda, checkpointing=checkpointing)
    logits = _logits(shape, spec, tokens, cuda=cuda)
    if isinstance(spec, RolloutSpec):  # sampling and learning take turns
        activations = max(activations, _cache(shape, spec, tokens, cuda=cuda) - logits)
    recomputed = (
        min(layer, logits) if checkpointing else 0
    )  # the head is done before the first layer is recomputed
    working = activations + logits - recomputed
    # Gradients come as activations go, unless those of an earlier batch are there already.
    at_once = spec.gradient_accumulation > 1 or isinstance(spec, RolloutSpec)
    in_turn = recomputed + (0 if at_once else min(gradients, working))
    twice = full and isinstance(spec, (DpoSpec, KtoSpec)) and not spec.precompute_reference
    estimate = MemoryEstimate(
        weights=weights,
        quantization=quantization,
        gradients=gradients,
        optimizer=trained * FLOAT * ADAM,
        activations=activations,
        logits=logits,
        reference=_frozen(shape, spec) + (shape.parameters * FLOAT if twice else 0),
        overhead=0,
        in_turn=in_turn,
        checkpointing=checkpointing,
        device=device,
    )
    if cuda:
        return replace(estimate, overhead=int(CONTEXT + ALLOCATOR * estimate.total))
    return replace(estimate, overhead=PROCESS + _kept(shape, spec, tokens, estimate))


def _kept(shape: ModelShape, spec: TrainSpec, tokens: int, estimate: MemoryEstimate) -> int:
    """What glibc does not give back of blocks that are freed; large ones it does."""
    low_rank = KEPT_LORA if isinstance(spec, SftSpec) else KEPT_UNEVEN
    share = low_rank if spec.adaptation in LOW_RANK else KEPT
    share = KEPT_RECOMPUTED if estimate.checkpointing else share
    scored = min(tokens - _rows(spec), TILE_TOKENS)  # a row's last position has no next token
    tile = scored * min(shape.vocabulary, TILE_WORDS) * FLOAT
    small = estimate.activations if tokens * shape.mlp * FLOAT < MMAP_LIMIT else 0
    return int(share * (small + (estimate.logits if tile < MMAP_LIMIT else 0)))


def _weights(shape: ModelShape, spec: TrainSpec, *, cuda: bool) -> tuple[int, int]:
    """Return (bytes of weights and adapter, bytes that quantization adds to them)."""
    whole = total_parameters(shape, _in_full(spec))
    if isinstance(spec, RolloutSpec):  # the frozen models are a term of their own
        whole = trainable_parameters(shape, spec) if spec.adaptation == "full" else shape.parameters
    base = whole - shape.linear_parameters
    adapter = trainable_parameters(shape, spec) if spec.adaptation != "full" else 0
    if spec.adaptation == "qlora":
        blocks = shape.linear_parameters / BLOCK
        scales = blocks + blocks / BLOCK_OF_BLOCKS * FLOAT + len(shape.linears) * CODES
        unpacked = 2 * HALF * _largest(shape)
        packed = shape.linear_parameters // 2 + base * (HALF if cuda else FLOAT) + adapter * FLOAT
        return packed, int(scales) + unpacked
    if spec.adaptation == "full":
        copies = (
            HALF * shape.linear_parameters if cuda else 0
        )  # autocast casts float32 matrices for each step
        return (base + shape.linear_parameters) * FLOAT + copies, 0
    return (base + shape.linear_parameters) * (HALF if cuda else FLOAT) + adapter * FLOAT, 0


def _frozen(shape: ModelShape, spec: TrainSpec) -> int:
    """Bytes of reward model and reference, where answers are sampled: two models in full training, else an adapter."""
    if not isinstance(spec, RolloutSpec):
        return 0
    return (total_parameters(shape, spec) - trainable_parameters(shape, spec)) * FLOAT - (
        0 if spec.adaptation == "full" else shape.parameters * FLOAT
    )


def _cache(shape: ModelShape, spec: RolloutSpec, tokens: int, *, cuda: bool) -> int:
    """Bytes of the keys and values of answers while they are sampled, many more at a time than are learned from."""
    of_one = 2 * shape.layers * shape.kv_width * (HALF if cuda else FLOAT)
    return spec.sampled_at_once // spec.batch_size * tokens * of_one


def _in_full(spec: TrainSpec) -> TrainSpec:
    """The same spec for full training: what the model has without an adapter, with a reward model's head."""
    return spec.model_copy(update={"adaptation": "full"})


def _activations(
    shape: ModelShape, spec: TrainSpec, tokens: int, *, cuda: bool, checkpointing: bool
) -> tuple[int, int]:
    """Return (bytes kept for the backward pass, bytes of them that belong to one recomputed layer)."""
    layer = tokens * bytes_per_token(shape, spec, cuda=cuda)
    matrices = (
        3 * FLOAT * _largest(shape) if spec.dora else 0
    )  # the norm of W + BA is taken of the whole matrix
    if not checkpointing:
        return shape.layers * layer + matrices, 0
    return shape.layers * tokens * shape.hidden * (HALF if cuda else FLOAT) + layer + matrices, layer


def _largest(shape: ModelShape) -> int:
    return max((layer.size for layer in shape.linears), default=0)


def bytes_per_token(shape: ModelShape, spec: TrainSpec, *, cuda: bool) -> int:
    """Return what one token leaves behind in one layer for the backward pass; see `LEFT`."""
    h, m, kv, r = LEFT[spec.adaptation, "cuda" if cuda else "cpu"]
    left = h * shape.hidden + m * shape.mlp + kv * shape.kv_width + r * spec.lora_r + 28
    if spec.dora:  # each layer's output before and after its scale
        left += 2 * FLOAT * sum(layer.outputs for layer in _one_layer(shape))
    return left


def _one_layer(shape: ModelShape) -> tuple[Linear, ...]:
    return shape.linears[: len(shape.linears) // max(1, shape.layers)]


def _logits(shape: ModelShape, spec: TrainSpec, tokens: int, *, cuda: bool) -> int:
    """Return bytes of TRL's fused output head; a reward model has none worth counting."""
    if isinstance(spec, RewardSpec):
        return 0
    rows = min(tokens, TILE_TOKENS)
    states = tokens * shape.hidden * FLOAT
    if isinstance(spec, RolloutSpec):
        return ROLLOUT_TILES * ROLLOUT_TILE * FLOAT + states
    gradient = shape.head * FLOAT if spec.adaptation == "full" else 0
    if (
        cuda
    ):  # one tile of the full width in bfloat16, whatever the vocabulary, and the part of the head it meets
        words = min(shape.vocabulary, TILE_WORDS) * shape.hidden * HALF if spec.adaptation == "full" else 0
        return rows * TILE_WORDS * HALF + states + gradient + words
    return int(CPU_TILES * rows * min(shape.vocabulary, TILE_WORDS) * FLOAT) + states + gradient
