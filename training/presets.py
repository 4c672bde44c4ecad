"""Where a launch form begins: recipes that are known to work, each with its source. They only fill fields."""

from dataclasses import dataclass, field
from typing import Any

SMALL = 50_000_000  # parameters below which the small presets are meant
HANDBOOK = "Zephyr 7B, alignment-handbook"
OURS = "ours, for models below 50 M parameters; SmolLM2's recipes go the same way (1e-3 at 360 M)"


@dataclass(frozen=True, slots=True)
class Preset:
    """Values of some settings of a method; what it leaves out keeps its default."""

    key: str
    name: str
    words: str
    source: str
    values: dict[str, Any] = field(default_factory=dict)


LORA = Preset(
    "lora",
    "LoRA, as the literature has it",
    "Low-rank matrices on every linear layer, alpha twice the rank, and the rate that is usual for them.",
    "LoRA Without Regret; LoRA Learns Less and Forgets Less, arXiv 2405.09673",
    {"adaptation": "lora"},
)
SAMPLED_SMALL = Preset(
    "small",
    "Small model, quick look",
    "LoRA at ten times the usual rate and short answers, which small models want.",
    OURS,
    {"adaptation": "lora", "learning_rate": 3e-4, "response_length": 64, "rollout_size": 32},
)
PRESETS: dict[str, tuple[Preset, ...]] = {
    "sft": (
        LORA,
        Preset(
            "qlora",
            "QLoRA for a small card",
            "The base in 4 bits and one row at a time, as models of 7 billion parameters are trained on one card.",
            "Guanaco 7B, QLoRA, Dettmers et al. 2305.14314",
            {
                "adaptation": "qlora",
                "lora_r": 64,
                "lora_alpha": 16,
                "lora_dropout": 0.1,
                "batch_size": 1,
                "gradient_accumulation": 16,
                "scheduler": "constant_with_warmup",
                "warmup": 0.03,
                "max_grad_norm": 0.3,
                "gradient_checkpointing": "on",
            },
        ),
        Preset(
            "full",
            "All weights",
            "Every weight learns: the most memory, the most to gain from many rows, the most to forget.",
            HANDBOOK,
            {"adaptation": "full", "warmup": 0.1},
        ),
        Preset(
            "small",
            "Small model, quick look",
            "LoRA at fifteen times the usual rate, which small models want: shows in minutes whether rows teach.",
            OURS,
            {"adaptation": "lora", "learning_rate": 3e-3},
        ),
    ),
    "reward": (
        LORA,
        Preset(
            "full",
            "All weights",
            "Every weight learns, at the low rate that reward models are trained with.",
            "N+ implementation details of RLHF, Huang et al. 2403.17031",
            {"adaptation": "full"},
        ),
        Preset(
            "small",
            "Small model, quick look",
            "LoRA at ten times the usual rate, which small models want.",
            OURS,
            {"adaptation": "lora", "learning_rate": 1e-3},
        ),
    ),
    "dpo": (
        LORA,
        Preset(
            "qlora",
            "QLoRA for a small card",
            "The base in 4 bits with a high rank; the reference is the same base without its adapter.",
            HANDBOOK,
            {
                "adaptation": "qlora",
                "lora_r": 128,
                "lora_alpha": 128,
                "lora_dropout": 0.05,
                "beta": 0.01,
                "batch_size": 4,
                "gradient_accumulation": 4,
                "max_length": 1024,
                "warmup": 0.1,
            },
        ),
        Preset(
            "full",
            "All weights",
            "Every weight learns, very slowly; the reference's log-probabilities are computed before.",
            HANDBOOK,
            {"adaptation": "full", "beta": 0.01, "warmup": 0.1},
        ),
        Preset(
            "by_length",
            "All weights, by length",
            "The loss divided by each response's length, so that long responses do not win for their length.",
            "Tulu 3 8B, open-instruct",
            {
                "adaptation": "full",
                "loss_type": "sigmoid_norm",
                "beta": 5.0,
                "scheduler": "linear",
                "warmup": 0.1,
            },
        ),
        Preset(
            "small",
            "Small model, quick look",
            "LoRA at a hundred times the usual rate, which small models want.",
            OURS,
            {"adaptation": "lora", "learning_rate": 5e-4},
        ),
    ),
    **dict.fromkeys(("rloo", "best_of_n"), (LORA, SAMPLED_SMALL)),
    "ppo": (
        LORA,
        Preset(
            "summaries",
            "All weights, as for summaries",
            "A model for each role, and the settings of the reproduction of learning to summarise; much memory.",
            "N+ implementation details of RLHF, Huang et al. 2403.17031",
            {"adaptation": "full", "temperature": 0.7, "scheduler": "linear", "warmup": 0.0},
        ),
        SAMPLED_SMALL,
    ),
    "kto": (
        LORA,
        Preset(
            "full",
            "All weights",
            "Every weight learns, very slowly.",
            "KTO, Ethayarajh et al. 2402.01306",
            {"adaptation": "full"},
        ),
        Preset(
            "small",
            "Small model, quick look",
            "LoRA at a hundred times the usual rate, which small models want.",
            OURS,
            {"adaptation": "lora", "learning_rate": 5e-4},
        ),
    ),
}


def find_preset(method: str, key: str) -> Preset | None:
    """A preset of a method by its key; None where there is none of that key."""
    return next((preset for preset in PRESETS[method] if preset.key == key), None)


def suggested(method: str, parameters: int | None) -> Preset:
    """The preset to begin with: the small one where the base is known to be small."""
    small = find_preset(method, "small") if parameters is not None and parameters < SMALL else None
    return small or PRESETS[method][0]
