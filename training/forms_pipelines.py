"""The form of a pipeline: where it begins, and one launch form for each of its steps."""

from collections.abc import Mapping
from typing import Any

from django import forms

from labeling.models import Project
from training.beginning import begun, rearranged
from training.chaining import Asked
from training.fields import method_name
from training.forms import REARRANGE, RunForm
from training.models import Checkpoint, PipelineStep
from training.registry import visible_checkpoints
from training.specs import ROLLOUTS

Role = PipelineStep.Role
METHODS = {Role.SFT: "sft", Role.REWARD: "reward", Role.POLICY: "ppo"}
NOT_ASKED = ("start", "reward", "name", "again", "step")  # follow from the steps before
TITLES = {
    Role.SFT: (
        "Answer as people do",
        "Learn to answer from demonstrations, or from the preferred responses.",
    ),
    Role.REWARD: ("Tell good from bad", "Learn to score answers from what people preferred."),
    Role.POLICY: ("Earn the reward", "Learn from the scores of answers that the model samples itself."),
}


class PipelineForm(forms.Form):
    """Where the chain begins."""

    start = forms.ModelChoiceField(
        Checkpoint.objects.none(),
        empty_label=None,
        label="Model",
        help_text="The first step trains it. With LoRA there, the reward model grows on it too.",
    )
    name = forms.CharField(max_length=100, required=False, help_text="Left empty, one is made.")

    def __init__(self, data: Mapping[str, Any] | None, *, project: Project) -> None:
        super().__init__(data)
        models = visible_checkpoints(project).exclude(line=Checkpoint.Line.REWARD).order_by("-id")
        self.fields["start"].queryset = models  # type: ignore[attr-defined]
        self.fields["start"].initial = models.filter(kind=Checkpoint.Kind.BASE).first() or models.first()
        self.has_starts = models.exists()


class StepForm(RunForm):
    """One step: a checkpoint that is there, or a run with everything that its launch form asks but where it starts."""

    use = forms.ModelChoiceField(
        Checkpoint.objects.none(), required=False, empty_label="Train it now", label="Checkpoint"
    )

    def __init__(self, values: Mapping[str, Any], *, project: Project, role: str, sent: bool = False) -> None:
        super().__init__(values, project=project, sent=sent, prefix=role)
        self.role, (self.title, self.words) = role, TITLES[Role(role)]
        self._offer_methods()
        self.uses = self._offer_checkpoints(values, project)
        for name in NOT_ASKED:
            self.fields.pop(name, None)
        if self.uses:
            for name in [name for name in self.fields if name not in ("use", "method", "preset", "filled")]:
                del self.fields[name]
            self.fields["preset"].widget = forms.HiddenInput()

    def _offer_methods(self) -> None:
        field: forms.ChoiceField = self.fields["method"]  # type: ignore[assignment]
        if self.role == Role.POLICY:
            field.choices = [(name, method_name(name)) for name in ROLLOUTS]
        else:
            field.widget = forms.HiddenInput()

    def _offer_checkpoints(self, values: Mapping[str, Any], project: Project) -> bool:
        """Offer what is there already; True where one was chosen."""
        if self.role == Role.POLICY:
            del self.fields["use"]
            return False
        is_reward = self.role == Role.REWARD
        known = visible_checkpoints(project).order_by("-id")
        reward = Checkpoint.Line.REWARD
        field: forms.ModelChoiceField[Checkpoint] = self.fields["use"]  # type: ignore[assignment]
        field.queryset = known.filter(line=reward) if is_reward else known.exclude(line=reward)
        field.widget.attrs |= REARRANGE
        chosen = str(values.get("use") or "")
        return chosen.isdecimal() and len(chosen) < 19 and field.queryset.filter(pk=chosen).exists()

    def main(self) -> list[forms.BoundField]:
        """The fields that matter to everyone; whether to train at all comes first."""
        return [self["use"], *super().main()] if "use" in self.fields else super().main()

    def asked(self) -> Asked:
        """The step as the verb takes it."""
        given = self.cleaned_data
        if self.uses:
            return Asked(self.shown_method, given=given["use"])
        return Asked(
            self.shown_method,
            dataset_version=given["dataset_version"],
            values=self.spec_values(),
            gold=given.get("gold"),
        )


def step_forms(
    typed: Mapping[str, str], *, project: Project, sent: bool, rearrange: bool
) -> dict[str, StepForm]:
    """The forms of all steps, from what was typed so far under each one's prefix; without anything, new ones."""
    forms_of = {}
    start = visible_checkpoints(project).exclude(line=Checkpoint.Line.REWARD).order_by("-id").first()
    for role, method in METHODS.items():
        values: dict[str, Any] = {
            name.removeprefix(f"{role}-"): value
            for name, value in typed.items()
            if name.startswith(f"{role}-")
        }
        if not values:
            values = begun(method=method, start=start)
        elif rearrange:
            values = rearranged(values)
        forms_of[str(role)] = StepForm(values, project=project, role=role, sent=sent)
    return forms_of
