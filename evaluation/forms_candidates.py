"""The form that asks for answers of models."""

from typing import Any

from django import forms

from evaluation.forms_asking import SAMPLING, AskingForm
from evaluation.grouping import GROUPINGS, groupings_of
from evaluation.outlook import Wanted
from evaluation.prompts import ALL, MOST, UNJUDGED, WHICH, Prompts, from_file, from_items, from_suite
from evaluation.specs import LimitsSpec

SUITE, FILE = "suite", "file"
SOURCES = {**WHICH, SUITE: "Open cases of a suite", FILE: "A file of prompts"}
USUAL = 200


class GenerationForm(AskingForm):
    """Who answers which prompts, how often and how."""

    source = forms.ChoiceField(choices=list(SOURCES.items()), initial=UNJUDGED, label="Prompts")
    count = forms.IntegerField(
        min_value=1, max_value=MOST, initial=USUAL, label="Prompts, at most", help_text=f"1 to {MOST:,}."
    )
    samples = forms.IntegerField(
        min_value=1,
        max_value=32,
        initial=2,
        label="Answers of each model",
        help_text="1 to 32 at each temperature.",
    )
    temperatures = forms.CharField(
        max_length=60,
        initial="0.7",
        help_text="Several with commas between them. At 0 a model answers one way, and is asked once.",
    )
    grouping = forms.ChoiceField(label="Items", help_text="What a person gets to judge at a time.")
    budget = forms.FloatField(required=False, help_text="Money at most, in the unit of the prices.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        allowed = groupings_of(self.project.task)
        fields["grouping"].choices = [(key, GROUPINGS[key]) for key in allowed]
        if len(allowed) == 1:
            fields["grouping"].widget, fields["grouping"].required = forms.HiddenInput(), False
        if "endpoints" not in fields:
            del fields["budget"]
        if "suite" not in fields:
            fields["source"].choices = [(key, words) for key, words in SOURCES.items() if key != SUITE]

    def clean_temperatures(self) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in self.cleaned_data["temperatures"].split(",") if part.strip())
        except ValueError:
            given = self.cleaned_data["temperatures"]
            raise forms.ValidationError(f"“{given}” are no numbers; write such as 0.7, 1.0.") from None

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if not values.get("checkpoints") and not values.get("endpoints"):
            self.add_error("checkpoints", "Choose at least one that answers.")
        if values.get("source") == SUITE and not values.get("suite"):
            self.add_error("suite", "Choose the suite whose open cases are asked.")
        if values.get("source") == FILE and not values.get("file") and not self.has_error("file"):
            self.add_error("file", "Choose the file with the prompts.")
        return values

    def wanted(self) -> Wanted:
        """What the verbs take, of a form that is valid."""
        values = self.cleaned_data
        return self.asked(
            samples=values["samples"],
            temperatures=values["temperatures"],
            limits={"budget": values["budget"]} if values.get("budget") is not None else {},
            grouping=values["grouping"],
        )

    def prompts(self) -> Prompts:
        """The prompts chosen, of a form that is valid. Raises Refused."""
        values = self.cleaned_data
        if values["source"] == SUITE:
            return from_suite(suite=values["suite"], count=values["count"])
        if values["source"] == FILE:
            return self.from_upload(from_file, values["count"])
        return from_items(project=self.project, which=values["source"], count=values["count"])


def initial_of(spec: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The settings of an earlier generation, to begin another from."""
    sampling = spec["sampling"]
    return {
        "temperatures": ", ".join(f"{t:g}" for t in spec["temperatures"]),
        "samples": sampling["samples"],
        "system": spec["system"],
        "engine": spec["engine"],
        "grouping": facts.get("grouping", ""),
        "budget": spec["limits"].get("budget") or LimitsSpec().budget,
        "source": ALL if facts.get("from", "").startswith("all") else UNJUDGED,
        **{name: sampling[name] for name in SAMPLING},
    }
