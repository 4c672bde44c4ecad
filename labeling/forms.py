"""Forms of the pages. They check shape; the verbs check meaning."""

from typing import Any

from django import forms
from django.http import QueryDict

from labeling.annotating import SKIP_REASONS
from labeling.errors import Refused
from labeling.importing.batches import refuse_large
from labeling.importing.mapping import FORMATS
from labeling.models import Project, Role, Task
from labeling.values import KINDS


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Project
        fields = ["name", "description", "overlap"]
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150, help_text="The name they sign in with.")
    role = forms.ChoiceField(choices=Role.choices)


class ImportForm(forms.Form):
    file = forms.FileField(help_text="JSON Lines or a JSON array, also compressed with gzip.")
    format = forms.ChoiceField(choices=FORMATS.items(), initial="auto")
    licence = forms.CharField(
        max_length=100, required=False, help_text="Licence of rows that name none, for example Apache-2.0."
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        try:
            refuse_large(file.size)
        except Refused as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal
        return file


class LeaseForm(forms.Form):
    """What every form of the annotating page carries. `ahead` is the item that the page already shows next."""

    token = forms.UUIDField()
    ahead = forms.IntegerField(required=False, min_value=1)
    revises = forms.IntegerField(required=False, min_value=1)


class JudgmentForm(LeaseForm):
    client_key = forms.UUIDField()
    active_ms = forms.IntegerField(required=False, min_value=0, max_value=86_400_000)
    layout = forms.CharField(required=False, max_length=10)


class SkipForm(LeaseForm):
    reason = forms.ChoiceField(choices=SKIP_REASONS.items())


def answer_values(data: QueryDict, task: str) -> dict[str, Any]:
    """The fields of an answer of this kind, as a form of the page sends them.

    Ratings come as `rating.KEY.NUMBER`; a value that is no whole number stays as it was sent, for the check to name it.
    """
    values: dict[str, Any] = {name: data[name] for name in KINDS[task].model_fields if data.get(name)}
    if task == Task.RATING:
        rated: dict[str, dict[int, Any]] = {}
        for name in data:
            parts = name.split(".")
            if len(parts) == 3 and parts[0] == "rating" and parts[2].isdigit() and data[name]:
                rated.setdefault(parts[1], {})[int(parts[2])] = data[name]
        values["ratings"] = {key: [row[number] for number in sorted(row)] for key, row in rated.items()}
    return values


class RecipeForm(forms.Form):
    min_judgments = forms.IntegerField(
        min_value=1, max_value=20, initial=1, help_text="Judgments that an item needs to be used."
    )
    test_share = forms.FloatField(
        min_value=0,
        max_value=0.9,
        initial=0.2,
        help_text="Share of the prompts held out for evaluation, 0 to 0.9.",
    )
    seed = forms.IntegerField(min_value=0, initial=0, help_text="Decides which prompts are held out.")
