"""Forms about judges and endpoints. They check shape; the verbs check meaning."""

from typing import Any

from django import forms

from evaluation.drawing_reviews import About, has_reviews
from evaluation.endpoints import PREFIX, EndpointDraft
from evaluation.engines import default_engine
from evaluation.forms import answering, engine_choices
from evaluation.judges import LABELS, RUBRICS, VersionDraft
from evaluation.judging import FEWEST, MOST
from evaluation.models import Endpoint, Judge, JudgeVersion
from labeling.curation.recipe import PAIRED
from labeling.forms import PlainForm
from labeling.models import DatasetVersion, Project
from training.registry import visible_checkpoints

USUAL = 500


class VersionForm(PlainForm):
    """What a version says and who answers. `base` is the version that the writer began from."""

    base = forms.IntegerField(required=False, widget=forms.HiddenInput)
    rubric = forms.CharField(
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "class": "rubric"}),
        help_text="By what the judge decides, as you would tell a new colleague. It sees the prompt and "
        "the answers, and chooses a word.",
    )
    labels = forms.CharField(
        label="Words to choose among",
        widget=forms.Textarea(attrs={"rows": 3, "class": "rubric"}),
        help_text="One a line, each with its value from 0 to 1. No word may begin another one.",
    )
    answers = forms.ChoiceField(
        label="Who answers", help_text="Whoever wrote the answers that it judges tends to like its own."
    )
    engine = forms.ChoiceField(
        label="Engine",
        help_text="By which a checkpoint answers; endpoints answer themselves.",
    )

    def __init__(self, *args: Any, project: Project, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project, self.kind = project, kind
        fields: dict[str, Any] = self.fields
        fields["answers"].choices = self._answering()
        fields["engine"].choices, fields["engine"].initial = engine_choices(), default_engine()
        fields["rubric"].initial = RUBRICS[Judge.Kind(kind)]
        if kind == Judge.Kind.PAIRWISE:
            del fields["labels"]
        else:
            fields["labels"].initial = label_lines(LABELS)

    @property
    def can_answer(self) -> bool:
        """Whether there is anybody who could."""
        choices: Any = self.fields["answers"].choices  # type: ignore[attr-defined]
        return any(group for _, group in choices)

    def _answering(self) -> list[tuple[str, list[tuple[str, str]]]]:
        endpoints = Endpoint.objects.filter(project=self.project, archived_at=None)
        groups = [
            ("Checkpoints", [(f"checkpoint:{one.pk}", one.name) for one in answering(self.project)]),
            ("Endpoints", [(f"endpoint:{one.pk}", one.name) for one in endpoints]),
        ]
        return [group for group in groups if group[1]]

    def clean_labels(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for line in self.cleaned_data["labels"].splitlines():
            word, _, value = line.rpartition("=")
            if not line.strip():
                continue
            try:
                found[word.strip()] = float(value)
            except ValueError:
                raise forms.ValidationError(
                    f"“{line.strip()}” is no word with a value; write good = 1."
                ) from None
        return found

    def draft(self) -> VersionDraft:
        """What the verbs take, of a form that is valid."""
        kind, _, number = self.cleaned_data["answers"].partition(":")
        return VersionDraft(
            rubric=self.cleaned_data["rubric"],
            labels=self.cleaned_data.get("labels") or {},
            checkpoint=visible_checkpoints(self.project).get(pk=number) if kind == "checkpoint" else None,
            endpoint=Endpoint.objects.get(pk=number, project=self.project) if kind == "endpoint" else None,
            engine=self.cleaned_data["engine"] if kind == "checkpoint" else "",
        )


class JudgeForm(VersionForm):
    """A judge with its first version."""

    name = forms.CharField(max_length=80, help_text="Such as “Correctness”. Suites and verdicts call it so.")
    field_order = ["name"]


class CheckForm(PlainForm):
    """Hold a version against people."""

    against = forms.ChoiceField(
        help_text="Pairs that people decided, held-out rows first: by its rubric. Or what reviewers said of answers "
        "from given texts: by the questions of one measure.",
    )
    limit = forms.IntegerField(
        min_value=FEWEST,
        max_value=MOST,
        initial=USUAL,
        label="Pairs or answers, at most",
        help_text=f"{FEWEST} to {MOST:,}. A pair is two questions, an answer as many as it has contexts or sentences; "
        "200 or more make the interval useful.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = DatasetVersion.objects.filter(project=project, kind__in=PAIRED).select_related("project")
        self.versions = {f"{About.PAIRS}:{row.pk}": row for row in rows}
        measures = [one for one in About.choices if one[0] != About.PAIRS] if has_reviews(project) else []
        groups = [
            ("Decided pairs", [(key, str(row)) for key, row in self.versions.items()]),
            ("Reviews of answers", measures),
        ]
        field: Any = self.fields["against"]
        field.choices = [group for group in groups if group[1]]

    @property
    def has_people(self) -> bool:
        """Whether there is anything to hold a judge against."""
        field: Any = self.fields["against"]
        return bool(field.choices)

    def asked(self) -> dict[str, Any]:
        """What `start_check` takes, of a form that is valid."""
        about, limit = self.cleaned_data["against"], self.cleaned_data["limit"]
        version = self.versions.get(about)
        return {"about": about.partition(":")[0], "dataset_version": version, "limit": limit}


class EndpointForm(PlainForm):
    """A model behind an OpenAI-compatible address."""

    name = forms.CharField(max_length=120, help_text="What pages call it.")
    url = forms.CharField(
        max_length=300,
        label="Address",
        widget=forms.URLInput,
        help_text="OpenAI-compatible, such as https://api.example.com/v1 or http://127.0.0.1:8000/v1.",
    )
    model = forms.CharField(max_length=200, help_text="As the service calls it.")
    key_variable = forms.CharField(
        max_length=100,
        required=False,
        label="Variable with the key",
        help_text=f"The name of an environment variable of the workers that begins with {PREFIX}. "
        "The key itself is never stored here.",
    )
    requests_per_minute = forms.IntegerField(required=False, help_text="At most; empty for no limit.")
    price_in = forms.FloatField(required=False, label="Price of a million prompt tokens")
    price_out = forms.FloatField(required=False, label="Price of a million answer tokens")

    def draft(self) -> EndpointDraft:
        return EndpointDraft(**self.cleaned_data)


def label_lines(labels: dict[str, float]) -> str:
    """Labels as a person writes them."""
    return "\n".join(f"{word} = {value:g}" for word, value in labels.items())


def initial_of(version: JudgeVersion) -> dict[str, Any]:
    """A version as the form shows it."""
    return {
        "base": version.number,
        "rubric": version.rubric,
        "labels": label_lines(version.labels),
        "answers": f"endpoint:{version.endpoint_id}"
        if version.endpoint_id
        else f"checkpoint:{version.checkpoint_id}",
        "engine": version.engine,
    }
