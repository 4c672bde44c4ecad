"""Forms of the pages. They check shape; the verbs check meaning."""

from typing import Any

from django import forms

from labeling.annotating import SKIP_REASONS
from labeling.errors import Refused
from labeling.importing.batches import refuse_large
from labeling.importing.mapping import FORMATS
from labeling.models import Project, Role


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


class JudgmentForm(forms.Form):
    token = forms.UUIDField()
    client_key = forms.UUIDField()
    verdict = forms.CharField(required=False)
    active_ms = forms.IntegerField(required=False, min_value=0, max_value=86_400_000)


class DraftForm(forms.Form):
    token = forms.UUIDField()
    verdict = forms.CharField(required=False)


class SkipForm(forms.Form):
    token = forms.UUIDField()
    reason = forms.ChoiceField(choices=SKIP_REASONS.items())


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
