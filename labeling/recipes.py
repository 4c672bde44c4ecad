"""Recipes: how judgments become the rows of a dataset version."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labeling.errors import RecipeRefused
from labeling.values import BOTH_BAD, TIE

DROP_WORDS = {
    "too_few": "fewer judgments than the recipe asks for",
    "no_majority": "no answer has a majority",
    TIE: "the majority says tie",
    BOTH_BAD: "the majority says both are bad",
    "empty": "the chosen or the rejected response is empty",
    "identical": "chosen and rejected are the same text",
    "protected": "the prompt is used for evaluation and would be trained on",
}


class PreferenceRecipe(BaseModel):
    """How judgments become rows of prompt, chosen and rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["preference"] = "preference"
    min_judgments: int = Field(default=1, ge=1, le=20, description="Judgments that an item needs to be used.")
    test_share: float = Field(
        default=0.2, ge=0.0, le=0.9, description="Share of the prompts that is held out for evaluation."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Decides which prompts are held out.")


def read_recipe(values: dict[str, Any]) -> PreferenceRecipe:
    """Check a recipe. Raises RecipeRefused with a sentence that names the field and the bounds."""
    try:
        return PreferenceRecipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "recipe"
        raise RecipeRefused(
            f"{name} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}; mend it and freeze again."
        ) from error


def split_of(prompt_hash: str, recipe: PreferenceRecipe) -> str:
    """All rows of one prompt fall on the same side."""
    place = int(hashlib.sha256(f"{recipe.seed}:{prompt_hash}".encode()).hexdigest()[:13], 16) / 16**13
    return "test" if place < recipe.test_share else "train"


def dropped_words(dropped: Mapping[str, int]) -> list[tuple[str, int]]:
    """What each rule dropped, as (words, count)."""
    return [(DROP_WORDS[key], count) for key, count in sorted(dropped.items())]
