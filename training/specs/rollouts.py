"""Settings of the methods that learn from rewards of answers that the model samples itself."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from training.specs.methods import TrainSpec


class RolloutSpec(TrainSpec):
    """What PPO, RLOO and best-of-n share: how answers are sampled, scored and learned from."""

    adaptation: Literal["lora", "qlora", "full"] = Field(
        default="lora",
        description="What is trained: low-rank matrices on one base that policy, value, reward and reference share "
        "(lora, or qlora with the base in 4 bits); or all weights (full), with a model for each of them.",
    )
    lora_dropout: float = Field(
        default=0.0, ge=0, le=0, description="None: the sampled answer must have the probability it had."
    )
    overlong: Literal["drop"] = Field(
        default="drop", description="Prompts that leave no room for an answer are left out, and counted."
    )
    sort_batches: Literal[True] = Field(
        default=True, description="Answers are sampled in groups of prompts of like length."
    )
    epochs: float = Field(default=1.0, gt=0, le=1_000_000, description="Passes over the prompts.")
    rollout_size: int = Field(
        default=64, ge=1, le=65536, description="Answers that are sampled before each update of the policy."
    )
    response_length: int = Field(default=128, ge=1, le=32768, description="Longest answer in tokens.")
    temperature: float = Field(
        default=1.0, gt=0, le=5, description="Temperature of sampling, and of the probabilities learned from."
    )
    kl_coefficient: float = Field(
        default=0.05, ge=0, le=10, description="Weight of the KL from the reference, in reward per nat."
    )
    kl_estimator: Literal["k1", "k2", "k3"] = Field(
        default="k1",
        description="Estimate of that KL from the sampled token: log-ratio (k1, unbiased), half its square (k2), or "
        "k3, which is unbiased and never negative (Schulman 2020).",
    )
    no_end_penalty: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        description="Taken from the reward of an answer that did not end by itself (arXiv 2403.17031).",
    )
    normalize_rewards: bool = Field(
        default=False, description="Divide rewards by their standard deviation over the run so far."
    )
    reward_clip: float = Field(
        default=0.0, ge=0, le=1000, description="Hold rewards between plus and minus this; 0 for no bound."
    )
    max_kl: float = Field(
        default=50.0,
        gt=0,
        le=10_000,
        description="Stop when the mean KL of an answer from the reference, in nats, stays above this.",
    )
    held_prompts: int = Field(
        default=64,
        ge=0,
        le=10_000,
        description="Held-out prompts that policy and reference answer now and then, for the win rate; 0 for none.",
    )
    held_steps: int = Field(default=10, ge=1, le=100_000, description="Updates between two looks at them.")
    sampler: Literal["transformers", "vllm"] = Field(
        default="transformers",
        description="Who samples the answers: transformers in the run's own process, or a vLLM server beside it, which "
        "is given the adapter at every update (with lora).",
    )
    cache: Literal["dynamic", "static"] = Field(
        default="dynamic",
        description="Keys and values while sampling: as many as are needed, by our own loop; or of one size, by "
        "transformers' generate.",
    )
    save_steps: int = Field(
        default=10, ge=1, le=100_000, description="Updates between two checkpoints to resume from."
    )
    logging_steps: Literal[1] = Field(default=1, description="Every update is reported.")

    @property
    def room(self) -> int:
        """Tokens that a prompt may have."""
        return self.max_length - self.response_length

    @property
    def minibatch(self) -> int:
        """Answers in one step of the optimizer."""
        return self.batch_size * self.gradient_accumulation

    @property
    def sampled_at_once(self) -> int:
        """Answers in one group while sampling: four times those in a pass that learns, of which much more is kept."""
        return 4 * self.batch_size

    @property
    def samples(self) -> int:
        """Answers to each prompt."""
        return 1

    @property
    def learned(self) -> int:
        """Answers of a rollout that are learned from."""
        return self.rollout_size

    @model_validator(mode="after")
    def divides(self) -> Self:
        """Raises ValueError, which `parse` turns into a refusal."""
        if self.response_length >= self.max_length:
            raise ValueError(
                f"response_length was given as {self.response_length} and max_length as {self.max_length}, which is "
                "for prompt and answer together; raise max_length or lower response_length"
            )
        if self.sampler == "vllm" and (self.adaptation != "lora" or self.dora):
            held = "dora" if self.dora else self.adaptation
            raise ValueError(
                f"sampler was given as 'vllm', which serves LoRA on whole weights, and the policy is trained with "
                f"{held}; choose lora, or the sampler transformers"
            )
        if self.rollout_size % self.samples:
            raise ValueError(
                f"rollout_size {self.rollout_size} is not a multiple of samples_per_prompt {self.samples}, so one "
                "prompt would have fewer answers; change one of them"
            )
        if self.learned % self.minibatch:
            raise ValueError(
                f"of each rollout {self.learned} answers are learned from, which is not a multiple of batch_size × "
                f"gradient_accumulation = {self.minibatch}, so one minibatch would be smaller; change one of them"
            )
        return self


class PpoSpec(RolloutSpec):
    """Proximal policy optimisation (Schulman et al. 1707.06347) as RLHF uses it (Ouyang et al. 2203.02155)."""

    method: Literal["ppo"] = Field(
        default="ppo", description="Proximal policy optimisation against a reward model."
    )
    ppo_epochs: int = Field(default=4, ge=1, le=64, description="Passes over the answers of each rollout.")
    clip: float = Field(
        default=0.2, gt=0, le=1, description="How far a token's probability ratio counts on either side of 1."
    )
    value_clip: float = Field(
        default=0.2, gt=0, le=1000, description="How far a value may move in an update."
    )
    value_weight: float = Field(default=0.1, ge=0, le=10, description="Weight of the value loss.")
    value: Literal["adapter", "head"] = Field(
        default="adapter",
        description="Values from an adapter of their own with a head, or from a head on the policy's hidden states, "
        "which saves a forward pass and lets the two disturb each other.",
    )
    value_start: Literal["reward", "fresh"] = Field(
        default="reward",
        description="Begin the values as a copy of the reward model (arXiv 2203.02155) or anew.",
    )
    value_rate: float = Field(
        default=2.0, gt=0, le=1000, description="Learning rate of the values as a multiple of the policy's."
    )
    gamma: float = Field(default=1.0, gt=0, le=1, description="Discount of later rewards.")
    lam: float = Field(default=0.95, ge=0, le=1, description="GAE's trade of bias for variance.")
    kl_target: float = Field(
        default=0.0,
        ge=0,
        le=10_000,
        description="Move the KL's weight until an answer's KL is this many nats (arXiv 1909.08593); 0 keeps it fixed.",
    )
    kl_horizon: int = Field(
        default=10_000, ge=1, le=10_000_000, description="Answers over which that weight moves."
    )
    entropy_weight: float = Field(
        default=0.0, ge=0, le=1, description="Bonus for the entropy of the policy, in reward per nat."
    )
    ratio_limit: float = Field(
        default=10.0,
        gt=1,
        le=1e6,
        description="A minibatch whose mean probability ratio is above this is not learned from, and counted.",
    )


class RlooSpec(RolloutSpec):
    """REINFORCE with a leave-one-out baseline (Kool et al. 2019, Ahmadian et al. 2402.14740)."""

    method: Literal["rloo"] = Field(
        default="rloo",
        description="REINFORCE with the other answers to a prompt as baseline; no value model.",
    )
    samples_per_prompt: int = Field(
        default=4,
        ge=2,
        le=64,
        description="Answers to each prompt; each is compared with the mean of the others.",
    )

    @property
    def samples(self) -> int:
        """Answers to each prompt."""
        return self.samples_per_prompt


class BestOfNSpec(RolloutSpec):
    """Rejection sampling: learn the best of n answers to each prompt as if people had written it (Dong 2304.06767)."""

    method: Literal["best_of_n"] = Field(
        default="best_of_n", description="Sample several answers to each prompt and learn the best one."
    )
    samples_per_prompt: int = Field(
        default=4, ge=2, le=64, description="Answers to each prompt, of which the best is learned."
    )

    @property
    def samples(self) -> int:
        """Answers to each prompt."""
        return self.samples_per_prompt

    @property
    def learned(self) -> int:
        """The best of each prompt's answers."""
        return self.rollout_size // self.samples
