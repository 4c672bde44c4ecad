"""Forms of the pages of captures."""

from datetime import date
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from labeling.capturing.texts import LONGEST_TAG
from labeling.capturing.tokens import LONGEST_NAME
from labeling.forms import PercentField, PlainForm
from labeling.models import CaptureRule, CaptureState, Voice
from labeling.models.captures import WHOLE

SMALLEST = 100 / WHOLE
YEARS = [MinValueValidator(date(1970, 1, 1)), MaxValueValidator(date(2999, 12, 31))]


class CaptureFilter(forms.Form):
    """The address of the list. What does not fit is left out."""

    q = forms.CharField(required=False, max_length=200)
    voice = forms.ChoiceField(choices=Voice.choices, required=False)
    state = forms.ChoiceField(choices=CaptureState.choices, required=False)
    slice = forms.CharField(required=False, max_length=LONGEST_TAG)
    day = forms.DateField(required=False, validators=YEARS)
    after = forms.IntegerField(required=False, min_value=1, max_value=2**62)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**62)


class RuleForm(PlainForm):
    """Which captures a rule takes. Empty fields fit any."""

    voice = forms.ChoiceField(choices=[("", "Any"), *Voice.choices], required=False, label="The user said")
    slice = forms.CharField(
        max_length=LONGEST_TAG,
        required=False,
        label="Slice or tag",
        help_text="As your product sends it; empty for any.",
    )
    model = forms.CharField(max_length=120, required=False, help_text="Its whole name; empty for any.")
    share = PercentField(
        min_value=SMALLEST,
        max_value=100,
        initial=1.0,
        label="Of these, %",
        help_text=f"{SMALLEST:g} to 100, chosen by a hash of each.",
    )
    daily_cap = forms.IntegerField(
        min_value=1, max_value=1_000_000, required=False, label="Most a day", help_text="Empty for no limit."
    )

    def values(self) -> dict[str, Any]:
        """What the form says, as `save_rule` takes it."""
        given = dict(self.cleaned_data)
        return {**given, "share": round(given["share"] * WHOLE)}


def initial_of(rule: CaptureRule) -> dict[str, Any]:
    """The rule as the form shows it."""
    return {**forms.model_to_dict(rule, list(RuleForm.base_fields)), "share": rule.share / WHOLE}


class TokenForm(PlainForm):
    name = forms.CharField(max_length=LONGEST_NAME, help_text="Where it is used, for example: web shop.")
    per_minute = forms.IntegerField(
        min_value=1,
        max_value=10_000_000,
        required=False,
        label="Most captures a minute",
        help_text="Empty for what the installation allows.",
    )
