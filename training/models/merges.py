"""Jobs on weights that exist: an adapter merged into its base, and what changed, measured."""

from pathlib import Path

from django.conf import settings
from django.db import models

from labeling.lifecycle import Lifecycle
from labeling.models import Project
from training.models.registry import Checkpoint


class Merge(Lifecycle):
    """An adapter on its way into its base, or merged: `made` is the checkpoint of full weights that came of it."""

    job = "training.jobs.merge_adapter"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="merges")
    adapter = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="merges")
    made = models.OneToOneField(Checkpoint, null=True, on_delete=models.PROTECT, related_name="merge")
    folder = models.CharField(max_length=200)
    result = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["adapter"],
                condition=models.Q(status__in=["queued", "running", "succeeded"]),
                name="an_adapter_is_merged_once",
            )
        ]

    def __str__(self) -> str:
        return f"merge {self.pk} of {self.adapter}"

    @property
    def path(self) -> Path:
        """The directory in which the process works."""
        return Path(settings.PREFLOOP_VAR) / "merges" / self.folder


class Measurement(Lifecycle):
    """One reading of a checkpoint's weights: their hash, their number, and how far they are from what they stand on."""

    job = "training.jobs.measure_checkpoint"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="measurements")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="measurements")
    folder = models.CharField(max_length=200)
    result = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["checkpoint"],
                condition=models.Q(status__in=["queued", "running"]),
                name="one_measurement_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"measurement {self.pk} of {self.checkpoint}"

    @property
    def path(self) -> Path:
        """The directory in which the process works."""
        return Path(settings.PREFLOOP_VAR) / "measurements" / self.folder
