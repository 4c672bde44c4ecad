"""How a study is laid out: what it shall find, how often it is looked at, and how many people judge each pair."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from labeling.errors import Refused
from training.specs import SpecRefused, Strict, parse

if TYPE_CHECKING:
    from evaluation.statistics.studysize import StudySize

SPENDINGS = {
    "obrien_fleming": "O'Brien-Fleming-type: hard to stop early, nearly nothing lost at the end",
    "pocock": "Pocock-type: as easy to stop early as late, at the price of a larger study",
}
MOST_MODELS = 8
FEWEST_PROMPTS = 20
PEOPLE = {"annotators", "correlation", "cluster_size", "icc"}
TEST = {"looks", "spending", "power"}


class Design(Strict):
    """The frozen layout of a study. `win_rate` is the smallest one worth finding, counted from either side."""

    win_rate: float = Field(default=0.55, gt=0.5, lt=1, description="The win rate to find, 0.5 to 1.")
    ties: float = Field(default=0.2, ge=0, lt=1, description="The share of ties to expect, 0 to 1.")
    power: float = Field(default=0.8, ge=0.5, le=0.99, description="The chance to find it, 0.5 to 0.99.")
    alpha: float = Field(
        default=0.05, ge=0.001, le=0.2, description="The chance of a false alarm, two-sided."
    )
    looks: int = Field(
        default=3, ge=1, le=10, description="How many looks are planned, the last one included."
    )
    spending: Literal["obrien_fleming", "pocock"] = Field(
        default="obrien_fleming", description="How alpha is spent over the looks."
    )
    annotators: int = Field(default=1, ge=1, le=20, description="How many people judge each pair.")
    correlation: float = Field(
        default=0.3, ge=0, le=1, description="How alike people judge one pair, 0 to 1; 0.3 is usual."
    )
    cluster_size: float = Field(default=1.0, ge=1, le=1000, description="Prompts of one source, on average.")
    icc: float = Field(
        default=0.0, ge=0, le=1, description="How alike prompts of one source come out, 0 to 1."
    )
    priority: int = Field(
        default=10, ge=-100, le=100, description="The place in the queue; usual work has 0."
    )

    def looks_after(self, fraction: float) -> list[float]:
        """The fractions of prompts at which the looks are planned that come after this one."""
        planned = ((number + 1) / self.looks for number in range(self.looks))
        return [time for time in planned if time > fraction + 0.02]


def read_design(values: Mapping[str, Any]) -> Design:
    """A design from a form, a call or a stored row. Raises Refused with what is wrong."""
    try:
        found = parse(Design, {name: value for name, value in values.items() if value is not None})
    except SpecRefused as refusal:
        raise Refused(f"{str(refusal).rstrip('.')}.") from refusal
    variance_of(found)
    return found


def variance_of(design: Design) -> float:
    """The variance of one prompt that the design expects. Raises Refused where its numbers contradict each other."""
    from evaluation.statistics.studysize import prompt_variance  # brings SciPy

    try:
        return prompt_variance(design.win_rate, design.ties, **design.model_dump(include=PEOPLE))
    except ValueError as error:
        raise Refused(str(error)) from error


def size_of(design: Design, models: int) -> "StudySize":
    """How many prompts the design needs for so many models, and its boundaries."""
    from evaluation.statistics.studysize import study_size

    return study_size(
        design.win_rate,
        variance_of(design),
        alpha=level_of(design, models),
        **design.model_dump(include=TEST),
    )


def detectable(design: Design, prompts: int, models: int) -> float | None:
    """The smallest win rate that so many prompts find; None where none is found."""
    from evaluation.statistics.studysize import detectable_win_rate

    return detectable_win_rate(
        prompts,
        design.ties,
        alpha=level_of(design, models),
        **design.model_dump(include=PEOPLE | TEST),
    )


def comparisons(models: int) -> int:
    """How many pairs so many models make."""
    return math.comb(models, 2)


def level_of(design: Design, models: int) -> float:
    """The alpha of one pair: all pairs together keep the design's (Bonferroni)."""
    return design.alpha / comparisons(models)
