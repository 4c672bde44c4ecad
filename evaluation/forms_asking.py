"""What the forms of generations and of studies have in common: who answers how, and which prompts."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django import forms

from evaluation.engines import default_engine
from evaluation.forms import answering, engine_choices
from evaluation.models import Endpoint, Suite
from evaluation.outlook import Wanted
from evaluation.prompts import Prompts
from evaluation.specs import SamplingSpec
from labeling.forms import ACCEPTED, PlainForm, UploadField
from labeling.models import Project
from training.models import Checkpoint

SAMPLING = ("max_tokens", "top_p", "seed")


class AskingForm(PlainForm):
    """Fields of which there is nothing to choose are left out."""

    checkpoints = forms.ModelMultipleChoiceField(
        Checkpoint.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    endpoints = forms.ModelMultipleChoiceField(
        Endpoint.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    suite = forms.ModelChoiceField(Suite.objects.none(), required=False, empty_label="No suite")
    file = UploadField(
        required=False,
        widget=forms.ClearableFileInput(attrs={"accept": ACCEPTED}),
        help_text="Any format that items are imported from; answers in it are not used.",
    )
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
    name = forms.CharField(max_length=120, required=False, help_text="Left empty, one is made.")

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        fields: dict[str, Any] = self.fields
        fields["checkpoints"].queryset = answering(project)
        fields["endpoints"].queryset = Endpoint.objects.filter(project=project, archived_at=None)
        fields["suite"].queryset = Suite.objects.filter(project=project, archived_at=None)
        fields["engine"].choices, fields["engine"].initial = engine_choices(), default_engine()
        for name in SAMPLING:
            fields[name].initial = SamplingSpec.model_fields[name].default
        self.leave_out_empty("endpoints", "suite")

    def leave_out_empty(self, *names: str) -> None:
        fields: dict[str, Any] = self.fields
        for name in names:
            if not fields[name].queryset.exists():
                del fields[name]

    @property
    def can_answer(self) -> bool:
        """Whether there is anybody to be asked."""
        queryset: Any = self.fields["checkpoints"].queryset  # type: ignore[attr-defined]
        return "endpoints" in self.fields or bool(queryset.exists())

    def asked(self, **more: Any) -> Wanted:
        """Who answers and how, of a form that is valid."""
        values = self.cleaned_data
        return Wanted(
            checkpoints=list(values["checkpoints"]),
            endpoints=list(values.get("endpoints") or ()),
            engine=values["engine"],
            sampling={name: values[name] for name in SAMPLING if values[name] is not None},
            system=values["system"],
            **more,
        )

    def from_upload(self, read: Callable[..., Prompts], count: int) -> Prompts:
        """The prompts of the file that was sent. Raises Refused."""
        file = self.cleaned_data["file"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "prompts"
            with path.open("wb") as out:
                for chunk in file.chunks():
                    out.write(chunk)
            return read(project=self.project, path=path, name=file.name, count=count)
