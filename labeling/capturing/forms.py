"""Forms of the pages of captures."""

from typing import Any

from django import forms

from labeling.capturing.tokens import LONGEST_NAME
from labeling.forms import PercentField, PlainForm
from labeling.models import CaptureRule, Voice
from labeling.models.captures import WHOLE

SMALLEST = 100 / WHOLE


class RuleForm(PlainForm):
    """Which captures a rule takes. Empty fields fit any."""

    voice = forms.ChoiceField(choices=[("", "Any"), *Voice.choices], required=False, label="The user said")
    slice = forms.CharField(
        max_length=60,
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
    names = ("voice", "slice", "model", "daily_cap")
    return {**{name: getattr(rule, name) for name in names}, "share": rule.share / WHOLE}


class TokenForm(PlainForm):
    name = forms.CharField(max_length=LONGEST_NAME, help_text="Where it is used, for example: web shop.")
    per_minute = forms.IntegerField(
        min_value=1,
        max_value=10_000_000,
        required=False,
        label="Most captures a minute",
        help_text="Empty for what the installation allows.",
    )
