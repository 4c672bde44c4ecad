"""The form that asks for answers of models."""

from typing import Any

from django import forms

from evaluation.engines import default_engine
from evaluation.forms import ENGINE_WORDS, local_engines
from evaluation.grouping import GROUPINGS, groupings_of
from evaluation.models import Endpoint, Suite
from evaluation.outlook import Wanted
from evaluation.prompts import ALL, MOST, UNJUDGED, WHICH
from evaluation.specs import LimitsSpec, SamplingSpec
from labeling.forms import ACCEPTED, PlainForm, UploadField
from labeling.models import Project
from training.models import Checkpoint
from training.registry import visible_checkpoints

SUITE, FILE = "suite", "file"
SOURCES = {**WHICH, SUITE: "Open cases of a suite", FILE: "A file of prompts"}
SAMPLING = ("max_tokens", "top_p", "seed")
USUAL = 200


class GenerationForm(PlainForm):
    """Who answers which prompts, how often and how."""

    checkpoints = forms.ModelMultipleChoiceField(
        Checkpoint.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    endpoints = forms.ModelMultipleChoiceField(
        Endpoint.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    source = forms.ChoiceField(choices=list(SOURCES.items()), initial=UNJUDGED, label="Prompts")
    suite = forms.ModelChoiceField(Suite.objects.none(), required=False, empty_label="No suite")
    file = UploadField(
        required=False,
        widget=forms.ClearableFileInput(attrs={"accept": ACCEPTED}),
        help_text="Any format that items are imported from; answers in it are not used.",
    )
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
    system = forms.CharField(
        required=False,
        label="System message",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Put before prompts that have none; people see it too.",
    )
    engine = forms.ChoiceField(required=False)
    max_tokens = forms.IntegerField(required=False, help_text="Tokens of an answer at most.")
    top_p = forms.FloatField(required=False, help_text="Sample from this share of the probability.")
    seed = forms.IntegerField(required=False)
    budget = forms.FloatField(required=False, help_text="Money at most, in the unit of the prices.")
    name = forms.CharField(max_length=120, required=False, help_text="Left empty, one is made.")

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        checkpoints = visible_checkpoints(project).exclude(line=Checkpoint.Line.REWARD).order_by("-id")
        fields["checkpoints"].queryset = checkpoints
        fields["endpoints"].queryset = Endpoint.objects.filter(project=project, archived_at=None)
        fields["suite"].queryset = Suite.objects.filter(project=project, archived_at=None)
        fields["engine"].choices = [(name, ENGINE_WORDS[name]) for name in local_engines()]
        fields["engine"].initial = default_engine()
        allowed = groupings_of(project.task)
        fields["grouping"].choices = [(key, GROUPINGS[key]) for key in allowed]
        for field in SAMPLING:
            fields[field].initial = SamplingSpec.model_fields[field].default
        if len(allowed) == 1:
            fields["grouping"].widget, fields["grouping"].required = forms.HiddenInput(), False
        if not fields["endpoints"].queryset.exists():
            del fields["endpoints"], fields["budget"]
        if not fields["suite"].queryset.exists():
            del fields["suite"]
            fields["source"].choices = [(key, words) for key, words in SOURCES.items() if key != SUITE]

    @property
    def can_answer(self) -> bool:
        """Whether there is anybody to be asked."""
        queryset: Any = self.fields["checkpoints"].queryset  # type: ignore[attr-defined]
        return "endpoints" in self.fields or bool(queryset.exists())

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
        return Wanted(
            checkpoints=list(values["checkpoints"]),
            endpoints=list(values.get("endpoints") or ()),
            engine=values["engine"],
            samples=values["samples"],
            temperatures=values["temperatures"],
            sampling={name: values[name] for name in SAMPLING if values[name] is not None},
            limits={"budget": values["budget"]} if values.get("budget") is not None else {},
            system=values["system"],
            grouping=values["grouping"],
        )


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
