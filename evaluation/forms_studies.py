"""The form that plans and starts a study."""

import tempfile
from pathlib import Path
from typing import Any

from django import forms

from evaluation.engines import default_engine
from evaluation.forms import ENGINE_WORDS, local_engines
from evaluation.models import Endpoint, Judge, JudgeVersion, Suite
from evaluation.outlook import Wanted
from evaluation.prompts import MOST, Prompts
from evaluation.specs import SamplingSpec
from evaluation.studies.design import SPENDINGS, Design, read_design
from evaluation.studies.prompts import HELD_OUT, of_file, of_split, of_suite
from evaluation.studies.starting import StudyPlan
from labeling.access import visible_projects
from labeling.errors import Refused
from labeling.forms import ACCEPTED, PlainForm, UploadField
from labeling.models import DatasetVersion, Project, Task, User
from training.models import Checkpoint
from training.registry import visible_checkpoints

SUITE, SPLIT, FILE = "suite", "split", "file"
SOURCES = {
    SUITE: "Open cases of a suite",
    SPLIT: "What a dataset version holds out",
    FILE: "A file of prompts",
}
DESIGN = ("win_rate", "ties", "power", "looks", "spending", "annotators", "correlation", "cluster_size", "icc",
          "alpha", "priority")  # fmt: skip
PERCENT = ("win_rate", "ties", "power", "alpha")
SAMPLING = ("max_tokens", "top_p", "seed")


def _percent(name: str, label: str, help: str = "") -> forms.FloatField:
    initial = round(100 * Design.model_fields[name].default, 6)
    return forms.FloatField(label=label, initial=f"{initial:g}", help_text=help)


class StudyForm(PlainForm):
    """Who is compared, on which prompts, and what the study shall find."""

    checkpoints = forms.ModelMultipleChoiceField(
        Checkpoint.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    endpoints = forms.ModelMultipleChoiceField(
        Endpoint.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    source = forms.ChoiceField(choices=list(SOURCES.items()), label="Prompts")
    suite = forms.ModelChoiceField(Suite.objects.none(), required=False, empty_label="No suite")
    version = forms.ModelChoiceField(
        DatasetVersion.objects.none(), required=False, empty_label="No version", label="Dataset version"
    )
    split = forms.ChoiceField(choices=[(name, name.capitalize()) for name in HELD_OUT], required=False)
    file = UploadField(
        required=False,
        widget=forms.ClearableFileInput(attrs={"accept": ACCEPTED}),
        help_text="Any format that items are imported from; answers in it are not used.",
    )
    count = forms.IntegerField(
        min_value=1,
        max_value=MOST,
        required=False,
        label="Prompts, at most",
        help_text="Drawn at random. Empty: all there are.",
    )
    leave_out = forms.BooleanField(required=False, label="Leave out prompts that a model was trained on")
    win_rate = _percent(
        "win_rate", "Win rate to find, %", "The smallest preference worth finding; 50 is none."
    )
    ties = _percent("ties", "Ties to expect, %")
    annotators = forms.IntegerField(
        initial=1, label="People a pair", help_text="Each pair is judged by so many."
    )
    looks = forms.IntegerField(
        initial=3, label="Looks", help_text="With the last one. Each spends part of alpha."
    )
    power = _percent("power", "Power, %")
    alpha = _percent("alpha", "Alpha, %", "The chance of a false alarm, over all looks.")
    spending = forms.ChoiceField(choices=list(SPENDINGS.items()), label="Spending")
    correlation = forms.FloatField(
        initial=0.3,
        label="How alike people judge a pair",
        help_text="0 to 1; matters where several judge it.",
    )
    cluster_size = forms.FloatField(initial=1, label="Prompts of one source", help_text="On average.")
    icc = forms.FloatField(initial=0, label="How alike they come out", help_text="0 to 1.")
    priority = forms.IntegerField(initial=10, label="Priority in the queue", help_text="Usual work has 0.")
    temperature = forms.FloatField(initial=0.7, help_text="The same for every model, as all sampling is.")
    max_tokens = forms.IntegerField(required=False, help_text="Tokens of an answer at most.")
    top_p = forms.FloatField(required=False, help_text="Sample from this share of the probability.")
    seed = forms.IntegerField(required=False)
    system = forms.CharField(
        required=False,
        label="System message",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Put before prompts that have none; people see it too.",
    )
    engine = forms.ChoiceField(required=False)
    judge = forms.ModelChoiceField(
        JudgeVersion.objects.none(),
        required=False,
        empty_label="No judge",
        help_text="Reads the same pairs; its agreement with people is shown at each look.",
    )
    queue = forms.ModelChoiceField(Project.objects.none(), required=False, label="Whose people are asked")
    name = forms.CharField(max_length=120, required=False, help_text="Left empty, one is made.")

    def __init__(self, *args: Any, project: Project, person: User | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        fields: dict[str, Any] = self.fields
        checkpoints = visible_checkpoints(project).exclude(line=Checkpoint.Line.REWARD).order_by("-id")
        fields["checkpoints"].queryset = checkpoints
        fields["endpoints"].queryset = Endpoint.objects.filter(project=project, archived_at=None)
        fields["suite"].queryset = Suite.objects.filter(project=project, archived_at=None)
        fields["version"].queryset = DatasetVersion.objects.filter(project=project).select_related("project")
        judges = JudgeVersion.objects.filter(judge__project=project, judge__kind=Judge.Kind.PAIRWISE)
        fields["judge"].queryset = judges.filter(judge__archived_at=None).select_related("judge")
        fields["engine"].choices = [(name, ENGINE_WORDS[name]) for name in local_engines()]
        fields["engine"].initial = default_engine()
        for field in SAMPLING:
            fields[field].initial = SamplingSpec.model_fields[field].default
        self._choose_queue(person)
        self._leave_out_what_is_not_there()

    @property
    def can_answer(self) -> bool:
        """Whether there are models to compare."""
        queryset: Any = self.fields["checkpoints"].queryset  # type: ignore[attr-defined]
        return "endpoints" in self.fields or bool(queryset.exists())

    @property
    def models(self) -> int:
        """How many models were chosen; two while none are."""
        found = self.cleaned_data
        return max(2, len(found.get("checkpoints") or ()) + len(found.get("endpoints") or ()))

    def design(self) -> Design:
        """The design, of a form whose numbers are there. Raises Refused."""
        values: dict[str, Any] = {name: self.cleaned_data.get(name) for name in DESIGN}
        for name in PERCENT:
            if values[name] is not None:
                values[name] = round(values[name] / 100, 9)
        return read_design(values)

    def prompts(self) -> Prompts | None:
        """The prompts chosen; None where none are. Raises Refused."""
        values, count = self.cleaned_data, self.cleaned_data.get("count") or MOST
        if values["source"] == SUITE and values.get("suite"):
            return of_suite(suite=values["suite"], count=count)
        if values["source"] == SPLIT and values.get("version"):
            return of_split(version=values["version"], split=values["split"] or HELD_OUT[0], count=count)
        if values["source"] == FILE and values.get("file"):
            return _uploaded(self.project, values["file"], count)
        return None

    def plan(self) -> StudyPlan:
        """What the verb takes, of a form that is valid. Raises Refused."""
        values, prompts = self.cleaned_data, self.prompts()
        if prompts is None:
            raise Refused("No prompts were chosen; choose the suite, the version or the file that has them.")
        return StudyPlan(
            prompts=prompts,
            wanted=Wanted(
                checkpoints=list(values["checkpoints"]),
                endpoints=list(values.get("endpoints") or ()),
                engine=values["engine"],
                temperatures=(values["temperature"],),
                sampling={name: values[name] for name in SAMPLING if values[name] is not None},
                system=values["system"],
            ),
            design=self.design(),
            judge=values.get("judge"),
            queue=values.get("queue"),
            leave_out=values["leave_out"],
        )

    def _choose_queue(self, person: User | None) -> None:
        """A project that compares two responses asks its own people; another one names who is asked."""
        if self.project.task == Task.PAIRWISE:
            del self.fields["queue"]
            return
        rows = visible_projects(person) if person else Project.objects.all()
        field: Any = self.fields["queue"]
        field.queryset = rows.filter(task=Task.PAIRWISE)
        field.help_text = "People here do not compare two responses; choose a project in which they do."

    def _leave_out_what_is_not_there(self) -> None:
        fields: dict[str, Any] = self.fields
        there = {
            SUITE: fields["suite"].queryset.exists(),
            SPLIT: fields["version"].queryset.exists(),
            FILE: True,
        }
        fields["source"].choices = [(key, words) for key, words in SOURCES.items() if there[key]]
        if not there[SUITE]:
            del fields["suite"]
        if not there[SPLIT]:
            del fields["version"], fields["split"]
        for name in ("endpoints", "judge"):
            if not fields[name].queryset.exists():
                del fields[name]


def _uploaded(project: Project, file: Any, count: int) -> Prompts:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prompts"
        with path.open("wb") as out:
            for chunk in file.chunks():
                out.write(chunk)
        return of_file(project=project, path=path, name=file.name, count=count)
