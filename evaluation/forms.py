"""Forms of the evaluation pages."""

from typing import Any

from django import forms

from labeling.models import DatasetVersion, Project
from training.models import Checkpoint
from training.registry import visible_checkpoints


class EvaluationForm(forms.Form):
    """Score checkpoints on the held-out rows of a dataset version."""

    dataset_version = forms.ModelChoiceField(
        DatasetVersion.objects.none(),
        empty_label=None,
        label="Held-out rows of",
        help_text="Its test split is the suite.",
    )
    checkpoints = forms.ModelMultipleChoiceField(
        Checkpoint.objects.none(), help_text="The base model is always scored too, as the baseline."
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        versions: forms.ModelChoiceField[DatasetVersion] = self.fields["dataset_version"]  # type: ignore[assignment]
        checkpoints: forms.ModelMultipleChoiceField[Checkpoint] = self.fields["checkpoints"]  # type: ignore[assignment]
        versions.queryset = DatasetVersion.objects.filter(project=project).select_related("project")
        checkpoints.queryset = (
            visible_checkpoints(project).exclude(line=Checkpoint.Line.REWARD).order_by("-id")
        )
