"""What a run was asked to do, frozen with it: metrics and their business weights, sampling, limits."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from training.specs import Strict

Contexts = Literal["apart", "retrieved", "gold", "none", "shuffled"]
CONTEXT_WORDS: dict[str, str] = {
    "apart": "Prompts as they are in the cases",
    "retrieved": "With the retrieved contexts",
    "gold": "With the gold contexts",
    "none": "Without contexts",
    "shuffled": "With the retrieved contexts in another order",
}
Weight = Annotated[float, Field(ge=0, le=1000)]


def is_usual(spec: Mapping[str, Any]) -> bool:
    """Whether a stored run asks all cases of its split as a product would: by it targets are ranked and decided on, and
    not by what they do with the texts that hold the answer, with none, or with some cases."""
    return spec.get("contexts", "apart") in ("apart", "retrieved") and not spec.get("only")


class MetricSpec(Strict):
    """One scorer with its settings. `weight` is its share in the primary metric; 0 only watches.

    `floor` and `ceiling` map a number (a reward, a length, a perplexity) to 0 to 1 for the primary metric. `judge` is
    a judge's version and `reward` a checkpoint, by number.
    """

    name: str = Field(pattern=r"^[\w .%-]{1,60}$", description="How the metric is called on pages.")
    scorer: str = Field(description="The key of the scorer.")
    version: int = Field(default=1, description="The scorer's version; filled in when the run is planned.")
    params: dict[str, Any] = Field(default_factory=dict, description="The scorer's own settings.")
    weight: Weight = Field(default=0.0, description="Its share in the primary metric.")
    floor: float | None = Field(default=None, description="The value that counts as 0.")
    ceiling: float | None = Field(default=None, description="The value that counts as 1.")
    judge: int | None = Field(default=None, description="The number of a judge's version.")
    reward: int | None = Field(default=None, description="The number of a reward model's checkpoint.")

    @model_validator(mode="after")
    def _both_ends(self) -> "MetricSpec":
        if (self.floor is None) != (self.ceiling is None) or (
            self.floor is not None and self.ceiling is not None and self.floor == self.ceiling
        ):
            raise ValueError(
                f"{self.name} has floor {self.floor} and ceiling {self.ceiling}; give two different numbers, or none"
            )
        return self


class SamplingSpec(Strict):
    """How every target answers. More than one sample needs a temperature above 0."""

    max_tokens: int = Field(default=256, ge=1, le=32_768, description="Tokens of an answer at most.")
    temperature: float = Field(default=0.0, ge=0, le=2, description="0 takes the likeliest token each time.")
    top_p: float = Field(default=1.0, gt=0, le=1, description="Sample from this share of the probability.")
    top_k: int = Field(default=0, ge=0, le=1000, description="Sample from so many tokens; 0 is all.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Where the random numbers begin.")
    stop: tuple[str, ...] = Field(default=(), max_length=4, description="Texts that end an answer.")
    samples: int = Field(default=1, ge=1, le=32, description="Answers of each target to each case.")

    @model_validator(mode="after")
    def _different(self) -> "SamplingSpec":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.samples} samples at temperature 0 would all be alike; raise the temperature or ask for one"
            )
        return self


JUDGE_LENGTH = 8192  # tokens that judges read at least: their questions hold contexts, answers and a rubric


class LimitsSpec(Strict):
    """What a run may use: `budget` is money, in the unit of the endpoints' prices."""

    max_length: int = Field(default=2048, ge=16, le=1_048_576, description="Tokens of prompt and answer.")
    batch_size: int = Field(default=16, ge=1, le=1024, description="Rows at once, without a server.")
    concurrency: int = Field(default=32, ge=1, le=512, description="Requests at once to a server.")
    budget: float | None = Field(default=None, gt=0, description="Money that the run may cost.")


class RunSpec(Strict):
    """The frozen plan of an evaluation. `primary` is the name of the metric that the verdict is about.

    `contexts` says what stands in the prompts beside the question: "apart" leaves them as they are in the case;
    "retrieved" puts the case's contexts into them, "shuffled" the same ones in another order, drawn with
    `contexts_seed`, "gold" the texts that hold the answer, "none" nothing. `only` names cases by uid; without it they
    are all those of the split. `together` is the version of how weighted metrics become one.
    """

    metrics: tuple[MetricSpec, ...] = Field(min_length=1, max_length=40)
    primary: str
    system: str = ""
    sampling: SamplingSpec = SamplingSpec()
    limits: LimitsSpec = LimitsSpec()
    judges: dict[str, dict[str, Any]] = Field(default_factory=dict)
    champion: int | None = None
    contexts: Contexts = "apart"
    contexts_seed: int = Field(default=0, ge=0, le=2**31 - 1)
    only: tuple[str, ...] = ()
    together: int = 1
    kind: Literal["evaluation"] = "evaluation"

    @model_validator(mode="after")
    def _names(self) -> "RunSpec":
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"the metrics {', '.join(names)} do not all have names of their own; rename one")
        return self

    def as_json(self) -> dict[str, Any]:
        """The spec as a run keeps it. What came later is in it only where it is used: earlier specs read the same."""
        values = self.model_dump(mode="json")
        unused = {"contexts": "apart", "contexts_seed": 0, "only": [], "together": 1}
        return {name: value for name, value in values.items() if name not in unused or value != unused[name]}


class GenerationSpec(Strict):
    """Responses to be made for people to judge: each target answers each prompt `samples` times at each temperature."""

    targets: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=16)
    engine: str
    system: str = ""
    temperatures: tuple[Annotated[float, Field(ge=0, le=2)], ...] = Field(
        default=(0.7,), min_length=1, max_length=8
    )
    sampling: SamplingSpec = SamplingSpec(temperature=0.7)
    limits: LimitsSpec = LimitsSpec()
