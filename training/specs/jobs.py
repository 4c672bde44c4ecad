"""The whole spec.json of each kind of process."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from training.specs.parsing import Strict

KEY_PREFIX = "PREFLOOP_ENDPOINT_KEY_"


class TrainData(Strict):
    """Which rows a run trains on; paths are relative to the run directory."""

    train: str = Field(min_length=1, description="JSONL file of training rows.")
    eval: str | None = Field(default=None, description="JSONL file of held-out rows, or null.")
    retention: str | None = Field(
        default=None, description="JSONL file of texts that the base model knew, or null."
    )
    hash: str = Field(default="", description="Content hash of the dataset version.")
    files: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 of each file named above, checked before the first step."
    )


class TrainJob(Strict):
    """The whole spec.json of a training run."""

    method: Literal["sft", "reward", "dpo", "kto", "ppo", "rloo", "best_of_n"] = Field(
        description="The recipe that this file is for."
    )
    seed: int = Field(
        default=42, ge=0, le=2**31 - 1, description="Seed of the run; it is the one that counts."
    )
    base: str = Field(min_length=1, description="Directory (or hub name) of the base model.")
    revision: str | None = Field(default=None, description="Revision of a base model on a hub, or null.")
    start: str | None = Field(default=None, description="Adapter or full checkpoint to go on from, or null.")
    reward: str | None = Field(
        default=None,
        description="Directory of the reward model, for methods that learn from rewards; or null.",
    )
    gold: str | None = Field(
        default=None, description="Directory of a second reward model, which only watches; or null."
    )
    template_hash: str = Field(
        default="", description="SHA-256 of the chat template that was checked before launch, or empty."
    )
    data: TrainData = Field(description="The rows.")
    train: dict[str, Any] = Field(description="Fields of the method's TrainSpec.")


class PreflightJob(Strict):
    """The whole spec.json of a check before launch."""

    method: Literal["preflight"] = Field(default="preflight", description="The recipe that this file is for.")
    seed: int = Field(default=42, ge=0, le=2**31 - 1, description="Unused; that of the job counts.")
    base: str = Field(min_length=1, description="Directory (or hub name) of the base model, as in the job.")
    job: dict[str, Any] = Field(description="The TrainJob that is to be checked.")


class NanoJob(Strict):
    """The whole spec.json of a nano model: a small causal language model trained from scratch on local text."""

    method: Literal["nano"] = Field(default="nano", description="The recipe that this file is for.")
    seed: int = Field(default=42, ge=0, le=2**31 - 1, description="Seed of weights and data order.")
    text: list[str] | None = Field(
        default=None, description="JSONL or text files; null for the bundled text."
    )
    budget_seconds: float = Field(default=150, gt=0, le=3600, description="Clock limit of the whole build.")
    vocab_size: int = Field(
        default=2048, ge=300, le=65536, description="Tokens in the vocabulary, all in use."
    )
    hidden_size: int = Field(default=128, ge=32, le=2048, multiple_of=32, description="Width of the model.")
    layers: int = Field(default=4, ge=1, le=48, description="Decoder layers.")
    head_dim: Literal[32, 64] = Field(default=32, description="Width of an attention head.")
    block: int = Field(default=256, ge=32, le=4096, description="Tokens in one packed training row.")
    batch_size: int = Field(default=4, ge=1, le=512, description="Packed rows in one step.")
    learning_rate: float = Field(
        default=0.015, gt=0, le=0.1, description="Peak learning rate of embeddings and norms."
    )
    max_steps: int = Field(
        default=1_000_000, ge=1, description="Step limit; the clock usually ends it first."
    )


class Asked(Strict):
    """One checkpoint to ask: an adapter on the base, a model of its own, or (neither) the base itself."""

    id: str = Field(min_length=1, description="Name of the checkpoint in requests and answers.")
    adapter: str | None = Field(default=None, description="Directory of an adapter on the base, or null.")
    model: str | None = Field(default=None, description="Directory of a model of its own, or null.")
    content_hash: str = Field(default="", description="Hash of its weights if it is known, or empty.")
    rewards: bool = Field(default=False, description="Whether it is a reward model.")


class Endpoint(Strict):
    """One model behind an OpenAI-compatible address."""

    id: str = Field(min_length=1, description="Name of the endpoint in requests and answers.")
    url: str = Field(pattern=r"^https?://", description="Address as far as /v1, or of the host alone.")
    model: str = Field(min_length=1, description="Name of the model there.")
    key_variable: str = Field(
        default="",
        description="Environment variable that holds the key, or empty; the key itself is never stored.",
    )
    requests_per_minute: int | None = Field(default=None, ge=1, description="Limit of the endpoint, or null.")
    price_in: float | None = Field(
        default=None, ge=0, description="Price of a million prompt tokens, or null."
    )
    price_out: float | None = Field(
        default=None, ge=0, description="Price of a million answered tokens, or null."
    )

    @field_validator("key_variable")
    @classmethod
    def _only_keys_of_endpoints(cls, name: str) -> str:
        if name and not name.startswith(KEY_PREFIX):
            raise ValueError(
                f"key_variable was given as {name!r}; the names of variables that hold an endpoint's key begin with "
                f"{KEY_PREFIX}, so that no other secret is ever sent; rename it"
            )
        return name


class AnswerJob(Strict):
    """The whole spec.json of a process that asks checkpoints or endpoints."""

    method: Literal["answer"] = Field(default="answer", description="The recipe that this file is for.")
    seed: int = Field(default=42, ge=0, le=2**31 - 1, description="Unused; each request has its own.")
    engine: Literal["transformers", "vllm", "openai"] = Field(description="Who answers.")
    base: str = Field(
        default="", description="Directory (or hub name) of the base model; empty for endpoints."
    )
    revision: str | None = Field(default=None, description="Revision of a base model on a hub, or null.")
    targets: list[Asked] = Field(default_factory=list, description="Checkpoints to ask, each by its id.")
    endpoints: list[Endpoint] = Field(default_factory=list, description="Endpoints to ask, each by its id.")
    max_length: int = Field(
        default=2048, ge=16, le=131072, description="Longest prompt with its answer in tokens."
    )
    batch_size: int = Field(
        default=16, ge=1, le=1024, description="Rows in one forward pass of transformers."
    )
    concurrency: int = Field(default=32, ge=1, le=1024, description="Requests under way at a server.")
    timeout: float = Field(
        default=120, gt=0, le=3600, description="Seconds that an endpoint has for one request."
    )
    tries: int = Field(default=6, ge=1, le=20, description="How often an endpoint is asked for one request.")

    @model_validator(mode="after")
    def _targets_of_this_engine(self) -> AnswerJob:
        names = [target.id for target in self.targets] + [endpoint.id for endpoint in self.endpoints]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"the ids to ask are {names}; name at least one, and each by an id of its own")
        if bool(self.endpoints) != (self.engine == "openai") or bool(self.targets) == (
            self.engine == "openai"
        ):
            raise ValueError(
                f"engine was given as {self.engine!r}; openai asks endpoints alone, transformers and vllm ask "
                "checkpoints alone; change it to the engine of what is asked"
            )
        if self.targets and not self.base:
            raise ValueError("base was not given; checkpoints stand on one, so add it")
        return self


class ChatTarget(Asked):
    """One checkpoint of a conversation, with the base that it stands on: two may stand on two of them."""

    base: str = Field(min_length=1, description="Directory (or hub name) of the base model.")
    revision: str | None = Field(default=None, description="Revision of a base model on a hub, or null.")

    @property
    def root(self) -> tuple[str, str | None]:
        """Directory (or hub name) and revision of the whole weights that answer, or that the adapter sits on."""
        return (self.model, None) if self.model else (self.base, self.revision)


class ChatJob(Strict):
    """The whole spec.json of a process that answers the turns of one conversation while it goes on."""

    method: Literal["chat"] = Field(default="chat", description="The recipe that this file is for.")
    seed: int = Field(default=42, ge=0, le=2**31 - 1, description="Unused; each turn has its own.")
    engine: Literal["transformers", "vllm"] = Field(description="Who answers for checkpoints.")
    base: str = Field(
        default="", description="Base of the first checkpoint; empty where only endpoints answer."
    )
    targets: list[ChatTarget] = Field(default_factory=list, description="Checkpoints, each by its id.")
    endpoints: list[Endpoint] = Field(default_factory=list, description="Endpoints, each by its id.")
    max_length: int = Field(
        default=4096, ge=16, le=131072, description="Longest conversation with its answer in tokens."
    )
    idle_seconds: float = Field(
        default=180, gt=0, le=86400, description="Seconds without a question after which the process ends."
    )
    timeout: float = Field(default=120, gt=0, le=3600, description="Seconds that an endpoint may be silent.")
    tries: int = Field(default=3, ge=1, le=20, description="How often an endpoint is asked for one answer.")

    @model_validator(mode="after")
    def _somebody_answers(self) -> ChatJob:
        names = [target.id for target in self.targets] + [endpoint.id for endpoint in self.endpoints]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"the ids to ask are {names}; name at least one, and each by an id of its own")
        return self


class SubsetJob(Strict):
    """The whole spec.json of a choice of rows: the best k of a dataset, by quality and by how far apart they are."""

    method: Literal["subset"] = Field(default="subset", description="The recipe that this file is for.")
    seed: int = Field(
        default=42,
        ge=0,
        le=2**31 - 1,
        description="Seed of the clusters, and of random draws to compare with.",
    )
    base: str = Field(min_length=1, description="Directory (or hub name) of the base model.")
    adapter: str | None = Field(default=None, description="Directory of a LoRA adapter on the base, or null.")
    k: int = Field(default=1000, ge=1, le=100_000, description="How many rows to choose.")
    algorithm: Literal["farthest", "kmeans"] = Field(
        default="farthest", description="Each row far from those before it, or one row of each of k clusters."
    )
    text: Literal["prompt", "response", "both"] = Field(
        default="prompt", description="The text by which rows are alike or far apart."
    )
    quality: Literal["agreement", "length", "difficulty", "none"] = Field(
        default="agreement",
        description="What makes a row good: how sure people are of it, how long its response is, or how much harder "
        "the model finds the response than the prompt makes it.",
    )
    weight: float = Field(
        default=0.5, ge=0, le=1, description="Weight of quality; what is left to 1 is that of diversity."
    )
    max_length: int = Field(
        default=512, ge=16, le=131072, description="Longest text in tokens; longer ones are cut, and counted."
    )
    batch_size: int = Field(default=16, ge=1, le=1024, description="Texts in one forward pass.")
