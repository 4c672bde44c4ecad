"""Forms of the training pages. Bounds live in training/specs; a refusal from there names the field."""

from typing import Any

from django import forms

from labeling.forms import PercentField, PlainForm
from labeling.models import DatasetVersion, Project
from training.models import Checkpoint
from training.registry import visible_checkpoints
from training.specs import METHODS, DpoSpec, SftSpec, SubsetJob, TrainSpec

SHOWN = ("adaptation", "epochs", "learning_rate", "batch_size", "max_length", "beta", "seed")
METHOD_WORDS = {"sft": "SFT: imitate the chosen responses", "dpo": "DPO: prefer chosen over rejected"}
QUALITIES = {
    "agreement": "on which people agree",
    "length": "with a long response",
    "difficulty": "whose response is hard for the model",
    "none": "like any other, so that diversity alone decides",
}
TEXTS = {"prompt": "their prompts", "response": "their responses", "both": "prompt and response"}
ALGORITHMS = {
    "farthest": "Each row far from those chosen before it",
    "kmeans": "One row of each of as many clusters",
}


def _field(name: str) -> forms.Field:
    """A form field for a setting of the spec, with its sentence as help; left empty, the spec's default holds."""
    info = (DpoSpec if name in DpoSpec.model_fields else SftSpec).model_fields[name]
    if name == "adaptation":
        return forms.ChoiceField(
            choices=[("lora", "LoRA adapter"), ("full", "Full weights")], help_text=info.description or ""
        )
    kind = forms.IntegerField if info.annotation is int else forms.FloatField
    return kind(required=False, help_text=f"{info.description} Default {_default(name)}.")


def _default(name: str) -> str:
    values = {
        method: spec.model_fields[name].default
        for method, spec in METHODS.items()
        if name in spec.model_fields
    }
    if len(set(values.values())) == 1:
        return f"{next(iter(values.values())):g}"
    return ", ".join(f"{value:g} for {method.upper()}" for method, value in values.items())


class RunForm(forms.Form):
    """Start a run."""

    name = forms.CharField(max_length=120, required=False, help_text="Left empty, one is made.")
    method = forms.ChoiceField(choices=METHOD_WORDS.items())
    dataset_version = forms.ModelChoiceField(
        DatasetVersion.objects.none(), empty_label=None, label="Dataset version"
    )
    start = forms.ModelChoiceField(Checkpoint.objects.none(), empty_label=None, label="Start from")

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        versions: forms.ModelChoiceField[DatasetVersion] = self.fields["dataset_version"]  # type: ignore[assignment]
        starts: forms.ModelChoiceField[Checkpoint] = self.fields["start"]  # type: ignore[assignment]
        versions.queryset = DatasetVersion.objects.filter(project=project).select_related("project")
        starts.queryset = visible_checkpoints(project).order_by("-id")
        for name in SHOWN:
            self.fields[name] = _field(name)

    def spec_values(self) -> dict[str, Any]:
        """What was filled in of the settings that the chosen method has."""
        spec: type[TrainSpec] = METHODS[self.cleaned_data["method"]]
        given = {name: self.cleaned_data[name] for name in SHOWN if name in spec.model_fields}
        return {name: value for name, value in given.items() if value not in (None, "")}


class SelectionForm(PlainForm):
    """Choose the best rows of a version. What it leaves open, the spec's defaults say."""

    k = forms.IntegerField(min_value=1, max_value=100_000, label="How many rows")
    quality = forms.ChoiceField(choices=QUALITIES.items(), label="A good row is one")
    weight = PercentField(
        min_value=0,
        max_value=100,
        label="Weight of quality, per cent",
        help_text="What is left to 100 is the weight of diversity.",
    )
    text = forms.ChoiceField(
        choices=TEXTS.items(), label="Rows are alike by", help_text="The text that the model reads."
    )
    checkpoint = forms.ModelChoiceField(
        Checkpoint.objects.none(),
        empty_label=None,
        label="As read by",
        help_text="The mean of this model's last hidden states is the place of a text.",
    )
    algorithm = forms.ChoiceField(choices=ALGORITHMS.items(), label="Diversity")
    max_length = forms.IntegerField(
        min_value=16,
        max_value=131_072,
        label="Longest text, in tokens",
        help_text="Longer ones are cut, and counted.",
    )
    seed = forms.IntegerField(
        min_value=0, max_value=2**31 - 1, help_text="Of the clusters and the random draws."
    )

    def __init__(self, *args: Any, version: DatasetVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        checkpoints: forms.ModelChoiceField[Checkpoint] = self.fields["checkpoint"]  # type: ignore[assignment]
        checkpoints.queryset = visible_checkpoints(version.project).order_by("-id")
        for name in ("quality", "text", "algorithm", "max_length", "seed", "weight"):
            self.fields[name].initial = SubsetJob.model_fields[name].default
        checkpoints.initial = checkpoints.queryset.filter(kind=Checkpoint.Kind.BASE).first()
        rows = version.splits.get("train", {"rows": 0})["rows"]
        self.fields["k"].initial = min(1000, max(1, rows // 2))
        self.fields["k"].help_text = f"Fewer than the {rows:,} training rows of version {version.number}."
        if version.kind in ("prompts", "text"):
            del self.fields["text"]
        if version.kind == "prompts":
            self.fields["quality"].initial = "none"
