"""What a run may be asked to do: every setting with its bounds and one sentence, read by the web app and by
the recipe processes alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

Spec = TypeVar("Spec", bound=BaseModel)


class SpecRefused(ValueError):
    """A spec is not allowed; the message says what was given, what is allowed and what to do."""


class Strict(BaseModel):
    """Unknown fields, wrong types and later changes are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class TrainSpec(Strict):
    """Settings that every training method has."""

    method: str = Field(description="The training method.")
    seed: int = Field(
        default=42,
        ge=0,
        le=2**31 - 1,
        description="Seed of the data order, adapter initialisation and dropout.",
    )
    adaptation: Literal["full", "lora"] = Field(
        default="lora",
        description="Train all weights (full) or small low-rank adapters on a frozen base (lora).",
    )
    lora_r: int = Field(default=16, ge=1, le=512, description="Rank of the LoRA matrices; unused by full.")
    lora_alpha: int = Field(
        default=32, ge=1, le=2048, description="LoRA scale numerator; left out, it is twice the rank."
    )
    lora_dropout: float = Field(
        default=0.0, ge=0, le=0.5, description="Dropout on the input of the LoRA matrices."
    )
    learning_rate: float = Field(
        default=1e-3, gt=0, le=0.1, description="Peak learning rate; LoRA bears about ten times that of full."
    )
    epochs: float = Field(default=1.0, gt=0, le=100, description="Passes over the training rows.")
    batch_size: int = Field(default=8, ge=1, le=1024, description="Rows in one forward pass on one device.")
    gradient_accumulation: int = Field(
        default=1, ge=1, le=1024, description="Forward passes whose gradients are summed into one step."
    )
    max_length: int = Field(
        default=512, ge=16, le=131072, description="Longest row in tokens; longer rows are cut, and counted."
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
    logging_steps: int = Field(default=5, ge=1, le=10_000, description="Steps between two loss events.")
    save_steps: int = Field(
        default=50,
        ge=1,
        le=100_000,
        description="Steps between two checkpoints that a stopped run resumes from.",
    )

    @model_validator(mode="before")
    @classmethod
    def alpha_is_twice_the_rank(cls, values: Any) -> Any:
        """Fill in lora_alpha where it was left out."""
        if isinstance(values, dict) and "lora_alpha" not in values and isinstance(values.get("lora_r"), int):
            return {**values, "lora_alpha": 2 * values["lora_r"]}
        return values


class SftSpec(TrainSpec):
    """Supervised fine-tuning: the loss is on the completion's tokens only."""

    method: Literal["sft"] = Field(default="sft", description="Supervised fine-tuning on chosen completions.")


class DpoSpec(TrainSpec):
    """Direct preference optimisation (Rafailov et al. 2305.18290)."""

    method: Literal["dpo"] = Field(
        default="dpo", description="Direct preference optimisation on answer pairs."
    )
    learning_rate: float = Field(
        default=3e-4, gt=0, le=0.1, description="Peak learning rate; DPO wants a lower one than SFT."
    )
    beta: float = Field(
        default=0.1, gt=0, le=10, description="How strongly the policy is held to the reference model."
    )
    loss_type: Literal["sigmoid", "sigmoid_norm", "hinge", "ipo"] = Field(
        default="sigmoid", description="Loss on the reward margin; sigmoid is the DPO of the paper."
    )


METHODS: dict[str, type[TrainSpec]] = {"sft": SftSpec, "dpo": DpoSpec}


class TrainData(Strict):
    """Which rows a run trains on; paths are relative to the run directory."""

    train: str = Field(min_length=1, description="JSONL file of training rows.")
    eval: str | None = Field(default=None, description="JSONL file of held-out rows, or null.")
    hash: str = Field(default="", description="Content hash of the dataset version.")


class TrainJob(Strict):
    """The whole spec.json of an SFT or DPO run."""

    method: Literal["sft", "dpo"] = Field(description="The recipe that this file is for.")
    seed: int = Field(
        default=42, ge=0, le=2**31 - 1, description="Seed of the run; it is the one that counts."
    )
    base: str = Field(min_length=1, description="Directory (or hub name) of the base model.")
    start: str | None = Field(default=None, description="Adapter or full checkpoint to go on from, or null.")
    data: TrainData = Field(description="The rows.")
    train: dict[str, Any] = Field(description="Fields of the method's TrainSpec.")


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


class Scored(Strict):
    """One checkpoint to score: an adapter on the base, a model of its own, or (neither) the base itself."""

    id: str = Field(min_length=1, description="Name of the checkpoint in scores.jsonl.")
    adapter: str | None = Field(default=None, description="Directory of a LoRA adapter on the base.")
    model: str | None = Field(default=None, description="Directory of a full checkpoint.")


class ScoreJob(Strict):
    """The whole spec.json of a scoring run."""

    method: Literal["score"] = Field(default="score", description="The recipe that this file is for.")
    seed: int = Field(default=42, ge=0, le=2**31 - 1, description="Unused; scoring is deterministic.")
    base: str = Field(min_length=1, description="Directory (or hub name) of the base model.")
    checkpoints: Annotated[list[Scored], Field(min_length=1, description="What to score, each by its id.")]
    max_length: int = Field(default=1024, ge=16, le=131072, description="Longest row in tokens.")
    batch_size: int = Field(default=16, ge=1, le=1024, description="Rows in one forward pass.")


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


def parse_spec(method: str, values: Mapping[str, Any]) -> TrainSpec:
    """Return the spec of `method`; what is left out has its default.

    Raises `SpecRefused` with one sentence.
    """
    if method not in METHODS:
        raise SpecRefused(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    return parse(METHODS[method], values)


def parse(model: type[Spec], values: Mapping[str, Any]) -> Spec:
    """Validate any spec of this module. Raises `SpecRefused` about the first thing that is wrong."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise SpecRefused(_sentence(model, error)) from None


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    field = model.model_fields.get(str(first["loc"][0])) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields) if len(first["loc"]) == 1 else "described in training/specs.py"
        return f"{path} is not a setting of {model.__name__}; the settings are {known}; remove it or correct its name"
    if first["type"] == "missing":
        return f"{path} was not given; {model.__name__} needs it, so add it"
    allowed = _allowed(field) if field is not None and len(first["loc"]) == 1 else first["msg"]
    return f"{path} was given as {first['input']!r}; allowed is {allowed}; change it to such a value or leave it out"


def _allowed(field: FieldInfo) -> str:
    """Return a field's type and bounds in words."""
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(field.annotation))
    bounds = []
    for limit in field.metadata:
        match limit:
            case Ge(ge=value):
                bounds.append(f"at least {value}")
            case Gt(gt=value):
                bounds.append(f"above {value}")
            case Le(le=value):
                bounds.append(f"at most {value}")
            case Lt(lt=value):
                bounds.append(f"below {value}")
            case MinLen() | MaxLen():
                bounds.append("of the right length")
    kinds = {int: "a whole number", float: "a number", str: "text"}
    kind = (
        kinds.get(field.annotation, "a value of the right kind")
        if isinstance(field.annotation, type)
        else "a value"
    )
    return " ".join([kind, " and ".join(bounds)]).strip()
