"""The recipe as a form: each field in words, in the order in which the rules are applied."""

from typing import Any

from django import forms

from labeling.curation.recipe import KINDS, LONGEST, Recipe
from labeling.curation.tokens import WORDS
from labeling.forms import PercentField, PlainForm
from labeling.models import Project, Tokenizer

UNKNOWN = "unknown"
STATES = {"submitted": "Submitted", "in_review": "In review", "accepted": "Accepted"}
AGGREGATIONS = {
    "majority": "Majority of the votes",
    "adjudicated": "Settled answers only",
    "dawid_skene": "Dawid and Skene's model (weighs people)",
    "bradley_terry": "Bradley and Terry's model (soft labels)",
}
PARTS = (
    ("What a row is", ("kind", "projects")),
    ("Which answers count", ("statuses", "complete", "min_judgments", "annotator_cap")),
    (
        "How answers become one",
        ("aggregation", "min_agreement", "ties", "both_bad", "ranking_pairs", "margin_scale"),
    ),
    ("Which items", ("licences", "synthetic", "prompt_cap")),
    ("How long", ("tokenizer", "min_tokens", "max_tokens")),
    ("Splits and evaluation", ("test_share", "validation_share", "seed", "near_duplicates", "decontaminate")),
)
OPEN_PARTS = 2  # the first parts are unfolded


class RecipeForm(PlainForm):
    """Every field of a recipe. `recipe_values` gives what `read_recipe` takes."""

    kind = forms.ChoiceField(choices=list(KINDS.items()), initial="preference", label="Kind")
    projects = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Judgments of other projects too",
    )
    statuses = forms.MultipleChoiceField(
        choices=list(STATES.items()),
        initial=list(STATES),
        widget=forms.CheckboxSelectMultiple,
        label="States of review",
        help_text="Returned answers never count.",
    )
    complete = forms.BooleanField(
        required=False,
        initial=True,
        label="Only items that nobody may still be given",
        help_text="Who still owes an answer could read the others' in a version.",
    )
    min_judgments = forms.IntegerField(min_value=1, max_value=20, initial=1, label="Judgments an item needs")
    annotator_cap = forms.IntegerField(
        required=False, min_value=1, label="Most answers of one person", help_text="Empty for no limit."
    )
    aggregation = forms.ChoiceField(choices=list(AGGREGATIONS.items()), initial="majority")
    min_agreement = PercentField(
        min_value=50,
        max_value=100,
        initial=0.5,
        label="Agreement, %",
        help_text="Share of the votes for the winner.",
    )
    ties = forms.ChoiceField(
        choices=[
            ("drop", "Leave out"),
            ("both", "A row each way, soft label 0.5"),
            ("unpaired", "Both are good (kind: single responses)"),
        ],
        initial="drop",
    )
    both_bad = forms.ChoiceField(
        choices=[("drop", "Leave out"), ("unpaired", "All are bad (kind: single responses)")],
        initial="drop",
        label="All bad",
    )
    ranking_pairs = forms.ChoiceField(
        choices=[("all", "All pairs"), ("adjacent", "Neighbours only"), ("extremes", "Best against worst")],
        initial="all",
        label="Pairs of a ranking",
    )
    margin_scale = forms.FloatField(
        min_value=0.01,
        max_value=10,
        initial=1,
        label="Margin of “much better”",
        help_text="For the kind with a margin.",
    )
    licences = forms.CharField(
        required=False,
        max_length=500,
        label="Licences allowed",
        help_text=f"With commas between them, “{UNKNOWN}” for items without one; empty for all.",
    )
    synthetic = forms.ChoiceField(
        choices=[("include", "Include"), ("exclude", "Leave out"), ("only", "Only these")],
        initial="include",
        label="Items a model wrote",
    )
    prompt_cap = forms.IntegerField(
        required=False,
        min_value=1,
        label="Most rows of one prompt",
        help_text="The surest first; empty for no limit.",
    )
    tokenizer = forms.ChoiceField(label="Counted in")
    min_tokens = forms.IntegerField(required=False, min_value=1, label="At least")
    max_tokens = forms.IntegerField(
        required=False, min_value=1, label="At most", help_text="Prompt and longest response together."
    )
    test_share = PercentField(
        min_value=0,
        max_value=90,
        initial=0.2,
        label="Held out for evaluation, %",
        help_text="Of the prompts.",
    )
    validation_share = PercentField(
        min_value=0,
        max_value=90,
        initial=0,
        label="For choosing a checkpoint, %",
        help_text="Of the prompts.",
    )
    seed = forms.IntegerField(min_value=0, initial=0, help_text="Decides which prompts are held out.")
    near_duplicates = PercentField(
        required=False,
        min_value=50,
        max_value=100,
        initial=0.8,
        label="Near-duplicates stay together from, %",
        help_text="Similarity of two prompts (Jaccard); empty for equal prompts only.",
    )
    decontaminate = forms.MultipleChoiceField(
        choices=[("ngram", "13 words in a row"), ("minhash", "Near-duplicates")],
        initial=["ngram", "minhash"],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Leave out what evaluation uses",
        help_text="Equal prompts are always left out of training.",
    )

    def __init__(self, *args: Any, others: list[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        projects: Any = self.fields["projects"]
        projects.choices = [(other.slug, other.name) for other in others]
        if not others:
            del self.fields["projects"]
        tokenizer: Any = self.fields["tokenizer"]
        names = Tokenizer.objects.values_list("name", flat=True)
        tokenizer.choices = [(WORDS, "Words"), *((name, f"Tokens of {name}") for name in names)]

    @property
    def parts(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """The fields in groups, and whether a group is unfolded: the first ones, and those with errors."""
        found = []
        for place, (title, names) in enumerate(PARTS):
            fields = [self[name] for name in names if name in self.fields]
            found.append((title, fields, place < OPEN_PARTS or any(field.errors for field in fields)))
        return found

    def recipe_values(self) -> dict[str, Any]:
        values = dict(self.cleaned_data)
        named = [part.strip() for part in values["licences"].split(",") if part.strip()]
        values["licences"] = ["" if name.casefold() == UNKNOWN else name for name in named] or None
        return values


def initial_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe as the form shows it."""
    values = recipe.model_dump()
    values["licences"] = ", ".join(name or UNKNOWN for name in values["licences"] or ())
    return values


class DocumentForm(PlainForm):
    """The recipe as YAML."""

    document = forms.CharField(
        max_length=LONGEST,
        label="Recipe",
        widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false", "class": "code"}),
        help_text="Lines of field: value. What is not written has its default.",
    )
