"""Forms of error analyses: what to analyse, new categories, plans against them, and interventions."""

from typing import Any

from django import forms

from evaluation.errors.failures import LARGEST_SEED
from evaluation.errors.interventions import MOST, USUAL
from evaluation.errors.plans import LONGEST_NOTE, MOST_DAYS, members
from evaluation.measured import choices
from evaluation.models import CategoryPlan, Intervention
from labeling.forms import PlainForm
from labeling.models import Project, Stage, User


class AnalysisForm(PlainForm):
    """Whose failures are to be read, and in which metric."""

    side = forms.CharField(
        max_length=40,
        label="Target",
        widget=forms.Select,
        help_text="One that was scored by a finished evaluation.",
    )
    metric = forms.CharField(
        required=False, max_length=60, help_text="Left empty, it is the primary one of the evaluation."
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["side"].widget.choices = choices(project)

    @property
    def has_targets(self) -> bool:
        return bool(self.fields["side"].widget.choices)


class CategoryForm(PlainForm):
    """A kind of error that nobody has met before."""

    name = forms.CharField(max_length=80, label="New category")
    stage = forms.ChoiceField(choices=Stage.choices, initial=Stage.OTHER, help_text="Where it arises.")


class PlanForm(PlainForm):
    effort = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=MOST_DAYS,
        label="Effort, days",
        help_text="As you reckon it.",
    )
    owner = forms.ModelChoiceField(User.objects.none(), required=False, empty_label="Nobody yet")
    status = forms.ChoiceField(choices=CategoryPlan.Status.choices)
    note = forms.CharField(required=False, max_length=LONGEST_NOTE, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["owner"]
        field.queryset = members(project)


class InterventionForm(PlainForm):
    scope = forms.ChoiceField(choices=Intervention.Scope.choices, label="Cases")
    count = forms.IntegerField(
        min_value=1,
        max_value=MOST,
        initial=USUAL,
        label="Failing cases",
        help_text="From the start of the order.",
    )
    seed = forms.IntegerField(
        min_value=0, max_value=LARGEST_SEED, initial=0, label="Seed of the order of contexts"
    )
