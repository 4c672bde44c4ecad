"""The form that plans and starts a study."""

from typing import Any

from django import forms
from django.contrib.auth.models import AnonymousUser

from evaluation.forms_asking import AskingForm
from evaluation.models import Judge, JudgeVersion
from evaluation.prompts import MOST, Prompts
from evaluation.studies.design import SPENDINGS, Design, read_design
from evaluation.studies.prompts import HELD_OUT, of_file, of_split, of_suite
from evaluation.studies.starting import StudyPlan
from labeling.access import visible_projects
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project, Task, User

SUITE, SPLIT, FILE = "suite", "split", "file"
SOURCES = {
    SUITE: "Open cases of a suite",
    SPLIT: "What a dataset version holds out",
    FILE: "A file of prompts",
}
PERCENT = ("win_rate", "ties", "power", "alpha")


class StudyForm(AskingForm):
    """Who is compared, on which prompts, and what the study shall find."""

    source = forms.ChoiceField(choices=list(SOURCES.items()), label="Prompts")
    version = forms.ModelChoiceField(
        DatasetVersion.objects.none(), required=False, empty_label="No version", label="Dataset version"
    )
    split = forms.ChoiceField(choices=[(name, name.capitalize()) for name in HELD_OUT], required=False)
    count = forms.IntegerField(
        min_value=1,
        max_value=MOST,
        required=False,
        label="Prompts, at most",
        help_text="Drawn at random. Empty: all there are.",
    )
    leave_out = forms.BooleanField(required=False, label="Leave out prompts that a model was trained on")
    win_rate = forms.FloatField(
        label="Win rate to find, %", help_text="The smallest preference worth finding; 50 is none."
    )
    ties = forms.FloatField(label="Ties to expect, %")
    annotators = forms.IntegerField(label="People a pair", help_text="Each pair is judged by so many.")
    looks = forms.IntegerField(help_text="With the last one. Each spends part of alpha.")
    power = forms.FloatField(label="Power, %")
    alpha = forms.FloatField(label="Alpha, %", help_text="The chance of a false alarm, over all looks.")
    spending = forms.ChoiceField(choices=list(SPENDINGS.items()))
    correlation = forms.FloatField(
        label="How alike people judge a pair", help_text="0 to 1; matters where several judge it."
    )
    cluster_size = forms.FloatField(label="Prompts of one source", help_text="On average.")
    icc = forms.FloatField(label="How alike they come out", help_text="0 to 1.")
    priority = forms.IntegerField(label="Priority in the queue", help_text="Usual work has 0.")
    temperature = forms.FloatField(initial=0.7, help_text="The same for every model, as all sampling is.")
    judge = forms.ModelChoiceField(
        JudgeVersion.objects.none(),
        required=False,
        empty_label="No judge",
        help_text="Reads the same pairs; its agreement with people is shown at each look.",
    )
    queue = forms.ModelChoiceField(Project.objects.none(), required=False, label="Whose people are asked")

    def __init__(self, *args: Any, project: Project, person: User | AnonymousUser, **kwargs: Any) -> None:
        super().__init__(*args, project=project, **kwargs)
        fields: dict[str, Any] = self.fields
        for name, known in Design.model_fields.items():
            usual = 100 * known.default if name in PERCENT else known.default
            fields[name].initial = f"{usual:g}" if isinstance(usual, float) else usual
        fields["version"].queryset = DatasetVersion.objects.filter(project=project).select_related("project")
        judges = JudgeVersion.objects.filter(judge__project=project, judge__kind=Judge.Kind.PAIRWISE)
        fields["judge"].queryset = judges.filter(judge__archived_at=None).select_related("judge")
        self._choose_queue(person)
        self.leave_out_empty("version", "judge")
        if "version" not in fields:
            del fields["split"]
        there = {SUITE: "suite" in fields, SPLIT: "version" in fields, FILE: True}
        fields["source"].choices = [(key, words) for key, words in SOURCES.items() if there[key]]

    @property
    def models(self) -> int:
        """How many models were chosen; two while none are."""
        found = self.cleaned_data
        return max(2, len(found.get("checkpoints") or ()) + len(found.get("endpoints") or ()))

    def design(self) -> Design:
        """The design, of a form that is valid. Raises Refused."""
        values: dict[str, Any] = {name: self.cleaned_data[name] for name in Design.model_fields}
        return read_design(values | {name: round(values[name] / 100, 9) for name in PERCENT})

    def prompts(self) -> Prompts | None:
        """The prompts chosen; None where none are. Raises Refused."""
        values, count = self.cleaned_data, self.cleaned_data["count"] or MOST
        if values["source"] == SUITE and values.get("suite"):
            return of_suite(suite=values["suite"], count=count)
        if values["source"] == SPLIT and values.get("version"):
            return of_split(version=values["version"], split=values["split"] or HELD_OUT[0], count=count)
        if values["source"] == FILE and values.get("file"):
            return self.from_upload(of_file, count)
        return None

    def plan(self) -> StudyPlan:
        """What the verb takes, of a form that is valid. Raises Refused."""
        values, prompts = self.cleaned_data, self.prompts()
        if prompts is None:
            raise Refused("No prompts were chosen; choose the suite, the version or the file that has them.")
        return StudyPlan(
            prompts=prompts,
            wanted=self.asked(temperatures=(values["temperature"],)),
            design=self.design(),
            judge=values.get("judge"),
            queue=values.get("queue"),
            leave_out=values["leave_out"],
        )

    def _choose_queue(self, person: User | AnonymousUser) -> None:
        """A project that compares two responses asks its own people; another one names who is asked."""
        if self.project.task == Task.PAIRWISE:
            del self.fields["queue"]
            return
        field: Any = self.fields["queue"]
        field.queryset = visible_projects(person).filter(task=Task.PAIRWISE)
        field.help_text = "People here do not compare two responses; choose a project in which they do."
