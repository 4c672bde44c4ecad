"""Forms of the pages of suites and cases. They check shape; the verbs check meaning."""

import json
from dataclasses import replace
from typing import Any

from django import forms
from django.http import QueryDict

from evaluation.forms_playground import with_plain_lines
from evaluation.models import Case
from evaluation.suites.content import FIELDS, Content, content_of, refused, tags_from
from evaluation.suites.reading import read_case
from labeling.errors import RowRefused
from labeling.forms import ACCEPTED, PercentField, PlainForm, UploadField
from labeling.models import DatasetVersion, Project
from labeling.models.datasets import SPLITS

ROLES = [("user", "User"), ("system", "System"), ("assistant", "Assistant"), ("tool", "Tool")]
DESCRIPTION = {"rows": 2}


class LinesField(forms.CharField):
    """A text of several lines."""

    def to_python(self, value: Any) -> Any:
        return with_plain_lines(super().to_python(value) or "")


class CasesFileForm(forms.Form):
    """A file of cases."""

    file = UploadField(
        widget=forms.ClearableFileInput(attrs={"accept": ACCEPTED}),
        help_text="JSON Lines, JSON, CSV, TSV (also .gz), Parquet or Arrow, with a column prompt or messages.",
    )


class NewSuiteForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="What it measures, such as Refund questions.")
    description = LinesField(required=False, widget=forms.Textarea(attrs=DESCRIPTION))


class NewFromFileForm(NewSuiteForm, CasesFileForm):
    field_order = ["name", "file", "description"]


class NewFromSplitForm(forms.Form):
    """Held-out rows of a dataset version."""

    version = forms.ModelChoiceField(
        DatasetVersion.objects.none(),
        empty_label=None,
        label="Dataset version",
        help_text="Its rows become cases that can never be trained on.",
    )
    split = forms.ChoiceField(
        choices=[(name, name.capitalize()) for name in reversed(SPLITS) if name != "train"], initial="test"
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: forms.ModelChoiceField[DatasetVersion] = self.fields["version"]  # type: ignore[assignment]
        field.queryset = DatasetVersion.objects.filter(project=project).select_related("project")


class SuiteForm(NewSuiteForm):
    system = LinesField(
        required=False,
        label="System message",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Put before every prompt that has none of its own.",
    )


class PlannerForm(PlainForm):
    """How many cases a difference takes."""

    difference = forms.FloatField(min_value=0.1, max_value=100, initial=5, label="Difference, points")
    power = forms.FloatField(min_value=50, max_value=99, initial=80, label="Power, %")
    flips = forms.FloatField(min_value=0.1, max_value=100, required=False, label="Flips, %")


class RatioPlannerForm(PlannerForm):
    """The same for perplexity, which is compared by ratios; nothing flips."""

    difference = forms.FloatField(min_value=1.001, max_value=1000, initial=1.05, label="Ratio, times")
    flips = None  # type: ignore[assignment]


class NumberPlannerForm(PlannerForm):
    """The same in the unit of a metric that has no bounds."""

    difference = forms.FloatField(min_value=0.0001, max_value=1e9)
    flips = None  # type: ignore[assignment]


class SealShareForm(PlainForm):
    share = PercentField(min_value=0.1, max_value=90, initial=0.2, label="Share to seal, %")
    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0)


class CaseForm(forms.Form):
    """One case as fields, its prompt, contexts and gold contexts in parts of any number.

    `case` is the state that the writer began from: a field that was left alone keeps what is stored, to the letter.
    """

    base = forms.IntegerField(widget=forms.HiddenInput, required=False)
    reference = LinesField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 4}))
    rejected = LinesField(
        required=False, strip=False, label="Rejected answer", widget=forms.Textarea(attrs={"rows": 3})
    )
    tags = forms.CharField(required=False, help_text="With commas between them; each is a slice.")
    weight = forms.FloatField(initial=1.0, help_text="How much it counts; 1 is usual.")
    cluster = forms.CharField(
        required=False,
        max_length=100,
        help_text="A document or conversation that it shares with other cases.",
    )
    checks = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "code", "spellcheck": "false"}),
        help_text="Conditions of this case alone, as JSON.",
    )
    note = forms.CharField(required=False, max_length=300, label="Why this change")

    def __init__(self, data: QueryDict | None = None, *, case: Case | None = None) -> None:
        super().__init__(data, initial=_initial(case))
        self.case = case
        if data is not None:
            self.turns = _turns(data)
            self.contexts, self.gold = _texts(data, "context"), _texts(data, "gold")
        else:
            self.turns = list(case.prompt) if case else [{"role": "user", "content": ""}]
            self.contexts = list(case.contexts) if case else []
            self.gold = list(case.gold) if case else []

    def go_on_from(self, case: Case) -> None:
        """Let the next press of the button begin from this row: the writer has seen it."""
        data = QueryDict(mutable=True)
        for name, values in dict(self.data).items():
            data.setlist(name, values)
        data["base"] = str(case.pk)
        self.data = data

    def content(self) -> Content | None:
        """What the form holds; None where it cannot be stored, with the reason among the errors."""
        if not self.is_valid():
            return None
        fields = {
            name: self.cleaned_data[name] for name in ("reference", "rejected", "tags", "weight", "cluster")
        }
        row = {
            **fields,
            "prompt": [turn for turn in self.turns if turn["content"].strip()],
            "contexts": [context for context in self.contexts if context.strip()],
            "gold": [context for context in self.gold if context.strip()],
            "checks": self.cleaned_data["checks"].strip() or [],
        }
        try:
            given = read_case(row).content
        except RowRefused as refusal:
            self.add_error(None, refused(refusal).sentence)
            return None
        return _untouched(given, content_of(self.case)) if self.case else given


def _initial(case: Case | None) -> dict[str, Any]:
    if case is None:
        return {}
    content = content_of(case)
    return {
        "base": case.pk,
        "reference": content.reference or "",
        "rejected": content.rejected or "",
        "tags": ", ".join(content.tags),
        "weight": str(content.weight).removesuffix(".0"),
        "cluster": content.cluster,
        "checks": json.dumps(content.checks, ensure_ascii=False, indent=1) if content.checks else "",
    }


def _turns(data: QueryDict) -> list[dict[str, str]]:
    roles, texts = data.getlist("role"), data.getlist("content")
    known = dict(ROLES)
    return [
        {"role": role if role in known else "user", "content": with_plain_lines(text)}
        for role, text in zip(roles, texts, strict=False)
    ]


def _texts(data: QueryDict, name: str) -> list[str]:
    return [with_plain_lines(text) for text in data.getlist(name)]


def _untouched(given: Content, stored: Content) -> Content:
    """What was given, with the stored value of every field that came back as it was shown."""
    shown = _shown(stored)
    alike = {name: getattr(stored, name) for name in FIELDS if getattr(given, name) == getattr(shown, name)}
    return replace(given, **alike)


def _shown(stored: Content) -> Content:
    """A stored content as a browser sends it back unchanged: it ends lines in one way, and blank parts are gone."""

    def plain(text: str) -> str:
        return with_plain_lines(text).replace("\r", "\n")

    return replace(
        stored,
        prompt=[
            {**turn, "content": plain(turn["content"])} for turn in stored.prompt if turn["content"].strip()
        ],
        reference=plain(stored.reference or "") or None,
        rejected=plain(stored.rejected or "") or None,
        contexts=[plain(text) for text in stored.contexts if text.strip()],
        gold=[plain(text) for text in stored.gold if text.strip()],
        tags=tags_from(",".join(stored.tags).split(",")),
    )
