"""Forms of fixes and of rounds."""

from typing import Any

from django import forms
from django.http import QueryDict

from evaluation.models import Analysis, Round, RunTarget, Split
from evaluation.rounds.opening import LONGEST_NOTE
from evaluation.rounds.tying import LONGEST_NOTE as LONGEST_ROUND_NOTE
from evaluation.rounds.tying import MANY, NAME_LENGTH, ONE
from evaluation.specs import is_usual
from labeling.forms import PercentField, PlainForm
from labeling.lifecycle import Status
from labeling.models import Project
from labeling.rag.taxonomy import categories_of

RECENT = 60


class FixForm(PlainForm):
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
    held_out = PercentField(
        label="Held out, %",
        initial=0.5,
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
        asked = {"category": query.get("category", ""), "of": _first(query)}
        super().__init__(*args, initial=asked, **kwargs)
        self.fields["category"].choices = [(key, each.name) for key, each in self._categories.items()]  # type: ignore[attr-defined]
        analyses = {f"a{key}": _words(each) for key, each in self._analyses.items()}
        targets = {f"t{key}": f"{each.name} in {each.run.name}" for key, each in self._targets.items()}
        is_there = asked["of"] in {"", *analyses, *targets}
        self.fields["of"].choices = [  # type: ignore[attr-defined]
            *([] if is_there else [("", "What was asked for opens no fix; choose another")]),
            ("Analyses of errors", list(analyses.items())),
            ("Evaluations", list(targets.items())),
        ]

    @property
    def can_open(self) -> bool:
        """Whether anything has failed yet."""
        return bool(self._targets)

    def values(self) -> dict[str, Any]:
        """What the verb takes."""
        given = dict(self.cleaned_data)
        of = given.pop("of")
        analysis = self._analyses[int(of[1:])] if of.startswith("a") else None
        target = analysis.target if analysis is not None else self._targets[of[1:]]
        return given | {
            "category": self._categories[given["category"]],
            "target": target,
            "analysis": analysis,
        }


def _first(query: QueryDict) -> str:
    if query.get("analysis"):
        return f"a{query['analysis']}"
    return f"t{query['target']}" if query.get("target") else ""


def _analyses(project: Project) -> list[Analysis]:
    rows = Analysis.objects.filter(project=project, run__split=Split.DEV).defer("order")
    found = rows.select_related("target__run__suite", "run")[:RECENT]
    return [each for each in found if is_usual(each.run.spec)]


def _targets(project: Project) -> list[RunTarget]:
    rows = RunTarget.objects.filter(
        run__project=project, run__status=Status.SUCCEEDED, run__split=Split.DEV, run__arm=None
    )
    rows = rows.select_related("run__suite", "run__version__suite").defer("run__facts")
    return [each for each in rows.order_by("-run", "index")[:RECENT] if is_usual(each.run.spec)]


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
            *("name", "note", "dataset_version", "runs", "checkpoints", "evaluations", "study", "decision")
        ]
        widgets = dict.fromkeys(MANY, forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (*ONE, *MANY):
            field: Any = self.fields[name]
            rows = field.queryset.filter(project=self.instance.project).order_by("-pk")
            if name in ONE:
                field.empty_label = "None yet"
                field.queryset = rows.select_related("candidate" if name == "decision" else "project")
                continue
            if name == "evaluations":
                rows = rows.filter(arm=None)
            chosen = getattr(self.instance, name).values_list("pk", flat=True)
            field.queryset = rows.filter(pk__in=[*chosen, *rows.values_list("pk", flat=True)[:RECENT]])
