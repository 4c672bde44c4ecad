"""Forms of fixes and of rounds."""

from typing import Any

from django import forms
from django.http import QueryDict

from evaluation.models import Analysis, Decision, EvalRun, Round, RunTarget, Split, Study
from evaluation.rounds.opening import LONGEST_NOTE
from evaluation.rounds.tying import LONGEST_NOTE as LONGEST_ROUND_NOTE
from evaluation.rounds.tying import NAME_LENGTH
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, ErrorCategory, Project
from labeling.rag.taxonomy import categories_of
from training.models import Checkpoint, TrainingRun

RECENT = 60


class FixForm(forms.Form):
    """What a fix is of: a category, and the target that fails in it, by an analysis or by a run alone."""

    category = forms.ChoiceField(label="Category", help_text="What goes wrong.")
    of = forms.ChoiceField(
        label="Where it fails",
        help_text="An analysis of errors brings the cases that were read, and the ceiling. Without one, the cases are "
        "those of the suite with the category’s tag.",
    )
    metric = forms.CharField(
        required=False,
        max_length=60,
        label="Metric",
        help_text="In which a case passes or fails; empty for the analysis’s, or the primary one.",
    )
    held_out = forms.IntegerField(
        label="Held out, %",
        initial=50,
        min_value=10,
        max_value=90,
        help_text="Siblings: never trained on, and what the fix is measured by. The others go to labeling and leave "
        "the suite.",
    )
    note = forms.CharField(required=False, max_length=LONGEST_NOTE, label="Note")

    def __init__(self, *args: Any, project: Project, query: QueryDict, **kwargs: Any) -> None:
        self._categories = {each.key: each for each in categories_of(project)}
        self._analyses = {each.pk: each for each in _analyses(project)}
        self._targets = {f"{each.run_id}.{each.index}": each for each in _targets(project)}
        kwargs.setdefault("initial", {})
        kwargs["initial"] |= {"category": query.get("category", ""), "of": _first(query), "held_out": 50}
        super().__init__(*args, **kwargs)
        self.fields["category"].choices = [(key, each.name) for key, each in self._categories.items()]  # type: ignore[attr-defined]
        self.fields["of"].choices = [  # type: ignore[attr-defined]
            ("Analyses of errors", [(f"a{key}", _words(each)) for key, each in self._analyses.items()]),
            ("Evaluations", [(f"t{key}", f"{each.name} in {each.run.name}") for key, each in self._targets.items()]),
        ]  # fmt: skip

    @property
    def can_open(self) -> bool:
        """Whether anything has failed yet."""
        return bool(self._targets)

    def values(self) -> dict[str, Any]:
        """What the verb takes."""
        given = self.cleaned_data
        kind, key = given["of"][0], given["of"][1:]
        analysis = self._analyses[int(key)] if kind == "a" else None
        category: ErrorCategory = self._categories[given["category"]]
        return {
            "category": category,
            "target": analysis.target if analysis is not None else self._targets[key],
            "analysis": analysis,
            "metric": given["metric"],
            "held_out": given["held_out"] / 100,
            "note": given["note"],
        }


def _first(query: QueryDict) -> str:
    if query.get("analysis"):
        return f"a{query['analysis']}"
    return f"t{query['target']}" if query.get("target") else ""


def _analyses(project: Project) -> list[Analysis]:
    rows = Analysis.objects.filter(project=project, run__split=Split.DEV).defer("order")
    return list(rows.select_related("target__run__suite", "run")[:RECENT])


def _targets(project: Project) -> list[RunTarget]:
    rows = RunTarget.objects.filter(
        run__project=project, run__status=Status.SUCCEEDED, run__split=Split.DEV, run__arm=None
    )
    rows = rows.select_related("run__suite", "run__version__suite").defer("run__facts")
    return list(rows.order_by("-run", "index")[:RECENT])


def _words(analysis: Analysis) -> str:
    return f"{analysis.target.name} in {analysis.metric}, {analysis.run.name}: {analysis.failing:,} failing"


class RoundForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything that a round ties, of its own project."""

    name = forms.CharField(max_length=NAME_LENGTH, label="Name")
    note = forms.CharField(
        required=False,
        max_length=LONGEST_ROUND_NOTE,
        label="Note",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What this round was for, and what was learned.",
    )

    class Meta:
        model = Round
        fields = [
            "name",
            "note",
            "dataset_version",
            "runs",
            "checkpoints",
            "evaluations",
            "study",
            "decision",
        ]
        widgets = dict.fromkeys(("runs", "checkpoints", "evaluations"), forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        round, project = self.instance, self.instance.project
        rows = {
            "dataset_version": DatasetVersion.objects.filter(project=project).select_related("project"),
            "decision": Decision.objects.filter(project=project).select_related("candidate"),
            "study": Study.objects.filter(project=project),
        }
        for name, found in rows.items():
            self.fields[name].queryset = found  # type: ignore[attr-defined]
            self.fields[name].empty_label = "None yet"  # type: ignore[attr-defined]
        many = {
            "runs": TrainingRun.objects.filter(project=project),
            "checkpoints": Checkpoint.objects.filter(project=project),
            "evaluations": EvalRun.objects.filter(project=project, arm=None),
        }
        for name, found in many.items():
            chosen = getattr(round, name).values_list("pk", flat=True)
            recent = found.order_by("-pk").values_list("pk", flat=True)[:RECENT]
            keys = [*chosen, *recent]
            self.fields[name].queryset = found.filter(pk__in=keys).order_by("-pk")  # type: ignore[attr-defined]
