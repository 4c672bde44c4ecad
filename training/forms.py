"""Forms of the training pages. Bounds live in training/specs; a refusal from there names the field."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import QuerySet

from labeling.forms import PercentField, PlainForm
from labeling.models import DatasetVersion, Project
from training.fields import adaptations_of, counts, defaults, form_field, kinds_for, method_words, settings_of
from training.models import Checkpoint
from training.presets import PRESETS, find_preset
from training.registry import visible_checkpoints
from training.specs import METHODS, ROLLOUTS, SubsetJob

MAIN = (
    "method",
    "dataset_version",
    "start",
    "reward",
    "gold",
    "preset",
    "adaptation",
    "epochs",
    "learning_rate",
    "batch_size",
    "max_length",
    "name",
)
GROUPS = {
    "Adapter": ("lora_r", "lora_alpha", "lora_dropout", "dora", "rslora", "virtual_tokens"),
    "Loss": (
        "loss_on",
        "beta",
        "loss_type",
        "label_smoothing",
        "desirable_weight",
        "undesirable_weight",
        "center",
        "use_margin",
        "precompute_reference",
    ),
    "Answers": (
        "rollout_size",
        "samples_per_prompt",
        "response_length",
        "temperature",
        "held_prompts",
        "held_steps",
        "sampler",
        "cache",
    ),
    "Rewards": (
        "kl_coefficient",
        "kl_estimator",
        "kl_target",
        "kl_horizon",
        "max_kl",
        "no_end_penalty",
        "normalize_rewards",
        "reward_clip",
    ),
    "PPO": (
        "ppo_epochs",
        "clip",
        "value",
        "value_start",
        "value_rate",
        "value_clip",
        "value_weight",
        "gamma",
        "lam",
        "entropy_weight",
        "ratio_limit",
    ),
    "Rows": ("overlong", "packing", "sort_batches", "seed"),
    "Optimizer": ("gradient_accumulation", "warmup", "scheduler", "weight_decay", "max_grad_norm"),
    "Machine and record": (
        "gradient_checkpointing",
        "logging_steps",
        "sample_prompts",
        "save_steps",
        "keep_checkpoints",
    ),
}
METHOD_WORDS = [(name, method_words(name)) for name in METHODS]
REARRANGES = (
    "method",
    "preset",
    "adaptation",
    "loss_type",
)  # a change of these changes which fields there are
REARRANGE = {
    "hx-post": "",
    "hx-vals": '{"show": "1"}',
    "hx-target": "#launch",
    "hx-swap": "outerHTML",
    "hx-sync": "closest form:replace",
}
QUALITIES = {
    "agreement": "on which people agree",
    "length": "with a long response",
    "difficulty": "whose response is hard for the model",
    "none": "like any other, so that diversity alone decides",
}
TEXTS = {"prompt": "their prompts", "response": "their responses", "both": "prompt and response"}
ALGORITHMS = {
    "farthest": "Each row far from those chosen before it",
    "kmeans": "One row of each of as many clusters",
}


class VersionField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Versions with what they hold."""

    def label_from_instance(self, version: DatasetVersion) -> str:
        rows = version.splits.get("train", {"rows": 0})["rows"]
        return f"Version {version.number}: {version.kind}, {rows:,} training rows"


class RunForm(forms.Form):
    """Start a run. Which settings it has follows from the method, the adaptation and the loss in `values`.

    `values` is what was typed so far; with `sent` it is checked, without it is only shown.
    """

    method = forms.ChoiceField(choices=METHOD_WORDS, help_text="What the model learns from the rows.")
    dataset_version = VersionField(DatasetVersion.objects.none(), empty_label=None, label="Dataset version")
    start = forms.ModelChoiceField(Checkpoint.objects.none(), empty_label=None, label="Start from")
    reward = forms.ModelChoiceField(
        Checkpoint.objects.none(),
        empty_label=None,
        label="Reward model",
        help_text="Its scores are what the policy learns from. It sits on the model that the run starts from.",
    )
    gold = forms.ModelChoiceField(
        Checkpoint.objects.none(),
        required=False,
        empty_label="None",
        label="Second reward model",
        help_text="It only watches: where its win rate falls while the other's rises, the reward is being gamed.",
    )
    preset = forms.ChoiceField(required=False, label="Begin with")
    name = forms.CharField(max_length=120, required=False, help_text="Left empty, one is made.")
    filled = forms.CharField(required=False, widget=forms.HiddenInput)
    again = forms.IntegerField(required=False, widget=forms.HiddenInput)
    step = forms.BooleanField(required=False, widget=forms.HiddenInput)  # of a pipeline, whose run it becomes

    def __init__(
        self, values: Mapping[str, Any], *, project: Project, sent: bool = False, prefix: str = ""
    ) -> None:
        ahead = f"{prefix}-" if prefix else ""
        data = {f"{ahead}{name}": value for name, value in values.items()} if sent else None
        super().__init__(data, initial=dict(values), prefix=prefix or None)
        self.shown_method = values["method"] if values.get("method") in METHODS else next(iter(METHODS))
        known = adaptations_of(self.shown_method)
        adaptation = values["adaptation"] if values.get("adaptation") in known else "lora"
        versions, starts = self._rows(project)
        self.has_versions = versions.exists()
        self.has_starts = starts.exists()
        self.has_rewards = self._offer_rewards(project)
        chosen = {**defaults(self.shown_method, adaptation), **values, "adaptation": adaptation}
        for name, info in settings_of(self.shown_method).items():
            if counts(name, chosen):
                self.fields[name] = form_field(name, info, method=self.shown_method, adaptation=adaptation)
                self._forget_foreign(name)
        self._offer_presets(values.get("preset", ""))
        for name in REARRANGES:
            if name in self.fields:
                self.fields[name].widget.attrs |= REARRANGE

    def _forget_foreign(self, name: str) -> None:
        """A choice that was made for another method, and is none of this one."""
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField) and not field.valid_value(
            field.prepare_value(self.initial.get(name, field.initial))
        ):
            self.initial.pop(name, None)

    def _rows(self, project: Project) -> tuple[QuerySet[DatasetVersion], QuerySet[Checkpoint]]:
        versions: VersionField = self.fields["dataset_version"]  # type: ignore[assignment]
        starts: forms.ModelChoiceField[Checkpoint] = self.fields["start"]  # type: ignore[assignment]
        kinds = kinds_for(self.shown_method)
        versions.queryset = DatasetVersion.objects.filter(project=project, kind__in=kinds)
        last = f" or {kinds[-1]}" if len(kinds) > 1 else ""
        versions.help_text = f"It learns from versions of the kind {', '.join(kinds[:-1] or kinds)}{last}."
        starts.queryset = visible_checkpoints(project).order_by("-id")
        return versions.queryset, starts.queryset

    def _offer_rewards(self, project: Project) -> bool:
        """Show the reward models where the method learns from one; False where it does and there is none."""
        if self.shown_method not in ROLLOUTS:
            del self.fields["reward"], self.fields["gold"]
            return True
        rewards = visible_checkpoints(project).filter(line=Checkpoint.Line.REWARD).order_by("-id")
        for name in ("reward", "gold"):
            self.fields[name].queryset = rewards  # type: ignore[attr-defined]
        return rewards.exists()

    def _offer_presets(self, key: str) -> None:
        field: forms.ChoiceField = self.fields["preset"]  # type: ignore[assignment]
        presets = PRESETS[self.shown_method]
        field.choices = [*((preset.key, preset.name) for preset in presets), ("", "Settings of my own")]
        preset = find_preset(self.shown_method, key)
        if preset is None:
            field.help_text = "What is left empty keeps the default that stands in it."
        else:
            field.help_text = f"{preset.words} Source: {preset.source}."

    def main(self) -> list[forms.BoundField]:
        """The fields that matter to everyone."""
        return [self[name] for name in MAIN if name in self.fields]

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Everything else, by what it is about."""
        advanced = [
            name for name in settings_of(self.shown_method) if name in self.fields and name not in MAIN
        ]
        named = {name for names in GROUPS.values() for name in names}
        rest = {"More": tuple(name for name in advanced if name not in named)}
        found = {
            title: [self[name] for name in names if name in advanced]
            for title, names in (GROUPS | rest).items()
        }
        return [(title, fields) for title, fields in found.items() if fields]

    def is_open(self) -> bool:
        """Whether something under "advanced" was changed or refused."""
        fields = [field for _, group in self.groups() for field in group]
        return any(
            field.errors or field.value() not in (None, "", field.field.initial, str(field.field.initial))
            for field in fields
        )

    def spec_values(self) -> dict[str, Any]:
        """What was filled in of the settings that are shown."""
        given = {
            name: self.cleaned_data[name] for name in settings_of(self.shown_method) if name in self.fields
        }
        return {name: value for name, value in given.items() if value not in (None, "")}

    def refuse(self, sentence: str) -> None:
        """Put a refusal where it belongs: to the field that it begins with, else to the form."""
        name = sentence.split(" ", 1)[0]
        self.add_error(name if name in self.fields else None, sentence)


class SelectionForm(PlainForm):
    """Choose the best rows of a version. What it leaves open, the spec's defaults say."""

    k = forms.IntegerField(min_value=1, max_value=100_000, label="How many rows")
    quality = forms.ChoiceField(choices=QUALITIES.items(), label="A good row is one")
    weight = PercentField(
        min_value=0,
        max_value=100,
        label="Weight of quality, per cent",
        help_text="What is left to 100 is the weight of diversity.",
    )
    text = forms.ChoiceField(
        choices=TEXTS.items(), label="Rows are alike by", help_text="The text that the model reads."
    )
    checkpoint = forms.ModelChoiceField(
        Checkpoint.objects.none(),
        empty_label=None,
        label="As read by",
        help_text="The mean of this model's last hidden states is the place of a text.",
    )
    algorithm = forms.ChoiceField(choices=ALGORITHMS.items(), label="Diversity")
    max_length = forms.IntegerField(
        min_value=16,
        max_value=131_072,
        label="Longest text, in tokens",
        help_text="Longer ones are cut, and counted.",
    )
    seed = forms.IntegerField(
        min_value=0, max_value=2**31 - 1, help_text="Of the clusters and the random draws."
    )

    def __init__(self, *args: Any, version: DatasetVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        checkpoints: forms.ModelChoiceField[Checkpoint] = self.fields["checkpoint"]  # type: ignore[assignment]
        readers = visible_checkpoints(version.project).exclude(line=Checkpoint.Line.REWARD)
        checkpoints.queryset = readers.order_by("-id")
        for name in ("quality", "text", "algorithm", "max_length", "seed", "weight"):
            self.fields[name].initial = SubsetJob.model_fields[name].default
        bases = list(checkpoints.queryset.filter(kind=Checkpoint.Kind.BASE))
        checkpoints.initial = next(
            (base for base in bases if base.base.is_local), bases[0] if bases else None
        )
        rows = version.splits.get("train", {"rows": 0})["rows"]
        self.fields["k"].initial = min(1000, max(1, rows // 2))
        self.fields["k"].help_text = f"Fewer than the {rows:,} training rows of version {version.number}."
        if version.kind in ("prompts", "text"):
            del self.fields["text"]
        if version.kind == "prompts":
            self.fields["quality"].initial = "none"
