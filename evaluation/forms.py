"""Forms of the evaluation pages."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from evaluation.engines import ENGINES, default_engine
from evaluation.models import Endpoint, EvalRun, Split, Suite
from evaluation.specs import CONTEXT_WORDS, LimitsSpec, SamplingSpec
from evaluation.targets import SERVICES
from labeling.models import DatasetVersion, Project
from training.models import Checkpoint
from training.registry import visible_checkpoints

SETTINGS = ("max_tokens", "temperature", "samples", "seed", "top_p", "top_k", "stop")
LIMITS = ("budget", "max_length", "concurrency", "batch_size")
FINE = ("top_p", "top_k", "stop", "max_length", "concurrency", "batch_size")


class EvaluationForm(forms.Form):
    """Score checkpoints and endpoints on a suite, or on the held-out rows of a dataset version."""

    on = forms.ChoiceField(label="Suite", help_text="Held-out rows of a version become a suite of their own.")
    checkpoints = forms.ModelMultipleChoiceField(
        Checkpoint.objects.none(), required=False, help_text="The base model is always scored too."
    )
    endpoints = forms.ModelMultipleChoiceField(Endpoint.objects.none(), required=False)
    baseline = forms.ModelChoiceField(
        Checkpoint.objects.none(),
        required=False,
        empty_label="The champion in production, else the base model",
        help_text="What the others are measured by.",
    )
    engine = forms.ChoiceField(required=False)
    split = forms.ChoiceField(
        choices=Split.choices,
        label="Cases",
        help_text="Choose by the open cases; the sealed ones judge one chosen candidate.",
    )
    contexts = forms.ChoiceField(
        choices=list(CONTEXT_WORDS.items()),
        required=False,
        help_text="What stands in the prompts beside the question; gold contexts are the texts that hold the answer.",
    )
    max_tokens = forms.IntegerField(required=False, help_text="Tokens of an answer at most.")
    temperature = forms.FloatField(required=False, help_text="0 takes the likeliest token each time.")
    samples = forms.IntegerField(
        required=False, help_text="Answers to each case; more than one needs a temperature."
    )
    seed = forms.IntegerField(required=False)
    budget = forms.FloatField(
        required=False, help_text="Money that endpoints may cost, in the unit of their prices."
    )
    name = forms.CharField(max_length=120, required=False, help_text="Left empty, one is made.")
    top_p = forms.FloatField(required=False, label="Top-p")
    top_k = forms.IntegerField(required=False, label="Top-k")
    stop = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Texts that end an answer, one in each line; \\n in one is a line break.",
    )
    max_length = forms.IntegerField(
        required=False, help_text="Tokens of prompt and answer; judges read 8,192 at least."
    )
    concurrency = forms.IntegerField(required=False)
    batch_size = forms.IntegerField(required=False)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        fields: dict[str, Any] = self.fields
        fields["on"].choices = self._suites()
        fields["checkpoints"].queryset = fields["baseline"].queryset = answering(project)
        fields["endpoints"].queryset = Endpoint.objects.filter(project=project, archived_at=None)
        fields["engine"].choices, fields["engine"].initial = engine_choices(), default_engine()
        for spec, names in ((SamplingSpec, SETTINGS), (LimitsSpec, LIMITS)):
            for field in names:
                found = spec.model_fields[field]
                fields[field].initial = found.default if found.default != () else ""
                fields[field].help_text = fields[field].help_text or found.description
        if not fields["endpoints"].queryset.exists():
            del fields["endpoints"], fields["budget"]

    @property
    def has_suites(self) -> bool:
        choices: Any = self.fields["on"].choices  # type: ignore[attr-defined]
        return any(group for _, group in choices)

    def _suites(self) -> list[tuple[str, list[tuple[str, str]]]]:
        suites = Suite.objects.filter(project=self.project, archived_at=None)
        taken = set(suites.filter(split="test").values_list("dataset_version", flat=True))
        versions = DatasetVersion.objects.filter(project=self.project).select_related("project")
        held = [version for version in versions if version.splits.get("test") and version.pk not in taken]
        return [
            ("Suites", [(f"suite:{suite.pk}", suite.name) for suite in suites]),
            ("Held-out rows", [(f"version:{version.pk}", f"{version}, test split") for version in held]),
        ]

    @property
    def usual(self) -> list[forms.BoundField]:
        """The settings that many change."""
        told = ("on", "checkpoints", "endpoints", *FINE)
        return [field for field in self.visible_fields() if field.name not in told]

    @property
    def fine(self) -> list[forms.BoundField]:
        """Those that few do."""
        return [self[name] for name in FINE]

    def clean_stop(self) -> list[str]:
        lines = self.cleaned_data["stop"].splitlines()
        return [line.replace("\\n", "\n") for line in lines if line]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if not values.get("checkpoints") and not values.get("endpoints"):
            self.add_error("checkpoints", "Choose at least one that is to be scored.")
        return values

    def plan(self) -> dict[str, Any]:
        """What planning takes, of a form that is valid."""
        values = self.cleaned_data
        return {
            "checkpoints": list(values["checkpoints"]),
            "endpoints": list(values.get("endpoints") or ()),
            "baseline": values["baseline"],
            "engine": values["engine"],
            "split": values["split"],
            "contexts": values["contexts"] or "apart",
            "name": values["name"],
            "sampling": {name: values[name] for name in SETTINGS if values[name] is not None},
            "limits": {name: values[name] for name in LIMITS if values.get(name) is not None},
        }

    def suite(self) -> Suite | DatasetVersion:
        """What the cases come from."""
        kind, _, number = self.cleaned_data["on"].partition(":")
        if kind == "suite":
            return Suite.objects.get(project=self.project, pk=number)
        return DatasetVersion.objects.get(project=self.project, pk=number)


def filled_from(run: EvalRun) -> dict[str, Any]:
    """What the form says to plan a run once more: on its suite as it is today, with the same targets and settings."""
    baseline, *others = run.targets.all()
    asked = others if baseline.checkpoint_id else [baseline, *others]
    sampling = run.spec.get("sampling", {})
    return {
        **sampling,
        **run.spec.get("limits", {}),
        "stop": "\n".join(text.replace("\n", "\\n") for text in sampling.get("stop", ())),
        "on": f"suite:{run.suite_id}",
        "checkpoints": [row.checkpoint_id for row in asked or [baseline] if row.checkpoint_id],
        "endpoints": [row.endpoint_id for row in asked if row.endpoint_id],
        "baseline": baseline.checkpoint_id,
        "engine": run.engine,
        "split": run.split,
        "contexts": run.spec.get("contexts", "apart"),
    }


ENGINE_WORDS = {
    "transformers": "transformers, in a process of its own",
    "vllm": "vLLM, base and adapters in one engine",
}


def engine_choices() -> list[tuple[str, str]]:
    """The engines that load weights, as far as this installation has them, each with words."""
    known = [name for name in ENGINES if name != SERVICES]
    return [
        (name, ENGINE_WORDS.get(name, name)) for name in known if name != "vllm" or default_engine() == "vllm"
    ]


def answering(project: Project) -> QuerySet[Checkpoint]:
    """The checkpoints that give answers, the newest first."""
    return visible_checkpoints(project).exclude(line=Checkpoint.Line.REWARD).order_by("-id")
