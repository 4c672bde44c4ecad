"""Training again on what people have said since."""

from django.db import models

from labeling.lifecycle import Lifecycle
from labeling.models import DatasetVersion, Project
from training.models.runs import TrainingRun


class Retraining(Lifecycle):
    """One click: a version of the newest judgments by the recipe of `origin`, then a run with its settings.

    `override` is a person's reason to freeze even what the check would block.
    """

    job = "training.jobs.retrain"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="retrainings")
    origin = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="retrainings")
    override = models.TextField(blank=True)
    version = models.ForeignKey(DatasetVersion, null=True, on_delete=models.PROTECT, related_name="+")
    run = models.OneToOneField(TrainingRun, null=True, on_delete=models.SET_NULL, related_name="retraining")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=models.Q(status__in=["queued", "starting", "running", "stopping"]),
                name="one_retraining_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"retraining {self.pk} like {self.origin_id}"
