"""Recipes: how judgments become the rows of a dataset version."""

import json
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labeling.errors import RecipeRefused

Kind = Literal["preference", "reward", "sft", "text", "unpaired", "prompts", "retriever"]
State = Literal["submitted", "in_review", "accepted"]
KINDS: dict[str, str] = {
    "preference": "Preference pairs (DPO, reward model)",
    "reward": "Preference pairs with a margin (reward model)",
    "sft": "Prompt and completion (SFT)",
    "text": "Plain text (autoregressive set-up)",
    "unpaired": "Single responses, good or bad (KTO)",
    "prompts": "Prompts only (PPO)",
    "retriever": "Query with relevant and irrelevant chunks (retriever)",
}
PAIRED = ("preference", "reward")
QUOTE = reprlib.Repr()
QUOTE.maxlevel = 2
LONGEST = 20_000  # characters of a recipe as YAML
Share = Annotated[float, Field(ge=0.0, le=0.9)]

DROP_WORDS = {
    "state": "the answer's state of review is not accepted by the recipe",
    "annotator_cap": "the person has given as many answers as the recipe takes of one",
    "open": "somebody may still be given the item",
    "licence": "the item's licence is not allowed",
    "synthetic": "the item is synthetic",
    "human": "the item is not synthetic",
    "too_few": "fewer judgments than the recipe asks for",
    "not_settled": "nobody has settled the answer",
    "no_majority": "no answer has a majority",
    "agreement": "fewer agree than the recipe asks for",
    "tie": "the answer is a tie",
    "both_bad": "the answer is that all are bad",
    "no_best": "no response is better than all others",
    "undecided": "the response wins as often as it loses",
    "no_strength": "nobody said how much better the response is",
    "divided": "as many reviewers blame the retriever as do not",
    "nobody": "the reviews blame the known answer, and neither half of the system",
    "outvoted": "the reviewer blames another half of the system than most",
    "retrieval": "the retriever failed, which trains the retriever alone",
    "generation": "the retriever did not fail, which trains the generator alone",
    "no_worse": "the answer is good, and there is no worse one beside it",
    "not_corrected": "the answer is bad, and nobody corrected it",
    "called_good": "the answer was corrected, but most reviewers call it good",
    "no_positive": "no chunk is marked as relevant, and no passage given that should have been found",
    "contradicted": "the same text is marked as relevant and as not relevant",
    "empty": "a text is empty",
    "identical": "chosen and rejected are the same text",
    "short": "the text is shorter than the recipe allows",
    "long": "the text is longer than the recipe allows",
    "protected": "the prompt is used for evaluation and would be trained on",
    "ngram": "the text shares 13 words in a row with a prompt used for evaluation",
    "near_evaluation": "the prompt is nearly one that is used for evaluation",
    "other_pair": "the recipe takes other pairs of the ranking",
    "repeated": "the same row is there already",
    "prompt_cap": "the prompt has as many rows as the recipe allows",
    "not_chosen": "not among the rows that were chosen",
}


class Recipe(BaseModel):
    """How judgments become rows. Every field has a default, and what is unknown is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = Field(default="preference", description="What each row holds.")
    projects: tuple[str, ...] = Field(
        default=(), max_length=50, description="Slugs of further projects whose judgments are used too."
    )
    statuses: tuple[State, ...] = Field(
        default=("submitted", "in_review", "accepted"),
        min_length=1,
        description="States of review in which an answer counts; returned ones never do.",
    )
    complete: bool = Field(default=True, description="Leave out items that somebody may still be given.")
    aggregation: Literal["majority", "adjudicated", "dawid_skene", "bradley_terry"] = Field(
        default="majority", description="How several answers to one item become one."
    )
    min_judgments: int = Field(default=1, ge=1, le=20, description="Judgments that an item needs to be used.")
    min_agreement: float = Field(
        default=0.5,
        ge=0.5,
        le=1.0,
        description="Share of the answers (or probability) that the winner needs.",
    )
    ties: Literal["drop", "both", "unpaired"] = Field(
        default="drop",
        description="Ties: leave out, a row in each direction with soft label 0.5, or (unpaired) both good.",
    )
    both_bad: Literal["drop", "unpaired"] = Field(
        default="drop", description="All bad: leave out, or (unpaired) each response bad."
    )
    ranking_pairs: Literal["all", "adjacent", "extremes"] = Field(
        default="all", description="Pairs of a ranking: all, neighbours, or best against worst."
    )
    margin_scale: float = Field(
        default=1.0, gt=0.0, le=10.0, description="Margin of a response that all called much better."
    )
    prompt_cap: int | None = Field(default=None, ge=1, description="Most rows of one prompt.")
    annotator_cap: int | None = Field(default=None, ge=1, description="Most answers of one person.")
    licences: tuple[str, ...] | None = Field(
        default=None, min_length=1, description='Licences allowed, "" for unknown ones; empty for all.'
    )
    synthetic: Literal["include", "exclude", "only"] = Field(
        default="include", description="Items that a model wrote."
    )
    tokenizer: str = Field(
        default="words", max_length=120, description="What lengths are counted in: words, or a base model."
    )
    min_tokens: int | None = Field(default=None, ge=1, description="Fewest tokens of a row.")
    max_tokens: int | None = Field(default=None, ge=1, description="Most tokens of prompt and response.")
    test_share: Share = Field(default=0.2, description="Share of the prompts held out for evaluation.")
    validation_share: Share = Field(
        default=0.0, description="Share of the prompts for choosing a checkpoint."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Decides which prompts are held out.")
    near_duplicates: Annotated[float, Field(ge=0.5, le=1.0)] | None = Field(
        default=0.8,
        description="Prompts at least this similar (Jaccard) stay in one split; empty for equal ones only.",
    )
    decontaminate: tuple[Literal["ngram", "minhash"], ...] = Field(
        default=("ngram", "minhash"),
        description="Beside equal prompts, what counts as evaluation material: 13 words in a row, near-duplicates.",
    )

    @model_validator(mode="after")
    def _possible(self) -> "Recipe":
        """Refuse what contradicts itself, with what to change."""
        for text in (*self.projects, *(self.licences or ()), self.tokenizer):
            if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
                raise ValueError(f"{text!a} holds a character that cannot be stored; take it out")
        if self.min_tokens and self.max_tokens and self.min_tokens > self.max_tokens:
            raise ValueError(
                f"no row has at least {self.min_tokens} and at most {self.max_tokens} tokens; lower min_tokens"
            )
        if self.test_share + self.validation_share > 0.95:
            raise ValueError(
                f"test_share {self.test_share} and validation_share {self.validation_share} leave less than 5 % "
                "for training; lower one"
            )
        if "unpaired" in (self.ties, self.both_bad) and self.kind != "unpaired":
            raise ValueError(f"only the kind unpaired keeps single responses, not {self.kind}; choose drop")
        if self.ties == "both" and self.kind != "preference":
            raise ValueError(
                f"ties in both directions need the kind preference, not {self.kind}; choose drop"
            )
        return self


def read_recipe(values: Mapping[str, Any]) -> Recipe:
    """Check a recipe. Raises RecipeRefused with a sentence that names the field and the bounds."""
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            words = first["msg"].removeprefix("Value error, ")
            raise RecipeRefused(f"The recipe contradicts itself: {words}.") from error
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(Recipe.model_fields)
            raise RecipeRefused(f"{name} is no field of a recipe; the fields are {known}.") from error
        given = QUOTE.repr(first["input"])[:100]
        raise RecipeRefused(
            f"{name} is {given}: {first['msg'][0].lower()}{first['msg'][1:]}; mend it and freeze again."
        ) from error


def read_document(text: str) -> Recipe:
    """Read a recipe from YAML (or JSON, which is YAML too). Raises RecipeRefused with a sentence."""
    if len(text) > LONGEST:
        raise RecipeRefused(f"The recipe has {len(text):,} characters; {LONGEST:,} are allowed.")
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeRefused(f"The recipe is not YAML: {error}; mend it and try again.") from error
    if not isinstance(values, dict):
        raise RecipeRefused(f"The recipe is a {type(values).__name__}; write lines of field: value.")
    return read_recipe({str(name): value for name, value in values.items()})


def document(recipe: Recipe) -> str:
    """The recipe as YAML: only what differs from the defaults, and the kind."""
    changed = {"kind": recipe.kind, **recipe.model_dump(mode="json", exclude_defaults=True)}
    return yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)


def stored(recipe: Recipe) -> dict[str, Any]:
    """The whole recipe as JSON values."""
    values: dict[str, Any] = json.loads(recipe.model_dump_json())
    return values


def dropped_words(dropped: Mapping[str, int]) -> list[tuple[str, int]]:
    """What each rule dropped, as (words, count), in the order in which the rules are applied."""
    return [(words, dropped[key]) for key, words in DROP_WORDS.items() if dropped.get(key)]
