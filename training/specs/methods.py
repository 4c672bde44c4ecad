"""What a run may be asked to do: the settings of each training method, with bounds and one sentence each."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from training.specs.parsing import Strict
from training.specs.rates import PEAK_RATES

Adaptation = Literal["full", "lora", "qlora", "prompt", "prefix", "ia3"]
LOW_RANK = ("lora", "qlora")
PROMPTS = ("prompt", "prefix")


class TrainSpec(Strict):
    """Settings that every training method has."""

    method: str = Field(description="The training method.")
    seed: int = Field(
        default=42,
        ge=0,
        le=2**31 - 1,
        description="Seed of the data order, adapter initialisation and dropout.",
    )
    adaptation: Adaptation = Field(
        default="lora",
        description="What is trained: all weights (full); low-rank matrices beside frozen weights (lora), the frozen "
        "weights in 4 bits (qlora); vectors before the prompt (prompt) or before every layer's keys (prefix); or "
        "scales of keys, values and MLP (ia3).",
    )
    lora_r: int = Field(default=16, ge=1, le=512, description="Rank of the LoRA matrices.")
    lora_alpha: int = Field(
        default=32, ge=1, le=2048, description="LoRA scale numerator; left out, it is twice the rank."
    )
    lora_dropout: float = Field(
        default=0.0, ge=0, le=0.5, description="Dropout on the input of the LoRA matrices."
    )
    dora: bool = Field(
        default=False,
        description="Train magnitude and direction of the weights apart (DoRA, arXiv 2402.09353); slower.",
    )
    rslora: bool = Field(
        default=False,
        description="Scale by alpha / sqrt(r) instead of alpha / r (arXiv 2312.03732); for high ranks.",
    )
    virtual_tokens: int = Field(
        default=20,
        ge=1,
        le=1024,
        description="Vectors that prompt and prefix tuning learn (arXiv 2104.08691).",
    )
    learning_rate: float = Field(
        default=2e-4,
        gt=0,
        le=0.1,
        description="Peak learning rate; left out, it suits method and adaptation.",
    )
    epochs: float = Field(default=1.0, gt=0, le=100, description="Passes over the training rows.")
    batch_size: int = Field(default=8, ge=1, le=1024, description="Rows in one forward pass on one device.")
    gradient_accumulation: int = Field(
        default=1, ge=1, le=1024, description="Forward passes whose gradients are summed into one step."
    )
    max_length: int = Field(default=512, ge=16, le=131072, description="Longest row in tokens.")
    overlong: Literal["drop", "cut", "split"] = Field(
        default="drop",
        description="What becomes of longer rows: they are left out (drop), lose their end (cut), or go on as another "
        "row (split, for plain text); counted in every case.",
    )
    warmup: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="Share of the steps over which the learning rate rises from zero.",
    )
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        default="cosine", description="How the learning rate falls after the warm-up."
    )
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="AdamW's decay of the weights.")
    max_grad_norm: float = Field(
        default=1.0, gt=0, le=100, description="Gradients with a greater norm are scaled down to it."
    )
    sort_batches: bool = Field(
        default=True,
        description="Put rows of like length into a batch, which saves padding; batches come in random order.",
    )
    gradient_checkpointing: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Recompute activations instead of keeping them: less memory, more time; auto does it when needed.",
    )
    logging_steps: int = Field(default=5, ge=1, le=10_000, description="Steps between two loss events.")
    sample_prompts: int = Field(
        default=3,
        ge=0,
        le=20,
        description="Prompts, held-out ones if there are any, that the model answers now and then as it learns.",
    )
    save_steps: int = Field(
        default=50,
        ge=1,
        le=100_000,
        description="Steps between two checkpoints that a stopped run resumes from.",
    )
    keep_checkpoints: int = Field(
        default=2,
        ge=1,
        le=20,
        description="How many of them are kept while the run goes on; at its end none.",
    )

    @property
    def room(self) -> int:
        """Tokens that a row of the data may have."""
        return self.max_length

    @model_validator(mode="before")
    @classmethod
    def fill_in(cls, values: Any) -> Any:
        """What was left out and depends on something else: alpha is twice the rank, the rate suits the adaptation."""
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        if "lora_alpha" not in filled and isinstance(filled.get("lora_r"), int):
            filled["lora_alpha"] = min(2048, 2 * filled["lora_r"])
        adaptation, method = filled.get("adaptation", "lora"), cls.model_fields["method"].default
        if "learning_rate" not in filled and (method, adaptation) in PEAK_RATES:
            filled["learning_rate"] = PEAK_RATES[method, adaptation].value
        return filled

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        """Refuse settings that contradict each other. Raises ValueError, which `parse` turns into a refusal."""
        if (self.dora or self.rslora) and self.adaptation not in LOW_RANK:
            name = "dora" if self.dora else "rslora"
            raise ValueError(
                f"{name} is an option of LoRA and adaptation was given as {self.adaptation!r}; "
                "leave it out or choose lora or qlora"
            )
        if self.overlong == "split" and self.method != "sft":
            raise ValueError(
                f"overlong was given as 'split' and {self.method} learns whole responses; choose drop or cut"
            )
        if self.adaptation == "prefix" and self.gradient_checkpointing == "on":
            raise ValueError(
                "gradient_checkpointing does not work with prefix tuning, whose vectors live in the cache that "
                "it does without; choose auto or off, or another adaptation"
            )
        return self


class SftSpec(TrainSpec):
    """Supervised fine-tuning on demonstrations or chosen responses, or on plain text."""

    method: Literal["sft"] = Field(default="sft", description="Supervised fine-tuning on chosen completions.")
    loss_on: Literal["completion", "everything"] = Field(
        default="completion",
        description="Learn the completion only, or the prompt as well; plain text is learned whole.",
    )
    packing: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Put several rows into one of max_length tokens, with a mask between them: no padding, the same "
        "loss; auto is on, except for prompt and prefix tuning, under which rows would see each other.",
    )

    @model_validator(mode="after")
    def packs_safely(self) -> Self:
        """Under prompt learning PEFT drops position ids, so that packed rows see each other."""
        if self.packing == "on" and self.adaptation in PROMPTS:
            raise ValueError(
                f"packing does not go with {self.adaptation} tuning: packed rows would see each other; "
                "choose packing auto or off, or another adaptation"
            )
        return self

    @property
    def packs(self) -> bool:
        """Whether rows are packed."""
        return self.packing == "on" or (self.packing == "auto" and self.adaptation not in PROMPTS)


class RewardSpec(TrainSpec):
    """A reward model: one number a response, by the Bradley-Terry loss on pairs."""

    method: Literal["reward"] = Field(default="reward", description="Reward model on answer pairs.")
    overlong: Literal["drop"] = Field(
        default="drop",
        description="Pairs with a longer response are left out, and counted: a cut one has no end.",
    )
    sample_prompts: Literal[0] = Field(default=0, description="A reward model writes nothing.")
    center: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Weight of the squared sum of a pair's rewards, which holds their mean at zero "
        "(arXiv 2312.09244).",
    )
    use_margin: bool = Field(
        default=True,
        description="Ask for a larger difference where people preferred more strongly (arXiv 2307.09288).",
    )

    @model_validator(mode="after")
    def sees_the_end(self) -> Self:
        """Prompt learning shifts positions: the reward of one text would change with the padding beside it."""
        if self.adaptation in PROMPTS:
            raise ValueError(
                f"a reward model cannot be trained with {self.adaptation} tuning: the reward of a text would "
                "change with the padding beside it; choose lora, qlora, ia3 or full"
            )
        return self


class DpoSpec(TrainSpec):
    """Direct preference optimisation (Rafailov et al. 2305.18290) and its family."""

    method: Literal["dpo"] = Field(
        default="dpo", description="Direct preference optimisation on answer pairs."
    )
    beta: float = Field(
        default=0.1, gt=0, le=10, description="How strongly the policy is held to the reference model."
    )
    loss_type: Literal["sigmoid", "sigmoid_norm", "hinge", "ipo", "robust"] = Field(
        default="sigmoid",
        description="Loss on the reward margin: sigmoid (DPO), sigmoid_norm (by length, Tulu 3), hinge (SLiC), "
        "ipo (arXiv 2310.12036), robust (arXiv 2403.00409, for labels of which some are wrong).",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        description="Share of labels taken to be the wrong way round; sigmoid and robust use it.",
    )
    precompute_reference: bool = Field(
        default=True,
        description="Compute the reference's log-probabilities once before training instead of at every step.",
    )

    @model_validator(mode="after")
    def smooths_what_can_be(self) -> Self:
        """Label smoothing is part of two losses only, and of one of them necessarily."""
        if self.label_smoothing and self.loss_type not in ("sigmoid", "robust"):
            raise ValueError(
                f"label_smoothing has no part in the loss {self.loss_type}; leave it at 0 or choose sigmoid or robust"
            )
        if self.loss_type == "robust" and not self.label_smoothing:
            raise ValueError(
                "the loss robust needs label_smoothing above 0, the share of labels that are the wrong way round; "
                "give one, such as 0.1, or choose sigmoid"
            )
        return self


class KtoSpec(TrainSpec):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2402.01306) on responses that are good or bad."""

    method: Literal["kto"] = Field(default="kto", description="Learn from single responses, good or bad.")
    batch_size: int = Field(
        default=8,
        ge=2,
        le=1024,
        description="Rows in one forward pass; at least 2, because the KL is estimated within a batch.",
    )
    sort_batches: Literal[False] = Field(
        default=False, description="KTO takes rows in the order in which its mismatched pairs were made."
    )
    beta: float = Field(
        default=0.1, gt=0, le=10, description="How strongly the policy is held to the reference model."
    )
    desirable_weight: float = Field(default=1.0, gt=0, le=100, description="Weight of good responses.")
    undesirable_weight: float = Field(default=1.0, gt=0, le=100, description="Weight of bad responses.")
    precompute_reference: bool = Field(
        default=True,
        description="Compute the reference's log-probabilities once before training instead of at every step.",
    )
