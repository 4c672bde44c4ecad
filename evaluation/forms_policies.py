"""Forms of retrain policies and of who is told. They check shape; the verbs check meaning."""

from typing import Any

import yaml
from django import forms
from django.conf import settings

from evaluation.engines import default_engine
from evaluation.forms import ENGINE_WORDS, engine_choices
from evaluation.models import RetrainPolicy, Suite
from evaluation.policies.channels import CHOICES
from evaluation.policies.notices import USUAL
from evaluation.policies.rules import BOUNDS, LONGEST_OVERRIDE
from evaluation.policies.timetable import DAYS
from evaluation.policies.webhooks import LONGEST_ADDRESS
from labeling.curation.recipe import LONGEST, document, read_document, read_recipe, stored
from labeling.errors import Refused
from labeling.forms import PlainForm
from labeling.lifecycle import Status
from labeling.models import Membership, Project, Role
from training.models import TrainingRun

OFFERED = 50
SAMPLING = ("max_tokens", "temperature", "samples")
WHEN = ("is_on", "days", "times", "every", "zone")
WHAT = ("origin", "recipe", "values", "override")
HOW = ("suite", "engine", *SAMPLING)
LIMITS = ("runs_a_week", "hours_a_week", "cost_a_week", "pause_after", "quiet_from", "quiet_to")


class RunChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, run: TrainingRun) -> str:
        return f"{run.name}: {run.method.upper()} with {run.spec.get('adaptation')}, from {run.start}"


def clock() -> forms.TimeInput:
    return forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


def number(name: str, label: str, help_text: str, kind: Any = forms.IntegerField) -> forms.Field:
    _, low, high = BOUNDS[name]
    field: forms.Field = kind(min_value=low, max_value=high, required=False, label=label, help_text=help_text)
    return field


class PolicyForm(PlainForm):
    """The rules of a policy, in four groups."""

    is_on = forms.BooleanField(
        required=False,
        label="Start by itself",
        help_text="Off, only the button, the command and the API start it.",
    )
    days = forms.TypedMultipleChoiceField(
        choices=list(enumerate(DAYS)), coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    times = forms.CharField(
        required=False,
        max_length=200,
        label="At",
        help_text="Times of day, such as 02:30, 14:00; empty for none.",
    )
    every = number("every", "Or after so many new judgments", "Since it last trained; empty for no count.")
    zone = forms.CharField(max_length=64, label="Time zone", help_text="Such as Europe/Berlin.")
    origin = RunChoice(
        TrainingRun.objects.none(),
        required=False,
        empty_label="That of what is in production, else the newest",
        label="Run to follow",
        help_text="Its recipe, method, start and settings are used again.",
    )
    recipe = forms.CharField(
        required=False,
        max_length=LONGEST,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 5, "class": "guide-editor"}),
        help_text="As YAML, in place of that run’s recipe; empty for that one.",
    )
    values = forms.CharField(
        required=False,
        max_length=LONGEST,
        label="Other settings",
        widget=forms.Textarea(attrs={"rows": 3, "class": "guide-editor"}),
        help_text="As YAML, such as epochs: 2, in place of those of a run chosen above.",
    )
    override = forms.CharField(
        required=False,
        max_length=LONGEST_OVERRIDE,
        label="Freeze even what the check would block, because",
        help_text="Empty: a run stops where the check of the new version blocks. A reason stays with the version.",
    )
    suite = forms.ModelChoiceField(Suite.objects.none(), empty_label=None, help_text="Its gate decides.")
    engine = forms.ChoiceField(required=False)
    max_tokens = forms.IntegerField(
        min_value=1, required=False, help_text="Of an answer at most; usually 256."
    )
    temperature = forms.FloatField(min_value=0, required=False, help_text="Usually 0: the likeliest token.")
    samples = forms.IntegerField(min_value=1, required=False, help_text="Answers to each case; usually 1.")
    runs_a_week = number(
        "runs_a_week", "Runs a week, at most", "That train, in any 7 days; empty for no limit."
    )
    hours_a_week = number(
        "hours_a_week", "Hours a week, at most", "Of training and evaluation that ended.", forms.FloatField
    )
    cost_a_week = number(
        "cost_a_week", "Cost a week, at most", "Of endpoints, in the unit of their prices.", forms.FloatField
    )
    pause_after = number("pause_after", "Pause after failures in a row", "Usually 3. A person lets it go on.")
    quiet_from = forms.TimeField(required=False, widget=clock(), help_text="No run starts from then …")
    quiet_to = forms.TimeField(required=False, widget=clock(), help_text="… to then. One under way goes on.")

    def __init__(self, *args: Any, project: Project, policy: RetrainPolicy | None, **kwargs: Any) -> None:
        kwargs["initial"] = initial_of(policy)
        super().__init__(*args, **kwargs)
        rows = TrainingRun.objects.filter(project=project, status=Status.SUCCEEDED).exclude(method="reward")
        newest = list(rows.order_by("-id").values_list("pk", flat=True)[:OFFERED])
        chosen = [policy.origin_id] if policy and policy.origin_id else []
        origins = rows.filter(pk__in=[*newest, *chosen]).select_related("start").defer("result")
        fields: dict[str, Any] = self.fields
        fields["origin"].queryset = origins
        fields["suite"].queryset = Suite.objects.filter(project=project, archived_at=None)
        usual = f"The usual one: {ENGINE_WORDS[default_engine()]}"
        fields["engine"].choices = [("", usual), *engine_choices()]

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        named = {"When": WHEN, "What is trained": WHAT, "How it is measured": HOW, "Limits": LIMITS}
        return [(words, [self[name] for name in names]) for words, names in named.items()]

    def clean_recipe(self) -> dict[str, Any] | None:
        text = self.cleaned_data["recipe"]
        try:
            return stored(read_document(text)) if text.strip() else None
        except Refused as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal

    def clean_values(self) -> dict[str, Any]:
        try:
            found = yaml.safe_load(self.cleaned_data["values"] or "{}")
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise forms.ValidationError(
                "The settings are not YAML; write lines such as epochs: 2."
            ) from error
        if not isinstance(found, dict):
            raise forms.ValidationError(
                "The settings are no names with values; write lines such as epochs: 2."
            )
        return {str(name): value for name, value in found.items()}

    def rules(self) -> dict[str, Any]:
        """What `set_policy` takes."""
        given = dict(self.cleaned_data)
        sampling = {name: given.pop(name) for name in SAMPLING}
        return {
            **given,
            "times": given["times"].replace(",", " ").split(),
            "sampling": sampling,
            "pause_after": given["pause_after"] or 3,
        }


def initial_of(policy: RetrainPolicy | None) -> dict[str, Any]:
    """A policy as the form shows it; what is usual where there is none yet."""
    if policy is None:
        return {
            "is_on": True,
            "days": list(range(7)),
            "zone": settings.TIME_ZONE,
            "pause_after": 3,
            "runs_a_week": 7,
        }
    names = (*WHEN, *WHAT, *HOW, *LIMITS)
    found = {name: getattr(policy, name) for name in names if name not in SAMPLING}
    return {
        **found,
        **policy.sampling,
        "times": ", ".join(policy.times),
        "recipe": document(read_recipe(policy.recipe)) if policy.recipe is not None else "",
        "values": yaml.safe_dump(policy.values, sort_keys=False, allow_unicode=True) if policy.values else "",
    }


def events_field() -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        choices=[(event.value, event.label) for event in CHOICES],
        initial=[event.value for event in USUAL],
        widget=forms.CheckboxSelectMultiple,
        label="Of what",
    )


class PersonForm(PlainForm):
    """A member who is told by e-mail."""

    person = forms.ChoiceField(label="Member", help_text="Of those who may see results.")
    events = events_field()

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Membership.objects.filter(project=project).exclude(role=Role.ANNOTATOR).select_related("user")
        people: forms.ChoiceField = self.fields["person"]  # type: ignore[assignment]
        people.choices = [
            (each.username, each.username if each.email else f"{each.username} (no e-mail address)")
            for each in (row.user for row in rows.order_by("user__username"))
        ]


class WebhookForm(PlainForm):
    """A program that is told."""

    url = forms.CharField(
        max_length=LONGEST_ADDRESS,
        label="Address",
        widget=forms.URLInput,
        help_text="It gets a signed POST with JSON, such as https://hooks.example.com/prefloop.",
    )
    events = events_field()
