"""Forms of the registry: a base model, a stage, notes."""

from django import forms

from training.models import Checkpoint
from training.staging import REASON_LENGTH, Stage


class BaseModelForm(forms.Form):
    """Register a base model. What is allowed, training/bases.py says."""

    location = forms.CharField(
        max_length=500,
        label="Folder or hub name",
        help_text="A folder of a saved model on this machine, such as /models/base, or a name such as org/model.",
    )
    name = forms.CharField(
        max_length=120,
        required=False,
        help_text="What pages and commands call it; left empty, the last part.",
    )
    revision = forms.CharField(
        max_length=100,
        required=False,
        help_text="For a hub name: a commit, tag or branch. A commit makes runs repeatable.",
    )
    licence = forms.CharField(
        max_length=100,
        required=False,
        help_text="As its author names it, such as Apache-2.0; it stands on every card.",
    )


class StageForm(forms.Form):
    """Move a checkpoint to another stage. Hidden fields say what was seen."""

    after = forms.ChoiceField(choices=Stage.choices, widget=forms.HiddenInput)
    before = forms.ChoiceField(choices=Stage.choices, widget=forms.HiddenInput)
    replaces = forms.IntegerField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(max_length=REASON_LENGTH, required=False)


class NoteForm(forms.Form):
    """Edit the notes of a checkpoint."""

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)
    text = forms.CharField(
        required=False,
        label="Intended use and notes",
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="Markdown. What it is for, what it must not be used for, what you saw. It stands on the model card.",
    )


def stages_from(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """(stage, words of the button) for where a checkpoint may go from where it is."""
    words = {
        Stage.PRODUCTION: "Promote to production",
        Stage.CANDIDATE: "Make it a candidate again",
        Stage.ARCHIVED: "Archive",
    }
    return [(stage.value, words[stage]) for stage in words if stage != checkpoint.stage]
